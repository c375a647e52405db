// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// import: a new store out of an export, a mosquitto.db or a persist-sqlite file.
#include "child.h"
#include "commands.h"
#include "escape.h"
#include "human.h"
#include "import.h"
#include "interrupt.h"
#include "list.h"
#include "mosquitto_db.h"
#include "new_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define SQLITE_MAGIC "SQLite format 3"

enum source_kind { SOURCE_JSONL, SOURCE_MOSQUITTO_DB, SOURCE_SQLITE };

struct source {
    FILE *input;
    const char *path;
    enum source_kind kind;
    struct progress progress;
    struct import import;
};

static struct source source; // the child gets only the context

static void find_kind_by(const char *magic, size_t len)
{
    if (len >= MOSQUITTO_DB_MAGIC_BYTES &&
        memcmp(magic, MOSQUITTO_DB_MAGIC, MOSQUITTO_DB_MAGIC_BYTES) == 0)
        source.kind = SOURCE_MOSQUITTO_DB;
    else if (len >= sizeof(SQLITE_MAGIC) && memcmp(magic, SQLITE_MAGIC, sizeof(SQLITE_MAGIC)) == 0)
        source.kind = SOURCE_SQLITE;
}

// By what the file begins with. A pipe gives back no more than the byte that was looked at.
static int find_kind(bool standard)
{
    char magic[sizeof(SQLITE_MAGIC)];
    FILE *input = source.input;
    int first = EOF;
    if (fseeko(input, 0, SEEK_SET) == 0) {
        size_t got = fread(magic, 1, sizeof(magic), input);
        if (ferror(input))
            return context_refuse(STATUS_ERROR, "cannot read %s: %s", source.import.name,
                                  strerror(errno));
        rewind(input);
        find_kind_by(magic, got);
    } else if ((first = getc(input)) != EOF) {
        ungetc(first, input);
    }
    if (first == MOSQUITTO_DB_MAGIC[0] || first == SQLITE_MAGIC[0] ||
        (standard && source.kind == SOURCE_SQLITE))
        return context_refuse(STATUS_ERROR,
                              "%s: only JSON lines can be read from a pipe; a mosquitto.db or an "
                              "SQLite file must be named",
                              source.import.name);
    return STATUS_DONE;
}

static int read_source(struct context *ctx)
{
    struct import *import = &source.import;
    int rc;
    progress_begin(&source.progress, ctx, "imported entries", 0);
    import->progress = &source.progress;
    import->store = ctx->store;
    if (source.kind == SOURCE_MOSQUITTO_DB)
        rc = import_mosquitto_db(import, source.input, &ctx->err);
    else if (source.kind == SOURCE_SQLITE)
        rc = import_sqlite(import, source.path, &ctx->err);
    else
        rc = import_jsonl(import, source.input, &ctx->err);
    progress_end(&source.progress);
    return rc;
}

// ---- the report ----------------------------------------------------------------------------

static const char *type_word(enum entry_type type)
{
    return type == ENTRY_STORE ? "other" : entry_type_plural(type);
}

// What was taken and is not there went over something of the same name.
static void count_doubles(struct import *import, const struct store_stats *stats)
{
    const uint64_t there[ENTRY_TYPES] = {
        [ENTRY_SESSION] = stats->sessions,  [ENTRY_SUBSCRIPTION] = stats->subscriptions,
        [ENTRY_MESSAGE] = stats->messages,  [ENTRY_QUEUED] = stats->queued,
        [ENTRY_RETAINED] = stats->retained, [ENTRY_WILL] = stats->wills,
    };
    for (unsigned type = ENTRY_SESSION; type < ENTRY_TYPES; type++) {
        uint64_t out = import->out[type];
        import->out[type] = there[type];
        if (out != there[type])
            import_lose_part(import, (enum entry_type)type,
                             "others of the same name have taken their places",
                             "%" PRIu64 " of them", out - there[type]);
    }
}

static void report_counts(struct context *ctx, cJSON *document)
{
    static const struct column columns[] = {
        {"type", "TYPE", COLUMN_WORD},
        {"in", "IN", COLUMN_COUNT},
        {"out", "OUT", COLUMN_COUNT},
    };
    const struct import *import = &source.import;
    struct list list;
    list_begin_part(&list, ctx, document, "imported", columns, 3);
    list.limit = UINT64_MAX;
    for (unsigned type = ENTRY_SESSION; type < ENTRY_TYPES; type++) {
        list_row(&list);
        list_word(&list, type_word((enum entry_type)type));
        list_number(&list, import->in[type]);
        list_number(&list, import->out[type]);
        if (import->in[type] != import->out[type])
            list_paint(&list, "red");
    }
    list_end(&list, "");
    cJSON_DeleteItemFromObject(document, "imported_more"); // there never are more
}

static void report_losses(struct context *ctx, cJSON *document)
{
    static const struct column columns[] = {
        {"type", "LEFT OUT", COLUMN_WORD},
        {"what", "WHAT", COLUMN_PROSE},
        {"why", "WHY", COLUMN_PROSE},
    };
    const struct import *import = &source.import;
    struct list list;
    if (!import->losses_count && !document)
        return;
    if (!document)
        printf("\n");
    list_begin_part(&list, ctx, document, "left_out", columns, 3);
    for (size_t i = 0; i < import->losses_count; i++) {
        if (!list_row(&list))
            continue;
        list_word(&list, type_word(import->losses[i].type));
        list_word(&list, import->losses[i].what);
        list_word(&list, import->losses[i].why);
    }
    list.hidden += import->losses_more;
    list_end(&list, "");
}

static void report_notes(cJSON *document)
{
    struct import *import = &source.import;
    cJSON *array = document ? cJSON_AddArrayToObject(document, "notes") : NULL;
    struct text count = {0};
    if (import->expired_sessions) {
        human_plural(&count, import->expired_sessions, "session");
        import_note(import, "%s had expired; the broker drops what has expired when it starts",
                    count.data);
    }
    text_clear(&count);
    if (import->expired_messages) {
        human_plural(&count, import->expired_messages, "message");
        import_note(import, "%s had expired; the broker drops what has expired when it starts",
                    count.data);
    }
    text_release(&count);
    for (size_t i = 0; i < import->notes_count; i++) {
        if (array)
            cJSON_AddItemToArray(array, cJSON_CreateString(import->notes[i].data));
        else
            context_note("%s", import->notes[i].data);
    }
}

// STATUS_FOUND if something did not go in.
static int report(struct context *ctx, bool dry_run)
{
    const struct import *import = &source.import;
    cJSON *document = ctx->json ? json_document() : NULL;
    if (document) {
        json_add_string(document, "source", import->format);
        json_add_bool(document, "dry_run", dry_run);
    } else if (source.kind != SOURCE_JSONL || dry_run) {
        context_note("%s is %s%s", import->name, import->format,
                     dry_run ? "; a dry run makes no store" : "");
    }
    report_counts(ctx, document);
    report_losses(ctx, document);
    report_notes(document);
    if (document)
        json_print(document);
    if (!import->losses_count)
        return STATUS_DONE;
    if (dry_run)
        return context_refuse(STATUS_FOUND, "not all of %s can be imported: see the list",
                              import->name);
    return context_refuse(STATUS_FOUND, "what came in is not what is in the store: see the list");
}

// ---- the work ------------------------------------------------------------------------------

static int look(struct context *ctx)
{
    interrupt_catch();
    int rc = read_source(ctx);
    int status = STATUS_DONE;
    if (!interrupt_pending())
        status = rc ? context_fail(ctx) : report(ctx, true);
    interrupt_die();
    return status;
}

static int work(struct context *ctx)
{
    struct new_store new_store;
    struct store_stats stats = {0};
    interrupt_catch();
    int status = new_store_open(&new_store, ctx, ctx->path);
    if (status == STATUS_DONE && (read_source(ctx) || store_flush(ctx->store, &ctx->err) ||
                                  store_stats(ctx->store, &stats, &ctx->err)))
        status = interrupt_pending() ? STATUS_ERROR : context_fail(ctx);
    if (status == STATUS_DONE && !interrupt_pending())
        status = new_store_finish(&new_store, ctx, ctx->path);
    if (status == STATUS_DONE && !interrupt_pending()) {
        count_doubles(&source.import, &stats);
        status = report(ctx, false);
    }
    new_store_discard(&new_store, ctx);
    interrupt_die();
    return status;
}

int cmd_import(struct context *ctx)
{
    bool standard = strcmp(ctx->args->positional[0], "-") == 0;
    struct text shown = {0};
    source.path = ctx->args->positional[0];
    escape_add(&shown, span_str(standard ? "standard input" : source.path));
    source.import.name = shown.data;
    // Opened before the child becomes the folder's owner, who may not read it.
    source.input = standard ? stdin : fopen(source.path, "re");
    int status;
    if (source.input)
        status = find_kind(standard);
    else
        status = context_refuse(STATUS_ERROR, "cannot read %s: %s", shown.data, strerror(errno));
    if (source.input && status == STATUS_DONE)
        status = child_run(ctx, context_given(ctx, OPT_DRY_RUN) ? look : work);
    if (source.input && !standard)
        fclose(source.input);
    import_release(&source.import);
    text_release(&shown);
    return status;
}

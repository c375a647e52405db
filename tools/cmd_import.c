// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// import: a new store out of the lines that export writes.
#include "child.h"
#include "commands.h"
#include "entries_read.h"
#include "escape.h"
#include "interrupt.h"
#include "list.h"
#include "new_store.h"
#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// What the journal may hold before the tables must have it.
#define FLUSH_BYTES (UINT64_C(64) << 20)

struct import {
    struct context *ctx;
    FILE *input;
    const char *input_name;
    struct progress progress;
    struct entry_reader reader;
    uint64_t line;
    uint64_t unflushed_bytes;
    bool sessions_flushed; // the tables have every session that came
    uint64_t counts[ENTRY_TYPES];
};

static struct import import; // the child gets only the context

static int append(struct context *ctx, const struct event *event)
{
    int rc = store_append(ctx->store, event, &ctx->err);
    if (rc == STORE_EFULL) {
        rc = store_flush(ctx->store, &ctx->err);
        if (rc == 0)
            rc = store_append(ctx->store, event, &ctx->err);
    }
    return rc;
}

// A session is added as connected; one that is not has left since.
static int append_session(struct context *ctx, const struct event *event)
{
    const struct session *session = &event->session;
    import.sessions_flushed = false;
    int rc = append(ctx, event);
    if (rc || session->connected)
        return rc;
    struct event offline = {.type = RECORD_SESSION_OFFLINE};
    offline.connection = (struct connection){.client_id = session->client_id,
                                             .session_expiry_time = session->session_expiry_time};
    return append(ctx, &offline);
}

// The lines do not say in whose name a will is published: it is the session's user.
static int append_will(struct context *ctx, struct event *event)
{
    struct session session;
    struct store_error none;
    int rc = import.sessions_flushed ? 0 : store_flush(ctx->store, &ctx->err);
    import.sessions_flushed = rc == 0;
    if (rc == 0)
        rc = store_view_open(&ctx->view, ctx->store, &ctx->err);
    if (rc)
        return rc;
    if (store_get_session(ctx->view, event->will.client_id, &session, &none) == 0) {
        event->will.username = session.username;
        event->will.listener_port = session.listener_port;
    }
    rc = append(ctx, event);
    store_view_close(ctx->view);
    ctx->view = NULL;
    return rc;
}

static int append_entry(struct context *ctx, enum entry_type type, struct event *event)
{
    switch (type) {
    case ENTRY_STORE:
        return 0;
    case ENTRY_SESSION:
        return append_session(ctx, event);
    case ENTRY_WILL:
        return append_will(ctx, event);
    default:
        return append(ctx, event);
    }
}

static int take_line(const char *line, size_t len)
{
    struct context *ctx = import.ctx;
    enum entry_type type;
    struct event event;
    import.line++;
    int rc = entry_read(&import.reader, line, len, &type, &event, &ctx->err);
    if (rc == 0 && import.line == 1 && type != ENTRY_STORE)
        rc = error_set(&ctx->err, STORE_EINVAL, "an export begins with a line of type store");
    if (rc)
        return error_prefix(&ctx->err, "%s, line %" PRIu64, import.input_name, import.line);
    rc = append_entry(ctx, type, &event);
    import.counts[type]++;
    import.unflushed_bytes += len;
    if (rc == 0 && import.unflushed_bytes > FLUSH_BYTES) {
        rc = store_flush(ctx->store, &ctx->err);
        import.unflushed_bytes = 0;
    }
    progress_step(&import.progress);
    return rc;
}

static int take_all(void)
{
    struct context *ctx = import.ctx;
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int rc = 0;
    progress_begin(&import.progress, ctx, "imported entries", 0);
    errno = 0;
    while (rc == 0 && !interrupt_pending() && (len = getline(&line, &size, import.input)) >= 0) {
        if (len > 0 && line[len - 1] == '\n')
            len--;
        if (len > 0)
            rc = take_line(line, (size_t)len);
    }
    if (rc == 0 && !interrupt_pending() && ferror(import.input))
        rc = error_set_errno(&ctx->err, errno ? errno : EIO, "cannot read %s", import.input_name);
    if (rc == 0 && !interrupt_pending() && import.line == 0)
        rc = error_set(&ctx->err, STORE_EINVAL, "%s holds no line", import.input_name);
    progress_end(&import.progress);
    entry_reader_release(&import.reader);
    free(line);
    return rc;
}

// Counts in beside counts out. STATUS_FOUND if they differ.
static int report(struct context *ctx, const struct store_stats *stats)
{
    static const struct column columns[] = {
        {"type", "TYPE", COLUMN_WORD},
        {"in", "IN", COLUMN_COUNT},
        {"out", "OUT", COLUMN_COUNT},
    };
    const uint64_t out[ENTRY_TYPES] = {
        [ENTRY_SESSION] = stats->sessions,  [ENTRY_SUBSCRIPTION] = stats->subscriptions,
        [ENTRY_MESSAGE] = stats->messages,  [ENTRY_QUEUED] = stats->queued,
        [ENTRY_RETAINED] = stats->retained, [ENTRY_WILL] = stats->wills,
    };
    struct list list;
    int status = STATUS_DONE;
    list_begin(&list, ctx, "imported", columns, sizeof(columns) / sizeof(columns[0]));
    for (unsigned type = ENTRY_SESSION; type < ENTRY_TYPES; type++) {
        list_row(&list);
        list_word(&list, entry_type_plural((enum entry_type)type));
        list_number(&list, import.counts[type]);
        list_number(&list, out[type]);
        if (import.counts[type] != out[type]) {
            list_paint(&list, "red");
            status = STATUS_FOUND;
        }
    }
    list_end(&list, "");
    if (status)
        context_refuse(STATUS_FOUND, "what came in is not what is in the store: lines name one "
                                     "thing twice, or a client or message that no line brings");
    return status;
}

static int work(struct context *ctx)
{
    struct new_store new_store;
    struct store_stats stats = {0};
    interrupt_catch();
    int status = new_store_open(&new_store, ctx, ctx->path);
    if (status == STATUS_DONE && (take_all() || store_flush(ctx->store, &ctx->err) ||
                                  store_stats(ctx->store, &stats, &ctx->err)))
        status = context_fail(ctx);
    if (status == STATUS_DONE && !interrupt_pending())
        status = new_store_finish(&new_store, ctx, ctx->path);
    if (status == STATUS_DONE && !interrupt_pending())
        status = report(ctx, &stats);
    new_store_discard(&new_store, ctx);
    interrupt_die();
    return status;
}

int cmd_import(struct context *ctx)
{
    const char *name = ctx->args->positional[0];
    bool standard = strcmp(name, "-") == 0;
    struct text shown = {0};
    escape_add(&shown, span_str(standard ? "standard input" : name));
    // Opened before the child becomes the folder's owner, who may not read it.
    import = (struct import){
        .ctx = ctx,
        .input = standard ? stdin : fopen(name, "re"),
        .input_name = shown.data,
    };
    int status;
    if (import.input)
        status = child_run(ctx, work);
    else
        status = context_refuse(STATUS_ERROR, "cannot read %s: %s", shown.data, strerror(errno));
    if (import.input && !standard)
        fclose(import.input);
    text_release(&shown);
    return status;
}

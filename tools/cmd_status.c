// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// status: what is in the store, how large it is, who holds it.
#include "commands.h"
#include "context.h"
#include "escape.h"
#include "human.h"
#include "json.h"

#include <stdio.h>

static void print_json(const struct context *ctx)
{
    const struct store_stats *stats = &ctx->stats;
    cJSON *document = json_document();
    json_add_string(document, "path", ctx->path);
    json_add_string(document, "store_id", stats->store_id);
    json_add_number(document, "format_version", stats->format_version);
    json_add_number(document, "life", stats->life);
    json_add_string(document, "held_by", stats->lock_holder[0] ? stats->lock_holder : NULL);
    json_add_number(document, "sessions", stats->sessions);
    json_add_number(document, "sessions_connected", stats->sessions_connected);
    json_add_number(document, "sessions_offline", stats->sessions - stats->sessions_connected);
    json_add_number(document, "subscriptions", stats->subscriptions);
    json_add_number(document, "messages", stats->messages);
    json_add_number(document, "queued", stats->queued);
    json_add_number(document, "retained", stats->retained);
    json_add_number(document, "wills", stats->wills);
    json_add_number(document, "content_bytes", stats->content_bytes);
    json_add_number(document, "stored_bytes", stats->stored_bytes);
    json_add_number(document, "dictionary", stats->dictionary);
    json_add_number(document, "dictionaries", stats->dictionaries);
    json_add_number(document, "lmdb_used_bytes", stats->lmdb_used_bytes);
    json_add_number(document, "lmdb_free_bytes", stats->lmdb_free_bytes);
    json_add_number(document, "lmdb_file_bytes", stats->lmdb_file_bytes);
    json_add_number(document, "lmdb_map_bytes", stats->lmdb_map_bytes);
    json_add_number(document, "journal_bytes", stats->journal_bytes);
    json_add_number(document, "journal_segments", stats->journal_segments);
    json_add_id(document, "journal_end", stats->journal_end);
    json_add_id(document, "journal_covered", stats->journal_covered);
    json_add_number(document, "behind_records", stats->behind_records);
    json_add_number(document, "behind_ms", stats->behind_ms);
    json_add_number(document, "torn_bytes", stats->torn_bytes);
    json_add_string(document, "journal_damage",
                    stats->journal_damage[0] ? stats->journal_damage : NULL);
    json_add_number(document, "anomalies", stats->anomalies);
    json_print(document);
}

// Prints "label        value" and empties the value for the next line.
static void print_line(const char *label, struct text *value)
{
    printf("%-14s %s\n", label, value->data);
    text_clear(value);
}

static void print_contents(const struct store_stats *stats)
{
    struct text value = {0};
    human_count(&value, stats->sessions);
    text_adds(&value, " (");
    human_count(&value, stats->sessions_connected);
    text_adds(&value, " connected, ");
    human_count(&value, stats->sessions - stats->sessions_connected);
    text_adds(&value, " offline)");
    print_line("sessions", &value);

    human_count(&value, stats->subscriptions);
    print_line("subscriptions", &value);
    human_count(&value, stats->queued);
    print_line("queued", &value);
    human_count(&value, stats->retained);
    print_line("retained", &value);
    human_count(&value, stats->wills);
    print_line("wills", &value);

    human_count(&value, stats->messages);
    text_adds(&value, " with ");
    human_bytes(&value, stats->content_bytes);
    text_adds(&value, " of topics, sources, properties and payloads");
    print_line("messages", &value);

    human_bytes(&value, stats->stored_bytes);
    if (stats->stored_bytes)
        text_addf(&value, " for these, ratio %.2f",
                  (double)stats->content_bytes / (double)stats->stored_bytes);
    if (stats->dictionary)
        text_addf(&value, ", dictionary %llu (%llu kept)", (unsigned long long)stats->dictionary,
                  (unsigned long long)stats->dictionaries);
    else
        text_adds(&value, ", no dictionary");
    print_line("compression", &value);
    text_release(&value);
}

static void print_files(const struct store_stats *stats)
{
    struct text value = {0};
    human_bytes(&value, stats->lmdb_file_bytes);
    text_adds(&value, " (");
    human_bytes(&value, stats->lmdb_used_bytes);
    text_adds(&value, " used, ");
    human_bytes(&value, stats->lmdb_free_bytes);
    text_adds(&value, " free)");
    print_line("LMDB", &value);

    human_bytes(&value, stats->journal_bytes);
    text_adds(&value, " in ");
    human_plural(&value, stats->journal_segments, "segment");
    print_line("journal", &value);

    if (stats->journal_damage[0]) {
        text_addf(&value, "unknown: %s", stats->journal_damage);
    } else if (stats->behind_records == 0) {
        text_adds(&value, "nothing: LMDB holds all that the journal has");
    } else {
        human_plural(&value, stats->behind_records, "event");
        text_adds(&value, " (");
        human_duration(&value, stats->behind_ms);
        text_adds(&value, ") not in LMDB yet");
    }
    print_line("behind", &value);
    text_release(&value);
}

int cmd_status(struct context *ctx)
{
    const struct store_stats *stats = &ctx->stats;
    struct text value = {0};
    if (ctx->json) {
        print_json(ctx);
        return STATUS_DONE;
    }
    escape_add(&value, span_str(ctx->path));
    print_line("store", &value);
    text_addf(&value, "%s (format %u, life %llu)", stats->store_id, (unsigned)stats->format_version,
              (unsigned long long)stats->life);
    print_line("id", &value);
    escape_add(&value, span_str(stats->lock_holder[0] ? stats->lock_holder : "nobody"));
    print_line("held by", &value);
    print_contents(stats);
    print_files(stats);
    if (stats->anomalies) {
        human_plural(&value, stats->anomalies, "event");
        text_adds(&value, " named a session or message that the store did not have");
        print_line("anomalies", &value);
    }
    text_release(&value);
    return STATUS_DONE;
}

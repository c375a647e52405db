// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// verify: is the store sound? Each stage runs in a process of its own, so that damage which kills
// one leaves the others.
#include "child.h"
#include "commands.h"
#include "human.h"
#include "json.h"
#include "open.h"
#include "verify.h"

#include <stdio.h>
#include <sys/mman.h>

const struct verify_stage verify_stages[] = {
    {"files", false, verify_files},
    {"journal", true, verify_journal},
    {"sessions", true, verify_sessions},
    {"subscriptions", true, verify_subscriptions},
    {"messages", true, verify_messages},
    {"queue", true, verify_queue},
    {"retained", true, verify_retained},
    {"wills", true, verify_wills},
    {"dictionaries", true, verify_dictionaries},
    {"references", true, verify_references},
};
const size_t verify_stages_count = sizeof(verify_stages) / sizeof(verify_stages[0]);

// The child gets only the context.
static struct verify verify;
static const struct verify_stage *stage;
static struct store_stats *shared_stats; // as of the last opening

static int open_read_only(struct context *ctx)
{
    struct store_options options = {.path = ctx->path, .access = STORE_READ_ONLY};
    int rc = store_open(&ctx->store, &options, &ctx->err);
    if (rc == 0)
        rc = store_stats(ctx->store, &ctx->stats, &ctx->err);
    if (rc == 0)
        rc = store_view_open(&ctx->view, ctx->store, &ctx->err);
    if (rc == 0)
        *shared_stats = ctx->stats;
    return rc;
}

// What a crash left is folded in first. If it cannot be, that is a finding, and what the tables
// have is looked at nevertheless.
static int work_open(struct context *ctx)
{
    int status = open_for_reading(ctx, true);
    bool finding = ctx->err.code == STORE_EDAMAGED || ctx->err.code == STORE_EUNSAFE;
    if (status && !finding)
        return context_fail(ctx);
    if (status && ctx->stats.journal_damage[0])
        findings_add_journal(&verify.findings, ctx->stats.journal_damage);
    else if (status)
        verify_add_error(ctx, &verify, "store",
                         ctx->err.code == STORE_EDAMAGED ? "what LMDB does not have yet" : NULL);
    open_close(ctx);
    verify.counts->readable = open_read_only(ctx) == 0;
    if (!verify.counts->readable && !status)
        verify_add_error(ctx, &verify, "store", "it could not be looked at");
    open_close(ctx);
    return STATUS_DONE;
}

static int work_stage(struct context *ctx)
{
    if (stage->opens && open_read_only(ctx))
        verify_add_error(ctx, &verify, stage->where, "it could not be looked at");
    else
        stage->run(ctx, &verify);
    open_close(ctx);
    return STATUS_DONE;
}

// Where no writer sees that it is read, one that came meanwhile explains all that was found.
static struct store_stats first_stats;

static int work_confirm(struct context *ctx)
{
    struct store_options options = {.path = ctx->path, .access = STORE_READ_ONLY};
    int rc = store_open(&ctx->store, &options, &ctx->err);
    if (rc == 0)
        rc = store_left_alone(ctx->store, first_stats.life, first_stats.journal_covered, &ctx->err);
    open_close(ctx);
    return rc ? context_fail(ctx) : STATUS_DONE;
}

static void add_death(struct context *ctx, int signal_number)
{
    struct text what = {0};
    child_explain(&what, ctx, signal_number);
    findings_add(&verify.findings,
                 &(struct finding){SEVERITY_ERROR, stage ? stage->where : "store", what.data,
                                   "it could not be looked at to the end",
                                   "keep a copy of the folder; restore a backup, or see repair"});
    text_release(&what);
}

static int stages_run(struct context *ctx)
{
    int signal_number = 0;
    int status = child_probe(ctx, work_open, &signal_number);
    if (signal_number)
        add_death(ctx, signal_number);
    else if (status != STATUS_DONE)
        return status;
    first_stats = *shared_stats;
    for (size_t i = 0; i < verify_stages_count; i++) {
        stage = &verify_stages[i];
        if (stage->opens && !verify.counts->readable)
            continue;
        status = child_probe(ctx, work_stage, &signal_number);
        if (signal_number)
            add_death(ctx, signal_number);
        else if (status != STATUS_DONE)
            return status;
    }
    if (!verify.counts->readable && child_disturbed(ctx))
        return context_fail(ctx);
    if (first_stats.unseen && (status = child_run(ctx, work_confirm)) != STATUS_DONE)
        return status;
    // Each stage had a picture of its own: their counts belong together only if a broker did not
    // commit between the first and the last.
    ctx->stats = *shared_stats;
    if (first_stats.journal_covered == shared_stats->journal_covered && verify.counts->readable)
        verify_totals(ctx, &verify);
    return STATUS_DONE;
}

static cJSON *report_json(void)
{
    const struct verify_counts *counts = verify.counts;
    cJSON *document = json_document();
    cJSON *checked = cJSON_AddObjectToObject(document, "checked");
    json_add_number(checked, "sessions", counts->sessions);
    json_add_number(checked, "subscriptions", counts->subscriptions);
    json_add_number(checked, "messages", counts->messages);
    json_add_number(checked, "queued", counts->queued);
    json_add_number(checked, "retained", counts->retained);
    json_add_number(checked, "wills", counts->wills);
    json_add_number(checked, "dictionaries", counts->dictionaries);
    json_add_number(checked, "journal_records", counts->journal_records);
    json_add_number(checked, "payload_bytes", counts->payload_bytes);
    return document;
}

static void report_text(uint64_t found)
{
    const struct verify_counts *counts = verify.counts;
    struct text line = {0};
    text_adds(&line, found ? "not sound: " : "sound: ");
    if (found) {
        human_plural(&line, found, "finding");
        text_adds(&line, "; ");
    }
    human_plural(&line, counts->sessions, "session");
    text_adds(&line, ", ");
    human_plural(&line, counts->subscriptions, "subscription");
    text_adds(&line, ", ");
    human_plural(&line, counts->messages, "message");
    text_adds(&line, " (");
    human_bytes(&line, counts->payload_bytes);
    text_adds(&line, "), ");
    human_count(&line, counts->queued);
    text_adds(&line, " queued, ");
    human_count(&line, counts->retained);
    text_adds(&line, " retained, ");
    human_plural(&line, counts->wills, "will");
    text_adds(&line, ", ");
    human_plural(&line, counts->journal_records, "journal record");
    printf("%s\n", line.data);
    text_release(&line);
}

int cmd_verify(struct context *ctx)
{
    struct list list;
    int status = findings_open(&verify.findings);
    if (status)
        return status;
    verify.counts = child_share(sizeof(*verify.counts));
    shared_stats = child_share(sizeof(*shared_stats));
    status = stages_run(ctx);
    if (status == STATUS_DONE) {
        cJSON *document = ctx->json ? report_json() : NULL;
        findings_begin_list(&list, ctx, document);
        uint64_t found = findings_list(&verify.findings, &list);
        list_end(&list, "");
        if (document) {
            json_add_bool(document, "sound", found == 0);
            json_print(document);
        } else {
            report_text(found);
        }
        status = found ? STATUS_FOUND : STATUS_DONE;
    }
    findings_close(&verify.findings);
    munmap(verify.counts, sizeof(*verify.counts));
    munmap(shared_stats, sizeof(*shared_stats));
    return status;
}

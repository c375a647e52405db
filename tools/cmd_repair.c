// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// repair: what can be read of a store goes into a new one, and a report says what could not.
#include "child.h"
#include "commands.h"
#include "human.h"
#include "interrupt.h"
#include "json.h"
#include "new_store.h"
#include "progress.h"
#include "repair.h"
#include "salvage.h"
#include "truncate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// What the journal may hold before the tables must have it.
#define FLUSH_BYTES (UINT64_C(64) << 20)
#define STAGES 7

struct stage {
    pid_t pid;
    int fd;
};

struct repair_run {
    const char *output;
    struct findings findings;
    struct store_stats *there; // what the damaged store says it has; shared with a child
    struct stage stages[STAGES];
    struct repair_lost lost;
    uint64_t unflushed_bytes;
    uint64_t damages;
    struct progress progress;
};

static struct repair_run run; // children get only the context

static int probe(struct context *ctx)
{
    struct store_options options = {.path = ctx->path, .access = STORE_READ_ONLY};
    int rc = store_open(&ctx->store, &options, &ctx->err);
    if (rc == 0)
        rc = store_stats(ctx->store, run.there, &ctx->err);
    store_close(ctx->store, false, NULL);
    ctx->store = NULL;
    return rc ? context_fail(ctx) : STATUS_DONE;
}

static _Noreturn void stage_main(struct context *ctx, size_t at, const int ends[2])
{
    signal(SIGPIPE, SIG_DFL);
    close(ends[0]);
    // Nor may it keep the reading end of another: that stage would wait for ever when given up.
    for (size_t i = 0; i < at; i++)
        close(run.stages[i].fd);
    salvage_stages[at].run(ctx, ends[1]);
    _exit(STATUS_DONE);
}

// The stages start before this process has threads. Each waits until its pipe is read.
static int stages_start(struct context *ctx)
{
    for (size_t i = 0; i < salvage_stages_count; i++) {
        int ends[2];
        if (pipe(ends) != 0 || (run.stages[i].pid = fork()) < 0)
            return context_refuse(STATUS_ERROR, "cannot start a process: %s", strerror(errno));
        if (run.stages[i].pid == 0)
            stage_main(ctx, i, ends);
        close(ends[1]);
        run.stages[i].fd = ends[0];
    }
    return STATUS_DONE;
}

static void stage_end(size_t at, bool cut)
{
    int state = 0;
    struct text what = {0};
    close(run.stages[at].fd);
    while (waitpid(run.stages[at].pid, &state, 0) < 0 && errno == EINTR)
        continue;
    run.stages[at].pid = 0;
    if (!cut)
        return;
    text_adds(&what, "reading ended before its end");
    if (WIFSIGNALED(state))
        text_addf(&what, ", by signal %d (%s)", WTERMSIG(state), strsignal(WTERMSIG(state)));
    findings_add(&run.findings, &(struct finding){SEVERITY_ERROR, salvage_stages[at].where,
                                                  what.data, "what lies behind it", NULL});
    run.damages++;
    text_release(&what);
}

static void stages_abandon(void)
{
    for (size_t i = 0; i < salvage_stages_count; i++) {
        if (run.stages[i].pid > 0)
            stage_end(i, false);
    }
}

static uint64_t event_bytes(const struct event *event)
{
    return 200 + (event->type == RECORD_MESSAGE_ADD ? (uint64_t)event->message.payload.len : 0);
}

static int append(struct context *ctx, const struct event *event)
{
    int rc = store_append(ctx->store, event, &ctx->err);
    run.unflushed_bytes += event_bytes(event);
    if (rc == STORE_EFULL || (rc == 0 && run.unflushed_bytes > FLUSH_BYTES)) {
        bool again = rc == STORE_EFULL;
        rc = store_flush(ctx->store, &ctx->err);
        run.unflushed_bytes = 0;
        if (rc == 0 && again)
            rc = store_append(ctx->store, event, &ctx->err);
    }
    return rc;
}

// `out` has the new store.
static int stage_take(struct context *out, size_t at)
{
    struct salvage_reader reader = {
        .fd = run.stages[at].fd,
        .where = salvage_stages[at].where,
        .findings = &run.findings,
    };
    struct store_error cut = {0};
    struct event event;
    int got, rc = 0;
    while (rc == 0 && !interrupt_pending() && (got = salvage_next(&reader, &event, &cut)) > 0) {
        progress_step(&run.progress);
        rc = append(out, &event);
    }
    run.damages += reader.damages;
    stage_end(at, rc == 0 && cut.code != 0);
    salvage_reader_release(&reader);
    return rc;
}

static int fill(struct context *out)
{
    int rc = 0;
    progress_begin(&run.progress, out, "salvaged entries", 0);
    for (size_t i = 0; rc == 0 && i < salvage_stages_count; i++)
        rc = stage_take(out, i);
    progress_end(&run.progress);
    if (rc == 0)
        rc = store_flush(out->store, &out->err);
    if (rc == 0 && !interrupt_pending())
        rc = repair_references(out->store, &run.findings, &run.lost, &out->err);
    if (rc == 0)
        rc = store_flush(out->store, &out->err);
    return rc;
}

// The stages read one after the other: a broker that has come meanwhile has changed what the later
// ones saw, or taken away what they were to read.
static int look_again(const struct context *ctx)
{
    struct store_options options = {.path = ctx->path, .access = STORE_READ_ONLY};
    struct store_error err = {0};
    struct store *store = NULL;
    int rc = store_open(&store, &options, &err);
    if (rc == 0)
        rc = store_left_alone(store, run.there->life, run.there->journal_covered, &err);
    store_close(store, false, NULL);
    return rc ? context_refuse((enum status)error_exit_status(rc), "%s; %s was not made",
                               err.sentence, run.output)
              : STATUS_DONE;
}

static void print_counts(const struct context *ctx, void *document, const struct store_stats *now)
{
    static const struct column columns[] = {
        {"type", "TYPE", COLUMN_WORD},
        {"there", "THERE", COLUMN_COUNT},
        {"salvaged", "SALVAGED", COLUMN_COUNT},
    };
    const struct {
        const char *type;
        uint64_t there, salvaged;
    } rows[] = {
        {"sessions", run.there->sessions, now->sessions},
        {"subscriptions", run.there->subscriptions, now->subscriptions},
        {"messages", run.there->messages, now->messages},
        {"queued", run.there->queued, now->queued},
        {"retained", run.there->retained, now->retained},
        {"wills", run.there->wills, now->wills},
    };
    struct list list;
    list_begin_part(&list, ctx, document, "salvaged", columns, 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        list_row(&list);
        list_word(&list, rows[i].type);
        list_number(&list, rows[i].there);
        list_number(&list, rows[i].salvaged);
        if (rows[i].salvaged < rows[i].there)
            list_paint(&list, "red");
    }
    list_end(&list, "");
}

static int report(const struct context *ctx, const struct store_stats *now)
{
    bool lost = run.damages + run.lost.queued + run.lost.retained > 0;
    cJSON *document = ctx->json ? json_document() : NULL;
    struct list list;
    if (document) {
        json_add_string(document, "output", run.output);
        json_add_bool(document, "lost", lost);
        json_add_number(document, "messages_that_nothing_names", run.lost.messages);
    }
    findings_begin_list(&list, ctx, document);
    findings_list(&run.findings, &list);
    list_end(&list, "");
    if (!document && lost)
        putchar('\n');
    print_counts(ctx, document, now);
    if (document) {
        json_print(document);
    } else {
        if (run.there->behind_records)
            printf("with what the journal had and the tables had not\n");
        if (run.lost.messages) {
            struct text line = {0};
            human_plural(&line, run.lost.messages, "message");
            printf("%s that nothing names any more %s left out\n", line.data,
                   run.lost.messages == 1 ? "was" : "were");
            text_release(&line);
        }
        printf("%s\n", lost ? "not all could be saved" : "nothing was lost");
    }
    return lost ? STATUS_FOUND : STATUS_DONE;
}

static int work(struct context *ctx)
{
    struct new_store new_store = {0};
    struct context out = {.args = ctx->args, .path = run.output};
    struct store_stats now = {0};
    interrupt_catch();
    // A stage that is given up must not take us with it.
    signal(SIGPIPE, SIG_IGN);
    int status = stages_start(ctx);
    if (status == STATUS_DONE)
        status = new_store_open(&new_store, &out, run.output);
    if (status == STATUS_DONE && (fill(&out) || store_stats(out.store, &now, &out.err)))
        status = context_fail(&out);
    if (status == STATUS_DONE && !interrupt_pending())
        status = look_again(ctx);
    if (status == STATUS_DONE)
        status = new_store_finish(&new_store, &out, run.output);
    stages_abandon();
    new_store_discard(&new_store, &out);
    interrupt_die();
    return status == STATUS_DONE ? report(ctx, &now) : status;
}

int cmd_repair(struct context *ctx)
{
    run.output = context_text(ctx, OPT_OUTPUT, NULL);
    bool truncates = context_given(ctx, OPT_TRUNCATE);
    if (!run.output == !truncates)
        return context_refuse(STATUS_USAGE, "repair needs --output DIR, for a new store, or "
                                            "--truncate-journal, to cut the journal of this one");
    if (truncates)
        return child_run(ctx, truncate_run);
    if (context_given(ctx, OPT_YES) || context_given(ctx, OPT_DRY_RUN))
        return context_refuse(STATUS_USAGE, "--yes and --dry-run go with --truncate-journal");
    int status = findings_open(&run.findings);
    if (status)
        return status;
    run.there = child_share(sizeof(*run.there));
    status = child_run(ctx, probe);
    if (status == STATUS_DONE && run.there->lock_holder[0])
        status = context_refuse(STATUS_HELD, "%s holds the store; stop it first",
                                run.there->lock_holder);
    if (status == STATUS_DONE)
        status = child_run(ctx, work);
    munmap(run.there, sizeof(*run.there));
    findings_close(&run.findings);
    return status;
}

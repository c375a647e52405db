// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// dict train: a new dictionary out of the messages of a store that no broker holds.
#include "commands.h"
#include "context.h"
#include "help.h"
#include "human.h"
#include "json.h"
#include "store/maintain.h"

#include <stdio.h>

static void print_json(const struct store_train_report *report, bool done)
{
    cJSON *document = json_document();
    json_add_number(document, "bytes", report->trial.bytes);
    json_add_number(document, "samples", report->trial.samples);
    json_add_number(document, "trial_bytes", report->trial.trial_bytes);
    json_add_number(document, "trial_before_bytes", report->trial.before_bytes);
    json_add_number(document, "trial_after_bytes", report->trial.after_bytes);
    json_add_bool(document, "gains", report->gains);
    json_add_bool(document, "done", done);
    json_add_number(document, "rewritten", report->rewritten);
    json_add_number(document, "before_bytes", report->before_bytes);
    json_add_number(document, "after_bytes", report->after_bytes);
    json_print(document);
}

static void print_text(const struct store_train_report *report, bool dry_run)
{
    struct text line = {0};
    if (report->too_few) {
        puts("the messages are too few, or too different, to train a dictionary on: nothing was "
             "changed");
        return;
    }
    text_adds(&line, "trained on ");
    human_plural(&line, report->trial.samples, "message");
    text_adds(&line, "; others of ");
    human_bytes(&line, report->trial.trial_bytes);
    text_adds(&line, " take ");
    human_bytes(&line, report->trial.before_bytes);
    text_adds(&line, " as things are and ");
    human_bytes(&line, report->trial.after_bytes);
    text_adds(&line, " with the new dictionary\n");
    if (!report->gains) {
        text_adds(&line, "that is no gain worth having: nothing was changed");
    } else if (dry_run) {
        text_adds(&line, "nothing was changed (--dry-run)");
    } else {
        human_plural(&line, report->rewritten, "message");
        text_adds(&line, " stored anew: ");
        human_bytes(&line, report->before_bytes);
        text_adds(&line, " \u2192 ");
        human_bytes(&line, report->after_bytes);
    }
    printf("%s\n", line.data);
    text_release(&line);
}

int cmd_dict_train(struct context *ctx)
{
    struct store_options options = {
        .path = ctx->path,
        .holder = PROGRAM,
        .journal_segment_bytes = 1 << 20,
    };
    bool dry_run = context_given(ctx, OPT_DRY_RUN);
    struct store_train_report report;
    if (store_train(&options, dry_run, &report, &ctx->err))
        return context_fail(ctx);
    if (ctx->json)
        print_json(&report, report.gains && !dry_run);
    else
        print_text(&report, dry_run);
    return STATUS_DONE;
}

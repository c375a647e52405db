// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// compact: gives the free pages of the tables back to the file system.
#include "commands.h"
#include "context.h"
#include "help.h"
#include "human.h"
#include "json.h"
#include "progress.h"
#include "store/maintain.h"

#include <stdio.h>

static void on_block(void *user)
{
    progress_step(user);
}

int cmd_compact(struct context *ctx)
{
    struct store_options options = {
        .path = ctx->path,
        .holder = PROGRAM,
        .journal_segment_bytes = 1 << 20,
    };
    struct store_compact_report report;
    struct progress progress;
    progress_begin(&progress, ctx, "blocks written", 0);
    int rc = store_compact(&options, on_block, &progress, &report, &ctx->err);
    progress_end(&progress);
    if (rc)
        return context_fail(ctx);
    if (ctx->json) {
        cJSON *document = json_document();
        json_add_number(document, "before_bytes", report.before_bytes);
        json_add_number(document, "after_bytes", report.after_bytes);
        json_print(document);
    } else {
        struct text line = {0};
        human_bytes(&line, report.before_bytes);
        text_adds(&line, " \u2192 ");
        human_bytes(&line, report.after_bytes);
        printf("%s\n", line.data);
        text_release(&line);
    }
    return STATUS_DONE;
}

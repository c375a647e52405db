// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// compact: gives the free pages of the tables back to the file system.
#include "commands.h"
#include "context.h"
#include "help.h"
#include "human.h"
#include "json.h"
#include "store/maintain.h"

#include <stdio.h>

int cmd_compact(struct context *ctx)
{
    struct store_options options = {
        .path = ctx->path,
        .holder = PROGRAM,
        .journal_segment_bytes = 1 << 20,
    };
    struct store_compact_report report;
    if (store_compact(&options, &report, &ctx->err))
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

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "truncate.h"

#include "help.h"
#include "human.h"
#include "interrupt.h"
#include "json.h"
#include "prompt.h"
#include "store/maintain.h"

#include <inttypes.h>
#include <stdio.h>

// Positions are those of FORMAT.md: the number of a segment, and an offset in it.
#define POSITION_SEGMENT_SHIFT 32

static void segment_text(struct text *text, uint64_t position)
{
    text_addf(text, "%010" PRIu64 ".log", position >> POSITION_SEGMENT_SHIFT);
}

static void report_json(const struct store_cut *cut, bool done)
{
    struct text segment = {0};
    cJSON *document = json_document();
    segment_text(&segment, cut->position);
    json_add_bool(document, "done", done);
    json_add_string(document, "damage", cut->damage[0] ? cut->damage : NULL);
    json_add_string(document, "segment", segment.data);
    json_add_number(document, "offset", (uint32_t)cut->position);
    json_add_number(document, "bytes", cut->bytes);
    json_add_number(document, "events_lost", cut->records);
    json_add_number(document, "events_kept", cut->kept);
    json_print(document);
    text_release(&segment);
}

static void add_description(struct text *text, const struct store_cut *cut)
{
    struct text count = {0};
    human_count(&count, cut->bytes);
    text_addf(text, "cut %s %s off the journal, from ", count.data,
              cut->bytes == 1 ? "byte" : "bytes");
    segment_text(text, cut->position);
    text_clear(&count);
    human_count(&count, (uint32_t)cut->position);
    text_addf(text, " at offset %s on, with ", count.data);
    human_plural(text, cut->records, "event");
    text_adds(text, " that can still be read; the files are kept aside as torn-*.bin");
    text_release(&count);
}

static int cut_away(struct context *ctx, const struct store_options *options,
                    const struct store_cut *cut)
{
    // From here on it is done to the end.
    interrupt_shut();
    return store_cut_journal(options, cut, &ctx->err) ? context_fail(ctx) : STATUS_DONE;
}

int truncate_run(struct context *ctx)
{
    struct store_options options = {
        .path = ctx->path, .holder = PROGRAM, .journal_segment_bytes = 1 << 20};
    struct store_cut cut;
    struct text what = {0};
    if (store_cut_look(&options, &cut, &ctx->err))
        return context_fail(ctx);
    if (!cut.damage[0]) {
        if (ctx->json)
            report_json(&cut, false);
        else
            printf("nothing to cut: the journal can be read to its end\n");
        return STATUS_DONE;
    }
    context_note("%s", cut.damage);
    add_description(&what, &cut);
    enum prompt_answer answer = prompt_ask(ctx, what.data);
    text_release(&what);
    if (answer == PROMPT_REFUSED)
        return STATUS_USAGE;
    int status = answer == PROMPT_YES ? cut_away(ctx, &options, &cut) : STATUS_DONE;
    if (status == STATUS_DONE && ctx->json)
        report_json(&cut, answer == PROMPT_YES);
    else if (status == STATUS_DONE && answer == PROMPT_YES)
        printf("done\n");
    return status;
}

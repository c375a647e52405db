// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "destroy.h"

#include "human.h"
#include "interrupt.h"
#include "json.h"
#include "open.h"
#include "prompt.h"

#include <stdio.h>

static void add_part(struct text *text, uint64_t count, const char *noun, uint64_t bytes)
{
    if (count == 0)
        return;
    if (text->len)
        text_adds(text, ", ");
    human_plural(text, count, noun);
    if (bytes) {
        text_adds(text, " (");
        human_bytes(text, bytes);
        text_addc(text, ')');
    }
}

static void add_description(struct text *text, const struct removal_counts *counts)
{
    struct text parts = {0};
    add_part(&parts, counts->sessions, "session", 0);
    add_part(&parts, counts->subscriptions, "subscription", 0);
    add_part(&parts, counts->wills, "will", 0);
    add_part(&parts, counts->queued, "queued message", counts->queued_bytes);
    add_part(&parts, counts->retained, "retained message", counts->retained_bytes);
    text_addf(text, "remove %s", parts.data);
    if (counts->messages) {
        text_adds(text, "; this frees ");
        text_clear(&parts);
        add_part(&parts, counts->messages, "stored message", counts->message_bytes);
        text_adds(text, parts.data);
    }
    text_release(&parts);
}

static void print_result(const struct context *ctx, const struct removal_counts *counts, bool done)
{
    if (!ctx->json)
        return;
    cJSON *document = json_document();
    json_add_bool(document, "done", done);
    json_add_number(document, "sessions", counts->sessions);
    json_add_number(document, "subscriptions", counts->subscriptions);
    json_add_number(document, "wills", counts->wills);
    json_add_number(document, "queued", counts->queued);
    json_add_number(document, "queued_bytes", counts->queued_bytes);
    json_add_number(document, "retained", counts->retained);
    json_add_number(document, "retained_bytes", counts->retained_bytes);
    json_add_number(document, "messages", counts->messages);
    json_add_number(document, "message_bytes", counts->message_bytes);
    json_print(document);
}

static int apply(struct context *ctx, struct removal *removal)
{
    // From here on it is done to the end: half of it would be nothing that anybody asked for.
    interrupt_shut();
    store_view_close(ctx->view);
    ctx->view = NULL;
    if (removal_apply(removal, ctx->store, &ctx->err))
        return context_fail(ctx);
    return open_finish(ctx);
}

int destroy_run(struct context *ctx, struct removal *removal)
{
    const struct removal_counts *counts = removal_counts(removal);
    struct text what = {0};
    if (removal_close(removal, ctx->view, &ctx->err))
        return context_fail(ctx);
    if (counts->sessions + counts->queued + counts->retained == 0) {
        if (!ctx->json)
            printf("nothing to remove\n");
        print_result(ctx, counts, false);
        return STATUS_DONE;
    }
    add_description(&what, counts);
    enum prompt_answer answer = prompt_ask(ctx, what.data);
    text_release(&what);
    if (answer == PROMPT_REFUSED)
        return STATUS_USAGE;
    int status = answer == PROMPT_YES ? apply(ctx, removal) : STATUS_DONE;
    if (status == STATUS_DONE)
        print_result(ctx, counts, answer == PROMPT_YES);
    if (status == STATUS_DONE && answer == PROMPT_YES && !ctx->json)
        printf("done\n");
    return status;
}

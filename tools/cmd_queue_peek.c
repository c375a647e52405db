// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// queue peek: a few messages of a queue, with properties and payloads.
#include "commands.h"
#include "entries.h"
#include "message_filter.h"
#include "message_show.h"
#include "session_words.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_COUNT 10u

// What stays of an entry while the end of the queue is looked for.
struct place {
    struct queued queued; // client_id absent
    uint64_t number;
};

struct peek {
    struct context *ctx;
    struct message_filter filter;
    struct span client_id;
    uint64_t wanted;
    uint64_t number;    // of the entry the walk is at
    uint64_t shown;     // or kept
    uint64_t passed;    // that pass the filter
    struct place *kept; // a ring of `wanted` entries, only from the newest end
    size_t kept_capacity;
};

static void show(struct peek *peek, const struct place *place, const struct message *message)
{
    struct queued queued = place->queued;
    queued.client_id = peek->client_id;
    if (!peek->ctx->json) {
        if (peek->shown && strcmp(context_text(peek->ctx, OPT_PAYLOAD, ""), "raw") != 0)
            putchar('\n');
        message_show(peek->ctx, place->number, &queued, message);
    } else {
        cJSON *entry = cJSON_CreateObject();
        bool hide = strcmp(context_text(peek->ctx, OPT_PAYLOAD, ""), "none") == 0;
        json_add_number(entry, "place", place->number);
        cJSON_AddItemToObject(entry, "queued", entry_queued(&queued));
        cJSON *body = entry_message(message, false);
        if (hide)
            cJSON_ReplaceItemInObject(body, "payload", cJSON_CreateNull());
        cJSON_AddItemToObject(entry, "message", body);
        char *line = cJSON_PrintUnformatted(entry);
        printf("%s\n%s", peek->shown ? "," : "", line);
        free(line);
        cJSON_Delete(entry);
    }
    peek->shown++;
}

static void keep(struct peek *peek, const struct place *place)
{
    size_t at = (size_t)(peek->passed % peek->wanted);
    if (at >= peek->kept_capacity) {
        peek->kept_capacity = peek->kept_capacity * 2 + 64;
        if (peek->kept_capacity > peek->wanted)
            peek->kept_capacity = (size_t)peek->wanted;
        peek->kept = xrealloc(peek->kept, peek->kept_capacity * sizeof(*peek->kept));
    }
    peek->kept[at] = *place;
}

static int on_queued(void *user, const struct queued *queued)
{
    struct peek *peek = user;
    struct message message = {0};
    struct place place = {*queued, ++peek->number};
    place.queued.client_id = (struct span){NULL, 0};
    bool from_newest = strcmp(context_text(peek->ctx, OPT_FROM, "oldest"), "newest") == 0;
    bool look = !from_newest || !message_filter_is_all(&peek->filter);
    int rc = 0;
    if (peek->wanted == 0)
        return STORE_ESTOPPED;
    if (look)
        rc = store_get_message(peek->ctx->view, place.queued.store_id, &message, &peek->ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    if (!message_filter_passes(&peek->filter, message.topic, place.queued.store_id))
        return 0;
    message.store_id = place.queued.store_id;
    if (from_newest)
        keep(peek, &place);
    else
        show(peek, &place, &message);
    peek->passed++;
    return !from_newest && peek->shown == peek->wanted ? STORE_ESTOPPED : 0;
}

// The kept ones, in the order of the queue.
static int show_kept(struct peek *peek)
{
    uint64_t count = peek->passed < peek->wanted ? peek->passed : peek->wanted;
    for (uint64_t i = peek->passed - count; i < peek->passed; i++) {
        const struct place *place = &peek->kept[i % peek->wanted];
        struct message message = {0};
        int rc =
            store_get_message(peek->ctx->view, place->queued.store_id, &message, &peek->ctx->err);
        if (rc && rc != STORE_ENOTFOUND)
            return rc;
        message.store_id = place->queued.store_id;
        show(peek, place, &message);
    }
    return 0;
}

int cmd_queue_peek(struct context *ctx)
{
    struct peek peek = {
        .ctx = ctx,
        .client_id = context_positional(ctx, 0),
        .wanted = context_number(ctx, OPT_COUNT, DEFAULT_COUNT),
    };
    int rc = message_filter_init(&peek.filter, ctx, (struct span){NULL, 0});
    if (rc == 0)
        rc = session_require(ctx, peek.client_id);
    if (rc)
        return rc;
    if (ctx->json)
        printf("{\"format\":%d,\"messages\":[", JSON_FORMAT_VERSION);
    rc = store_each_queued(ctx->view, peek.client_id, on_queued, &peek, &ctx->err);
    if (rc == STORE_ESTOPPED)
        rc = 0;
    if (rc == 0 && peek.kept)
        rc = show_kept(&peek);
    free(peek.kept);
    if (ctx->json)
        printf("%s]}\n", peek.shown ? "\n" : "");
    else if (rc == 0 && peek.shown == 0 && peek.wanted > 0)
        printf("nothing is queued%s\n",
               message_filter_is_all(&peek.filter) ? "" : " that passes the filter");
    return rc ? context_fail(ctx) : STATUS_DONE;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "message_show.h"

#include "base64.h"
#include "escape.h"
#include "human.h"
#include "payload.h"
#include "store/properties_wire.h"

#include <inttypes.h>
#include <stdio.h>

void message_add_expiry(struct text *text, const struct message *message)
{
    int64_t left_s = message->expiry_time - context_now_s();
    if (message->expiry_time == 0) {
        text_adds(text, "never");
    } else if (left_s > 0) {
        text_adds(text, "in ");
        human_duration(text, (uint64_t)left_s * 1000);
    } else {
        human_duration(text, (uint64_t)-left_s * 1000);
        text_adds(text, " ago");
    }
}

static void add_headline(struct text *out, uint64_t number, const struct queued *queued,
                         const struct message *message)
{
    int64_t time_s = message_time_s(message->store_id);
    if (number)
        text_addf(out, "%" PRIu64 "  ", number);
    escape_add(out, message->topic);
    text_addf(out, "  QoS %u, ", queued ? queued->qos : message->qos);
    human_bytes(out, message->payload.len);
    if (queued ? queued->retain : message->retain)
        text_adds(out, ", retain");
    if (queued && queued->dup)
        text_adds(out, ", dup");
    if (time_s) {
        int64_t age_s = context_now_s() - time_s;
        text_adds(out, ", ");
        human_duration(out, age_s > 0 ? (uint64_t)age_s * 1000 : 0);
        text_adds(out, " old");
    }
    if (message->expiry_time) {
        text_adds(out, ", expires ");
        message_add_expiry(out, message);
    }
    text_addc(out, '\n');
}

static void add_queue_line(struct text *out, const struct queued *queued)
{
    text_addf(out, "   %s, %s, packet id %u", queued->direction == QUEUE_IN ? "in" : "out",
              queue_state_name(queued->state), queued->mid);
    if (queued->subscription_identifier)
        text_addf(out, ", subscription identifier %u", queued->subscription_identifier);
    text_addf(out, ", store id %" PRIu64 "\n", queued->store_id);
}

static void add_property(struct text *out, const struct property *property)
{
    text_addf(out, "   %s: ", property->type->name);
    switch (property->type->kind) {
    case PROPERTY_PAIR:
        escape_add(out, property->name);
        text_adds(out, " = ");
        escape_add(out, property->value);
        break;
    case PROPERTY_STRING:
        escape_add(out, property->value);
        break;
    case PROPERTY_BINARY:
        if (utf8_is_readable(property->value))
            escape_add(out, property->value);
        else
            base64_add(out, property->value);
        break;
    default:
        text_addf(out, "%u", property->number);
    }
    text_addc(out, '\n');
}

static void add_properties(struct text *out, struct span bytes)
{
    struct property property;
    uint32_t offset = 0;
    int rc;
    while ((rc = property_next(bytes, &offset, &property, NULL)) > 0)
        add_property(out, &property);
    if (rc < 0)
        text_adds(out, "   (bytes that are no properties follow; export shows them)\n");
}

void message_show(const struct context *ctx, uint64_t number, const struct queued *queued,
                  const struct message *message)
{
    const char *form = context_text(ctx, OPT_PAYLOAD, "auto");
    struct text out = {0};
    if (strcmp(form, "raw") != 0) {
        if (ctx->color)
            text_adds(&out, "\033[1m");
        add_headline(&out, number, queued, message);
        if (ctx->color)
            text_adds(&out, "\033[0m");
        if (queued)
            add_queue_line(&out, queued);
        add_properties(&out, message->properties);
    }
    payload_add(&out, message->payload, form);
    fwrite(out.data, 1, out.len, stdout);
    text_release(&out);
}

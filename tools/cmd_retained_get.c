// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// retained get: one retained message, with properties and payload.
#include "commands.h"
#include "entries.h"
#include "escape.h"
#include "message_show.h"

static int refuse_unknown(struct span topic)
{
    struct text name = {0};
    escape_add_quoted(&name, topic);
    int status = context_refuse(STATUS_ERROR,
                                "no message is retained for %s; retained ls lists them", name.data);
    text_release(&name);
    return status;
}

int cmd_retained_get(struct context *ctx)
{
    struct span topic = context_positional(ctx, 0);
    struct retained retained;
    struct message message;
    int rc = store_get_retained(ctx->view, topic, &retained, &ctx->err);
    if (rc == STORE_ENOTFOUND)
        return refuse_unknown(topic);
    if (rc == 0)
        rc = store_get_message(ctx->view, retained.store_id, &message, &ctx->err);
    if (rc)
        return context_fail(ctx);
    if (ctx->json) {
        cJSON *document = json_document();
        cJSON_AddItemToObject(document, "message", entry_message(&message, false));
        json_print(document);
    } else {
        message_show(ctx, 0, NULL, &message);
    }
    return STATUS_DONE;
}

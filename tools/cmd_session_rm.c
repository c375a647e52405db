// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// session rm: ends sessions, with all that is theirs.
#include "commands.h"
#include "destroy.h"
#include "escape.h"

int cmd_session_rm(struct context *ctx)
{
    struct removal *removal = NULL;
    int rc = removal_new(&removal, &ctx->err);
    int status = rc ? context_fail(ctx) : STATUS_DONE;
    for (int i = 0; status == STATUS_DONE && i < ctx->args->positional_count; i++) {
        struct span client_id = context_positional(ctx, i);
        struct text shown = {0};
        rc = removal_add_session(removal, ctx->view, client_id, &ctx->err);
        if (rc == STORE_ENOTFOUND) {
            escape_add_quoted(&shown, client_id);
            status = context_refuse(STATUS_ERROR, "there is no session %s; nothing was changed",
                                    shown.data);
            text_release(&shown);
        } else if (rc) {
            status = context_fail(ctx);
        }
    }
    if (status == STATUS_DONE)
        status = destroy_run(ctx, removal);
    removal_free(removal);
    return status;
}

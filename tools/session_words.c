// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "session_words.h"

#include "escape.h"
#include "human.h"

#include <fnmatch.h>

const char *session_state(const struct context *ctx, const struct session *session)
{
    if (!session->connected)
        return "offline";
    return ctx->held ? "connected" : "was connected";
}

uint64_t session_state_ms(const struct session *session)
{
    int64_t ms = context_now_ms() - session->changed_time_ms;
    return session->changed_time_ms > 0 && ms > 0 ? (uint64_t)ms : 0;
}

void session_add_expiry(struct text *text, const struct session *session)
{
    int64_t left_s = session->session_expiry_time - context_now_s();
    uint64_t interval_ms = (uint64_t)session->session_expiry_interval * 1000;
    if (session->session_expiry_interval == SESSION_EXPIRY_NEVER) {
        text_adds(text, "never");
    } else if (session->connected || session->session_expiry_time == 0) {
        if (interval_ms)
            human_duration(text, interval_ms);
        text_adds(text, interval_ms ? " after it leaves" : "when it leaves");
    } else if (left_s > 0) {
        text_adds(text, "in ");
        human_duration(text, (uint64_t)left_s * 1000);
    } else {
        human_duration(text, (uint64_t)-left_s * 1000);
        text_adds(text, " ago");
    }
}

int session_refuse_unknown(struct span client_id)
{
    struct text name = {0};
    escape_add_quoted(&name, client_id);
    int status =
        context_refuse(STATUS_ERROR, "there is no session %s; session ls lists them", name.data);
    text_release(&name);
    return status;
}

int session_require(struct context *ctx, struct span client_id)
{
    struct session session;
    int rc = store_get_session(ctx->view, client_id, &session, &ctx->err);
    if (rc == STORE_ENOTFOUND)
        return session_refuse_unknown(client_id);
    return rc ? context_fail(ctx) : STATUS_DONE;
}

bool client_id_matches(const char *pattern, struct span client_id)
{
    struct text copy = {0};
    text_add(&copy, client_id.data, client_id.len);
    bool match = fnmatch(pattern, copy.data, 0) == 0;
    text_release(&copy);
    return match;
}

bool session_passes(const struct context *ctx, const struct session *session)
{
    const char *pattern = context_text(ctx, OPT_MATCH, NULL);
    if (session->connected && (context_given(ctx, OPT_OFFLINE) || context_given(ctx, OPT_IDLE)))
        return false;
    if (session_state_ms(session) < context_number(ctx, OPT_IDLE, 0))
        return false;
    return !pattern || client_id_matches(pattern, session->client_id);
}

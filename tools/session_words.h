// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The state of a session in words.
#ifndef TOOLS_SESSION_WORDS_H
#define TOOLS_SESSION_WORDS_H

#include "context.h"

// "connected", "offline", and "was connected" if nobody runs the store that says so.
const char *session_state(const struct context *ctx, const struct session *session);

// How long it has been in that state, in milliseconds; 0 if unknown.
uint64_t session_state_ms(const struct session *session);

// Appends when the session ends: "never", "in 3 d", "2 h ago", "1 h after it leaves".
void session_add_expiry(struct text *text, const struct session *session);

// Says that there is no session of this client id.
int session_refuse_unknown(struct span client_id);

// STATUS_DONE if there is a session of this client id; else says that there is none.
int session_require(struct context *ctx, struct span client_id);

// Whether a client id matches a shell pattern.
bool client_id_matches(const char *pattern, struct span client_id);

// Whether the options --match, --offline and --idle let the session pass.
bool session_passes(const struct context *ctx, const struct session *session);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One message for a person: a headline, its properties by name, its payload.
#ifndef TOOLS_MESSAGE_SHOW_H
#define TOOLS_MESSAGE_SHOW_H

#include "context.h"

// `queued` may be NULL. The headline begins with `number` if it is not 0.
void message_show(const struct context *ctx, uint64_t number, const struct queued *queued,
                  const struct message *message);

// When a message expires: "never", "in 3 min", "2 h ago".
void message_add_expiry(struct text *text, const struct message *message);

#endif

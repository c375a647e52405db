// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A record of the journal as a line of text or of JSON.
#ifndef TOOLS_EVENT_SHOW_H
#define TOOLS_EVENT_SHOW_H

#include "context.h"

// Payloads and user names are only shown with --payload and --users.
void event_print(const struct context *ctx, uint64_t position, const struct event *event);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// --topic FILTER and --older-than AGE over messages.
#ifndef TOOLS_MESSAGE_FILTER_H
#define TOOLS_MESSAGE_FILTER_H

#include "context.h"

struct message_filter {
    struct span topic;     // a topic filter; absent: any
    int64_t made_before_s; // 0: any
};

// Takes the options, and a filter from the command line instead of --topic's if there is one.
// STATUS_USAGE if it is not a topic filter.
int message_filter_init(struct message_filter *filter, const struct context *ctx,
                        struct span topic);

bool message_filter_is_all(const struct message_filter *filter);

// A message whose age nobody knows is not older than anything.
bool message_filter_passes(const struct message_filter *filter, struct span topic,
                           uint64_t store_id);

#endif

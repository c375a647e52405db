// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// MQTT topic names and filters (MQTT 5 section 4.7): pure functions over spans.
#ifndef TOOLS_TOPIC_H
#define TOOLS_TOPIC_H

#include "store/event.h"

// A filter is well formed: not empty, no zero byte, '#' only as the last level, '+' and '#' only
// as whole levels; of "$share/group/rest" the group is not empty and without wildcards.
bool topic_filter_valid(struct span filter);

// A topic name is well formed: not empty, no wildcard, no zero byte.
bool topic_name_valid(struct span topic);

// Whether a subscription to `filter` gets what is published to `topic`. "$share/group/" in front
// of the filter is passed over; a wildcard in the first level does not match a topic that begins
// with '$'.
bool topic_matches(struct span filter, struct span topic);

// The group of a shared subscription and the filter behind it. False if it is not a shared one;
// the group is then absent and the rest the filter itself.
bool topic_share_split(struct span filter, struct span *ret_group, struct span *ret_rest);

#endif

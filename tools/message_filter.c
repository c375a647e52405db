// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "message_filter.h"

#include "human.h"
#include "topic.h"

int message_filter_init(struct message_filter *filter, const struct context *ctx, struct span topic)
{
    *filter = (struct message_filter){.topic = topic};
    if (!topic.data)
        filter->topic = span_str(context_text(ctx, OPT_TOPIC, NULL));
    if (filter->topic.data && !topic_filter_valid(filter->topic))
        return context_refuse(STATUS_USAGE, "not a topic filter: + and # stand for whole levels, "
                                            "and # comes last");
    if (context_given(ctx, OPT_OLDER_THAN))
        filter->made_before_s =
            context_now_s() - (int64_t)(context_number(ctx, OPT_OLDER_THAN, 0) / 1000);
    return STATUS_DONE;
}

bool message_filter_is_all(const struct message_filter *filter)
{
    return !filter->topic.data && !filter->made_before_s;
}

bool message_filter_passes(const struct message_filter *filter, struct span topic,
                           uint64_t store_id)
{
    int64_t time_s = message_time_s(store_id);
    if (filter->made_before_s && (time_s == 0 || time_s > filter->made_before_s))
        return false;
    return !filter->topic.data || topic_matches(filter->topic, topic);
}

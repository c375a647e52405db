// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "topic.h"

#define SHARE_PREFIX "$share/"

// One level of a topic after the other. `at` is NULL when there are none left.
struct levels {
    const char *at;
    const char *end;
};

static struct levels levels_of(struct span span)
{
    const char *start = span.data;
    return (struct levels){start, start ? start + span.len : NULL};
}

static bool levels_next(struct levels *levels, struct span *ret_level)
{
    if (!levels->at)
        return false;
    size_t rest = (size_t)(levels->end - levels->at);
    const char *slash = rest ? memchr(levels->at, '/', rest) : NULL;
    const char *end = slash ? slash : levels->end;
    *ret_level = span_of(levels->at, (size_t)(end - levels->at));
    levels->at = slash ? slash + 1 : NULL;
    return true;
}

static bool level_is(struct span level, char c)
{
    return level.len == 1 && *(const char *)level.data == c;
}

static bool contains(struct span span, char c)
{
    return span.len && memchr(span.data, c, span.len);
}

bool topic_share_split(struct span filter, struct span *ret_group, struct span *ret_rest)
{
    const char *data = filter.data;
    size_t prefix = strlen(SHARE_PREFIX);
    *ret_group = (struct span){NULL, 0};
    *ret_rest = filter;
    if (filter.len <= prefix || memcmp(data, SHARE_PREFIX, prefix) != 0)
        return false;
    const char *group = data + prefix;
    const char *slash = memchr(group, '/', filter.len - prefix);
    if (!slash || slash == group)
        return false;
    *ret_group = span_of(group, (size_t)(slash - group));
    *ret_rest = span_of(slash + 1, filter.len - (size_t)(slash + 1 - data));
    return true;
}

static bool plain_filter_valid(struct span filter)
{
    struct levels levels = levels_of(filter);
    struct span level;
    while (levels_next(&levels, &level)) {
        if (contains(level, '#') && (level.len != 1 || levels.at))
            return false;
        if (contains(level, '+') && level.len != 1)
            return false;
    }
    return filter.len > 0 && !contains(filter, '\0');
}

bool topic_filter_valid(struct span filter)
{
    struct span group, rest;
    size_t prefix = strlen(SHARE_PREFIX);
    if (topic_share_split(filter, &group, &rest))
        return !contains(group, '+') && !contains(group, '#') && plain_filter_valid(rest);
    if (filter.len >= prefix && memcmp(filter.data, SHARE_PREFIX, prefix) == 0)
        return false;
    return plain_filter_valid(filter);
}

bool topic_name_valid(struct span topic)
{
    return topic.len > 0 && !contains(topic, '\0') && !contains(topic, '+') &&
           !contains(topic, '#');
}

bool topic_matches(struct span filter, struct span topic)
{
    struct span group, rest, want, have;
    topic_share_split(filter, &group, &rest);
    if (rest.len == 0 || topic.len == 0)
        return false;
    char first = *(const char *)rest.data;
    if (*(const char *)topic.data == '$' && (first == '+' || first == '#'))
        return false;

    struct levels filter_levels = levels_of(rest);
    struct levels topic_levels = levels_of(topic);
    while (levels_next(&filter_levels, &want)) {
        // "a/#" also matches "a" itself.
        if (level_is(want, '#'))
            return true;
        if (!levels_next(&topic_levels, &have))
            return false;
        if (!level_is(want, '+') && !span_equal(want, have))
            return false;
    }
    return topic_levels.at == NULL;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "event.h"

const char *record_type_name(unsigned type)
{
    switch (type) {
#define CASE(id, name, member, shape, promised, text) \
    case id:                                          \
        return text;
        RECORD_TYPES(CASE)
#undef CASE
    default:
        return "unknown";
    }
}

const char *queue_state_name(unsigned state)
{
    switch (state) {
#define CASE(name, value, text) \
    case value:                 \
        return text;
        QUEUE_STATES(CASE)
#undef CASE
    default:
        return NULL;
    }
}

int queue_state_from_name(const char *name)
{
#define MATCH(id, value, text)   \
    if (strcmp(name, text) == 0) \
        return value;
    QUEUE_STATES(MATCH)
#undef MATCH
    return -1;
}

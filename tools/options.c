// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "options.h"

#include "nearest.h"

#include <string.h>

static const struct option options[] = {
#define ENTRY(id, name, letter, kind, placeholder, choices, help) \
    [id] = {id, name, letter, kind, placeholder, choices, help, true},
    GLOBAL_OPTIONS(ENTRY)
#undef ENTRY
#define ENTRY(id, name, letter, kind, placeholder, choices, help) \
    [id] = {id, name, letter, kind, placeholder, choices, help, false},
        VERB_OPTIONS(ENTRY)
#undef ENTRY
};

const struct option *option_get(enum option_id id)
{
    return &options[id];
}

const struct option *option_by_name(const char *name, size_t len)
{
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        if (strlen(options[id].name) == len && memcmp(options[id].name, name, len) == 0)
            return &options[id];
    }
    return NULL;
}

const struct option *option_by_letter(char letter)
{
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        if (letter && options[id].letter == letter)
            return &options[id];
    }
    return NULL;
}

const char *option_nearest(const char *name)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++)
        nearest_add(&nearest, options[id].name);
    return nearest.name;
}

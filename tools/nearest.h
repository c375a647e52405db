// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// "Did you mean": the candidate with the fewest edits from what was typed.
#ifndef TOOLS_NEAREST_H
#define TOOLS_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *typed;
    const char *name; // the best candidate so far, NULL: none is close
    size_t edits;
};

void nearest_init(struct nearest *nearest, const char *typed);
void nearest_add(struct nearest *nearest, const char *candidate);

#endif

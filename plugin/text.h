// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Spans as the zero-terminated strings that the broker wants.
#ifndef PLUGIN_TEXT_H
#define PLUGIN_TEXT_H

#include "store/event.h"

// A string that is used again and again. Zero-initialise it.
struct text {
    char *data;
    size_t capacity;
};

// Copies the span and terminates it. NULL when out of memory, and for an absent span; valid until
// the next call on the same text.
const char *text_set(struct text *text, struct span span);
void text_release(struct text *text);

// For tables of client ids.
uint32_t text_hash(const char *text);
uint32_t text_span_hash(struct span span);

// A copy that the broker may own, with a zero byte behind it. NULL when out of memory, and for an
// absent span.
char *text_for_broker(struct span span);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "text.h"

#include "broker.h"

#include <stdlib.h>

static void span_copy(char *dst, struct span span)
{
    if (span.len)
        memcpy(dst, span.data, span.len);
    dst[span.len] = '\0';
}

const char *text_set(struct text *text, struct span span)
{
    if (!span.data)
        return NULL;
    size_t need = (size_t)span.len + 1;
    if (need > text->capacity) {
        size_t capacity = need < 256 ? 256 : need;
        char *data = realloc(text->data, capacity);
        if (!data)
            return NULL;
        text->data = data;
        text->capacity = capacity;
    }
    span_copy(text->data, span);
    return text->data;
}

void text_release(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

// FNV-1a.
uint32_t text_span_hash(struct span span)
{
    const uint8_t *bytes = (const uint8_t *)span.data;
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < span.len; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

uint32_t text_hash(const char *text)
{
    return text_span_hash(span_str(text));
}

char *text_for_broker(struct span span)
{
    if (!span.data)
        return NULL;
    char *copy = mosquitto_malloc((size_t)span.len + 1);
    if (copy)
        span_copy(copy, span);
    return copy;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void out_of_memory(void)
{
    static const char sentence[] = "mosquitto_lmdb: out of memory\n";
    if (write(STDERR_FILENO, sentence, sizeof(sentence) - 1) < 0)
        _exit(1);
    _exit(1);
}

void *xmalloc(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        out_of_memory();
    return memory;
}

void *xcalloc(size_t count, size_t bytes)
{
    void *memory = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!memory)
        out_of_memory();
    return memory;
}

void *xrealloc(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        out_of_memory();
    return memory;
}

char *xstrdup(const char *string)
{
    size_t bytes = strlen(string) + 1;
    return memcpy(xmalloc(bytes), string, bytes);
}

struct span xspan_copy(struct span span)
{
    if (!span.data)
        return span;
    void *memory = xmalloc(span.len);
    if (span.len)
        memcpy(memory, span.data, span.len);
    return (struct span){memory, span.len};
}

void xspan_free(struct span span)
{
    union {
        const void *given;
        void *memory;
    } alias = {span.data};
    free(alias.memory);
}

char *text_room(struct text *text, size_t len)
{
    if (len >= SIZE_MAX / 2 - text->len)
        out_of_memory();
    size_t need = text->len + len + 1;
    if (need > text->size) {
        size_t size = text->size ? text->size : 64;
        while (size < need)
            size += size / 2 + 1;
        text->data = xrealloc(text->data, size);
        text->size = size;
    }
    return text->data + text->len;
}

void text_add(struct text *text, const void *data, size_t len)
{
    char *room = text_room(text, len);
    if (len)
        memcpy(room, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_adds(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_addc(struct text *text, char c)
{
    text_add(text, &c, 1);
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        out_of_memory();
    char *room = text_room(text, (size_t)len);
    va_start(args, format);
    vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    text->len += (size_t)len;
}

void text_clear(struct text *text)
{
    text->len = 0;
    if (text->data)
        text->data[0] = '\0';
}

void text_release(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

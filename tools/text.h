// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A growing string. Zero-initialise it. `data` is NULL until something was added and always
// zero-terminated after that. When memory runs out the program ends with one sentence: a command
// line has nothing better to do.
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include "store/event.h"

struct text {
    char *data;
    size_t len;
    size_t size;
};

void text_add(struct text *text, const void *data, size_t len);
void text_adds(struct text *text, const char *string);
void text_addc(struct text *text, char c);
void text_addf(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull));
void text_clear(struct text *text); // keeps the memory
void text_release(struct text *text);

// Makes room for `len` more bytes and returns where they go; add to `len` what was written.
char *text_room(struct text *text, size_t len);

// malloc and friends that end the program instead of returning NULL.
void *xmalloc(size_t bytes);
void *xcalloc(size_t count, size_t bytes);
void *xrealloc(void *old, size_t bytes);
char *xstrdup(const char *string);
_Noreturn void out_of_memory(void);

// A copy of a span in one allocation, to be freed by xspan_free.
struct span xspan_copy(struct span span);
void xspan_free(struct span span);

#endif

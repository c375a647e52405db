// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "display_width.h"

#include <string.h>
#include <wchar.h>

// Bytes of the first character, and its columns.
static size_t character(const char *at, mbstate_t *state, size_t *ret_columns)
{
    wchar_t wide;
    size_t bytes = mbrtowc(&wide, at, strlen(at), state);
    *ret_columns = 1;
    if (bytes == 0 || bytes > strlen(at)) {
        memset(state, 0, sizeof(*state));
        return 1;
    }
    int columns = wcwidth(wide);
    if (columns >= 0)
        *ret_columns = (size_t)columns;
    return bytes;
}

size_t display_width(const char *string)
{
    mbstate_t state = {0};
    size_t width = 0, columns;
    while (*string) {
        string += character(string, &state, &columns);
        width += columns;
    }
    return width;
}

void display_add_cut(struct text *text, const char *string, size_t columns)
{
    mbstate_t state = {0};
    size_t width = 0, len = 0;
    if (display_width(string) <= columns) {
        text_adds(text, string);
        return;
    }
    for (;;) {
        size_t next, bytes = character(string + len, &state, &next);
        if (width + next + 1 > columns)
            break;
        width += next;
        len += bytes;
    }
    text_add(text, string, len);
    text_adds(text, "\u2026");
}

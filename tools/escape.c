// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "escape.h"

struct range {
    uint32_t first;
    uint32_t last;
};

// Characters without a shape of their own, or that reorder or hide what stands around them.
static const struct range unsafe_ranges[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},     {0x180e, 0x180e},
    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},   {0xfff9, 0xfffb},
    {0xe000, 0xf8ff}, {0xfdd0, 0xfdef}, {0xfffe, 0xffff}, {0xe0000, 0xe0fff},
};

static bool codepoint_is_unsafe(uint32_t c)
{
    for (size_t i = 0; i < sizeof(unsafe_ranges) / sizeof(unsafe_ranges[0]); i++) {
        if (c >= unsafe_ranges[i].first && c <= unsafe_ranges[i].last)
            return true;
    }
    return false;
}

// Decodes one character of at most `len` bytes. Returns its length, 0 if it is not UTF-8.
static size_t utf8_decode(const uint8_t *src, size_t len, uint32_t *ret_codepoint)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = src[0];
    size_t need = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (need == 0 || need > len)
        return 0;
    if (need > 1)
        c &= 0x7fu >> need;
    for (size_t i = 1; i < need; i++) {
        if ((src[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (src[i] & 0x3fu);
    }
    if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_codepoint = c;
    return need;
}

static void add_codepoint(struct text *text, const uint8_t *src, size_t len, uint32_t c, bool lines)
{
    if (c == '\\' && !lines)
        text_adds(text, "\\\\");
    else if (lines && (c == '\n' || c == '\t'))
        text_addc(text, (char)c);
    else if (c == '\n')
        text_adds(text, "\\n");
    else if (c == '\t')
        text_adds(text, "\\t");
    else if (c == '\r')
        text_adds(text, "\\r");
    else if (c < 0x80 && codepoint_is_unsafe(c))
        text_addf(text, "\\x%02x", (unsigned)c);
    else if (codepoint_is_unsafe(c))
        text_addf(text, "\\u{%x}", (unsigned)c);
    else
        text_add(text, src, len);
}

static void add(struct text *text, struct span span, bool lines)
{
    if (!span.data) {
        text_addc(text, '-');
        return;
    }
    const uint8_t *src = span.data;
    text_add(text, "", 0);
    for (size_t at = 0; at < span.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(src + at, span.len - at, &c);
        if (len == 0) {
            text_addf(text, "\\x%02x", src[at]);
            at++;
        } else {
            add_codepoint(text, src + at, len, c, lines);
            at += len;
        }
    }
}

void escape_add(struct text *text, struct span span)
{
    add(text, span, false);
}

void escape_add_quoted(struct text *text, struct span span)
{
    text_addc(text, '"');
    add(text, span, false);
    text_addc(text, '"');
}

void escape_add_lines(struct text *text, struct span span)
{
    add(text, span, true);
}

bool utf8_is_plain(struct span span)
{
    const uint8_t *src = span.data;
    for (size_t at = 0; at < span.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(src + at, span.len - at, &c);
        if (len == 0 || c == 0)
            return false;
        at += len;
    }
    return true;
}

bool utf8_is_readable(struct span span)
{
    const uint8_t *src = span.data;
    for (size_t at = 0; at < span.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(src + at, span.len - at, &c);
        if (len == 0 || (codepoint_is_unsafe(c) && c != '\n' && c != '\t' && c != '\r'))
            return false;
        at += len;
    }
    return true;
}

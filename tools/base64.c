// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct text *text, struct span span)
{
    const uint8_t *src = span.data;
    size_t bytes = ((size_t)span.len + 2) / 3 * 4;
    char *dst = text_room(text, bytes);
    size_t at = 0;
    for (; at + 3 <= span.len; at += 3) {
        uint32_t group = (uint32_t)src[at] << 16 | (uint32_t)src[at + 1] << 8 | src[at + 2];
        *dst++ = alphabet[group >> 18];
        *dst++ = alphabet[group >> 12 & 63];
        *dst++ = alphabet[group >> 6 & 63];
        *dst++ = alphabet[group & 63];
    }
    if (at < span.len) {
        bool two = span.len - at == 2;
        uint32_t group = (uint32_t)src[at] << 16 | (two ? (uint32_t)src[at + 1] << 8 : 0);
        *dst++ = alphabet[group >> 18];
        *dst++ = alphabet[group >> 12 & 63];
        *dst++ = two ? alphabet[group >> 6 & 63] : '=';
        *dst++ = '=';
    }
    *dst = '\0';
    text->len += bytes;
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct text *text, const char *string)
{
    size_t len = strlen(string);
    if (len % 4 != 0)
        return false;
    size_t padding = 0;
    if (len)
        padding = string[len - 1] != '=' ? 0 : string[len - 2] != '=' ? 1 : 2;

    uint8_t *dst = (uint8_t *)text_room(text, len / 4 * 3);
    size_t written = 0;
    for (size_t at = 0; at < len; at += 4) {
        uint32_t group = 0;
        size_t skip = at + 4 == len ? padding : 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i < 4 - skip ? digit_value(string[at + i]) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        // Bits that no byte takes must be zero, else two strings would mean the same.
        if (skip && (group & ((1u << (8 * skip)) - 1)) != 0)
            return false;
        for (size_t i = 0; i < 3 - skip; i++)
            dst[written++] = (uint8_t)(group >> (16 - 8 * i));
    }
    text->len += written;
    text->data[text->len] = '\0';
    return true;
}

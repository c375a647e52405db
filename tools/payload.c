// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "payload.h"

#include "base64.h"
#include "escape.h"
#include "human.h"

#include <cJSON.h>

#define HEX_COLUMNS 16u
#define INDENT 2u
// cJSON builds a tree; a larger payload is shown as text.
#define JSON_MAX_BYTES (1u << 20)

bool payload_is_json(struct span payload)
{
    const char *data = payload.data;
    uint32_t at = 0;
    while (at < payload.len && strchr(" \t\r\n", data[at]) && data[at])
        at++;
    if (at == payload.len || payload.len > JSON_MAX_BYTES || (data[at] != '{' && data[at] != '['))
        return false;
    if (!utf8_is_plain(payload))
        return false;
    struct text copy = {0};
    text_add(&copy, data, payload.len);
    cJSON *tree = cJSON_ParseWithOpts(copy.data, NULL, 1);
    cJSON_Delete(tree);
    text_release(&copy);
    return tree != NULL;
}

static void add_line_break(struct text *text, size_t depth)
{
    text_addc(text, '\n');
    for (size_t i = 0; i < depth * INDENT; i++)
        text_addc(text, ' ');
}

// Copies a string with its quotes; returns the offset behind it.
static uint32_t add_json_string(struct text *text, const char *data, uint32_t at, uint32_t len)
{
    uint32_t start = at++;
    while (at < len && data[at] != '"')
        at += data[at] == '\\' ? 2 : 1;
    at = at < len ? at + 1 : len;
    escape_add_lines(text, span_of(data + start, at - start));
    return at;
}

void payload_add_json(struct text *text, struct span payload)
{
    const char *data = payload.data;
    size_t depth = 0;
    bool opened = false; // the last token opened an object or array
    for (uint32_t at = 0; at < payload.len;) {
        char c = data[at];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            at++;
            continue;
        }
        bool closes = c == '}' || c == ']';
        if (closes && depth > 0)
            depth--;
        if (opened != closes)
            add_line_break(text, depth);
        opened = false;
        if (c == '"') {
            at = add_json_string(text, data, at, payload.len);
            continue;
        }
        text_addc(text, c);
        at++;
        if (c == '{' || c == '[') {
            depth++;
            opened = true;
        } else if (c == ',') {
            add_line_break(text, depth);
        } else if (c == ':') {
            text_addc(text, ' ');
        }
    }
}

static void add_hex(struct text *text, struct span payload)
{
    const uint8_t *data = payload.data;
    for (uint32_t row = 0; row < payload.len; row += HEX_COLUMNS) {
        uint32_t count = payload.len - row < HEX_COLUMNS ? payload.len - row : HEX_COLUMNS;
        text_addf(text, "%08x ", row);
        for (uint32_t i = 0; i < HEX_COLUMNS; i++) {
            if (i < count)
                text_addf(text, "%s%02x", i == HEX_COLUMNS / 2 ? "  " : " ", data[row + i]);
            else
                text_adds(text, i == HEX_COLUMNS / 2 ? "    " : "   ");
        }
        text_adds(text, "  |");
        for (uint32_t i = 0; i < count; i++) {
            char c = (char)data[row + i];
            text_addc(text, c >= 0x20 && c < 0x7f ? c : '.');
        }
        text_adds(text, "|\n");
    }
}

static void add_auto(struct text *text, struct span payload)
{
    struct span shown = payload;
    if (payload.len <= PAYLOAD_AUTO_BYTES && payload_is_json(payload)) {
        payload_add_json(text, payload);
        text_addc(text, '\n');
        return;
    }
    if (shown.len > PAYLOAD_AUTO_BYTES) {
        shown.len = PAYLOAD_AUTO_BYTES;
        // Not in the middle of a character.
        const uint8_t *data = payload.data;
        while (shown.len > PAYLOAD_AUTO_BYTES - 4 && (data[shown.len] & 0xc0) == 0x80)
            shown.len--;
    }
    if (utf8_is_readable(shown))
        payload_add(text, shown, "text");
    else
        add_hex(text, shown);
    if (shown.len < payload.len) {
        text_adds(text, "\u2026 and ");
        human_plural(text, payload.len - shown.len, "byte");
        text_adds(text, " more (--payload text or hex shows all)\n");
    }
}

void payload_add(struct text *text, struct span payload, const char *form)
{
    if (payload.len == 0 || strcmp(form, "none") == 0)
        return;
    if (strcmp(form, "raw") == 0) {
        text_add(text, payload.data, payload.len);
        return;
    }
    if (strcmp(form, "auto") == 0) {
        add_auto(text, payload);
    } else if (strcmp(form, "hex") == 0) {
        add_hex(text, payload);
    } else {
        if (strcmp(form, "base64") == 0)
            base64_add(text, payload);
        else if (strcmp(form, "json") == 0 && payload_is_json(payload))
            payload_add_json(text, payload);
        else
            escape_add_lines(text, payload);
        if (text->data[text->len - 1] != '\n')
            text_addc(text, '\n');
    }
}

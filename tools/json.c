// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "json.h"

#include "base64.h"
#include "escape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void json_init(void)
{
    cJSON_Hooks hooks = {xmalloc, free};
    cJSON_InitHooks(&hooks);
}

void json_add_base64(cJSON *object, const char *key, struct span span)
{
    struct text text = {0};
    if (!span.data) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    base64_add(&text, span);
    cJSON *item = cJSON_CreateNull();
    // The item takes the string over: a payload may be 268 MB and is not copied once more.
    item->type = cJSON_String;
    item->valuestring = text.data;
    cJSON_AddItemToObject(object, key, item);
}

void json_add_span(cJSON *object, const char *key, struct span span)
{
    if (!span.data) {
        cJSON_AddNullToObject(object, key);
    } else if (!utf8_is_plain(span)) {
        json_add_base64(cJSON_AddObjectToObject(object, key), "base64", span);
    } else {
        struct text text = {0};
        text_add(&text, span.data, span.len);
        cJSON_AddStringToObject(object, key, text.data);
        text_release(&text);
    }
}

void json_add_id(cJSON *object, const char *key, uint64_t id)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, id);
    cJSON_AddStringToObject(object, key, digits);
}

// The library prints a number, reads it again and prints it longer if it differs: most of the time
// of an export. Ours are whole.
void json_add_number(cJSON *object, const char *key, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, number);
    cJSON_AddRawToObject(object, key, digits);
}

void json_add_signed(cJSON *object, const char *key, int64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, number);
    cJSON_AddRawToObject(object, key, digits);
}

void json_add_bool(cJSON *object, const char *key, bool value)
{
    cJSON_AddBoolToObject(object, key, value);
}

void json_add_string(cJSON *object, const char *key, const char *string)
{
    json_add_span(object, key, span_str(string));
}

void json_print(cJSON *object)
{
    char *line = cJSON_PrintUnformatted(object);
    if (!line)
        out_of_memory();
    fputs(line, stdout);
    fputc('\n', stdout);
    free(line);
    cJSON_Delete(object);
}

cJSON *json_document(void)
{
    cJSON *document = cJSON_CreateObject();
    cJSON_AddNumberToObject(document, "format", JSON_FORMAT_VERSION);
    return document;
}

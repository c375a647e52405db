// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What cJSON lacks: strings of any byte, 64-bit ids, lines.
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include "text.h"

#include <cJSON.h>

#define JSON_FORMAT_VERSION 1

// Makes cJSON end the program when memory runs out. Once, before any other call.
void json_init(void);

// An absent span is null. One that is not UTF-8, or holds a zero byte, which neither JSON nor MQTT
// strings may, is {"base64": "..."}: nothing is lost.
void json_add_span(cJSON *object, const char *key, struct span span);
void json_add_base64(cJSON *object, const char *key, struct span span); // absent: null
void json_add_id(cJSON *object, const char *key, uint64_t id);          // a string of digits
void json_add_number(cJSON *object, const char *key, uint64_t number);  // below 2^53
void json_add_signed(cJSON *object, const char *key, int64_t number);
void json_add_bool(cJSON *object, const char *key, bool value);
void json_add_string(cJSON *object, const char *key, const char *string); // NULL: null

// Prints the object in one line on standard output, and deletes it.
void json_print(cJSON *object);

// {"format":1} to begin a document with.
cJSON *json_document(void);

#endif

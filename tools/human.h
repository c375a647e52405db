// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Numbers, sizes and times as people write and read them.
#ifndef TOOLS_HUMAN_H
#define TOOLS_HUMAN_H

#include "text.h"

void human_count(struct text *text, uint64_t count); // 1,234,567
void human_bytes(struct text *text, uint64_t bytes); // 512 B, 1.4 KiB, 3.0 GiB
void human_duration(struct text *text, uint64_t ms); // 250 ms, 12 s, 3 min, 4 h 10 min, 3 d 4 h
void human_time(struct text *text, int64_t unix_s);  // 2026-01-31 23:59:59Z

// "1 message", "2 messages", with the count as human_count has it.
void human_plural(struct text *text, uint64_t count, const char *noun);

// Readers of what a person types. False if it is not one.
bool human_parse_count(const char *string, uint64_t *ret_count); // 100, 10k, 2M: by 1000
bool human_parse_bytes(const char *string, uint64_t *ret_bytes); // 4096, 64k, 1G: by 1024
bool human_parse_duration(const char *string, uint64_t *ret_ms); // 500ms, 30s, 10m, 2h, 30d, 4w

// When the broker made a message, out of its store_id (31 bits of seconds from a date of the
// broker's own); 0 if the id cannot be one of a broker's.
int64_t message_time_s(uint64_t store_id);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "human.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// database.c of Mosquitto 2.1: node (10 bits), seconds since this (31), fraction (23).
#define BROKER_EPOCH_S 1637168273
#define BROKER_SECONDS_SHIFT 23
// January 2024. Brokers before 2.1 counted messages from 1, and an import keeps their numbers.
#define BROKER_SECONDS_LEAST (1u << 26)

void human_count(struct text *text, uint64_t count)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text_addc(text, ',');
        text_addc(text, digits[i]);
    }
}

void human_bytes(struct text *text, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        text_addf(text, "%u B", (unsigned)bytes);
        return;
    }
    double value = (double)bytes;
    size_t unit = 0;
    // 1023.95 would be printed as 1024.0.
    while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    text_addf(text, "%.1f %s", value, units[unit]);
}

void human_duration(struct text *text, uint64_t ms)
{
    uint64_t s = ms / 1000;
    if (s == 0)
        text_addf(text, "%u ms", (unsigned)ms);
    else if (s < 60)
        text_addf(text, "%u s", (unsigned)s);
    else if (s < 3600)
        text_addf(text, "%u min", (unsigned)(s / 60));
    else if (s < 86400 && s % 3600 < 60)
        text_addf(text, "%u h", (unsigned)(s / 3600));
    else if (s < 86400)
        text_addf(text, "%u h %u min", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60));
    else if (s < 86400 * 10 && s % 86400 >= 3600)
        text_addf(text, "%u d %u h", (unsigned)(s / 86400), (unsigned)(s % 86400 / 3600));
    else
        text_addf(text, "%" PRIu64 " d", s / 86400);
}

void human_time(struct text *text, int64_t unix_s)
{
    time_t time = (time_t)unix_s;
    struct tm tm;
    char buf[32];
    if (gmtime_r(&time, &tm) && strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%SZ", &tm))
        text_adds(text, buf);
    else
        text_addf(text, "%" PRId64, unix_s);
}

void human_plural(struct text *text, uint64_t count, const char *noun)
{
    human_count(text, count);
    text_addf(text, " %s%s", noun, count == 1 ? "" : "s");
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool parse_with_units(const char *string, const struct unit *units, uint64_t *ret_value)
{
    if (!isdigit((unsigned char)string[0]))
        return false;
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(string, &end, 10);
    if (errno)
        return false;
    for (; units->name; units++) {
        if (strcmp(end, units->name) != 0)
            continue;
        if (value > UINT64_MAX / units->factor)
            return false;
        *ret_value = value * units->factor;
        return true;
    }
    return false;
}

bool human_parse_count(const char *string, uint64_t *ret_count)
{
    static const struct unit units[] = {
        {"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}, {NULL, 0}};
    return parse_with_units(string, units, ret_count);
}

bool human_parse_bytes(const char *string, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},          {"B", 1},         {"k", 1 << 10},    {"K", 1 << 10},      {"kB", 1 << 10},
        {"KiB", 1 << 10}, {"M", 1 << 20},   {"MB", 1 << 20},   {"MiB", 1 << 20},    {"G", 1 << 30},
        {"GB", 1 << 30},  {"GiB", 1 << 30}, {"T", 1ull << 40}, {"TiB", 1ull << 40}, {NULL, 0}};
    return parse_with_units(string, units, ret_bytes);
}

bool human_parse_duration(const char *string, uint64_t *ret_ms)
{
    static const struct unit units[] = {{"ms", 1},       {"", 1000},       {"s", 1000},
                                        {"m", 60000},    {"min", 60000},   {"h", 3600000},
                                        {"d", 86400000}, {"w", 604800000}, {NULL, 0}};
    return parse_with_units(string, units, ret_ms);
}

int64_t message_time_s(uint64_t store_id)
{
    uint64_t seconds = store_id >> BROKER_SECONDS_SHIFT & 0x7fffffff;
    return seconds >= BROKER_SECONDS_LEAST ? (int64_t)seconds + BROKER_EPOCH_S : 0;
}

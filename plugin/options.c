// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PREFIX "plugin_opt_"
#define LINE_MAX_BYTES (OPTIONS_PATH_BYTES + 64)

enum option_kind {
    OPTION_PATH,
    OPTION_NUMBER,
    OPTION_BYTES,
    OPTION_MS,
    OPTION_BOOL, // the first kind that is a choice from a list
    OPTION_SYNC,
    OPTION_COMPRESSION,
    OPTION_ON_FAILURE,
};

enum option_change { OPTION_FIXED, OPTION_CHANGEABLE };

struct option {
    const char *key;
    enum option_kind kind;
    uint64_t minimum;
    uint64_t maximum;
    const char *fallback;
    enum option_change change;
    const char *help;
    size_t offset; // in struct options
};

static const struct option table[] = {
#define ENTRY(member, key, kind, minimum, maximum, fallback, change, help) \
    {key,      OPTION_##kind,   minimum, maximum,                          \
     fallback, OPTION_##change, help,    offsetof(struct options, member)},
    OPTIONS(ENTRY)
#undef ENTRY
};

#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))
_Static_assert(TABLE_COUNT <= 32, "a bit of `given` for each option");

struct choice {
    const char *name;
    uint64_t value;
};

#define CHOICES_MAX 4
static const struct choice choices[][CHOICES_MAX] = {
#define CHOICE(name, value, text) {text, value},
    [OPTION_BOOL - OPTION_BOOL] = {{"true", 1}, {"false", 0}},
    [OPTION_SYNC - OPTION_BOOL] = {STORE_SYNC_MODES(CHOICE)},
    [OPTION_COMPRESSION - OPTION_BOOL] = {STORE_COMPRESSIONS(CHOICE)},
    [OPTION_ON_FAILURE - OPTION_BOOL] = {{"refuse", ON_FAILURE_REFUSE}, {"stop", ON_FAILURE_STOP}},
#undef CHOICE
};

struct unit {
    const char *suffix;
    uint64_t factor;
};

#define UNITS_MAX 5
static const struct unit units[][UNITS_MAX] = {
    [OPTION_NUMBER] = {{"", 1}},
    [OPTION_BYTES] = {{"", 1}, {"k", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}},
    [OPTION_MS] = {{"", 1}, {"ms", 1}, {"s", 1000}},
};

static uint64_t *number_of(struct options *options, const struct option *option)
{
    return (uint64_t *)(void *)((char *)options + option->offset);
}

static uint64_t number_in(const struct options *options, const struct option *option)
{
    return *(const uint64_t *)(const void *)((const char *)options + option->offset);
}

// ---- values as text ------------------------------------------------------------------------

// The largest unit that leaves no rest, as a person would write it.
static void number_format(const struct option *option, uint64_t number, char *text, size_t size)
{
    const struct unit *best = &units[option->kind][0];
    for (const struct unit *unit = best; unit->suffix; unit++) {
        if (number && number % unit->factor == 0 && unit->factor >= best->factor)
            best = unit;
    }
    snprintf(text, size, "%" PRIu64 "%s", number / best->factor, best->suffix);
}

static void value_format(const struct options *options, const struct option *option, char *text,
                         size_t size)
{
    if (option->kind == OPTION_PATH) {
        snprintf(text, size, "%s", (const char *)options + option->offset);
    } else if (option->kind < OPTION_BOOL) {
        number_format(option, number_in(options, option), text, size);
    } else {
        for (const struct choice *c = choices[option->kind - OPTION_BOOL]; c->name; c++) {
            if (c->value == number_in(options, option))
                snprintf(text, size, "%s", c->name);
        }
    }
}

// "always, interval or os", "10ms to 1s".
static void allowed_format(const struct option *option, char *text, size_t size)
{
    if (option->kind == OPTION_PATH) {
        snprintf(text, size, "up to %d bytes", OPTIONS_PATH_BYTES - 1);
    } else if (option->kind < OPTION_BOOL) {
        char least[32], most[32];
        number_format(option, option->minimum, least, sizeof(least));
        number_format(option, option->maximum, most, sizeof(most));
        snprintf(text, size, "%s to %s", least, most);
    } else {
        size_t used = 0;
        text[0] = '\0';
        for (const struct choice *c = choices[option->kind - OPTION_BOOL]; c->name; c++) {
            const char *between = !used ? "" : c[1].name ? ", " : " or ";
            used += (size_t)snprintf(text + used, size - used, "%s%s", between, c->name);
        }
    }
}

// ---- text as values ------------------------------------------------------------------------

static bool number_parse(const struct option *option, const char *text, uint64_t *ret_number)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno)
        return false;
    while (*end == ' ')
        end++;
    for (const struct unit *unit = units[option->kind]; unit->suffix; unit++) {
        if (strcasecmp(end, unit->suffix) == 0 && number <= UINT64_MAX / unit->factor) {
            *ret_number = number * unit->factor;
            return *ret_number >= option->minimum && *ret_number <= option->maximum;
        }
    }
    return false;
}

static bool choice_parse(const struct option *option, const char *text, uint64_t *ret_number)
{
    for (const struct choice *c = choices[option->kind - OPTION_BOOL]; c->name; c++) {
        if (strcasecmp(text, c->name) == 0) {
            *ret_number = c->value;
            return true;
        }
    }
    return false;
}

static bool value_parse(struct options *options, const struct option *option, const char *text)
{
    if (option->kind == OPTION_PATH) {
        size_t len = strlen(text);
        if (len == 0 || len >= OPTIONS_PATH_BYTES)
            return false;
        memcpy((char *)options + option->offset, text, len + 1);
        return true;
    }
    if (option->kind < OPTION_BOOL)
        return number_parse(option, text, number_of(options, option));
    return choice_parse(option, text, number_of(options, option));
}

void options_init(struct options *options)
{
    memset(options, 0, sizeof(*options));
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (table[i].kind != OPTION_PATH)
            value_parse(options, &table[i], table[i].fallback);
    }
}

// ---- finding a key -------------------------------------------------------------------------

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

// Levenshtein's distance: how many letters must be changed, added or taken away. Case is no letter.
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t len = strlen(b);
    if (len >= sizeof(row) / sizeof(row[0]))
        return SIZE_MAX;
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t substituted = diagonal + !same;
            diagonal = row[j];
            row[j] = least_of(substituted, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[len];
}

static const struct option *option_find(const char *key)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (strcmp(table[i].key, key) == 0)
            return &table[i];
    }
    return NULL;
}

static const struct option *option_nearest(const char *key)
{
    const struct option *nearest = &table[0];
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        size_t d = distance(key, table[i].key);
        if (d < least) {
            least = d;
            nearest = &table[i];
        }
    }
    return nearest;
}

// ---- the interface -------------------------------------------------------------------------

int options_set(struct options *options, const char *source, const char *key, const char *value,
                struct store_error *err)
{
    const struct option *option = option_find(key);
    if (!option)
        return error_set(err, STORE_EINVAL,
                         "%s: there is no option " PREFIX "%.64s; the nearest is " PREFIX "%s",
                         source, key, option_nearest(key)->key);
    uint32_t bit = 1u << (option - table);
    if (options->given & bit)
        return error_set(err, STORE_EINVAL, "%s: " PREFIX "%s is given twice", source, key);

    // The broker hands over the rest of the line, blanks at its end included.
    char text[OPTIONS_PATH_BYTES + 1];
    size_t len = strlen(value);
    while (len && isspace((unsigned char)value[len - 1]))
        len--;
    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    memcpy(text, value, len);
    text[len] = '\0';
    if (!value_parse(options, option, text)) {
        char allowed[128];
        allowed_format(option, allowed, sizeof(allowed));
        return error_set(err, STORE_EINVAL,
                         "%s: " PREFIX "%s (%s) cannot be '%.64s'; allowed is %s", source, key,
                         option->help, text, allowed);
    }
    options->given |= bit;
    return 0;
}

static int line_read(struct options *options, const char *source, char *line,
                     struct store_error *err)
{
    char *key = line + strspn(line, " \t");
    key[strcspn(key, "\r\n")] = '\0';
    if (key[0] == '\0' || key[0] == '#')
        return 0;
    if (strncmp(key, PREFIX, strlen(PREFIX)) == 0)
        key += strlen(PREFIX);
    char *value = key + strcspn(key, " \t");
    if (*value)
        *value++ = '\0';
    value += strspn(value, " \t");
    if (strcmp(key, "options_file") == 0 || strcmp(key, "path") == 0)
        return error_set(err, STORE_EINVAL,
                         "%s: " PREFIX "%s must stand in the broker's configuration", source, key);
    return options_set(options, source, key, value, err);
}

int options_read_file(struct options *options, const char *path, struct store_error *err)
{
    char line[LINE_MAX_BYTES], source[OPTIONS_PATH_BYTES + 32];
    FILE *file = fopen(path, "re");
    int rc = 0;
    if (!file)
        return error_set_errno(err, errno, "the options file %s cannot be read", path);
    for (unsigned number = 1; rc == 0 && fgets(line, sizeof(line), file); number++) {
        snprintf(source, sizeof(source), "%s line %u", path, number);
        if (!strchr(line, '\n') && strlen(line) == sizeof(line) - 1)
            rc = error_set(err, STORE_EINVAL, "%s is too long", source);
        else
            rc = line_read(options, source, line, err);
    }
    if (rc == 0 && ferror(file))
        rc = error_set_errno(err, errno, "the options file %s cannot be read", path);
    fclose(file);
    return rc;
}

int options_check(const struct options *options, struct store_error *err)
{
    if (options->journal_max_bytes / 4 < options->journal_segment_bytes) {
        char max[32], segment[32];
        number_format(option_find("journal_max_bytes"), options->journal_max_bytes, max,
                      sizeof(max));
        number_format(option_find("journal_segment_bytes"), options->journal_segment_bytes, segment,
                      sizeof(segment));
        return error_set(err, STORE_EINVAL,
                         PREFIX "journal_max_bytes %s is too small: four segments of " PREFIX
                                "journal_segment_bytes %s must fit",
                         max, segment);
    }
    return 0;
}

void options_compare(const struct options *from, const struct options *to, options_change_fn *fn,
                     void *user)
{
    static char before[OPTIONS_PATH_BYTES], after[OPTIONS_PATH_BYTES];
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        value_format(from, &table[i], before, sizeof(before));
        value_format(to, &table[i], after, sizeof(after));
        if (strcmp(before, after) != 0)
            fn(user, table[i].key, before, after, table[i].change == OPTION_CHANGEABLE);
    }
}

void options_take_changeable(struct options *options, const struct options *from)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (table[i].change == OPTION_CHANGEABLE)
            *number_of(options, &table[i]) = number_in(from, &table[i]);
    }
}

void options_for_store(const struct options *options, struct store_options *ret_store)
{
    ret_store->path = options->path;
    ret_store->check_values = options->check_at_start != 0;
    ret_store->sync = (enum store_sync)options->sync;
    ret_store->sync_interval_ms = (uint32_t)options->sync_interval_ms;
    ret_store->commit_interval_ms = (uint32_t)options->commit_interval_ms;
    ret_store->journal_segment_bytes = options->journal_segment_bytes;
    ret_store->journal_max_bytes = options->journal_max_bytes;
    ret_store->compression = (enum store_compression)options->compression;
    ret_store->compression_level = (int)options->compression_level;
}

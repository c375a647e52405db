// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The lines of `export`, read back: one JSON object becomes one entry. Strict about what a field
// may hold; fields that are not known are passed over.
#ifndef TOOLS_ENTRIES_READ_H
#define TOOLS_ENTRIES_READ_H

#include "json.h"
#include "store/store.h"

enum entry_type {
    ENTRY_STORE,
    ENTRY_SESSION,
    ENTRY_SUBSCRIPTION,
    ENTRY_MESSAGE,
    ENTRY_QUEUED,
    ENTRY_RETAINED,
    ENTRY_WILL,
    ENTRY_TYPES
};

// The name in "type", in the plural for a person: "sessions".
const char *entry_type_plural(enum entry_type type);

// One reader serves one line after another; zero-initialise it.
struct entry_reader {
    cJSON *line;
    struct text *buffers; // decoded base64 and properties of the line
    size_t buffers_count;
};

// Reads a line of `len` bytes. On success *ret_event holds the entry in the member of its type
// (record type *_ADD or *_SET); its spans last until the next call. A store line leaves it alone.
// STORE_EINVAL with a sentence otherwise.
int entry_read(struct entry_reader *reader, const char *line, size_t len, enum entry_type *ret_type,
               struct event *ret_event, struct store_error *err);
void entry_reader_release(struct entry_reader *reader);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The lines that export writes.
#include "import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct lines {
    struct import *import;
    struct entry_reader reader;
    uint64_t number;
    bool begun; // a line was not empty
};

static int take_line(struct lines *lines, const char *line, size_t len, struct store_error *err)
{
    enum entry_type type;
    struct event event;
    int rc = entry_read(&lines->reader, line, len, &type, &event, err);
    if (rc == 0 && !lines->begun && type != ENTRY_STORE)
        rc = error_set(err, STORE_EINVAL, "an export begins with a line of type store");
    lines->begun = true;
    if (rc)
        return error_prefix(err, "%s, line %" PRIu64, lines->import->name, lines->number);
    return type == ENTRY_STORE ? 0 : import_take(lines->import, type, &event, err);
}

int import_jsonl(struct import *import, FILE *file, struct store_error *err)
{
    struct lines lines = {.import = import};
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int rc = 0;
    import->format = "JSON lines";
    errno = 0;
    while (rc == 0 && (len = getline(&line, &size, file)) >= 0) {
        lines.number++;
        if (len > 0 && line[len - 1] == '\n')
            len--;
        if (len > 0)
            rc = take_line(&lines, line, (size_t)len, err);
    }
    if (rc == 0 && ferror(file))
        rc = error_set_errno(err, errno ? errno : EIO, "cannot read %s", import->name);
    if (rc == 0 && !lines.begun)
        rc = error_set(err, STORE_EINVAL, "%s holds no line", import->name);
    entry_reader_release(&lines.reader);
    free(line);
    return rc;
}

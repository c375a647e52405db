// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A file of the persist-sqlite plugin.
#include "fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import import = {.name = "fuzz"};
    struct store_error err = {0};
    int rc = import_sqlite(&import, fuzz_file("fuzz.sqlite3", data, size), &err);
    fuzz_file_remove("fuzz.sqlite3");
    fuzz_import_end(&import, rc, &err);
    return 0;
}

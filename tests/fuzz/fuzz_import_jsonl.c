// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// JSON lines, as export writes them.
#include "fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import import = {.name = "fuzz"};
    struct store_error err = {0};
    FILE *file = fuzz_stream(data, size);
    int rc = import_jsonl(&import, file, &err);
    fclose(file);
    fuzz_import_end(&import, rc, &err);
    return 0;
}

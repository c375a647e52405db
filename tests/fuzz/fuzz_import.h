// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The end of each fuzzer of an import, in which nothing is appended.
#ifndef TESTS_FUZZ_IMPORT_H
#define TESTS_FUZZ_IMPORT_H

#include "fuzz.h"
#include "import.h"

static inline void fuzz_import_end(struct import *import, int rc, const struct store_error *err)
{
    FUZZ_REQUIRE(rc == 0 || err->sentence[0]);
    for (int type = 0; type < ENTRY_TYPES; type++)
        FUZZ_REQUIRE(import->out[type] <= import->in[type]);
    import_release(import);
}

#endif

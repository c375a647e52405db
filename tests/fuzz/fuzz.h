// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the fuzzers share: taking an input apart, files that hold it, and the end of a run in which
// something is not as it must be.
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "store/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Ends the program, so that libFuzzer keeps the input.
#define FUZZ_REQUIRE(condition)                        \
    do {                                               \
        if (!(condition))                              \
            fuzz_fail(__FILE__, __LINE__, #condition); \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

// What is left of an input. What is taken beyond its end is zero, or shorter than asked for.
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};
uint8_t fuzz_u8(struct fuzz_input *input);
uint16_t fuzz_u16(struct fuzz_input *input);
uint64_t fuzz_u64(struct fuzz_input *input);
struct span fuzz_bytes(struct fuzz_input *input, size_t bytes);

// A file in memory that holds the bytes, open at its beginning.
FILE *fuzz_stream(const uint8_t *data, size_t size);

// A folder in memory, the same throughout a run.
const char *fuzz_folder(void);
// Writes a file of mode 0600 into it; returns its path, valid until the next call.
const char *fuzz_file(const char *name, const void *data, size_t size);
void fuzz_file_remove(const char *name);

#endif

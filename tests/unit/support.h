// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What several test programs need: a folder of their own, files to damage, seeds that can be rerun.
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

// A new folder, mode 0700, under TMPDIR or /tmp. folder_remove deletes it and frees the name.
char *folder_make(void);
void folder_remove(char *path);

// Path of `name` in `folder`, in a static buffer of which the last four calls stay valid.
const char *path_in(const char *folder, const char *name);

// Overwrites `len` bytes of an existing file; aborts the test on any failure.
void file_overwrite(const char *path, uint64_t offset, const void *data, size_t len);
void file_flip_bit(const char *path, uint64_t offset, unsigned bit);
uint64_t file_bytes(const char *path);
void file_copy(const char *from, const char *to);

// SEED from the environment, or a new one; says it on standard output.
uint64_t seed_choose(void);

// A number from 0 to below - 1, from a small generator that is the same everywhere.
uint32_t seed_next(uint64_t *state, uint32_t below);

#endif

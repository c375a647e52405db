// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "fuzz.h"

#include "store/bytes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/dev/shm/lmdb-fuzz-XXXXXX";
static bool folder_made;

_Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

uint8_t fuzz_u8(struct fuzz_input *input)
{
    struct span bytes = fuzz_bytes(input, 1);
    return bytes.len ? *(const uint8_t *)bytes.data : 0;
}

uint16_t fuzz_u16(struct fuzz_input *input)
{
    struct span bytes = fuzz_bytes(input, 2);
    return bytes.len == 2 ? get_u16(bytes.data) : 0;
}

uint64_t fuzz_u64(struct fuzz_input *input)
{
    struct span bytes = fuzz_bytes(input, 8);
    return bytes.len == 8 ? get_u64(bytes.data) : 0;
}

struct span fuzz_bytes(struct fuzz_input *input, size_t bytes)
{
    if (bytes > input->left)
        bytes = input->left;
    struct span span = span_of(input->at, bytes);
    input->at += bytes;
    input->left -= bytes;
    return span;
}

FILE *fuzz_stream(const uint8_t *data, size_t size)
{
    // fmemopen refuses an empty buffer.
    FILE *file =
        fmemopen((void *)(uintptr_t)(size ? data : (const uint8_t *)""), size ? size : 1, "r");
    FUZZ_REQUIRE(file);
    if (size == 0)
        (void)getc(file);
    return file;
}

static void folder_remove(void)
{
    rmdir(folder);
}

const char *fuzz_folder(void)
{
    if (!folder_made) {
        FUZZ_REQUIRE(mkdtemp(folder));
        folder_made = true;
        atexit(folder_remove);
    }
    return folder;
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), name);
    return path;
}

const char *fuzz_file(const char *name, const void *data, size_t size)
{
    const char *path = path_of(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    return path;
}

void fuzz_file_remove(const char *name)
{
    unlink(path_of(name));
}

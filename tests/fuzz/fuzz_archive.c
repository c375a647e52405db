// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The archive of a backup. An even first byte: the rest is the archive. An odd one: an archive is
// written out of the rest, in blocks of sizes that it says; whole, it must read back as it was, and
// with any byte changed or cut off it must be refused.
#include "fuzz.h"
#include "store/archive.h"

#include <string.h>

#define ROOM (1u << 17)

static uint8_t archive[ROOM], contents[ROOM];
static size_t archive_bytes, contents_bytes;

static int put(void *user, const void *data, size_t len, struct store_error *err)
{
    (void)user;
    (void)err;
    FUZZ_REQUIRE(archive_bytes + len <= sizeof(archive));
    if (len > 0)
        memcpy(archive + archive_bytes, data, len);
    archive_bytes += len;
    return 0;
}

static int get(void *user, void *data, size_t len, size_t *ret_len, struct store_error *err)
{
    struct fuzz_input *input = user;
    (void)err;
    struct span bytes = fuzz_bytes(input, len);
    if (bytes.len > 0)
        memcpy(data, bytes.data, bytes.len);
    *ret_len = bytes.len;
    return 0;
}

static int compare(void *user, const void *data, size_t len, struct store_error *err)
{
    size_t *at = user;
    (void)err;
    FUZZ_REQUIRE(*at + len <= contents_bytes && memcmp(contents + *at, data, len) == 0);
    *at += len;
    return 0;
}

static int read_back(const uint8_t *data, size_t size, bool known)
{
    struct fuzz_input input = {data, size};
    struct archive_source source = {get, &input, "input"};
    struct archive_head head;
    struct store_error err = {0};
    uint64_t bytes = 0;
    size_t at = 0;
    int rc = archive_read(&source, known ? compare : NULL, &at, &head, &bytes, &err);
    FUZZ_REQUIRE(rc == 0 || err.sentence[0]);
    FUZZ_REQUIRE(rc != 0 || !known || (bytes == contents_bytes && at == contents_bytes));
    return rc;
}

static void write_blocks(struct fuzz_input *input)
{
    struct archive_head head = {.format_version = 1, .taken_ms = 1, .position = fuzz_u64(input)};
    struct archive_writer writer = {.write = put};
    archive_bytes = contents_bytes = 0;
    FUZZ_REQUIRE(archive_begin(&writer, &head, NULL) == 0);
    while (input->left > 0 && contents_bytes < ROOM / 4) {
        struct span block = fuzz_bytes(input, fuzz_u8(input));
        FUZZ_REQUIRE(archive_put(&writer, block.data, block.len, NULL) == 0);
        if (block.len > 0)
            memcpy(contents + contents_bytes, block.data, block.len);
        contents_bytes += block.len;
    }
    FUZZ_REQUIRE(archive_finish(&writer, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    if (fuzz_u8(&input) % 2 == 0) {
        read_back(input.at, input.left, false);
        return 0;
    }
    uint16_t place = fuzz_u16(&input);
    uint8_t change = fuzz_u8(&input);
    write_blocks(&input);
    FUZZ_REQUIRE(read_back(archive, archive_bytes, true) == 0);
    size_t at = place % archive_bytes;
    FUZZ_REQUIRE(read_back(archive, at, true) != 0);
    if (change) {
        archive[at] ^= change;
        FUZZ_REQUIRE(read_back(archive, archive_bytes, true) != 0);
    }
    return 0;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A record of the journal: type (1 byte), body. What decodes must encode to the same bytes.
#include "fuzz.h"
#include "store/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct event event;
    struct store_error err = {0};
    uint8_t type = fuzz_u8(&input);
    if (record_decode(type, input.at, input.left, &event, &err)) {
        FUZZ_REQUIRE(err.code == STORE_EDAMAGED && err.sentence[0]);
        return 0;
    }
    size_t bytes = 0;
    FUZZ_REQUIRE(event.type == type);
    FUZZ_REQUIRE(record_size(&event, &bytes, &err) == 0 && bytes == input.left);
    uint8_t *encoded = malloc(bytes + 1);
    record_encode(&event, encoded);
    FUZZ_REQUIRE(bytes == 0 || memcmp(encoded, input.at, bytes) == 0);
    free(encoded);
    (void)record_promised(&event);
    return 0;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "value_bytes.h"

#include "seeded.h"
#include "values.h"

const char *value_open_unchecked(struct value_reader *reader, enum table table, struct span value)
{
    size_t checksum_bytes = value_checksum_bytes(table);
    if (value.len <= checksum_bytes)
        return "the value is too short";
    *reader = (struct value_reader){value.data, value.len - checksum_bytes, false};
    if (table != TABLE_QUEUE && value_read_u8(reader) != VALUE_VERSION)
        return "written by another version";
    return NULL;
}

const char *value_open(struct value_reader *reader, enum table table, struct span key,
                       struct span value)
{
    size_t checksum_bytes = value_checksum_bytes(table);
    if (value.len <= checksum_bytes)
        return "the value is too short";
    const uint8_t *bytes = value.data;
    size_t len = value.len - checksum_bytes;
    uint64_t checksum = value_checksum(table, key, bytes, len);
    bool same = checksum_bytes == 4 ? (uint32_t)checksum == get_u32(bytes + len)
                                    : checksum == get_u64(bytes + len);
    return same || SEEDED(VALUE_NOT_CHECKED) ? value_open_unchecked(reader, table, value)
                                             : "checksum does not match";
}

const char *value_close(const struct value_reader *reader)
{
    if (reader->failed)
        return "the value ends too early";
    return reader->left > 0 ? "the value has bytes left over" : NULL;
}

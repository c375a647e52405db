// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Packet ids of a session, as the broker counts them: 1 to 65535, and round again.
#ifndef PLUGIN_MID_H
#define PLUGIN_MID_H

#include <stdbool.h>
#include <stdint.h>

// The one that the broker would give next.
static inline uint16_t mid_next(uint16_t mid)
{
    return mid == UINT16_MAX ? 1 : (uint16_t)(mid + 1);
}

// Whether a packet id was given after another: less than half a round lies between them. Any is
// newer than none, 0.
static inline bool mid_is_newer(uint16_t mid, uint16_t than)
{
    return than == 0 || (mid != than && (uint16_t)(mid - than) < 0x8000);
}

#endif

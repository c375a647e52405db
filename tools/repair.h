// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Mending the references of a store into which salvaged events were put: no queue entry and no
// retained topic without its message, no message that nothing names.
#ifndef TOOLS_REPAIR_H
#define TOOLS_REPAIR_H

#include "findings.h"

struct repair_lost {
    uint64_t queued;   // entries whose message is gone
    uint64_t retained; // topics likewise
    uint64_t messages; // whose session or topic is gone
};

// Works on a store opened for writing. Adds a finding for each client and topic that lost
// something.
int repair_references(struct store *store, struct findings *findings, struct repair_lost *ret_lost,
                      struct store_error *err);

#endif

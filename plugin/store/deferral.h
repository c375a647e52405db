// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Whether what the journal holds is applied to the tables now or later. While the broker's thread
// has all it can do, it needs the processor, its caches and the disk more than the tables do, and
// the journal takes in a burst as it is; what has been deleted when the tables come to it costs
// nothing at all. Within limits: of bytes, since they must be read again after a kill, of the
// disk's room, since the journal and what is kept for the tables grow meanwhile, and of time.
#ifndef STORE_DEFERRAL_H
#define STORE_DEFERRAL_H

#include <stdbool.h>
#include <stdint.h>

#define DEFERRAL_LOOK_MS 50u
#define DEFERRAL_MAX_MS 10000u
#define DEFERRAL_MAX_BYTES (256u * 1024u * 1024u)
#define DEFERRAL_MAX_FILES 64u // each takes a descriptor and a mapping
#define DEFERRAL_FREE_SHARE 4u // as many times what is behind must be free

struct deferral {
    uint64_t limit_bytes; // 0: nothing is deferred
    bool runs;
    bool eases; // it ended only because too much is behind: with less of that it goes on
    uint64_t since_ms, looked_ms, looked_cpu_ms;
};

// What a look at the broker's thread finds. `cpu_ms` is the processor time that it has used.
struct deferral_look {
    uint64_t now_ms, cpu_ms;
    uint64_t behind_bytes; // of the journal's files that the tables do not cover
    uint64_t behind_files;
    uint64_t free_bytes; // on the disk
    bool urgent;         // the journal cannot have another file, or the tables no room
};

// Called when it is time to apply, and then each DEFERRAL_LOOK_MS for as long as it returns true.
// The first look of such a row is always followed by another. When it `eases`, it is also called
// between the stretches that are applied; its time goes on.
bool deferral_goes_on(struct deferral *deferral, const struct deferral_look *look);

// It is applied now, for another reason than the end of the deferral.
void deferral_end(struct deferral *deferral);

#endif

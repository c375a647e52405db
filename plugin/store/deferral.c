// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "deferral.h"

// Beyond half of its time the broker's thread would soon feel what is taken from it.
#define BUSY_PERCENT 50u

void deferral_end(struct deferral *deferral)
{
    deferral->runs = false;
    deferral->eases = false;
}

bool deferral_goes_on(struct deferral *deferral, const struct deferral_look *look)
{
    bool first = !deferral->runs && !deferral->eases;
    uint64_t passed_ms = look->now_ms - deferral->looked_ms;
    // Woken early, too little has passed to tell.
    bool tells = !first && passed_ms >= DEFERRAL_LOOK_MS / 2;
    bool idle = tells && (look->cpu_ms - deferral->looked_cpu_ms) * 100 < passed_ms * BUSY_PERCENT;
    if (first)
        deferral->since_ms = look->now_ms;
    if (first || tells) {
        deferral->looked_ms = look->now_ms;
        deferral->looked_cpu_ms = look->cpu_ms;
    }
    bool may = !idle && !look->urgent && look->now_ms - deferral->since_ms < DEFERRAL_MAX_MS;
    bool fits = look->behind_files <= DEFERRAL_MAX_FILES &&
                look->behind_bytes < deferral->limit_bytes &&
                look->behind_bytes < look->free_bytes / DEFERRAL_FREE_SHARE;
    deferral->runs = may && fits;
    deferral->eases = may && !fits && deferral->limit_bytes > 0;
    return deferral->runs;
}

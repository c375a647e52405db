// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The exclusive lock on a store folder: an open-file-description lock on "store.lock", whose text
// says who holds it. The kernel drops it when the process ends, however that ends.
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "os.h"

#define LOCK_NAME "store.lock"
#define LOCK_HOLDER_BYTES 256

struct lock;

// STORE_EHELD names the holder.
int lock_open(struct lock **ret_lock, struct os_dir *dir, const char *holder,
              struct store_error *err);
void lock_close(struct lock *lock); // NULL is fine

// The holder's text of a command line begins so; what that does is soon done, as a rule.
#define LOCK_BRIEF_HOLDER "mosquitto_lmdb"

// As lock_open, but waits up to `wait_ms` while such a one holds it; `waits` is told once, before.
int lock_wait(struct lock **ret_lock, struct os_dir *dir, const char *holder, uint32_t wait_ms,
              void (*waits)(void *user, const char *text), void *user, struct store_error *err);

// A reader, who does not take that lock, opens files that belong together. It has their names to
// share while it does, and who exchanges files has them alone. Waits for the others, some seconds
// at most. STORE_EHELD: that was too short.
int lock_names(struct os_dir *dir, bool alone, struct store_error *err);
void lock_names_end(struct os_dir *dir);

// Who holds it, "" if nobody does. `dst` has LOCK_HOLDER_BYTES.
int lock_holder(struct os_dir *dir, char *dst, struct store_error *err);

#endif

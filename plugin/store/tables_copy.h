// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A consistent, compacted copy of the tables as a stream of bytes: what data.mdb of a fresh store
// with the same contents would hold.
#ifndef STORE_TABLES_COPY_H
#define STORE_TABLES_COPY_H

#include "tables.h"

// Takes the next bytes; non-zero ends the copy and is returned.
typedef int tables_sink_fn(void *user, const void *data, size_t len, struct store_error *err);

// Copies what one read transaction sees. Neither waits for the writer nor makes it wait, also when
// that is another process; pages that it frees meanwhile are only used again afterwards. Any
// thread.
int tables_copy(struct tables *tables, tables_sink_fn *sink, void *user, struct store_error *err);

#endif

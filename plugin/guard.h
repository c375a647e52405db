// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// LMDB 0.9 opens damaged files and may crash in them. While the store is opened and restored, a
// crash becomes one sentence in the log and the end of the process.
#ifndef PLUGIN_GUARD_H
#define PLUGIN_GUARD_H

// Calls fn(user) and returns what it returns. `path` is named in the sentence. The broker's thread;
// the signals are as they were before when it returns.
int guard_call(const char *path, int (*fn)(void *user), void *user);

#endif

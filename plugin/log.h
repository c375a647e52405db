// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Lines in the broker's log, each with "persist-lmdb: " in front.
//
// log_line is for the broker's thread only. What the store's threads have to say waits in a ring
// until the broker's thread calls log_drain: the broker's log is not thread-safe, and a log that
// goes to topics calls the store again.
#ifndef PLUGIN_LOG_H
#define PLUGIN_LOG_H

#include "store/store.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO };

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Any thread; the notice callback of struct store_options, `user` is ignored.
void log_notice(void *user, enum store_notice_level level, const char *sentence);

// Logs what waits. The broker's thread, never from within a call of the store.
void log_drain(void);

#endif

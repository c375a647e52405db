// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What tables hold, as text with a line for each entry: two of them compare with strcmp, and the
// first line that differs says what is wrong.
#ifndef TESTS_TABLES_TEXT_H
#define TESTS_TABLES_TEXT_H

#include "store/tables.h"

// Zero-initialise it; free(bytes) in the end. `bytes` is terminated after the first addition.
struct text {
    char *bytes;
    size_t len;
    size_t capacity;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

// One line each; `user` is a struct text. These are the callbacks of the walks in store.h.
int text_session(void *user, const struct session *session);
int text_subscription(void *user, const struct subscription *subscription);
int text_message(void *user, const struct message *message);
int text_queued(void *user, const struct queued *queued);
int text_retained(void *user, const struct retained *retained);
int text_will(void *user, const struct will *will);

// Everything, in the order of the walks, up to the first failure, which it returns.
int text_of_view(struct text *text, struct store_view *view, struct store_error *err);
// Likewise; aborts the test on any failure.
void text_of_tables(struct text *text, struct tables *tables);

#endif

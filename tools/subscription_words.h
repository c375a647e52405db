// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Subscriptions as rows: for `sub ls` and `session show`.
#ifndef TOOLS_SUBSCRIPTION_WORDS_H
#define TOOLS_SUBSCRIPTION_WORDS_H

#include "list.h"

// `document` as in list_begin_part; with `alone` the list is a document of its own, and names the
// clients.
void subscription_list_begin(struct list *list, const struct context *ctx, void *document,
                             bool alone);
void subscription_list_add(struct list *list, const struct subscription *subscription);

// "no-local retain-as-published retain-if-new": the options byte in words, "" if none is set.
void subscription_add_options(struct text *text, uint8_t options);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// dict ls: the dictionaries, and what they save.
#include "commands.h"
#include "list.h"

static const struct column columns[] = {
    {"id", "ID", COLUMN_NUMBER},
    {"in_use", "IN USE", COLUMN_BOOL},
    {"bytes", "BYTES", COLUMN_BYTES},
    {"trained_time", NULL, COLUMN_NUMBER},
    {NULL, "AGE", COLUMN_DURATION},
    {"samples", "SAMPLES", COLUMN_COUNT},
    {"trial_bytes", NULL, COLUMN_BYTES},
    {"trial_before_bytes", NULL, COLUMN_BYTES},
    {"trial_after_bytes", NULL, COLUMN_BYTES},
    {"messages", "MESSAGES", COLUMN_COUNT},
    {"content_bytes", "CONTENTS", COLUMN_BYTES},
    {"stored_bytes", "STORED", COLUMN_BYTES},
    {"saved_bytes", "SAVED", COLUMN_BYTES},
};

static int on_dictionary(void *user, const struct store_dictionary *dictionary)
{
    struct list *list = user;
    uint64_t content_bytes = dictionary->content_bytes;
    uint64_t stored_bytes = dictionary->stored_bytes;
    if (!list_row(list))
        return 0;
    list_number(list, dictionary->id);
    list_number(list, dictionary->in_use);
    list_number(list, dictionary->bytes);
    list_age(list, dictionary->trained_ms / 1000);
    list_number(list, dictionary->samples);
    list_number(list, dictionary->trial_bytes);
    list_number(list, dictionary->before_bytes);
    list_number(list, dictionary->after_bytes);
    list_number(list, dictionary->messages);
    list_number(list, content_bytes);
    list_number(list, stored_bytes);
    list_number(list, content_bytes > stored_bytes ? content_bytes - stored_bytes : 0);
    return 0;
}

int cmd_dict_ls(struct context *ctx)
{
    struct list list;
    list_begin(&list, ctx, "dictionaries", columns, sizeof(columns) / sizeof(columns[0]));
    int rc = store_each_dictionary(ctx->view, on_dictionary, &list, &ctx->err);
    list_end(&list, "no dictionary");
    return rc ? context_fail(ctx) : STATUS_DONE;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// journal ls: the segments of the journal.
#include "commands.h"
#include "list.h"

static const struct column columns[] = {
    {"number", "SEGMENT", COLUMN_NUMBER}, {"state", "STATE", COLUMN_WORD},
    {"bytes", "BYTES", COLUMN_BYTES},     {"records", "RECORDS", COLUMN_COUNT},
    {"life", "LIFE", COLUMN_NUMBER},      {"created_time", NULL, COLUMN_NUMBER},
    {NULL, "AGE", COLUMN_DURATION},       {"first_position", NULL, COLUMN_ID},
    {"end_position", NULL, COLUMN_ID},
};

static int on_segment(void *user, const struct store_segment *segment)
{
    struct list *list = user;
    if (!list_row(list))
        return 0;
    list_number(list, segment->number);
    list_word(list, segment->state);
    if (segment->state[0] == 'd')
        list_paint(list, "red");
    list_number(list, segment->bytes);
    list_number(list, segment->records);
    list_number(list, segment->life);
    list_age(list, segment->created_ms / 1000);
    list_number(list, segment->first_position);
    list_number(list, segment->end_position);
    return 0;
}

int cmd_journal_ls(struct context *ctx)
{
    struct list list;
    list_begin(&list, ctx, "segments", columns, sizeof(columns) / sizeof(columns[0]));
    int rc = store_each_segment(ctx->store, on_segment, &list, &ctx->err);
    list_end(&list, "no segment");
    return rc ? context_fail(ctx) : STATUS_DONE;
}

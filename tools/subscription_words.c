// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "subscription_words.h"

#include "topic.h"

// MQTT 5 section 3.8.3.1.
#define OPTION_QOS 0x03
#define OPTION_NO_LOCAL 0x04
#define OPTION_RETAIN_AS_PUBLISHED 0x08
#define OPTION_RETAIN_HANDLING_SHIFT 4

static const struct column columns[] = {
    {"client_id", "CLIENT ID", COLUMN_TEXT}, {"topic_filter", "FILTER", COLUMN_TEXT},
    {"qos", "QOS", COLUMN_NUMBER},           {"options", NULL, COLUMN_NUMBER},
    {NULL, "OPTIONS", COLUMN_WORD},          {"identifier", "ID", COLUMN_NUMBER},
    {"share_group", NULL, COLUMN_TEXT},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

void subscription_add_options(struct text *text, uint8_t options)
{
    static const char *const handling[] = {"", "retained-if-new", "no-retained", "invalid"};
    const char *words[] = {
        options & OPTION_NO_LOCAL ? "no-local" : "",
        options & OPTION_RETAIN_AS_PUBLISHED ? "retain-as-published" : "",
        handling[options >> OPTION_RETAIN_HANDLING_SHIFT & 3],
    };
    text_adds(text, "");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i][0])
            text_addf(text, "%s%s", text->len ? " " : "", words[i]);
    }
}

void subscription_list_begin(struct list *list, const struct context *ctx, void *document,
                             bool alone)
{
    if (alone)
        list_begin(list, ctx, "subscriptions", columns, COLUMNS);
    else
        list_begin_part(list, ctx, document, "subscriptions", columns + 1, COLUMNS - 1);
}

void subscription_list_add(struct list *list, const struct subscription *subscription)
{
    struct span group, rest;
    struct text options = {0};
    if (!list_row(list))
        return;
    subscription_add_options(&options, subscription->options);
    if (list->columns == columns)
        list_text(list, subscription->client_id);
    list_text(list, subscription->topic_filter);
    list_number(list, subscription->options & OPTION_QOS);
    list_number(list, subscription->options);
    list_word(list, options.len ? options.data : "-");
    if (subscription->identifier || list->ctx->json)
        list_number(list, subscription->identifier);
    else
        list_nothing(list);
    topic_share_split(subscription->topic_filter, &group, &rest);
    list_text(list, group);
    text_release(&options);
}

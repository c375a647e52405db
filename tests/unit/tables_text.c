// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "tables_text.h"

#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void text_add(struct text *text, const char *format, ...)
{
    va_list args;
    if (text->capacity - text->len < 8192) {
        text->capacity = text->capacity ? text->capacity * 2 : 65536;
        text->bytes = realloc(text->bytes, text->capacity);
        ck_assert_ptr_nonnull(text->bytes);
    }
    va_start(args, format);
    int n = vsnprintf(text->bytes + text->len, text->capacity - text->len, format, args);
    va_end(args);
    // Without a word to the test's framework while all is well: tests that let malloc fail count
    // its allocations as ours.
    if (n >= 8192)
        ck_abort_msg("a line of %d bytes", n);
    text->len += (size_t)n;
}

// Short enough for a line, different for different strings.
static const char *brief(struct span span)
{
    static char buffers[8][48];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    if (!span.data)
        return "-";
    uint32_t sum = 0;
    for (uint32_t i = 0; i < span.len; i++)
        sum = sum * 31 + ((const uint8_t *)span.data)[i];
    uint32_t shown = span.len < 16 ? span.len : 16;
    snprintf(buffer, sizeof(buffers[0]), "'%.*s'/%" PRIu32 "/%08" PRIx32, (int)shown,
             (const char *)span.data, span.len, sum);
    return buffer;
}

int text_session(void *user, const struct session *s)
{
    text_add(user,
             "session %s user=%s auth=%s expires=%" PRId64 " delay=%" PRId64 " changed=%" PRId64
             " interval=%" PRIu32 " will=%" PRIu32 " packet=%" PRIu32 " port=%u qos=%u retain=%d "
             "connected=%d\n",
             brief(s->client_id), brief(s->username), brief(s->auth_method), s->session_expiry_time,
             s->will_delay_time, s->changed_time_ms, s->session_expiry_interval,
             s->will_delay_interval, s->max_packet_size, s->listener_port, s->max_qos,
             s->retain_available, s->connected);
    return 0;
}

int text_subscription(void *user, const struct subscription *s)
{
    text_add(user, "subscription %s to %s id=%" PRIu32 " options=%u\n", brief(s->client_id),
             brief(s->topic_filter), s->identifier, s->options);
    return 0;
}

int text_message(void *user, const struct message *m)
{
    text_add(user,
             "message %" PRIu64 " topic=%s payload=%s properties=%s source=%s user=%s "
             "expires=%" PRId64 " mid=%u port=%u qos=%u retain=%d\n",
             m->store_id, brief(m->topic), brief(m->payload), brief(m->properties),
             brief(m->source_id), brief(m->source_username), m->expiry_time, m->source_mid,
             m->source_port, m->qos, m->retain);
    return 0;
}

int text_queued(void *user, const struct queued *q)
{
    text_add(user,
             "queued %s dir=%u cmsg=%" PRIu64 " store=%" PRIu64 " sub=%" PRIu32 " mid=%u qos=%u "
             "state=%u dup=%u retain=%d\n",
             brief(q->client_id), q->direction, q->cmsg_id, q->store_id, q->subscription_identifier,
             q->mid, q->qos, q->state, q->dup, q->retain);
    return 0;
}

int text_retained(void *user, const struct retained *r)
{
    text_add(user, "retained %s is %" PRIu64 "\n", brief(r->topic), r->store_id);
    return 0;
}

int text_will(void *user, const struct will *w)
{
    text_add(user,
             "will of %s topic=%s payload=%s properties=%s user=%s port=%u qos=%u retain=%d\n",
             brief(w->client_id), brief(w->topic), brief(w->payload), brief(w->properties),
             brief(w->username), w->listener_port, w->qos, w->retain);
    return 0;
}

int text_of_view(struct text *text, struct store_view *view, struct store_error *err)
{
    struct span all = {NULL, 0};
    text->len = 0;
    text_add(text, "%s", "");
    int rc = store_each_session(view, text_session, text, err);
    if (rc == 0)
        rc = store_each_subscription(view, all, text_subscription, text, err);
    if (rc == 0)
        rc = store_each_message(view, text_message, text, err);
    if (rc == 0)
        rc = store_each_queued(view, all, text_queued, text, err);
    if (rc == 0)
        rc = store_each_retained(view, text_retained, text, err);
    if (rc == 0)
        rc = store_each_will(view, text_will, text, err);
    return rc;
}

void text_of_tables(struct text *text, struct tables *tables)
{
    struct store_error err = {0};
    struct store_view *view = NULL;
    int rc = tables_view_open(&view, tables, &err);
    if (rc == 0)
        rc = text_of_view(text, view, &err);
    store_view_close(view);
    ck_assert_msg(rc == 0, "%s", err.sentence);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A frame on the pipe: type (1 byte: a record type, or one of the two below), length (4 bytes),
// body: the event's as in the journal, or a sentence.
#include "salvage.h"

#include "store/bytes.h"
#include "store/record.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAME_HEAD_BYTES 5u
#define FRAME_DAMAGE 254u
#define FRAME_END 255u

struct writer {
    struct context *ctx;
    int fd;
    uint8_t *body;
    size_t body_size;
    bool in_sessions;
    bool broken; // the pipe: whoever reads it must not see an end
};

// ---- writing, in the stage's process ---------------------------------------------------------

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t written = write(fd, at, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return STORE_EIO;
        at += written;
        len -= (size_t)written;
    }
    return 0;
}

static int put_frame(struct writer *writer, uint8_t type, const void *body, size_t len)
{
    uint8_t head[FRAME_HEAD_BYTES] = {type};
    put_u32(head + 1, (uint32_t)len);
    if (writer->broken || write_all(writer->fd, head, sizeof(head)) ||
        write_all(writer->fd, body, len))
        writer->broken = true;
    return writer->broken ? STORE_EIO : 0;
}

static int put_event(struct writer *writer, const struct event *event)
{
    size_t len = 0;
    int rc = record_size(event, &len, &writer->ctx->err);
    // Longer than MQTT allows although its checksum holds: damage as any other.
    if (rc)
        return STORE_EDAMAGED;
    if (len > writer->body_size) {
        writer->body = xrealloc(writer->body, len);
        writer->body_size = len;
    }
    record_encode(event, writer->body);
    return put_frame(writer, (uint8_t)event->type, writer->body, len);
}

static void tell_damage(struct writer *writer, const struct store_error *err)
{
    put_frame(writer, FRAME_DAMAGE, err->sentence, strlen(err->sentence));
}

// The walks over subscriptions and queues meet each damaged session again.
static void on_damage(void *user, const struct store_error *err)
{
    struct writer *writer = user;
    if (writer->in_sessions || strncmp(err->sentence, "sessions:", 9) != 0)
        tell_damage(writer, err);
}

static int on_session(void *user, const struct session *session)
{
    struct event event = {.type = RECORD_SESSION_ADD, .session = *session};
    int rc = put_event(user, &event);
    if (rc || session->connected)
        return rc;
    event = (struct event){.type = RECORD_SESSION_OFFLINE};
    event.connection = (struct connection){.client_id = session->client_id,
                                           .time_ms = session->changed_time_ms,
                                           .session_expiry_time = session->session_expiry_time};
    return put_event(user, &event);
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    return put_event(
        user, &(struct event){.type = RECORD_SUBSCRIPTION_ADD, .subscription = *subscription});
}

static int on_message(void *user, const struct message *message)
{
    return put_event(user, &(struct event){.type = RECORD_MESSAGE_ADD, .message = *message});
}

static int on_queued(void *user, const struct queued *queued)
{
    return put_event(user, &(struct event){.type = RECORD_QUEUE_ADD, .queued = *queued});
}

static int on_retained(void *user, const struct retained *retained)
{
    return put_event(user, &(struct event){.type = RECORD_RETAINED_SET, .retained = *retained});
}

static int on_will(void *user, const struct will *will)
{
    return put_event(user, &(struct event){.type = RECORD_WILL_SET, .will = *will});
}

static int walk_sessions(struct writer *writer)
{
    writer->in_sessions = true;
    return store_each_session(writer->ctx->view, on_session, writer, &writer->ctx->err);
}

static int walk_subscriptions(struct writer *writer)
{
    return store_each_subscription(writer->ctx->view, (struct span){NULL, 0}, on_subscription,
                                   writer, &writer->ctx->err);
}

static int walk_messages(struct writer *writer)
{
    return store_each_message(writer->ctx->view, on_message, writer, &writer->ctx->err);
}

static int walk_queue(struct writer *writer)
{
    return store_each_queued(writer->ctx->view, (struct span){NULL, 0}, on_queued, writer,
                             &writer->ctx->err);
}

static int walk_retained(struct writer *writer)
{
    return store_each_retained(writer->ctx->view, on_retained, writer, &writer->ctx->err);
}

static int walk_wills(struct writer *writer)
{
    return store_each_will(writer->ctx->view, on_will, writer, &writer->ctx->err);
}

// Tells that what the tables do not have yet cannot be read to its end. Of the sentence the part
// behind what is wrong is advice, which led here.
static void tell_journal_damage(struct writer *writer, const char *sentence)
{
    struct store_error err;
    error_set(&err, STORE_EDAMAGED, "%.*s; what LMDB does not have yet is lost from there on",
              (int)strcspn(sentence, ";"), sentence);
    tell_damage(writer, &err);
}

// What came after the tables were written last, up to the first record that cannot be read.
static int walk_journal(struct writer *writer)
{
    struct context *ctx = writer->ctx;
    struct store_stats stats;
    struct store_cursor *cursor = NULL;
    struct event event;
    uint64_t position;
    int rc = store_stats(ctx->store, &stats, &ctx->err);
    if (rc)
        return rc;
    if (stats.journal_damage[0])
        tell_journal_damage(writer, stats.journal_damage);
    rc = store_cursor_open(&cursor, ctx->store, stats.journal_covered, &ctx->err);
    while (rc == 0 && (rc = store_cursor_next(cursor, &event, &position, &ctx->err)) > 0) {
        bool mark = event.type == RECORD_LOOP_MARK || event.type == RECORD_SEGMENT_LINK;
        rc = mark ? 0 : put_event(writer, &event);
    }
    store_cursor_close(cursor);
    return stats.journal_damage[0] ? 0 : rc;
}

static int stage_run(struct context *ctx, int fd, int (*walk)(struct writer *writer))
{
    struct store_options options = {.path = ctx->path, .access = STORE_READ_ONLY};
    struct writer writer = {.ctx = ctx, .fd = fd};
    int rc = store_open(&ctx->store, &options, &ctx->err);
    if (rc == 0)
        rc = store_view_open(&ctx->view, ctx->store, &ctx->err);
    if (rc == 0) {
        store_view_pass_damage(ctx->view, on_damage, &writer);
        rc = walk(&writer);
    }
    if (rc)
        tell_damage(&writer, &ctx->err);
    put_frame(&writer, FRAME_END, "", 0);
    store_view_close(ctx->view);
    store_close(ctx->store, false, NULL);
    ctx->view = NULL;
    ctx->store = NULL;
    free(writer.body);
    return STATUS_DONE;
}

#define STAGE(name)                                      \
    static int stage_##name(struct context *ctx, int fd) \
    {                                                    \
        return stage_run(ctx, fd, walk_##name);          \
    }
STAGE(sessions)
STAGE(subscriptions)
STAGE(messages)
STAGE(queue)
STAGE(retained)
STAGE(wills)
STAGE(journal)
#undef STAGE

const struct salvage_stage salvage_stages[] = {
    {"sessions", stage_sessions}, {"subscriptions", stage_subscriptions},
    {"messages", stage_messages}, {"queue", stage_queue},
    {"retained", stage_retained}, {"wills", stage_wills},
    {"journal", stage_journal},
};
const size_t salvage_stages_count = sizeof(salvage_stages) / sizeof(salvage_stages[0]);

// ---- reading -----------------------------------------------------------------------------------

static bool read_all(int fd, void *data, size_t len)
{
    char *at = data;
    while (len > 0) {
        ssize_t got = read(fd, at, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static void add_damage(struct salvage_reader *reader, size_t len)
{
    struct text what = {0};
    text_add(&what, reader->body, len);
    findings_add_damage(reader->findings, reader->where, what.data, NULL);
    reader->damages++;
    text_release(&what);
}

int salvage_next(struct salvage_reader *reader, struct event *ret_event, struct store_error *err)
{
    uint8_t head[FRAME_HEAD_BYTES];
    for (;;) {
        if (!read_all(reader->fd, head, sizeof(head)))
            break;
        size_t len = get_u32(head + 1);
        if (head[0] == FRAME_END)
            return 0;
        if (len > RECORD_BODY_MAX_BYTES)
            break;
        if (len > reader->body_size) {
            reader->body = xrealloc(reader->body, len);
            reader->body_size = len;
        }
        if (!read_all(reader->fd, reader->body, len))
            break;
        if (head[0] == FRAME_DAMAGE) {
            add_damage(reader, len);
            continue;
        }
        int rc = record_decode(head[0], reader->body, len, ret_event, err);
        return rc ? rc : 1;
    }
    return error_set(err, STORE_EDAMAGED, "reading ended before its end");
}

void salvage_reader_release(struct salvage_reader *reader)
{
    free(reader->body);
    reader->body = NULL;
}

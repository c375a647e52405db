// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "repair.h"

#include "escape.h"
#include "human.h"
#include "id_set.h"

#include <stdlib.h>

struct array {
    void *items;
    size_t count;
    size_t capacity;
};

struct repair {
    struct store_view *view;
    struct findings *findings;
    struct repair_lost *lost;
    struct store_error *err;
    struct id_set named;
    struct array events;   // struct event: what is to be deleted
    struct array strings;  // struct span: copies that the events point to
    struct span client_id; // whose queue the walk is in, one of `strings`
    uint64_t client_lost;
};

static void *array_add(struct array *array, size_t item_bytes)
{
    if (array->count == array->capacity) {
        array->capacity += array->capacity / 2 + 64;
        array->items = xrealloc(array->items, array->capacity * item_bytes);
    }
    return (char *)array->items + array->count++ * item_bytes;
}

static struct span keep_string(struct repair *repair, struct span string)
{
    struct span *copy = array_add(&repair->strings, sizeof(*copy));
    *copy = xspan_copy(string);
    return *copy;
}

static void add_event(struct repair *repair, const struct event *event)
{
    *(struct event *)array_add(&repair->events, sizeof(*event)) = *event;
}

// 1: it is there, 0: it is not.
static int message_is_there(struct repair *repair, uint64_t store_id)
{
    struct message message;
    int rc = store_get_message(repair->view, store_id, &message, repair->err);
    return rc == 0 ? 1 : rc == STORE_ENOTFOUND ? 0 : rc;
}

static void finish_client(struct repair *repair)
{
    struct text what = {0};
    if (repair->client_lost) {
        text_adds(&what, "client ");
        escape_add_quoted(&what, repair->client_id);
        text_adds(&what, ": ");
        human_plural(&what, repair->client_lost, "queued message");
        text_adds(&what, " could not be read");
        findings_add(repair->findings, &(struct finding){SEVERITY_ERROR, "queue", what.data,
                                                         "these queued messages", NULL});
    }
    repair->client_lost = 0;
    text_release(&what);
}

static int on_queued(void *user, const struct queued *queued)
{
    struct repair *repair = user;
    struct event event = {.type = RECORD_QUEUE_DELETE, .queued = *queued};
    int there = message_is_there(repair, queued->store_id);
    if (there < 0)
        return there;
    if (there) {
        id_set_add(&repair->named, queued->store_id);
        return 0;
    }
    if (!repair->client_lost || !span_equal(repair->client_id, queued->client_id)) {
        finish_client(repair);
        repair->client_id = keep_string(repair, queued->client_id);
    }
    repair->client_lost++;
    repair->lost->queued++;
    event.queued.client_id = repair->client_id;
    add_event(repair, &event);
    return 0;
}

static int on_retained(void *user, const struct retained *retained)
{
    struct repair *repair = user;
    struct event event = {.type = RECORD_RETAINED_DELETE, .retained = *retained};
    struct text what = {0};
    int there = message_is_there(repair, retained->store_id);
    if (there < 0)
        return there;
    if (there) {
        id_set_add(&repair->named, retained->store_id);
        return 0;
    }
    event.retained.topic = keep_string(repair, retained->topic);
    add_event(repair, &event);
    repair->lost->retained++;
    text_adds(&what, "topic ");
    escape_add_quoted(&what, retained->topic);
    text_adds(&what, ": its message could not be read");
    findings_add(repair->findings, &(struct finding){SEVERITY_ERROR, "retained", what.data,
                                                     "this retained message", NULL});
    text_release(&what);
    return 0;
}

static int on_message(void *user, const struct message *message)
{
    struct repair *repair = user;
    struct event event = {.type = RECORD_MESSAGE_DELETE,
                          .message = {.store_id = message->store_id}};
    if (!id_set_find(&repair->named, message->store_id)) {
        add_event(repair, &event);
        repair->lost->messages++;
    }
    return 0;
}

static int gather(struct repair *repair)
{
    int rc =
        store_each_queued(repair->view, (struct span){NULL, 0}, on_queued, repair, repair->err);
    finish_client(repair);
    if (rc == 0)
        rc = store_each_retained(repair->view, on_retained, repair, repair->err);
    if (rc == 0)
        rc = store_each_message(repair->view, on_message, repair, repair->err);
    return rc;
}

int repair_references(struct store *store, struct findings *findings, struct repair_lost *ret_lost,
                      struct store_error *err)
{
    struct repair repair = {.findings = findings, .lost = ret_lost, .err = err};
    *ret_lost = (struct repair_lost){0};
    int rc = store_view_open(&repair.view, store, err);
    if (rc == 0)
        rc = gather(&repair);
    store_view_close(repair.view);
    const struct event *events = repair.events.items;
    for (size_t i = 0; rc == 0 && i < repair.events.count; i++) {
        rc = store_append(store, &events[i], err);
        if (rc == STORE_EFULL && (rc = store_flush(store, err)) == 0)
            rc = store_append(store, &events[i], err);
    }
    for (size_t i = 0; i < repair.strings.count; i++)
        xspan_free(((struct span *)repair.strings.items)[i]);
    free(repair.strings.items);
    free(repair.events.items);
    id_set_release(&repair.named);
    return rc;
}

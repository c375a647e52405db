// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "removal.h"

#include <stdlib.h>

// Names a message, and how often: by what goes, and by everything.
struct reference {
    uint64_t store_id;
    uint64_t bytes;
    uint32_t going;
    uint32_t all;
};

struct array {
    void *items;
    size_t count;
    size_t capacity;
};

struct removal {
    struct removal_counts counts;
    struct array sessions;   // struct span: client ids, copies
    struct array owners;     // struct span: client ids of `queued`, copies
    struct array queued;     // struct queued, client_id one of the owners
    struct array retained;   // struct retained, topics are copies
    struct array references; // struct reference; sorted and merged by removal_close
};

static void *array_add(struct array *array, size_t item_bytes, struct store_error *err)
{
    if (array->count == array->capacity) {
        size_t capacity = array->capacity + array->capacity / 2 + 16;
        void *items = realloc(array->items, capacity * item_bytes);
        if (!items) {
            error_set(err, STORE_ENOMEM, "out of memory while gathering what is to be removed");
            return NULL;
        }
        array->items = items;
        array->capacity = capacity;
    }
    return (char *)array->items + array->count++ * item_bytes;
}

static int array_add_copy(struct array *array, struct span string, struct span *ret_copy,
                          struct store_error *err)
{
    void *bytes = malloc(string.len ? string.len : 1);
    struct span *item = bytes ? array_add(array, sizeof(*item), err) : NULL;
    if (!item) {
        free(bytes);
        return error_set(err, STORE_ENOMEM, "out of memory while gathering what is to be removed");
    }
    if (string.len)
        memcpy(bytes, string.data, string.len);
    *item = (struct span){bytes, string.len};
    *ret_copy = *item;
    return 0;
}

static void span_free(struct span span)
{
    free((void *)(uintptr_t)span.data);
}

int removal_new(struct removal **ret_removal, struct store_error *err)
{
    struct removal *removal = calloc(1, sizeof(*removal));
    if (!removal)
        return error_set(err, STORE_ENOMEM, "out of memory");
    *ret_removal = removal;
    return 0;
}

void removal_free(struct removal *removal)
{
    if (!removal)
        return;
    for (size_t i = 0; i < removal->sessions.count; i++)
        span_free(((struct span *)removal->sessions.items)[i]);
    for (size_t i = 0; i < removal->owners.count; i++)
        span_free(((struct span *)removal->owners.items)[i]);
    for (size_t i = 0; i < removal->retained.count; i++)
        span_free(((struct retained *)removal->retained.items)[i].topic);
    free(removal->sessions.items);
    free(removal->owners.items);
    free(removal->queued.items);
    free(removal->retained.items);
    free(removal->references.items);
    free(removal);
}

static int reference_add(struct removal *removal, uint64_t store_id, uint64_t bytes,
                         struct store_error *err)
{
    struct reference *reference = array_add(&removal->references, sizeof(*reference), err);
    if (!reference)
        return STORE_ENOMEM;
    *reference = (struct reference){.store_id = store_id, .bytes = bytes, .going = 1};
    return 0;
}

// *ret_there says whether the store has the message.
static int message_look(struct store_view *view, uint64_t store_id, struct message *ret_message,
                        bool *ret_there, struct store_error *err)
{
    struct store_error own = {0};
    int rc = store_get_message(view, store_id, ret_message, &own);
    *ret_there = rc == 0;
    if (rc == 0 || rc == STORE_ENOTFOUND)
        return 0;
    return error_pass(err, rc, &own);
}

// ---- sessions ------------------------------------------------------------------------------

struct session_walk {
    struct removal *removal;
    struct store_view *view;
    struct store_error *err;
};

static int count_subscription(void *user, const struct subscription *subscription)
{
    struct session_walk *walk = user;
    (void)subscription;
    walk->removal->counts.subscriptions++;
    return 0;
}

static int count_queued(void *user, const struct queued *queued)
{
    struct session_walk *walk = user;
    struct message message = {0};
    bool there;
    uint64_t store_id = queued->store_id;
    int rc = message_look(walk->view, store_id, &message, &there, walk->err);
    if (rc)
        return rc;
    walk->removal->counts.queued++;
    walk->removal->counts.queued_bytes += there ? message.payload.len : 0;
    return there ? reference_add(walk->removal, store_id, message.payload.len, walk->err) : 0;
}

int removal_add_session(struct removal *removal, struct store_view *view, struct span client_id,
                        struct store_error *err)
{
    struct session_walk walk = {removal, view, err};
    struct session session;
    struct will will;
    struct store_error own = {0};
    struct span copy;
    const struct span *sessions = removal->sessions.items;
    for (size_t i = 0; i < removal->sessions.count; i++) {
        if (span_equal(sessions[i], client_id))
            return 0;
    }
    int rc = store_get_session(view, client_id, &session, err);
    if (rc == 0)
        rc = array_add_copy(&removal->sessions, client_id, &copy, err);
    if (rc == 0)
        rc = store_each_subscription(view, client_id, count_subscription, &walk, err);
    if (rc == 0)
        rc = store_each_queued(view, client_id, count_queued, &walk, err);
    if (rc)
        return rc;
    removal->counts.sessions++;
    rc = store_get_will(view, client_id, &will, &own);
    if (rc == 0)
        removal->counts.wills++;
    if (rc && rc != STORE_ENOTFOUND && err)
        *err = own;
    return rc == STORE_ENOTFOUND ? 0 : rc;
}

// ---- queues --------------------------------------------------------------------------------

struct queue_walk {
    struct removal *removal;
    struct store_view *view;
    struct span owner;
    removal_queued_fn *wants;
    void *user;
    struct store_error *err;
};

static bool queued_may_go(const struct queued *queued)
{
    return queued->direction == QUEUE_OUT && queued->state != QUEUE_STATE_WAIT_FOR_PUBCOMP &&
           queued->state != QUEUE_STATE_RESEND_PUBREL;
}

static int gather_queued(void *user, const struct queued *queued)
{
    struct queue_walk *walk = user;
    struct message message = {0};
    bool there;
    struct queued entry = *queued;
    entry.client_id = walk->owner;
    if (!queued_may_go(&entry))
        return 0;
    int rc = message_look(walk->view, entry.store_id, &message, &there, walk->err);
    if (rc)
        return rc;
    if (!walk->wants(walk->user, &entry, there ? &message : NULL))
        return 0;
    struct queued *kept = array_add(&walk->removal->queued, sizeof(*kept), walk->err);
    if (!kept)
        return STORE_ENOMEM;
    *kept = entry;
    return 0;
}

int removal_add_queued(struct removal *removal, struct store_view *view, struct span client_id,
                       removal_queued_fn *wants, void *user, uint64_t keep, struct store_error *err)
{
    struct queue_walk walk = {removal, view, {NULL, 0}, wants, user, err};
    size_t before = removal->queued.count;
    int rc = array_add_copy(&removal->owners, client_id, &walk.owner, err);
    if (rc == 0)
        rc = store_each_queued(view, client_id, gather_queued, &walk, err);
    if (rc)
        return rc;
    size_t found = removal->queued.count - before;
    removal->queued.count -= keep < found ? (size_t)keep : found;

    const struct queued *queued = removal->queued.items;
    for (size_t i = before; rc == 0 && i < removal->queued.count; i++) {
        struct message message = {0};
        bool there = false;
        rc = message_look(view, queued[i].store_id, &message, &there, err);
        if (rc)
            return rc;
        removal->counts.queued++;
        removal->counts.queued_bytes += there ? message.payload.len : 0;
        if (there)
            rc = reference_add(removal, queued[i].store_id, message.payload.len, err);
    }
    return rc;
}

// ---- retained messages ---------------------------------------------------------------------

int removal_add_retained(struct removal *removal, struct store_view *view,
                         const struct retained *retained, struct store_error *err)
{
    struct message message = {0};
    bool there;
    struct retained copy = *retained;
    struct array one = {0};
    int rc = array_add_copy(&one, retained->topic, &copy.topic, err);
    free(one.items);
    if (rc)
        return rc;
    struct retained *kept = array_add(&removal->retained, sizeof(*kept), err);
    if (!kept) {
        span_free(copy.topic);
        return STORE_ENOMEM;
    }
    *kept = copy;
    rc = message_look(view, copy.store_id, &message, &there, err);
    if (rc)
        return rc;
    removal->counts.retained++;
    removal->counts.retained_bytes += there ? message.payload.len : 0;
    return there ? reference_add(removal, copy.store_id, message.payload.len, err) : 0;
}

// ---- messages ------------------------------------------------------------------------------

static int by_store_id(const void *a, const void *b)
{
    const struct reference *x = a, *y = b;
    return (x->store_id > y->store_id) - (x->store_id < y->store_id);
}

static void references_merge(struct array *references)
{
    struct reference *items = references->items;
    size_t used = 0;
    if (references->count)
        qsort(items, references->count, sizeof(*items), by_store_id);
    for (size_t i = 0; i < references->count; i++) {
        if (used && items[used - 1].store_id == items[i].store_id)
            items[used - 1].going++;
        else
            items[used++] = items[i];
    }
    references->count = used;
}

static void reference_see(struct removal *removal, uint64_t store_id)
{
    struct reference wanted = {.store_id = store_id};
    struct reference *found = removal->references.count
                                  ? bsearch(&wanted, removal->references.items,
                                            removal->references.count, sizeof(wanted), by_store_id)
                                  : NULL;
    if (found)
        found->all++;
}

static int see_queued(void *user, const struct queued *queued)
{
    reference_see(user, queued->store_id);
    return 0;
}

static int see_retained(void *user, const struct retained *retained)
{
    reference_see(user, retained->store_id);
    return 0;
}

int removal_close(struct removal *removal, struct store_view *view, struct store_error *err)
{
    references_merge(&removal->references);
    if (removal->references.count == 0)
        return 0;
    int rc = store_each_queued(view, (struct span){NULL, 0}, see_queued, removal, err);
    if (rc == 0)
        rc = store_each_retained(view, see_retained, removal, err);
    const struct reference *references = removal->references.items;
    for (size_t i = 0; rc == 0 && i < removal->references.count; i++) {
        if (references[i].going != references[i].all)
            continue;
        removal->counts.messages++;
        removal->counts.message_bytes += references[i].bytes;
    }
    return rc;
}

const struct removal_counts *removal_counts(const struct removal *removal)
{
    return &removal->counts;
}

// A journal at its limit takes more once the tables have what it holds.
static int append(struct store *store, const struct event *event, struct store_error *err)
{
    int rc = store_append(store, event, err);
    if (rc == STORE_EFULL) {
        rc = store_flush(store, err);
        if (rc == 0)
            rc = store_append(store, event, err);
    }
    return rc;
}

int removal_apply(struct removal *removal, struct store *store, struct store_error *err)
{
    const struct span *sessions = removal->sessions.items;
    const struct queued *queued = removal->queued.items;
    const struct retained *retained = removal->retained.items;
    const struct reference *references = removal->references.items;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < removal->queued.count; i++)
        rc = append(store, &(struct event){.type = RECORD_QUEUE_DELETE, .queued = queued[i]}, err);
    for (size_t i = 0; rc == 0 && i < removal->sessions.count; i++)
        rc = append(store,
                    &(struct event){.type = RECORD_SESSION_DELETE,
                                    .connection = {.client_id = sessions[i]}},
                    err);
    for (size_t i = 0; rc == 0 && i < removal->retained.count; i++)
        rc = append(store, &(struct event){.type = RECORD_RETAINED_DELETE, .retained = retained[i]},
                    err);
    // Last, so that whatever cuts this short leaves no entry without its message.
    for (size_t i = 0; rc == 0 && i < removal->references.count; i++) {
        if (references[i].going == references[i].all)
            rc = append(store,
                        &(struct event){.type = RECORD_MESSAGE_DELETE,
                                        .message = {.store_id = references[i].store_id}},
                        err);
    }
    return rc;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// verify: every value of the tables, read and decoded; every reference, in both directions.
#include "escape.h"
#include "human.h"
#include "id_set.h"
#include "progress.h"
#include "store/properties_wire.h"
#include "store/values.h"
#include "verify.h"

#include <inttypes.h>

static const char restore_help[] = "keep a copy of the folder; restore a backup, or see repair";

struct walk {
    struct context *ctx;
    struct verify *verify;
    const char *where;
    struct id_set named; // store_ids of queue and retained
    struct progress progress;
};

void verify_add_error(struct context *ctx, struct verify *verify, const char *where,
                      const char *lost)
{
    // Of an unsafe file the sentence says what to do.
    bool unsafe = ctx->err.code == STORE_EUNSAFE;
    findings_add(&verify->findings, &(struct finding){SEVERITY_ERROR, where, ctx->err.sentence,
                                                      lost, unsafe ? NULL : restore_help});
}

// The walks over subscriptions and queues meet each damaged session again.
static void on_damage(void *user, const struct store_error *err)
{
    struct walk *walk = user;
    bool of_session = strncmp(err->sentence, "sessions:", 9) == 0;
    if (of_session && strcmp(walk->where, "sessions") != 0)
        return;
    findings_add_damage(&walk->verify->findings, walk->where, err->sentence, restore_help);
}

static void walk_begin(struct walk *walk, struct context *ctx, struct verify *verify,
                       const char *where, uint64_t total)
{
    *walk = (struct walk){.ctx = ctx, .verify = verify, .where = where};
    progress_begin(&walk->progress, ctx, where, total);
    store_view_pass_damage(ctx->view, on_damage, walk);
}

static void walk_end(struct walk *walk, int rc)
{
    progress_end(&walk->progress);
    if (rc)
        verify_add_error(walk->ctx, walk->verify, walk->where,
                         "this entry; those behind it in the table were not looked at");
}

// ---- values --------------------------------------------------------------------------------

static int on_session(void *user, const struct session *session)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    walk->verify->counts->sessions++;
    walk->verify->counts->connected += session->connected;
    return 0;
}

void verify_sessions(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "sessions", ctx->stats.sessions);
    walk_end(&walk, store_each_session(ctx->view, on_session, &walk, &ctx->err));
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    (void)subscription;
    walk->verify->counts->subscriptions++;
    return 0;
}

void verify_subscriptions(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "subscriptions", ctx->stats.subscriptions);
    walk_end(&walk, store_each_subscription(ctx->view, (struct span){NULL, 0}, on_subscription,
                                            &walk, &ctx->err));
}

static void check_properties(struct walk *walk, const char *where, struct span bytes, uint64_t id)
{
    struct property property;
    struct store_error err = {0};
    uint32_t offset = 0;
    int rc;
    while ((rc = property_next(bytes, &offset, &property, &err)) > 0)
        continue;
    if (rc == 0)
        return;
    struct text what = {0};
    text_addf(&what, "%" PRIu64 ": %s", id, err.sentence);
    findings_add(&walk->verify->findings,
                 &(struct finding){SEVERITY_ERROR, where, what.data,
                                   "the properties of this message", restore_help});
    text_release(&what);
}

static int on_message(void *user, const struct message *message)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    walk->verify->counts->messages++;
    walk->verify->counts->payload_bytes += message->payload.len;
    walk->verify->counts->content_bytes += value_content_bytes(message);
    check_properties(walk, "messages", message->properties, message->store_id);
    return 0;
}

void verify_messages(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "messages", ctx->stats.messages);
    walk_end(&walk, store_each_message(ctx->view, on_message, &walk, &ctx->err));
}

static int on_queued(void *user, const struct queued *queued)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    walk->verify->counts->queued++;
    if (queue_state_name(queued->state))
        return 0;
    struct text what = {0};
    text_addf(&what, "an entry for message %" PRIu64 " has the unknown state %u", queued->store_id,
              queued->state);
    findings_add(&walk->verify->findings, &(struct finding){SEVERITY_ERROR, "queue", what.data,
                                                            "this queued message", restore_help});
    text_release(&what);
    return 0;
}

void verify_queue(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "queue", ctx->stats.queued);
    walk_end(&walk,
             store_each_queued(ctx->view, (struct span){NULL, 0}, on_queued, &walk, &ctx->err));
}

static int on_retained(void *user, const struct retained *retained)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    (void)retained;
    walk->verify->counts->retained++;
    return 0;
}

void verify_retained(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "retained", ctx->stats.retained);
    walk_end(&walk, store_each_retained(ctx->view, on_retained, &walk, &ctx->err));
}

static int on_will(void *user, const struct will *will)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    check_properties(walk, "wills", will->properties, walk->verify->counts->wills);
    walk->verify->counts->wills++;
    return 0;
}

void verify_wills(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "wills", ctx->stats.wills);
    walk_end(&walk, store_each_will(ctx->view, on_will, &walk, &ctx->err));
}

static int on_dictionary(void *user, const struct store_dictionary *dictionary)
{
    struct walk *walk = user;
    (void)dictionary;
    progress_step(&walk->progress);
    walk->verify->counts->dictionaries++;
    return 0;
}

void verify_dictionaries(struct context *ctx, struct verify *verify)
{
    struct walk walk;
    walk_begin(&walk, ctx, verify, "dictionaries", ctx->stats.dictionaries);
    walk_end(&walk, store_each_dictionary(ctx->view, on_dictionary, &walk, &ctx->err));
}

// ---- references ----------------------------------------------------------------------------

static int queued_named(void *user, const struct queued *queued)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    id_set_add(&walk->named, queued->store_id);
    return 0;
}

static int retained_named(void *user, const struct retained *retained)
{
    struct walk *walk = user;
    progress_step(&walk->progress);
    id_set_add(&walk->named, retained->store_id);
    return 0;
}

// Strikes a message off the ids that are named; what is left has no message.
static int message_named(void *user, const struct message *message)
{
    struct walk *walk = user;
    struct id_entry *entry = id_set_find(&walk->named, message->store_id);
    progress_step(&walk->progress);
    if (entry) {
        entry->found = true;
    } else {
        walk->verify->counts->orphans++;
        walk->verify->counts->orphan_bytes += message->payload.len;
    }
    return 0;
}

static int queued_has_message(void *user, const struct queued *queued)
{
    struct walk *walk = user;
    struct text what = {0};
    if (id_set_find(&walk->named, queued->store_id)->found)
        return 0;
    text_adds(&what, "client ");
    escape_add_quoted(&what, queued->client_id);
    text_addf(&what, ": an entry names message %" PRIu64 ", which is not there", queued->store_id);
    findings_add(&walk->verify->findings, &(struct finding){SEVERITY_ERROR, "queue", what.data,
                                                            "this queued message", restore_help});
    text_release(&what);
    return 0;
}

static int retained_has_message(void *user, const struct retained *retained)
{
    struct walk *walk = user;
    struct text what = {0};
    if (id_set_find(&walk->named, retained->store_id)->found)
        return 0;
    text_adds(&what, "topic ");
    escape_add_quoted(&what, retained->topic);
    text_addf(&what, " names message %" PRIu64 ", which is not there", retained->store_id);
    findings_add(&walk->verify->findings, &(struct finding){SEVERITY_ERROR, "retained", what.data,
                                                            "this retained message", restore_help});
    text_release(&what);
    return 0;
}

void verify_references(struct context *ctx, struct verify *verify)
{
    const struct span all = {NULL, 0};
    const struct store_stats *stats = &ctx->stats;
    struct walk walk = {.ctx = ctx, .verify = verify};
    progress_begin(&walk.progress, ctx, "references",
                   stats->queued + stats->retained + stats->messages);
    // Damage that ends one of these walks was reported by the stage of its table.
    if (store_each_queued(ctx->view, all, queued_named, &walk, &ctx->err) == 0 &&
        store_each_retained(ctx->view, retained_named, &walk, &ctx->err) == 0 &&
        store_each_message(ctx->view, message_named, &walk, &ctx->err) == 0) {
        store_each_queued(ctx->view, all, queued_has_message, &walk, &ctx->err);
        store_each_retained(ctx->view, retained_has_message, &walk, &ctx->err);
    }
    progress_end(&walk.progress);
    id_set_release(&walk.named);
    if (verify->counts->orphans) {
        struct text what = {0};
        human_plural(&what, verify->counts->orphans, "message");
        text_adds(&what, " (");
        human_bytes(&what, verify->counts->orphan_bytes);
        text_adds(&what, ") that no queue and no retained topic names, as a crash may leave them");
        findings_add(&verify->findings, &(struct finding){SEVERITY_NOTE, "messages", what.data,
                                                          NULL, "the broker removes them"});
        text_release(&what);
    }
}

// ---- totals --------------------------------------------------------------------------------

// What the tables say of themselves beside their entries, whose number each walk has held against
// LMDB's.
void verify_totals(struct context *ctx, struct verify *verify)
{
    const struct store_stats *stats = &ctx->stats;
    const struct verify_counts *counts = verify->counts;
    struct text what = {0};
    if (counts->messages != stats->messages || counts->content_bytes == stats->content_bytes)
        return;
    text_addf(&what, "messages have %" PRIu64 " bytes, and the tables say %" PRIu64,
              counts->content_bytes, stats->content_bytes);
    findings_add(&verify->findings,
                 &(struct finding){SEVERITY_ERROR, "meta", what.data, NULL, restore_help});
    text_release(&what);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "life.h"

#include "clock.h"
#include "guard.h"
#include "log.h"
#include "plugin.h"
#include "restore.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define BROKER_NODE_IDS 512u // of 1024: a message's number must not look negative to anybody
#define LOCK_WAIT_MS 30000u  // systemd gives a start 90 s
#define LONG_AGO_S INT64_C(0x7fffffff) // 68 years

// ---- open ----------------------------------------------------------------------------------

struct opening {
    struct plugin *plugin;
    struct store_error *err;
};

static int open_guarded(void *user)
{
    struct opening *opening = user;
    struct store_options options = {.access = STORE_READ_WRITE,
                                    .create = true,
                                    .must_own = true,
                                    .holder = "mosquitto",
                                    .lock_wait_ms = LOCK_WAIT_MS,
                                    .notice = log_notice};
    options_for_store(&opening->plugin->options, &options);
    return store_open(&opening->plugin->store, &options, opening->err);
}

static void open_say(const struct plugin *plugin)
{
    const struct store_recovery *recovery = store_recovery(plugin->store);
    struct store_stats stats;
    struct store_error err = {0};
    log_line(LOG_LEVEL_INFO, "version %s, format %d, %s", PROJECT_VERSION, STORE_FORMAT_VERSION,
             store_library_versions());
    if (store_stats(plugin->store, &stats, &err) == 0)
        log_line(LOG_LEVEL_INFO, "store %s in %s, life %" PRIu64, stats.store_id,
                 plugin->options.path, stats.life);
    if (recovery->created)
        log_line(LOG_LEVEL_NOTICE, "a new store was made in %s", plugin->options.path);
    else if (!recovery->clean)
        log_line(LOG_LEVEL_NOTICE,
                 "the broker had not been stopped cleanly: %" PRIu64
                 " events were recovered from the journal",
                 recovery->records);
    else
        log_line(LOG_LEVEL_INFO, "the broker had been stopped cleanly: nothing to recover");
}

// The broker numbers messages by the clock, and begins afresh with every start. A clock that was
// set back, as that of a device without a battery, would give the number of a stored message a
// second time: the broker then closes the publisher's connection, or, if that message waits for
// room in a queue, takes the new one for it. Its node id is the upper part of every number.
static void ids_keep_apart(const struct plugin *plugin)
{
    uint64_t life = store_cmsg_id(plugin->store, 0) >> STORE_CMSG_LIFE_SHIFT;
    mosquitto_broker_node_id_set((uint16_t)(life % BROKER_NODE_IDS));
}

int life_open(struct plugin *plugin, struct store_error *err)
{
    struct opening opening = {plugin, err};
    int rc = guard_call(plugin->options.path, open_guarded, &opening);
    log_drain();
    if (rc == 0) {
        ids_keep_apart(plugin);
        open_say(plugin);
    }
    return rc;
}

// ---- restore -------------------------------------------------------------------------------

struct restoring {
    struct plugin *plugin;
    struct restore_counts counts;
    struct store_error err;
};

static int restore_guarded(void *user)
{
    struct restoring *restoring = user;
    return restore_run(restoring->plugin, &restoring->counts, &restoring->err);
}

static void restore_say(const struct restore_counts *counts, int64_t ms)
{
    log_line(LOG_LEVEL_INFO,
             "restored %" PRIu64 " sessions (%" PRIu64 " had been connected), %" PRIu64
             " subscriptions, %" PRIu64 " messages, %" PRIu64 " queued, %" PRIu64
             " retained, %" PRIu64 " wills due, in %" PRId64 " ms",
             counts->sessions, counts->sessions_connected, counts->subscriptions, counts->messages,
             counts->queued, counts->retained, counts->wills, ms);
    if (counts->queued_waiting)
        log_line(LOG_LEVEL_NOTICE,
                 "%" PRIu64 " of the queued messages have no room in the broker's queues "
                 "(max_queued_messages) until their clients connect; they are kept",
                 counts->queued_waiting);
    if (counts->queued_without_message)
        log_line(LOG_LEVEL_WARNING,
                 "%" PRIu64 " queue entries were forgotten, for the broker had let go of their "
                 "messages; it does so with what is queued for a bridge that it makes anew",
                 counts->queued_without_message);
    if (counts->queued_qos0_dropped)
        log_line(LOG_LEVEL_NOTICE,
                 "%" PRIu64 " queued messages of QoS 0 were dropped: the broker has no room for "
                 "them, or queue_qos0_messages is off",
                 counts->queued_qos0_dropped);
}

static _Noreturn void restore_fails(struct plugin *plugin, const struct store_error *err)
{
    log_line(LOG_LEVEL_ERROR, "restore: %s; the broker does not start with less", err->sentence);
    wills_release(&plugin->wills);
    store_close(plugin->store, false, NULL);
    exit(EXIT_FAILURE);
}

static int wills_guarded(void *user)
{
    struct restoring *restoring = user;
    return wills_publish(restoring->plugin, &restoring->err);
}

static void wills_finish(struct plugin *plugin)
{
    struct restoring restoring = {.plugin = plugin};
    int rc = guard_call(plugin->options.path, wills_guarded, &restoring);
    log_drain();
    if (rc)
        restore_fails(plugin, &restoring.err);
}

int life_restore(int event, void *event_data, void *userdata)
{
    struct plugin *plugin = userdata;
    struct restoring restoring = {.plugin = plugin};
    int64_t begin_ms = clock_steady_ms();
    (void)event;
    (void)event_data;
    plugin->restoring = true;
    int rc = guard_call(plugin->options.path, restore_guarded, &restoring);
    plugin->restoring = false;
    log_drain();
    if (rc)
        restore_fails(plugin, &restoring.err);
    plugin->restored = true;
    restore_say(&restoring.counts, clock_steady_ms() - begin_ms);
    return MOSQ_ERR_SUCCESS;
}

// ---- each pass of the loop -----------------------------------------------------------------

// A callback that asks for no time is called on each pass, but by the time of day: when that is set
// back, the broker calls nobody until it is again as late as it was. The broker takes the two times
// that a callback asks for as they are: so the one asks for a past that no clock is set back to,
// and the sum of both is how long the broker may sleep, 0 for as long as it likes. Where `long` is
// too narrow for that, nothing is asked for.
static void tick_again(struct mosquitto_evt_tick *tick, uint32_t wake_ms)
{
    if (LONG_MAX > INT32_MAX) {
        tick->next_s = -(time_t)LONG_AGO_S;
        tick->next_ms = (long)(LONG_AGO_S * 1000 + wake_ms);
    }
}

int life_tick(int event, void *event_data, void *userdata)
{
    struct plugin *plugin = userdata;
    (void)event;
    if (!plugin->restored) {
        log_line(LOG_LEVEL_ERROR, "the broker has asked for no restore, so it stores nothing: with "
                                  "per_listener_settings the plugin must be loaded with "
                                  "global_plugin; the broker ends");
        plugin_die();
    }
    log_drain();
    append_tick(plugin);
    deletions_tick(plugin);
    incoming_tick(&plugin->incoming);
    if (plugin->wills.walk)
        wills_finish(plugin);
    admission_tick(plugin);
    pubrel_tick(plugin);
    backlog_fill(plugin);
    will_delays_tick(plugin);
    plugin->wake_ms = store_tick(plugin->store);
    tick_again(event_data, 0);
    return MOSQ_ERR_SUCCESS;
}

// The store wants to be called again soon. What one callback asks for is forgotten on every pass
// without it, hence one of its own; where it cannot ask, the mark that the store would write waits
// for the next pass, and no promise rests on it.
int life_wake(int event, void *event_data, void *userdata)
{
    const struct plugin *plugin = userdata;
    (void)event;
    tick_again(event_data, plugin->wake_ms);
    return MOSQ_ERR_SUCCESS;
}

// ---- reload --------------------------------------------------------------------------------

struct reloading {
    unsigned changed;
    unsigned fixed;
};

static void on_change(void *user, const char *key, const char *from, const char *to,
                      bool changeable)
{
    struct reloading *reloading = user;
    if (changeable) {
        reloading->changed++;
        log_line(LOG_LEVEL_NOTICE, "plugin_opt_%s is now %s, was %s", key, to, from);
    } else {
        reloading->fixed++;
        log_line(LOG_LEVEL_WARNING,
                 "plugin_opt_%s cannot change while the broker runs: it stays %s until a restart",
                 key, from);
    }
}

// A reload that fails would end the broker: the callback says what is wrong and returns success.
int life_reload(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_reload *reload = event_data;
    struct plugin *plugin = userdata;
    struct options options = plugin->configured;
    struct store_error err = {0};
    struct reloading reloading = {0};
    int rc = 0;
    (void)event;

    // Mosquitto 2.1 hands over no options here, and does not read them again.
    if (reload->option_count > 0) {
        options_init(&options);
        for (int i = 0; rc == 0 && i < reload->option_count; i++)
            rc = options_set(&options, "reload", reload->options[i].key, reload->options[i].value,
                             &err);
    } else if (!options.options_file[0]) {
        log_line(LOG_LEVEL_INFO, "a reload changes nothing: the broker hands over no options, and "
                                 "plugin_opt_options_file is not set");
        return MOSQ_ERR_SUCCESS;
    }
    if (rc == 0 && options.options_file[0])
        rc = options_read_file(&options, options.options_file, &err);
    if (rc == 0)
        rc = options_check(&options, &err);
    if (rc) {
        log_line(LOG_LEVEL_ERROR, "the options stay as they are: %s", err.sentence);
        return MOSQ_ERR_SUCCESS;
    }
    if (!options.path[0])
        memcpy(options.path, plugin->options.path, sizeof(options.path));
    options_compare(&plugin->options, &options, on_change, &reloading);
    if (!reloading.changed && !reloading.fixed)
        log_line(LOG_LEVEL_INFO, "the options were read again; none has changed");
    options_take_changeable(&plugin->options, &options);
    if (reloading.changed) {
        struct store_options store_options = {0};
        options_for_store(&plugin->options, &store_options);
        store_reconfigure(plugin->store, &store_options);
    }
    return MOSQ_ERR_SUCCESS;
}

// ---- close ---------------------------------------------------------------------------------

// A clean stop tells the store that no will is owed. The broker sends them all before it stops; but
// if it ends before the first pass of its loop, they are still in the store, and must stay there.
void life_close(struct plugin *plugin)
{
    struct store_error err = {0};
    bool owed = !plugin->restored || plugin->wills.walk;
    append_settle(plugin);
    wills_release(&plugin->wills);
    int rc = store_close(plugin->store, !owed, &err);
    plugin->store = NULL;
    log_drain();
    if (rc)
        log_line(LOG_LEVEL_ERROR, "the store was not closed cleanly: %s", err.sentence);
}

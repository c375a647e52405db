// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// check: the store for a monitoring system, in its format and with its exit statuses.
#include "child.h"
#include "commands.h"
#include "escape.h"
#include "human.h"
#include "json.h"
#include "open.h"
#include "queue_totals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

// Of the plugins of Nagios and its kin.
enum nagios_status { NAGIOS_OK = 0, NAGIOS_WARNING = 1, NAGIOS_CRITICAL = 2, NAGIOS_UNKNOWN = 3 };

struct readings {
    struct context *ctx;
    struct span client_id; // of the queue that is being counted
    uint64_t queue;
    bool leads; // it is the longest, and longest_client its client
    uint64_t longest_queue;
    struct text longest_client; // escaped
    int64_t oldest_s;
    uint64_t free_bytes;
};

// What is measured: name for both formats, unit, help, the option with its limits.
struct metric {
    const char *name;
    const char *unit; // Nagios: "", "s" or "B"
    const char *help;
    enum option_id limits; // OPT_END: none
    bool least;            // the limits are lower ones
};

enum metric_id {
    METRIC_SESSIONS,
    METRIC_CONNECTED,
    METRIC_QUEUED,
    METRIC_LONGEST_QUEUE,
    METRIC_OLDEST,
    METRIC_RETAINED,
    METRIC_BYTES,
    METRIC_FREE,
    METRIC_LAG_RECORDS,
    METRIC_LAG,
    METRIC_COUNT
};

static const struct metric metrics[] = {
    [METRIC_SESSIONS] = {"sessions", "", "Sessions in the store", OPT_END, false},
    [METRIC_CONNECTED] = {"sessions_connected", "", "Sessions with a connection", OPT_END, false},
    [METRIC_QUEUED] = {"queued_messages", "", "Messages in all queues", OPT_END, false},
    [METRIC_LONGEST_QUEUE] = {"longest_queue_messages", "", "Messages in the longest queue",
                              OPT_MAX_QUEUE, false},
    [METRIC_OLDEST] = {"oldest_message_age_seconds", "s", "Age of the oldest queued message",
                       OPT_MAX_AGE, false},
    [METRIC_RETAINED] = {"retained_messages", "", "Retained messages", OPT_END, false},
    [METRIC_BYTES] = {"store_bytes", "B", "Size of the store's files", OPT_MAX_BYTES, false},
    [METRIC_FREE] = {"free_bytes", "B", "Free space on the store's file system", OPT_MIN_FREE,
                     true},
    [METRIC_LAG_RECORDS] = {"behind_records", "", "Journal records that are not in LMDB yet",
                            OPT_END, false},
    [METRIC_LAG] = {"behind_seconds", "s", "Age of the oldest record that is not in LMDB yet",
                    OPT_MAX_LAG, false},
};

static int on_queued(void *user, const struct queued *queued)
{
    struct readings *readings = user;
    int64_t time_s = message_time_s(queued->store_id);
    if (!readings->client_id.data || !span_equal(readings->client_id, queued->client_id)) {
        xspan_free(readings->client_id);
        readings->client_id = xspan_copy(queued->client_id);
        readings->queue = 0;
        readings->leads = false;
    }
    if (++readings->queue > readings->longest_queue) {
        readings->longest_queue = readings->queue;
        if (!readings->leads) {
            text_clear(&readings->longest_client);
            escape_add(&readings->longest_client, queued->client_id);
        }
        readings->leads = true;
    }
    if (time_s && (!readings->oldest_s || time_s < readings->oldest_s))
        readings->oldest_s = time_s;
    return 0;
}

static int readings_take(struct readings *readings)
{
    struct context *ctx = readings->ctx;
    struct statvfs fs;
    if (statvfs(ctx->path, &fs) != 0)
        return error_set_errno(&ctx->err, errno, "%s: cannot ask how much room there is",
                               ctx->path);
    readings->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return store_each_queued(ctx->view, (struct span){NULL, 0}, on_queued, readings, &ctx->err);
}

// In the unit of the format: seconds, bytes, counts.
static void values_fill(const struct readings *readings, uint64_t values[METRIC_COUNT])
{
    const struct store_stats *stats = &readings->ctx->stats;
    int64_t age_s = context_now_s() - readings->oldest_s;
    values[METRIC_SESSIONS] = stats->sessions;
    values[METRIC_CONNECTED] = stats->sessions_connected;
    values[METRIC_QUEUED] = stats->queued;
    values[METRIC_LONGEST_QUEUE] = readings->longest_queue;
    values[METRIC_OLDEST] = readings->oldest_s && age_s > 0 ? (uint64_t)age_s : 0;
    values[METRIC_RETAINED] = stats->retained;
    values[METRIC_BYTES] = stats->lmdb_file_bytes + stats->journal_bytes;
    values[METRIC_FREE] = readings->free_bytes;
    values[METRIC_LAG_RECORDS] = stats->behind_records;
    values[METRIC_LAG] = stats->behind_ms / 1000;
}

static void limits_of(const struct context *ctx, const struct metric *metric, uint64_t *ret_warning,
                      uint64_t *ret_critical)
{
    const struct option_value *value = &ctx->args->values[metric->limits];
    uint64_t divisor = option_get(metric->limits)->choices[0] == 'd' ? 1000 : 1;
    *ret_warning = value->number / divisor;
    if (value->has_second)
        *ret_critical = value->second / divisor;
    else
        *ret_critical = metric->least ? 0 : UINT64_MAX;
}

static enum nagios_status metric_judge(const struct context *ctx, enum metric_id id, uint64_t value)
{
    const struct metric *metric = &metrics[id];
    uint64_t warning, critical;
    if (metric->limits == OPT_END || !context_given(ctx, metric->limits))
        return NAGIOS_OK;
    limits_of(ctx, metric, &warning, &critical);
    if (metric->least ? value < critical : value > critical)
        return NAGIOS_CRITICAL;
    return (metric->least ? value < warning : value > warning) ? NAGIOS_WARNING : NAGIOS_OK;
}

static void add_performance(struct text *line, const struct context *ctx, enum metric_id id,
                            uint64_t value)
{
    const struct metric *metric = &metrics[id];
    uint64_t warning, critical;
    text_addf(line, " %s=%" PRIu64 "%s", metric->name, value, metric->unit);
    if (metric->limits == OPT_END || !context_given(ctx, metric->limits))
        return;
    limits_of(ctx, metric, &warning, &critical);
    const char *least = metric->least ? ":" : "";
    text_addf(line, ";%" PRIu64 "%s", warning, least);
    if (ctx->args->values[metric->limits].has_second)
        text_addf(line, ";%" PRIu64 "%s", critical, least);
}

static const char *const nagios_names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

// The worst of all; the reasons, apart by commas, for what is not OK.
static enum nagios_status judge(const struct readings *readings,
                                const uint64_t values[METRIC_COUNT], struct text *reasons)
{
    enum nagios_status worst = NAGIOS_OK;
    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        enum nagios_status status = metric_judge(readings->ctx, (enum metric_id)id, values[id]);
        if (status == NAGIOS_OK)
            continue;
        text_addf(reasons, "%s%s is %" PRIu64 "%s", reasons->len ? ", " : "", metrics[id].name,
                  values[id], metrics[id].unit);
        if (id == METRIC_LONGEST_QUEUE)
            text_addf(reasons, " (%s)", readings->longest_client.data);
        worst = status > worst ? status : worst;
    }
    return worst;
}

static int print_nagios(const struct readings *readings, const uint64_t values[METRIC_COUNT])
{
    struct text line = {0}, reasons = {0};
    enum nagios_status worst = judge(readings, values, &reasons);
    text_addf(&line, "STORE %s - ", nagios_names[worst]);
    if (worst == NAGIOS_OK) {
        human_plural(&line, values[METRIC_SESSIONS], "session");
        text_adds(&line, ", ");
        human_count(&line, values[METRIC_QUEUED]);
        text_adds(&line, " queued");
    } else {
        text_adds(&line, reasons.data);
    }
    // A bar begins the measurements.
    for (char *bar = line.data; (bar = strchr(bar, '|'));)
        *bar = '/';
    text_adds(&line, " |");
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        add_performance(&line, readings->ctx, (enum metric_id)id, values[id]);
    printf("%s\n", line.data);
    text_release(&line);
    text_release(&reasons);
    return (int)worst;
}

static int print_json(const struct readings *readings, const uint64_t values[METRIC_COUNT])
{
    struct text reasons = {0};
    cJSON *document = json_document();
    enum nagios_status worst = judge(readings, values, &reasons);
    json_add_string(document, "status", nagios_names[worst]);
    json_add_string(document, "reasons", reasons.data);
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        json_add_number(document, metrics[id].name, values[id]);
    json_print(document);
    text_release(&reasons);
    return (int)worst;
}

static void print_gauge(const char *name, const char *help, uint64_t value)
{
    printf("# HELP mosquitto_lmdb_%s %s\n# TYPE mosquitto_lmdb_%s gauge\nmosquitto_lmdb_%s %" PRIu64
           "\n",
           name, help, name, name, value);
}

static void print_prometheus(const uint64_t values[METRIC_COUNT])
{
    print_gauge("up", "Whether the store could be read", 1);
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        print_gauge(metrics[id].name, metrics[id].help, values[id]);
}

static bool is_prometheus(const struct context *ctx)
{
    return strcmp(context_text(ctx, OPT_FORMAT, "nagios"), "prometheus") == 0;
}

// A store that cannot be read: damage is critical, all else unknown.
static int answer_failure(const struct context *ctx, bool damaged, const char *why)
{
    if (is_prometheus(ctx)) {
        print_gauge("up", "Whether the store could be read", 0);
        context_refuse(STATUS_ERROR, "%s", why);
        return damaged ? STATUS_FOUND : STATUS_ERROR;
    }
    enum nagios_status status = damaged ? NAGIOS_CRITICAL : NAGIOS_UNKNOWN;
    if (ctx->json) {
        cJSON *document = json_document();
        json_add_string(document, "status", nagios_names[status]);
        json_add_string(document, "reasons", why);
        json_print(document);
    } else {
        printf("STORE %s - %s\n", nagios_names[status], why);
    }
    return (int)status;
}

static int work(struct context *ctx)
{
    struct readings readings = {.ctx = ctx};
    uint64_t values[METRIC_COUNT];
    int status = open_for_reading(ctx, true);
    int rc = status ? ctx->err.code : readings_take(&readings);
    // With --read-only the store opens all the same; no broker would start on it.
    if (rc == 0 && ctx->stats.journal_damage[0])
        rc = error_set(&ctx->err, STORE_EDAMAGED, "%s", ctx->stats.journal_damage);
    // Damage too: it may be a writer's doing.
    int confirmed = ctx->store ? store_read_confirm(ctx->store, &ctx->err) : 0;
    rc = confirmed ? confirmed : rc;
    open_close(ctx);
    if (rc) {
        status = answer_failure(ctx, rc == STORE_EDAMAGED, ctx->err.sentence);
    } else {
        values_fill(&readings, values);
        if (is_prometheus(ctx))
            print_prometheus(values);
        else if (ctx->json)
            status = print_json(&readings, values);
        else
            status = print_nagios(&readings, values);
    }
    xspan_free(readings.client_id);
    text_release(&readings.longest_client);
    return status;
}

static int limits_check(const struct context *ctx)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        const struct metric *metric = &metrics[id];
        uint64_t warning, critical;
        if (metric->limits == OPT_END || !context_given(ctx, metric->limits))
            continue;
        limits_of(ctx, metric, &warning, &critical);
        if (metric->least ? warning < critical : warning > critical)
            return context_refuse(
                STATUS_USAGE, "--%s: the second limit, of CRITICAL, must be %s the first",
                option_get(metric->limits)->name, metric->least ? "below" : "above");
    }
    return STATUS_DONE;
}

int cmd_check(struct context *ctx)
{
    int signal_number = 0;
    if (limits_check(ctx))
        return STATUS_USAGE;
    int status = child_probe(ctx, work, &signal_number);
    if (signal_number && child_disturbed(ctx)) {
        status = answer_failure(ctx, false, ctx->err.sentence);
    } else if (signal_number) {
        struct text why = {0};
        child_explain(&why, ctx, signal_number);
        status = answer_failure(ctx, true, why.data);
        text_release(&why);
    }
    return status;
}

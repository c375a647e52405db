// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// mqtt_load: puts one workload on an MQTT broker on 127.0.0.1 and writes what it saw as JSON.
#include "load.h"
#include "load_error.h"
#include "load_report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

// ---- options

enum option_type { OPTION_NUMBER, OPTION_PAYLOAD, OPTION_STRING };

struct option_row {
    const char *name;
    enum option_type type;
    size_t offset; // in struct load_options
    size_t size;   // of a number
    uint64_t min;
    uint64_t max;
    const char *help;
};

#define AT(member) offsetof(struct load_options, member), sizeof(((struct load_options *)0)->member)
static const struct option_row option_rows[] = {
    {"port", OPTION_NUMBER, AT(port), 1, 65535, "port of the broker on 127.0.0.1"},
    {"mqtt", OPTION_NUMBER, AT(version), 4, 5, "4: MQTT 3.1.1, 5: MQTT 5"},
    {"qos", OPTION_NUMBER, AT(qos), 0, 2, "quality of service"},
    {"publishers", OPTION_NUMBER, AT(publishers), 1, 999, "connections that publish"},
    {"window", OPTION_NUMBER, AT(window), 1, 65535, "messages in flight of a publisher"},
    {"lead", OPTION_NUMBER, AT(lead), 0, UINT32_MAX,
     "messages that a publisher may be ahead of its online subscriber, 0: any"},
    {"topics", OPTION_NUMBER, AT(topics), 1, 1000000, "topics of a publisher"},
    {"sessions", OPTION_NUMBER, AT(sessions), 0, 10000000,
     "sessions to make (fanout, sessions) or to drain (0: one for each publisher)"},
    {"parallel", OPTION_NUMBER, AT(parallel), 1, 10000, "sessions made at a time"},
    {"count", OPTION_NUMBER, AT(count), 0, UINT32_MAX, "messages of a publisher"},
    {"rate", OPTION_NUMBER, AT(rate), 0, 10000000, "messages a second of a publisher (steady)"},
    {"seconds", OPTION_NUMBER, AT(seconds), 1, 1000000, "length of a paced run (steady)"},
    {"payload", OPTION_PAYLOAD, AT(payload), 0, 0, "json, sparkplug, number or image"},
    {"image-bytes", OPTION_NUMBER, AT(image_bytes), 0, 268000000, "size of an image payload"},
    {"broker-pid", OPTION_NUMBER, AT(broker_pid), 0, INT32_MAX, "report this process's use"},
    {"timeout", OPTION_NUMBER, AT(timeout_s), 1, 1000000, "seconds until it gives up"},
    {"since-ns", OPTION_NUMBER, AT(since_ns), 0, UINT64_MAX,
     "when the broker was started, in ns of CLOCK_MONOTONIC (wait)"},
    {"acked-file", OPTION_STRING, AT(acked_file), 0, 0,
     "where acknowledged messages are listed; drain reads it and says which were lost"},
    {"client-name", OPTION_STRING, AT(client_name), 0, 0, "prefix of the client ids"},
};
#undef AT
#define OPTION_ROWS (sizeof option_rows / sizeof option_rows[0])

static const struct load_options option_defaults = {
    .port = 1883,
    .version = MQTT_V311,
    .qos = 1,
    .publishers = 4,
    .window = 50,
    .lead = 1000,
    .topics = 100,
    .parallel = 64,
    .count = 25000,
    .seconds = 10,
    .timeout_s = 3600,
    .client_name = "bench",
};

static const struct {
    const char *name;
    workload_fn *function;
    const char *help;
} workloads[] = {
#define WORKLOAD_ROW(name, function, help) {name, function, help},
    WORKLOADS(WORKLOAD_ROW)
#undef WORKLOAD_ROW
};
#define WORKLOAD_COUNT (sizeof workloads / sizeof workloads[0])

static void help_print(void)
{
    puts("Usage: mqtt_load WORKLOAD [--OPTION VALUE]...\n\nWorkloads:");
    for (size_t i = 0; i < WORKLOAD_COUNT; i++)
        printf("  %-12s %s\n", workloads[i].name, workloads[i].help);
    puts("\nOptions:");
    for (size_t i = 0; i < OPTION_ROWS; i++)
        printf("  --%-12s %s\n", option_rows[i].name, option_rows[i].help);
}

static void number_store(void *member, size_t size, uint64_t value)
{
    uint8_t v8 = (uint8_t)value;
    uint16_t v16 = (uint16_t)value;
    uint32_t v32 = (uint32_t)value;
    const void *from = size == 1   ? (const void *)&v8
                       : size == 2 ? (const void *)&v16
                       : size == 4 ? (const void *)&v32
                                   : (const void *)&value;
    memcpy(member, from, size);
}

static void option_set(struct load_options *options, const struct option_row *row, const char *text)
{
    uint8_t *member = (uint8_t *)options + row->offset;
    char *end;
    if (row->type == OPTION_STRING) {
        memcpy(member, &text, sizeof text);
        return;
    }
    if (row->type == OPTION_PAYLOAD) {
        int kind = payload_kind_from_name(text);
        if (kind < 0)
            load_die("--payload %s: not json, sparkplug, number or image", text);
        options->payload = (enum payload_kind)kind;
        return;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value < row->min || value > row->max)
        load_die("--%s %s: not a number from %llu to %llu", row->name, text,
                 (unsigned long long)row->min, (unsigned long long)row->max);
    number_store(member, row->size, value);
}

static void options_parse(struct load_options *options, int argc, char **argv)
{
    *options = option_defaults;
    for (int i = 0; i < argc; i += 2) {
        const struct option_row *row = NULL;
        for (size_t k = 0; k < OPTION_ROWS && strncmp(argv[i], "--", 2) == 0; k++)
            if (strcmp(argv[i] + 2, option_rows[k].name) == 0)
                row = &option_rows[k];
        if (!row)
            load_die("%s: no such option; mqtt_load --help lists them", argv[i]);
        if (i + 1 == argc)
            load_die("%s needs a value", argv[i]);
        option_set(options, row, argv[i + 1]);
    }
    if (options->rate)
        options->count = (uint64_t)options->rate * options->seconds;
}

// ---- the run

void run_begin(struct load_run *run)
{
    broker_usage_reset_peak(run->options->broker_pid);
    broker_usage_read(run->options->broker_pid, &run->usage_begin);
    run->begin_ns = clock_ns();
}

void run_end(struct load_run *run)
{
    run->end_ns = clock_ns();
    broker_usage_read(run->options->broker_pid, &run->usage_end);
}

void run_loop(struct load_run *run, const char *waited_for)
{
    uint64_t begin_ns = run->begin_ns ? run->begin_ns : clock_ns();
    if (!loop_run(&run->loop, begin_ns + run->options->timeout_s * (uint64_t)1000000000))
        load_die("gave up waiting for %s after %u s", waited_for, run->options->timeout_s);
}

static void acked_write(const struct load_run *run)
{
    const char *path = run->options->acked_file;
    FILE *out = fopen(path, "w");
    if (!out)
        load_die("%s: %s", path, strerror(errno));
    for (uint32_t i = 0; i < run->options->publishers; i++)
        seqset_write(&run->acked[i], i, out);
    if (fclose(out) != 0)
        load_die("%s: %s", path, strerror(errno));
}

static struct load_run the_run;

// The broker may be killed while it is under load: what was acknowledged until then is still
// written.
static void acked_write_at_exit(void)
{
    acked_write(&the_run);
}

int main(int argc, char **argv)
{
    static struct load_options options;
    workload_fn *function = NULL;
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        help_print();
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < WORKLOAD_COUNT; i++)
        if (strcmp(argv[1], workloads[i].name) == 0)
            function = workloads[i].function;
    if (!function)
        load_die("%s: no such workload; mqtt_load --help lists them", argv[1]);
    options_parse(&options, argc - 2, argv + 2);
    signal(SIGPIPE, SIG_IGN);
    the_run.options = &options;
    the_run.received_set = load_calloc(options.publishers, sizeof(struct seqset));
    the_run.acked = load_calloc(options.publishers, sizeof(struct seqset));
    if (options.acked_file && function != workload_drain && atexit(acked_write_at_exit) != 0)
        load_die("atexit failed");
    loop_open(&the_run.loop);
    function(&the_run);
    loop_close(&the_run.loop);
    load_report_write(&the_run, argv[1], stdout);
    for (uint32_t i = 0; i < options.publishers; i++)
        seqset_release(&the_run.received_set[i]);
    if (!options.acked_file)
        for (uint32_t i = 0; i < options.publishers; i++)
            seqset_release(&the_run.acked[i]);
    free(the_run.by_second);
    return 0;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "load_report.h"

#include <inttypes.h>

static void times_write(FILE *out, const char *name, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double percent;
    } points[] = {{"p50_us", 50}, {"p99_us", 99}, {"p999_us", 99.9}};
    fprintf(out, ",\n  \"%s\": {\"count\": %" PRIu64, name, histogram->total);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        fprintf(out, ", \"%s\": %.1f", points[i].name,
                (double)histogram_percentile(histogram, points[i].percent) / 1e3);
    fprintf(out, ", \"max_us\": %.1f, \"mean_us\": %.1f}", (double)histogram->max / 1e3,
            histogram_mean(histogram) / 1e3);
}

// Time of the machine that went neither to the broker nor to us: others who spoil the figures.
static double foreign_cpu_s(const struct load_run *run)
{
    const struct broker_usage *begin = &run->usage_begin;
    const struct broker_usage *end = &run->usage_end;
    double busy = (double)(end->machine_busy_ns - begin->machine_busy_ns);
    double known =
        (double)(end->cpu_ns - begin->cpu_ns) + (double)(end->own_cpu_ns - begin->own_cpu_ns);
    return busy > known ? (busy - known) / 1e9 : 0;
}

static void usage_write(FILE *out, const struct load_run *run)
{
    const struct broker_usage *begin = &run->usage_begin;
    const struct broker_usage *end = &run->usage_end;
    fprintf(out, ",\n  \"broker\": {\"main_cpu_s\": %.6f, \"cpu_s\": %.6f",
            (double)(end->main_cpu_ns - begin->main_cpu_ns) / 1e9,
            (double)(end->cpu_ns - begin->cpu_ns) / 1e9);
    fprintf(out, ", \"foreign_cpu_s\": %.6f, \"own_cpu_s\": %.6f", foreign_cpu_s(run),
            (double)(end->own_cpu_ns - begin->own_cpu_ns) / 1e9);
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {
        {"rss_peak_kib", end->rss_peak_kib},
        {"rss_kib", end->rss_kib},
        {"rss_anonymous_kib", end->rss_anonymous_kib},
        {"write_bytes", end->write_bytes - begin->write_bytes},
        {"write_chars", end->write_chars - begin->write_chars},
        {"write_calls", end->write_calls - begin->write_calls},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        fprintf(out, ", \"%s\": %" PRIu64, values[i].name, values[i].value);
    fputc('}', out);
}

static void seconds_write(FILE *out, const struct load_run *run)
{
    uint32_t count = run->second_count;
    uint64_t backlog = 0;
    while (count > 0 && run->by_second[count - 1].published == 0 &&
           run->by_second[count - 1].received == 0)
        count--;
    fputs(",\n  \"seconds_series\": [", out);
    for (uint32_t i = 0; i < count; i++) {
        const struct load_second *second = &run->by_second[i];
        backlog += second->published;
        backlog -= second->received < backlog ? second->received : backlog;
        fprintf(out,
                "%s\n    {\"published\": %" PRIu64 ", \"received\": %" PRIu64
                ", \"queued\": %" PRIu64 ", \"ack_max_us\": %.1f}",
                i ? "," : "", second->published, second->received, backlog,
                (double)second->ack_max_ns / 1e3);
    }
    fputs("]", out);
}

void load_report_write(const struct load_run *run, const char *workload, FILE *out)
{
    const struct load_options *options = run->options;
    double seconds = (double)(run->end_ns - run->begin_ns) / 1e9;
    fprintf(out, "{\"workload\": \"%s\", \"payload\": \"%s\", \"seconds\": %.6f", workload,
            payload_kind_name(options->payload), seconds);
    fprintf(out, ",\n  \"begin_ns\": %" PRIu64 ", \"end_ns\": %" PRIu64, run->begin_ns,
            run->end_ns);
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {
        {"published", run->published}, {"acknowledged", run->acknowledged},
        {"refused", run->refused},     {"received", run->received},
        {"missing", run->missing},     {"repeated", run->repeated},
        {"damaged", run->damaged},     {"retained", run->retained},
        {"lost", run->lost},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        fprintf(out, ",%s\"%s\": %" PRIu64, i ? " " : "\n  ", values[i].name, values[i].value);
    times_write(out, "ack", &run->ack);
    times_write(out, "delivery", &run->delivery);
    if (options->broker_pid)
        usage_write(out, run);
    if (run->by_second)
        seconds_write(out, run);
    fputs("\n}\n", out);
}

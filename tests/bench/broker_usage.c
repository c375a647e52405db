// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "broker_usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static FILE *proc_open(int32_t pid, const char *name, const char *mode)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%" PRId32 "/%s", pid, name);
    return fopen(path, mode);
}

// Reads lines "KEY: NUMBER" into the members of a table.
struct proc_field {
    const char *key;
    uint64_t *value;
};

static void fields_read(int32_t pid, const char *file, const struct proc_field *fields,
                        size_t count)
{
    char line[256];
    FILE *in = proc_open(pid, file, "r");
    if (!in)
        return;
    while (fgets(line, sizeof line, in)) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = '\0';
        for (size_t i = 0; i < count; i++)
            if (strcmp(line, fields[i].key) == 0)
                (void)sscanf(colon + 1, "%" SCNu64, fields[i].value);
    }
    fclose(in);
}

// A thread's own time is in nanoseconds in schedstat where the kernel keeps it, else in ticks in
// stat.
static uint64_t main_thread_ns(int32_t pid)
{
    char name[64];
    char text[1024];
    uint64_t ns = 0;
    snprintf(name, sizeof name, "task/%" PRId32 "/schedstat", pid);
    FILE *in = proc_open(pid, name, "r");
    if (in) {
        int got = fscanf(in, "%" SCNu64, &ns);
        fclose(in);
        if (got == 1 && ns > 0)
            return ns;
    }
    snprintf(name, sizeof name, "task/%" PRId32 "/stat", pid);
    in = proc_open(pid, name, "r");
    if (!in)
        return 0;
    char *end = fgets(text, sizeof text, in) ? strrchr(text, ')') : NULL;
    fclose(in);
    uint64_t user = 0, system = 0;
    if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                       &user, &system) != 2)
        return 0;
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t process_ns(int32_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

// The first line of /proc/stat: ticks as user, nice, system, idle, waiting, interrupts, stolen.
static uint64_t machine_busy_ns(void)
{
    uint64_t ticks[8] = {0};
    FILE *in = fopen("/proc/stat", "r");
    if (!in)
        return 0;
    int got = fscanf(in,
                     "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                     " %" SCNu64 " %" SCNu64,
                     &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
                     &ticks[7]);
    fclose(in);
    if (got != 8)
        return 0;
    uint64_t busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
    return busy * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

void broker_usage_read(int32_t pid, struct broker_usage *ret_usage)
{
    struct timespec own;
    memset(ret_usage, 0, sizeof *ret_usage);
    ret_usage->machine_busy_ns = machine_busy_ns();
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) == 0)
        ret_usage->own_cpu_ns = (uint64_t)own.tv_sec * 1000000000u + (uint64_t)own.tv_nsec;
    if (pid == 0)
        return;
    const struct proc_field memory[] = {
        {"VmHWM", &ret_usage->rss_peak_kib},
        {"VmRSS", &ret_usage->rss_kib},
        {"RssAnon", &ret_usage->rss_anonymous_kib},
    };
    const struct proc_field disk[] = {
        {"write_bytes", &ret_usage->write_bytes},
        {"wchar", &ret_usage->write_chars},
        {"syscw", &ret_usage->write_calls},
    };
    ret_usage->main_cpu_ns = main_thread_ns(pid);
    ret_usage->cpu_ns = process_ns(pid);
    fields_read(pid, "status", memory, sizeof memory / sizeof memory[0]);
    fields_read(pid, "io", disk, sizeof disk / sizeof disk[0]);
}

void broker_usage_reset_peak(int32_t pid)
{
    if (pid == 0)
        return;
    FILE *out = proc_open(pid, "clear_refs", "w");
    if (!out)
        return;
    fputs("5\n", out);
    fclose(out);
}

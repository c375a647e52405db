// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the disk allows: a bare loop that appends a record to a file that was filled with zeros
// before, and makes each durable. `sync always` cannot be faster.
#include "histogram.h"
#include "load_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_BYTES 300
#define BLOCK_BYTES 65536

static void fill(int fd, const char *path, size_t bytes)
{
    static const char zeros[BLOCK_BYTES];
    for (size_t at = 0; at < bytes; at += BLOCK_BYTES)
        if (pwrite(fd, zeros, BLOCK_BYTES, (off_t)at) != BLOCK_BYTES)
            load_die("%s: %s", path, strerror(errno));
    if (fsync(fd) != 0)
        load_die("%s: %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
    static struct histogram times;
    char record[RECORD_BYTES];
    char *end = NULL;
    unsigned long count = argc == 3 ? strtoul(argv[2], &end, 10) : 0;
    if (count == 0 || *end) {
        fputs("Usage: disk_baseline FILE COUNT\n", stderr);
        return 2;
    }
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        load_die("%s: %s", argv[1], strerror(errno));
    memset(record, 'x', sizeof record);
    fill(fd, argv[1], count * RECORD_BYTES);
    uint64_t begin_ns = clock_ns();
    for (unsigned long i = 0; i < count; i++) {
        uint64_t before_ns = clock_ns();
        if (pwrite(fd, record, sizeof record, (off_t)(i * RECORD_BYTES)) != RECORD_BYTES ||
            fdatasync(fd) != 0)
            load_die("%s: %s", argv[1], strerror(errno));
        histogram_add(&times, clock_ns() - before_ns);
    }
    double seconds = (double)(clock_ns() - begin_ns) / 1e9;
    close(fd);
    unlink(argv[1]);
    printf("{\"appends_per_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (double)count / seconds, (double)histogram_percentile(&times, 50) / 1e3,
           (double)histogram_percentile(&times, 99) / 1e3);
    return 0;
}

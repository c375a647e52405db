// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "load_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void load_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mqtt_load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *load_calloc(uint64_t count, uint64_t size)
{
    if (count == 0)
        count = 1;
    void *memory = size && count > SIZE_MAX / size ? NULL : calloc((size_t)count, (size_t)size);
    if (!memory)
        load_die("out of memory");
    return memory;
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

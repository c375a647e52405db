// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// For libraries to preload: calls counted over a process and its children.
#ifndef TESTS_SHARED_COUNT_H
#define TESTS_SHARED_COUNT_H

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_long *calls; // shared with children
static pid_t parent;

__attribute__((constructor)) static void count_begin(void)
{
    void *shared =
        mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    parent = getpid();
    calls = shared;
}

// CALLS_TO names a file for the number of all calls.
__attribute__((destructor)) static void count_end(void)
{
    const char *path = getenv("CALLS_TO");
    if (path && getpid() == parent) {
        FILE *file = fopen(path, "w");
        if (!file || fprintf(file, "%ld\n", *calls) < 0 || fclose(file) != 0)
            abort();
    }
}

static bool is_now(const char *variable, long call)
{
    const char *at = getenv(variable);
    return at && strtol(at, NULL, 10) == call;
}

// The function of this name that was to be called. The header's declarations may have attributes
// that these definitions need not repeat.
#define PRELOADED(type, name, parameters) \
    type name parameters;                 \
    __attribute__((visibility("default"))) type name parameters

#define REAL(type, name, parameters) \
    union {                          \
        void *object;                \
        type(*function) parameters;  \
    } real = {dlsym(RTLD_NEXT, #name)}

#endif

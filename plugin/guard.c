// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "guard.h"

#include "log.h"
#include "plugin.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#define STACK_BYTES 65536 // a damaged tree can be endlessly deep, and eat the normal one

// Bad addresses, a file that is too short, an assertion of LMDB, a page size of 0.
static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static sigjmp_buf escape;
static pthread_t guarded;
static volatile sig_atomic_t may_escape;

// The guarded thread goes back to where it can log. A thread of the store, or a fault while
// logging, leaves only standard error.
static void on_fault(int number)
{
    static const char sentence[] = "persist-lmdb: reading the store crashed: it is damaged\n";
    (void)number;
    if (may_escape && pthread_equal(pthread_self(), guarded)) {
        may_escape = 0;
        siglongjmp(escape, 1);
    }
    ssize_t written = write(STDERR_FILENO, sentence, sizeof(sentence) - 1);
    (void)written;
    _exit(1);
}

int guard_call(const char *path, int (*fn)(void *user), void *user)
{
    static char stack[STACK_BYTES];
    stack_t ours = {.ss_sp = stack, .ss_size = sizeof(stack)}, stack_before;
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    struct sigaction before[SIGNALS];
    int rc;

    sigemptyset(&action.sa_mask);
    sigaltstack(&ours, &stack_before);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, &before[i]);
    guarded = pthread_self();

    if (sigsetjmp(escape, 1)) {
        log_line(LOG_LEVEL_ERROR,
                 "the store %s is damaged: reading it crashed; restore a backup, or see "
                 "mosquitto_lmdb repair",
                 path);
        plugin_die();
    }
    may_escape = 1;
    rc = fn(user);
    may_escape = 0;

    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
    sigaltstack(&stack_before, NULL);
    return rc;
}

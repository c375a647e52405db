// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t pending;

static void on_signal(int signal_number)
{
    pending = signal_number;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_pending(void)
{
    return pending != 0;
}

void interrupt_pass_on(pid_t child)
{
    if (pending)
        kill(child, pending);
}

bool interrupt_shut(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    return pending == 0;
}

void interrupt_die(void)
{
    if (!pending)
        return;
    signal(pending, SIG_DFL);
    raise(pending);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "progress.h"

#include "human.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 1000u
#define EVERY_MS 100u
#define STEPS_BETWEEN_CLOCKS 256u

static uint64_t monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const struct context *ctx, const char *what,
                    uint64_t total)
{
    bool forced = context_given(ctx, OPT_PROGRESS);
    // Beside rows that stream to the same terminal it would only be in the way.
    bool beside = ctx->args->verb->flags & VERB_STREAMS && isatty(STDOUT_FILENO);
    *progress = (struct progress){
        .what = what,
        .total = total,
        .terminal = isatty(STDERR_FILENO),
    };
    progress->active = forced || (progress->terminal && !beside);
    if (progress->active)
        progress->next_ms = monotonic_ms() + (forced ? 0 : FIRST_MS);
}

static void show(struct progress *progress)
{
    struct text line = {0};
    text_addf(&line, "%s: ", progress->what);
    human_count(&line, progress->done);
    if (progress->total) {
        text_adds(&line, " of ");
        human_count(&line, progress->total);
        text_addf(&line, " (%u %%)",
                  (unsigned)(100.0 * (double)progress->done / (double)progress->total));
    }
    fprintf(stderr, progress->terminal ? "\r%s\033[K" : "%s\n", line.data);
    fflush(stderr);
    progress->shown = true;
    text_release(&line);
}

void progress_step(struct progress *progress)
{
    progress->done++;
    if (!progress->active || progress->done % STEPS_BETWEEN_CLOCKS != 0)
        return;
    uint64_t now_ms = monotonic_ms();
    if (now_ms < progress->next_ms)
        return;
    progress->next_ms = now_ms + EVERY_MS;
    show(progress);
}

void progress_end(struct progress *progress)
{
    if (progress->active && !progress->terminal)
        show(progress);
    else if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->active = false;
}

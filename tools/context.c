// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "context.h"

#include "help.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

bool context_given(const struct context *ctx, enum option_id id)
{
    return ctx->args->values[id].given;
}

uint64_t context_number(const struct context *ctx, enum option_id id, uint64_t otherwise)
{
    const struct option_value *value = &ctx->args->values[id];
    return value->given ? value->number : otherwise;
}

const char *context_text(const struct context *ctx, enum option_id id, const char *otherwise)
{
    const struct option_value *value = &ctx->args->values[id];
    return value->given ? value->text : otherwise;
}

struct span context_positional(const struct context *ctx, int index)
{
    return span_str(index < ctx->args->positional_count ? ctx->args->positional[index] : NULL);
}

int context_fail(struct context *ctx)
{
    fflush(stdout);
    fprintf(stderr, PROGRAM ": %s\n", ctx->err.sentence);
    return error_exit_status(ctx->err.code);
}

int context_refuse(enum status status, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs(PROGRAM ": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return (int)status;
}

void context_note(const char *format, ...)
{
    va_list args;
    fputs("note: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int64_t context_now_ms(void)
{
    static int64_t now_ms;
    if (now_ms == 0) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        now_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    }
    return now_ms;
}

int64_t context_now_s(void)
{
    return context_now_ms() / 1000;
}

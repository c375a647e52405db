// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void error_format(struct store_error *err, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void error_format(struct store_error *err, const char *format, va_list args)
{
    int n = vsnprintf(err->sentence, sizeof(err->sentence), format, args);
    if (n < 0)
        err->sentence[0] = '\0';
}

int error_set(struct store_error *err, int code, const char *format, ...)
{
    if (err) {
        va_list args;
        err->code = code;
        err->sys_errno = 0;
        va_start(args, format);
        error_format(err, format, args);
        va_end(args);
    }
    return code;
}

static int code_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
        return STORE_ENOSPC;
    case ENOMEM:
        return STORE_ENOMEM;
    default:
        return STORE_EIO;
    }
}

// strerror_r comes in two shapes (POSIX and GNU); this takes either.
static const char *errno_text(int sys_errno, char *buf, size_t size)
{
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    return strerror_r(sys_errno, buf, size);
#else
    return strerror_r(sys_errno, buf, size) == 0 ? buf : "unknown error";
#endif
}

int error_set_errno(struct store_error *err, int sys_errno, const char *format, ...)
{
    int code = code_of_errno(sys_errno);
    if (err) {
        va_list args;
        char text[128] = "";
        err->code = code;
        err->sys_errno = sys_errno;
        va_start(args, format);
        error_format(err, format, args);
        va_end(args);
        size_t used = strlen(err->sentence);
        snprintf(err->sentence + used, sizeof(err->sentence) - used, ": %s",
                 errno_text(sys_errno, text, sizeof(text)));
    }
    return code;
}

int error_pass(struct store_error *err, int rc, const struct store_error *reason)
{
    if (rc < 0 && err)
        *err = *reason;
    return rc;
}

int error_prefix(struct store_error *err, const char *format, ...)
{
    if (!err)
        return STORE_EIO;

    char rest[sizeof(err->sentence)];
    memcpy(rest, err->sentence, sizeof(rest));
    va_list args;
    va_start(args, format);
    error_format(err, format, args);
    va_end(args);
    size_t used = strlen(err->sentence);
    size_t room = sizeof(err->sentence) - used;
    int n = snprintf(err->sentence + used, room, ": %.*s", (int)(room > 3 ? room - 3 : 0), rest);
    (void)n;
    return err->code;
}

const char *error_text(int code)
{
    switch (code) {
#define CASE(name, value, exit_status, text) \
    case value:                              \
        return text;
        STORE_ERRORS(CASE)
#undef CASE
    default:
        return "no error";
    }
}

int error_exit_status(int code)
{
    switch (code) {
#define CASE(name, value, exit_status, text) \
    case value:                              \
        return exit_status;
        STORE_ERRORS(CASE)
#undef CASE
    default:
        return 0;
    }
}

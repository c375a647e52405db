// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One list of what can go wrong, and the struct in which a function says so.
//
// Every function of the engine that can fail returns 0 or one of the negative codes below, and
// fills the caller's struct store_error. The engine neither logs nor exits: the plugin and the
// command line print the sentence, once.
#ifndef STORE_ERROR_H
#define STORE_ERROR_H

#include <stddef.h>

// X(name, value, exit status of the command line, text). Values are only ever added.
#define STORE_ERRORS(X)                                                     \
    X(STORE_EINVAL, -1, 1, "invalid argument")                              \
    X(STORE_ENOMEM, -2, 1, "out of memory")                                 \
    X(STORE_EIO, -3, 1, "input/output error")                               \
    X(STORE_ENOSPC, -4, 1, "no space left")                                 \
    X(STORE_EHELD, -5, 4, "the store is held by another process")           \
    X(STORE_ENOSTORE, -6, 1, "there is no store here")                      \
    X(STORE_EFOREIGN, -7, 1, "not a store of this program")                 \
    X(STORE_EVERSION, -8, 1, "the store has a newer format")                \
    X(STORE_EDAMAGED, -9, 3, "the store is damaged")                        \
    X(STORE_EUNSAFE, -10, 1, "unsafe file mode, owner or type")             \
    X(STORE_EPOISONED, -11, 1, "the journal failed and takes nothing more") \
    X(STORE_EFULL, -12, 1, "the journal has reached its size limit")        \
    X(STORE_ENOTFOUND, -13, 1, "not found")                                 \
    X(STORE_ETOOBIG, -14, 1, "too large")                                   \
    X(STORE_ESTOPPED, -15, 1, "stopped by the caller")                      \
    X(STORE_EREADONLY, -16, 1, "the store was opened read-only")

#define STORE_ERROR_ENUM(name, value, exit_status, text) name = value,
enum store_error_code { STORE_OK = 0, STORE_ERRORS(STORE_ERROR_ENUM) };
#undef STORE_ERROR_ENUM

// What went wrong, for a person. Zero-initialise it, or call error_init; a function that returns 0
// leaves it alone.
struct store_error {
    int code;            // one of enum store_error_code
    int sys_errno;       // errno of the failed system call, or 0
    char sentence[1024]; // names the thing and what to do; no newline, always terminated
};

// As zero-initialising, without writing to the whole sentence: on the broker's thread that would be
// a third of what an event costs.
static inline void error_init(struct store_error *err)
{
    err->code = 0;
    err->sys_errno = 0;
    err->sentence[0] = '\0';
}

// Fills `err` (may be NULL) with a printf-style sentence and returns `code`.
int error_set(struct store_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// As error_set, and appends ": <strerror(sys_errno)>". ENOSPC, EDQUOT and ENOMEM become their own
// codes, all else STORE_EIO.
int error_set_errno(struct store_error *err, int sys_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Hands on what `reason` says to `err` (may be NULL) if `rc` is a code, and returns `rc`: for who
// has to look at a failure before it is one.
int error_pass(struct store_error *err, int rc, const struct store_error *reason);

// Puts "<prefix>: " before the sentence and returns err's code, so that a layer can write
// `return error_prefix(err, "restore")`. Must only be called on an error that was set.
int error_prefix(struct store_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The list's text for a code, and the exit status with which the command line ends for it.
const char *error_text(int code);
int error_exit_status(int code);

#endif

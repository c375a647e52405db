// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// backup: a consistent copy of the store as one checksummed stream, beside a running broker too.
#include "archive_report.h"
#include "child.h"
#include "commands.h"
#include "interrupt.h"
#include "new_store.h"
#include "open.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// How long the broker's tables may take to get what its journal has: what a burst put off
// (store/deferral.h), and some commits.
#define WAIT_MS 30000u

struct backup {
    int fd;                             // -1: nowhere, only counts
    char *path;                         // of the file to be, NULL: standard output
    struct text part;                   // its name while it is written
    struct store_backup_report *report; // shared with the child
    struct progress progress;
};

static struct backup backup; // the child gets only the context

static int write_all(void *user, const void *data, size_t len, struct store_error *err)
{
    const char *at = data;
    (void)user;
    while (len > 0 && backup.fd >= 0) {
        ssize_t written = interrupt_pending() ? -1 : write(backup.fd, at, len);
        if (interrupt_pending())
            return error_set(err, STORE_ESTOPPED, "stopped");
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_set_errno(err, errno, "cannot write the backup");
        at += written;
        len -= (size_t)written;
    }
    progress_step(&backup.progress);
    return 0;
}

static int work(struct context *ctx)
{
    interrupt_catch();
    int status = open_for_reading(ctx, false);
    if (status)
        return status;
    store_view_close(ctx->view);
    ctx->view = NULL;
    progress_begin(&backup.progress, ctx, "blocks written", 0);
    int rc = store_backup(ctx->store, WAIT_MS, write_all, NULL, backup.report, &ctx->err);
    progress_end(&backup.progress);
    struct store_error held = {0};
    if (store_read_confirm(ctx->store, &held)) {
        ctx->err = held;
        rc = held.code;
    }
    if (rc == 0 && backup.path && backup.fd >= 0 && fsync(backup.fd) != 0)
        rc = error_set_errno(&ctx->err, errno, "cannot write the backup");
    if (rc && !interrupt_pending())
        status = context_fail(ctx);
    open_close(ctx);
    // Once all of it is written it is too late to stop.
    if (rc)
        interrupt_die();
    return status;
}

// A name in a folder says when it was taken.
static char *file_name(const char *target)
{
    struct stat st;
    struct text path = {0};
    text_adds(&path, target);
    if (stat(target, &st) == 0 && S_ISDIR(st.st_mode)) {
        char name[64];
        struct tm tm;
        time_t now = (time_t)context_now_s();
        gmtime_r(&now, &tm);
        strftime(name, sizeof(name), "mosquitto-lmdb-%Y%m%dT%H%M%SZ.backup", &tm);
        text_addf(&path, "%s%s", path.data[path.len - 1] == '/' ? "" : "/", name);
    }
    return path.data;
}

static int output_open(const struct context *ctx, const char *target)
{
    if (context_given(ctx, OPT_DRY_RUN)) {
        backup.fd = -1;
        backup.path = file_name(target);
        return STATUS_DONE;
    }
    if (strcmp(target, "-") == 0) {
        backup.fd = STDOUT_FILENO;
        return isatty(STDOUT_FILENO)
                   ? context_refuse(STATUS_USAGE, "a backup is not for a terminal; send it to a "
                                                  "file or a program")
                   : STATUS_DONE;
    }
    backup.path = file_name(target);
    if (access(backup.path, F_OK) == 0)
        return context_refuse(STATUS_ERROR, "%s exists; it was not changed", backup.path);
    text_addf(&backup.part, "%s.part", backup.path);
    // What lies there, from a backup that was cut short or from somebody who waits for this one,
    // must not get the contents.
    (void)unlink(backup.part.data);
    backup.fd = open(backup.part.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (backup.fd < 0)
        return context_refuse(STATUS_ERROR, "cannot make %s: %s", backup.part.data,
                              strerror(errno));
    return STATUS_DONE;
}

static bool part_is_ours(void)
{
    struct stat ours, there;
    return fstat(backup.fd, &ours) == 0 && lstat(backup.part.data, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

// Gives the very file that we wrote its name, unless there is one of this name by now: another
// backup of the same name may have made that, or put its own in the place of our part. Where a file
// system, or a system without /proc, cannot do that at once, looks before.
static int output_name(void)
{
    char ours[64];
    snprintf(ours, sizeof(ours), "/proc/self/fd/%d", backup.fd);
    if (linkat(AT_FDCWD, ours, AT_FDCWD, backup.path, AT_SYMLINK_FOLLOW) == 0) {
        if (part_is_ours())
            (void)unlink(backup.part.data);
        return 0;
    }
    if (errno == EEXIST)
        return -1;
    if (!part_is_ours() || access(backup.path, F_OK) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(backup.part.data, backup.path);
}

// The file takes its name when all of it is there. Without, it goes.
static int output_close(int status)
{
    if (!backup.part.data)
        return status;
    if (status == STATUS_DONE && output_name() != 0)
        status = errno == EEXIST
                     ? context_refuse(STATUS_ERROR,
                                      "another backup to %s was begun meanwhile; this one is not "
                                      "kept",
                                      backup.path)
                     : context_refuse(STATUS_ERROR, "cannot rename %s: %s", backup.part.data,
                                      strerror(errno));
    if (status && part_is_ours())
        (void)unlink(backup.part.data);
    else if (status == STATUS_DONE && folder_above_sync(backup.path) != 0)
        status = context_refuse(STATUS_ERROR, "cannot sync the folder of %s: %s", backup.path,
                                strerror(errno));
    close(backup.fd);
    return status;
}

int cmd_backup(struct context *ctx)
{
    backup.report = child_share(sizeof(*backup.report));
    // Opened before the child becomes the store's owner, who may not write there.
    int status = output_open(ctx, ctx->args->positional[0]);
    int signal_number = 0;
    if (status == STATUS_DONE) {
        // The child hears Ctrl-C until it is done; then it is too late, and we must not be ended by
        // it.
        interrupt_catch();
        status = child_probe_all(ctx, work, &signal_number);
        status = output_close(status);
        status = child_conclude(ctx, status, signal_number);
        if (status == STATUS_DONE)
            archive_report_print(ctx, backup.report, backup.fd < 0 ? "checked" : "written",
                                 backup.path ? backup.path : "-", !backup.path);
    }
    munmap(backup.report, sizeof(*backup.report));
    free(backup.path);
    text_release(&backup.part);
    return status;
}

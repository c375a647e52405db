// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// restore: a store out of a backup, checked to its end first.
#include "archive_report.h"
#include "child.h"
#include "commands.h"
#include "interrupt.h"
#include "new_store.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct restore {
    int fd;
    const char *file;
    struct progress progress;
};

static struct restore restore; // the child gets only the context

static int read_all(void *user, void *data, size_t len, size_t *ret_len, struct store_error *err)
{
    size_t done = 0;
    (void)user;
    while (done < len) {
        ssize_t got = read(restore.fd, (char *)data + done, len - done);
        if (interrupt_pending())
            return error_set(err, STORE_ESTOPPED, "stopped");
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "cannot read it");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_len = done;
    progress_step(&restore.progress);
    return 0;
}

static int work(struct context *ctx)
{
    struct store_backup_report report = {0};
    bool dry_run = context_given(ctx, OPT_DRY_RUN);
    bool existed = access(ctx->path, F_OK) == 0;
    interrupt_catch();
    progress_begin(&restore.progress, ctx, "blocks read", 0);
    struct archive_source source = {
        .read = read_all,
        .name = strcmp(restore.file, "-") == 0 ? "standard input" : restore.file,
    };
    int rc = store_restore(ctx->path, dry_run, &source, &report, &ctx->err);
    progress_end(&restore.progress);
    int status = STATUS_DONE;
    if (rc == 0)
        archive_report_print(ctx, &report, dry_run ? "sound" : "restored", restore.file, false);
    if (rc == 0 && !dry_run)
        new_store_note_owner(ctx->path);
    if (rc && !existed)
        (void)rmdir(ctx->path);
    if (rc && !interrupt_pending())
        status = context_fail(ctx);
    // What is restored is there: it is too late to stop.
    if (rc)
        interrupt_die();
    return status;
}

int cmd_restore(struct context *ctx)
{
    restore.file = ctx->args->positional[0];
    bool standard = strcmp(restore.file, "-") == 0;
    ctx->path = ctx->args->positional[1];
    // Opened before the child becomes the folder's owner, who may not read it.
    restore.fd = standard ? STDIN_FILENO : open(restore.file, O_RDONLY | O_CLOEXEC);
    if (restore.fd < 0)
        return context_refuse(STATUS_ERROR, "cannot read %s: %s", restore.file, strerror(errno));
    // The child hears Ctrl-C until it is done; then it is too late, and we must not be ended by it.
    interrupt_catch();
    int status = child_run(ctx, work);
    if (!standard)
        close(restore.fd);
    return status;
}

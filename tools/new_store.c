// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "new_store.h"

#include "help.h"
#include "interrupt.h"
#include "open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool folder_is_empty(DIR *dir)
{
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    }
    return true;
}

static int target_check(const char *target)
{
    DIR *dir = opendir(target);
    if (!dir && errno == ENOENT)
        return STATUS_DONE;
    if (!dir)
        return context_refuse(STATUS_ERROR, "%s: %s", target, strerror(errno));
    bool empty = folder_is_empty(dir);
    closedir(dir);
    return empty ? STATUS_DONE
                 : context_refuse(STATUS_ERROR, "%s is not empty; name a folder that is not there",
                                  target);
}

int new_store_open(struct new_store *new_store, struct context *ctx, const char *target)
{
    struct text path = {0};
    *new_store = (struct new_store){0};
    int status = target_check(target);
    if (status)
        return status;
    text_adds(&path, target);
    while (path.len > 1 && path.data[path.len - 1] == '/')
        path.data[--path.len] = '\0';
    text_adds(&path, ".new");
    new_store->path = path.data;
    if (mkdir(new_store->path, 0700) != 0)
        return context_refuse(STATUS_ERROR, "cannot make the folder %s: %s%s", new_store->path,
                              strerror(errno),
                              errno == EEXIST ? "; remove what was left half made" : "");
    new_store->exists = true;
    struct store_options options = {
        .path = new_store->path,
        .create = true,
        .sync = STORE_SYNC_OS,
        .holder = PROGRAM,
    };
    return store_open(&ctx->store, &options, &ctx->err) ? context_fail(ctx) : STATUS_DONE;
}

int folder_above_sync(const char *target)
{
    char *copy = xstrdup(target);
    size_t len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[slash == copy] = '\0';
    int fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    free(copy);
    return rc;
}

void new_store_note_owner(const char *path)
{
    struct stat st;
    if (geteuid() == 0 && stat(path, &st) == 0 && st.st_uid == 0)
        context_note("%s belongs to root; give it to the user that the broker runs as (chown -R)",
                     path);
}

int new_store_finish(struct new_store *new_store, struct context *ctx, const char *target)
{
    int status = open_finish(ctx);
    if (status)
        return status;
    if (!interrupt_shut())
        return STATUS_ERROR;
    if (rename(new_store->path, target) != 0)
        return context_refuse(STATUS_ERROR, "cannot rename %s to %s: %s", new_store->path, target,
                              strerror(errno));
    new_store->exists = false;
    if (folder_above_sync(target) != 0)
        return context_refuse(STATUS_ERROR,
                              "%s is complete, but the folder it is in cannot be synced: %s; a "
                              "power cut may take it back",
                              target, strerror(errno));
    new_store_note_owner(target);
    return STATUS_DONE;
}

void new_store_discard(struct new_store *new_store, struct context *ctx)
{
    open_close(ctx);
    DIR *dir = new_store->exists ? opendir(new_store->path) : NULL;
    if (dir) {
        for (struct dirent *entry; (entry = readdir(dir));)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
        (void)rmdir(new_store->path);
    }
    free(new_store->path);
    *new_store = (struct new_store){0};
}

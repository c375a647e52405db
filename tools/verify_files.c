// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// verify: the folder, its files, the journal.
#include "escape.h"
#include "human.h"
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void add_file_error(struct verify *verify, const char *name, const char *what,
                           const char *help)
{
    struct text where = {0};
    escape_add(&where, span_str(name));
    findings_add(&verify->findings,
                 &(struct finding){SEVERITY_ERROR, where.data, what, NULL, help});
    text_release(&where);
}

static void add_unreadable(struct verify *verify, const char *name)
{
    struct text what = {0};
    text_addf(&what, "cannot be looked at: %s", strerror(errno));
    add_file_error(verify, name, what.data, NULL);
    text_release(&what);
}

static void check_mode(struct verify *verify, const char *name, const struct stat *st,
                       const struct stat *folder)
{
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        add_file_error(verify, name, "is neither a file nor a folder", "find out who put it there");
    if (S_ISREG(st->st_mode) && st->st_nlink > 1)
        add_file_error(verify, name, "has another name elsewhere (a hard link)",
                       "find out who made it, and remove it");
    if (st->st_mode & 077)
        add_file_error(verify, name, "is open to other users, who could read or change it",
                       "chmod go-rwx");
    if (st->st_uid != folder->st_uid)
        add_file_error(verify, name, "does not belong to the folder's owner", "chown");
}

void verify_files(struct context *ctx, struct verify *verify)
{
    struct stat folder, st;
    DIR *dir = opendir(ctx->path);
    if (!dir || fstat(dirfd(dir), &folder) != 0) {
        add_unreadable(verify, ".");
        if (dir)
            closedir(dir);
        return;
    }
    check_mode(verify, ".", &folder, &folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT) // else it was recycled meanwhile
                add_unreadable(verify, entry->d_name);
            continue;
        }
        check_mode(verify, entry->d_name, &st, &folder);
        if (strncmp(entry->d_name, "torn-", 5) == 0) {
            struct text what = {0};
            text_addf(&what, "%s: ", entry->d_name);
            human_bytes(&what, (uint64_t)st.st_size);
            text_adds(&what, " that a crash tore from the journal's end lie aside");
            findings_add(&verify->findings,
                         &(struct finding){SEVERITY_NOTE, "journal", what.data, NULL,
                                           "may be removed once nobody wants to look at them"});
            text_release(&what);
        }
    }
    closedir(dir);
}

static int on_segment(void *user, const struct store_segment *segment)
{
    struct verify *verify = user;
    verify->counts->journal_records += segment->records;
    if (strcmp(segment->state, "damaged") != 0)
        return 0;
    struct text what = {0};
    text_addf(&what, "segment %llu cannot be read", (unsigned long long)segment->number);
    findings_add(&verify->findings,
                 &(struct finding){SEVERITY_ERROR, "journal", what.data,
                                   "what this segment held and LMDB does not have yet",
                                   "keep a copy of the folder; restore a backup, or see repair"});
    text_release(&what);
    return 0;
}

void verify_journal(struct context *ctx, struct verify *verify)
{
    int rc = store_each_segment(ctx->store, on_segment, verify, &ctx->err);
    if (rc)
        verify_add_error(ctx, verify, "journal", "what LMDB does not have yet");
    if (ctx->stats.torn_bytes) {
        struct text what = {0};
        human_bytes(&what, ctx->stats.torn_bytes);
        text_adds(&what, " at the journal's end, never known to be on the disk, do not check");
        findings_add(&verify->findings,
                     &(struct finding){SEVERITY_NOTE, "journal", what.data, NULL,
                                       "the next start cuts them off and keeps them aside"});
        text_release(&what);
    }
}

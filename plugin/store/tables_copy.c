// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "tables_copy.h"

#include "tables_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE_BYTES (256u * 1024u)

// LMDB copies to a file descriptor only: it writes into a pipe on a thread of its own.
struct copier {
    struct tables *tables;
    int write_fd;
    int rc;
};

// Begins a transaction of its own before it writes anything.
static int copy(MDB_env *env, void *user)
{
    struct copier *copier = user;
    return mdb_env_copyfd2(env, copier->write_fd, MDB_CP_COMPACT);
}

static void *copier_run(void *arg)
{
    struct copier *copier = arg;
    copier->rc = tables_ask(copier->tables, copy, copier);
    close(copier->write_fd);
    return NULL;
}

static int pipe_drain(int read_fd, tables_sink_fn *sink, void *user, struct store_error *err)
{
    uint8_t *piece = malloc(PIECE_BYTES);
    int rc = piece ? 0 : error_set(err, STORE_ENOMEM, "out of memory");
    while (rc == 0) {
        ssize_t n = read(read_fd, piece, PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = error_set_errno(err, errno, "cannot read the copy of the tables");
        if (n <= 0)
            break;
        rc = sink(user, piece, (size_t)n, err);
    }
    free(piece);
    return rc;
}

int tables_copy(struct tables *tables, tables_sink_fn *sink, void *user, struct store_error *err)
{
    int fds[2];
    pthread_t thread;
    int rc = tables_enter(tables, err);
    if (rc)
        return rc;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        rc = error_set_errno(err, errno, "cannot make a pipe");
        goto done;
    }
    struct copier copier = {.tables = tables, .write_fd = fds[1]};
    int failed = pthread_create(&thread, NULL, copier_run, &copier);
    if (failed) {
        close(fds[0]);
        close(fds[1]);
        rc = error_set_errno(err, failed, "cannot start a thread");
        goto done;
    }
    rc = pipe_drain(fds[0], sink, user, err);
    // Before joining: a copier that still writes gets EPIPE (LMDB blocks the signal).
    close(fds[0]);
    pthread_join(thread, NULL);
    if (rc == 0 && copier.rc)
        rc = tables_error(tables, err, copier.rc, "cannot copy it");

done:
    tables_leave(tables);
    return rc;
}

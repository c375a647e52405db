// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10)

static bool is_pipe(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

void spool_begin(struct spool *spool, const struct context *ctx)
{
    *spool = (struct spool){-1};
    // What is followed has no end, and holds no picture.
    if (!ctx->held || !is_pipe(STDOUT_FILENO) || context_given(ctx, OPT_FOLLOW))
        return;
    FILE *file = tmpfile();
    int output = file ? dup(STDOUT_FILENO) : -1;
    fflush(stdout);
    if (output >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0)
        spool->output = output;
    else if (output >= 0)
        close(output);
    if (file)
        fclose(file);
}

static int copy(int from, int to)
{
    char piece[PIECE_BYTES];
    ssize_t got;
    if (lseek(from, 0, SEEK_SET) < 0)
        return -1;
    while ((got = read(from, piece, sizeof(piece))) != 0) {
        if (got < 0 && errno != EINTR)
            return -1;
        for (ssize_t done = 0; done < got;) {
            ssize_t written = write(to, piece + done, (size_t)(got - done));
            if (written < 0 && errno != EINTR)
                return -1;
            done += written > 0 ? written : 0;
        }
    }
    return 0;
}

int spool_end(struct spool *spool, int status)
{
    if (spool->output < 0)
        return status;
    bool kept = fflush(stdout) == 0 && !ferror(stdout);
    if (!kept || copy(STDOUT_FILENO, spool->output) != 0)
        status = context_refuse(STATUS_ERROR, "cannot write the output: %s", strerror(errno));
    dup2(spool->output, STDOUT_FILENO);
    close(spool->output);
    spool->output = -1;
    clearerr(stdout);
    return status;
}

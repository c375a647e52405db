// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "child.h"

#include "interrupt.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// A walk over millions of messages takes seconds; a loop in a damaged tree takes forever.
#define CPU_LIMIT_S 3600u
// Not of the address space: LMDB reserves far more of that than it will ever use.
#define DATA_LIMIT_BYTES (8ull << 30)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static volatile sig_atomic_t child_pid;

static void forward_signal(int signal)
{
    if (child_pid > 0)
        kill((pid_t)child_pid, signal);
}

// True if `rlimit` was above `limit` and now is it.
static bool limit_lower(struct rlimit *rlimit, uint64_t limit)
{
    if ((uint64_t)(rlim_t)limit != limit || rlimit->rlim_cur <= (rlim_t)limit)
        return false;
    rlimit->rlim_cur = (rlim_t)limit;
    return true;
}

static void limits_apply(const struct context *ctx)
{
    struct rlimit rlimit;
    if (getrlimit(RLIMIT_CORE, &rlimit) == 0 && limit_lower(&rlimit, 0))
        (void)setrlimit(RLIMIT_CORE, &rlimit);
    // Who follows has no end by design.
    if (!context_given(ctx, OPT_FOLLOW) && getrlimit(RLIMIT_CPU, &rlimit) == 0 &&
        limit_lower(&rlimit, CPU_LIMIT_S))
        (void)setrlimit(RLIMIT_CPU, &rlimit);
    // A sanitizer's shadow memory would count.
    if (!SANITIZED && getrlimit(RLIMIT_DATA, &rlimit) == 0 &&
        limit_lower(&rlimit, DATA_LIMIT_BYTES))
        (void)setrlimit(RLIMIT_DATA, &rlimit);
}

// The folder's owner; while there is no folder, that of the folder it would be made in.
static int owner_find(const char *path, struct stat *ret_stat)
{
    if (stat(path, ret_stat) == 0)
        return 0;
    char *parent = xstrdup(path);
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    int rc = stat(slash ? parent : ".", ret_stat);
    free(parent);
    return rc;
}

static int become_owner(const char *path)
{
    struct stat st;
    if (geteuid() != 0 || owner_find(path, &st) != 0 || st.st_uid == 0)
        return 0;
    if (setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0)
        return 0;
    return context_refuse(STATUS_ERROR, "cannot become the owner of %s (user %lu): %s", path,
                          (unsigned long)st.st_uid, strerror(errno));
}

static _Noreturn void child_main(struct context *ctx, int (*work)(struct context *ctx),
                                 pid_t parent)
{
#ifdef PR_SET_PDEATHSIG
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(STATUS_ERROR);
#else
    (void)parent;
#endif
    int status = become_owner(ctx->path);
    if (status == 0) {
        limits_apply(ctx);
        status = work(ctx);
    }
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout))
        status = context_refuse(STATUS_ERROR, "cannot write the output: %s",
                                strerror(errno ? errno : EIO));
    exit(status);
}

static bool signal_means_damage(int signal)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGXCPU};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (signals[i] == signal)
            return true;
    }
    return false;
}

void child_explain(struct text *text, const struct context *ctx, int signal)
{
    if (signal == SIGXCPU) {
        text_addf(text,
                  "%s/data.mdb: reading it took more than %u s of processor time and was ended: it "
                  "is damaged so that reading goes in a circle, or too large; keep a copy of the "
                  "folder; restore a backup, or see repair",
                  ctx->path, CPU_LIMIT_S);
        return;
    }
    text_addf(text,
              "%s/data.mdb is damaged: reading it ended with signal %d (%s); keep a copy of the "
              "folder; restore a backup, or see repair",
              ctx->path, signal, strsignal(signal));
}

static void die_of(int signal_number)
{
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    // A signal that does not kill us (it is blocked, say).
    exit(128 + signal_number);
}

static int child_wait(pid_t pid, int *ret_signal)
{
    int state = 0;
    *ret_signal = 0;
    while (waitpid(pid, &state, 0) < 0) {
        if (errno != EINTR)
            return context_refuse(STATUS_ERROR, "cannot wait for the reading process: %s",
                                  strerror(errno));
    }
    if (WIFEXITED(state))
        return WEXITSTATUS(state);
    *ret_signal = WTERMSIG(state);
    return signal_means_damage(*ret_signal) ? STATUS_FOUND : STATUS_ERROR;
}

int child_probe_all(struct context *ctx, int (*work)(struct context *ctx), int *ret_signal)
{
    struct sigaction forward = {.sa_handler = forward_signal}, old_term, old_hup;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old_int, old_quit;
    pid_t parent = getpid();
    *ret_signal = 0;
    fflush(stdout);
    fflush(stderr);
    child_pid = 0;
    pid_t pid = fork();
    if (pid < 0)
        return context_refuse(STATUS_ERROR, "cannot start a process: %s", strerror(errno));
    if (pid == 0)
        child_main(ctx, work, parent);

    // A terminal sends Ctrl-C to both of us: the child ends, and we see how.
    child_pid = (sig_atomic_t)pid;
    sigaction(SIGTERM, &forward, &old_term);
    sigaction(SIGHUP, &forward, &old_hup);
    sigaction(SIGINT, &ignore, &old_int);
    sigaction(SIGQUIT, &ignore, &old_quit);
    interrupt_pass_on(pid);
    int status = child_wait(pid, ret_signal);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGHUP, &old_hup, NULL);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGQUIT, &old_quit, NULL);
    child_pid = 0;
    return status;
}

static struct store_error *shared_err; // of the child below

static int open_again(struct context *ctx)
{
    struct store_options options = {.path = ctx->path, .access = STORE_READ_ONLY};
    struct store *store = NULL;
    int rc = store_open(&store, &options, shared_err);
    store_close(store, false, NULL);
    return rc == STORE_EHELD ? STATUS_HELD : STATUS_DONE;
}

bool child_disturbed(struct context *ctx)
{
    int ignored = 0;
    shared_err = child_share(sizeof(*shared_err));
    bool disturbed = child_probe_all(ctx, open_again, &ignored) == STATUS_HELD;
    if (disturbed)
        ctx->err = *shared_err;
    munmap(shared_err, sizeof(*shared_err));
    return disturbed;
}

int child_conclude(struct context *ctx, int status, int signal_number)
{
    if (signal_number == 0)
        return status;
    if (signal_means_damage(signal_number) && child_disturbed(ctx))
        return context_fail(ctx);
    if (signal_means_damage(signal_number)) {
        struct text why = {0};
        child_explain(&why, ctx, signal_number);
        context_refuse(STATUS_FOUND, "%s", why.data);
        text_release(&why);
        return STATUS_FOUND;
    }
    if (signal_number == SIGKILL)
        return context_refuse(STATUS_ERROR, "the reading process was killed; was memory short?");
    die_of(signal_number);
    return STATUS_ERROR;
}

int child_probe(struct context *ctx, int (*work)(struct context *ctx), int *ret_signal)
{
    int status = child_probe_all(ctx, work, ret_signal);
    if (*ret_signal && !signal_means_damage(*ret_signal)) {
        status = child_conclude(ctx, status, *ret_signal);
        *ret_signal = 0;
    }
    return status;
}

void *child_share(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        out_of_memory();
    return memory;
}

int child_run(struct context *ctx, int (*work)(struct context *ctx))
{
    int signal_number = 0;
    int status = child_probe_all(ctx, work, &signal_number);
    return child_conclude(ctx, status, signal_number);
}

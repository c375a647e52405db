// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "command.h"

#include "json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 16

static _Noreturn void command_main(const char *const *words, void (*prepare)(void))
{
    const char *argv[WORDS_MAX + 1] = {"mosquitto_lmdb"};
    struct args args;
    struct text why = {0};
    int argc = 1;
    while (argc < WORDS_MAX && words[argc - 1]) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    json_init();
    if (args_parse(&args, verbs, verbs_count, argc, (char **)argv, &why)) {
        fprintf(stderr, "%s\n", why.data);
        exit(STATUS_USAGE);
    }
    struct context ctx = {
        .args = &args,
        .path = args.values[OPT_STORE].text,
        .json = args.values[OPT_JSON].given,
    };
    if (prepare)
        prepare();
    int status = args.verb->run(&ctx);
    args_release(&args);
    exit(status);
}

static void take(FILE *file, char *dst, size_t size)
{
    rewind(file);
    dst[fread(dst, 1, size - 1, file)] = '\0';
    fclose(file);
}

void command_run(struct command_result *result, const char *const *words, void (*prepare)(void))
{
    FILE *out = tmpfile(), *err = tmpfile();
    int state = 0;
    ck_assert(out && err);
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        command_main(words, prepare);
    }
    ck_assert_int_eq(waitpid(pid, &state, 0), pid);
    result->status = WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
    take(out, result->out, sizeof(result->out));
    take(err, result->err, sizeof(result->err));
}

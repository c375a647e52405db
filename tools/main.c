// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// mosquitto_lmdb: the command line over the store.
#include "child.h"
#include "help.h"
#include "json.h"
#include "open.h"
#include "spool.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef PROJECT_VERSION
#define PROJECT_VERSION "0.1.0"
#endif

static bool color_wanted(const struct args *args, bool json)
{
    const struct option_value *when = &args->values[OPT_COLOR];
    const char *no_color = getenv("NO_COLOR");
    if (json || (when->given && strcmp(when->text, "never") == 0))
        return false;
    if (when->given && strcmp(when->text, "always") == 0)
        return true;
    return isatty(STDOUT_FILENO) && !(no_color && no_color[0]);
}

static const char *store_path(const struct args *args)
{
    const char *path = getenv("MOSQUITTO_LMDB_STORE");
    if (args->values[OPT_STORE].given)
        return args->values[OPT_STORE].text;
    return path && path[0] ? path : DEFAULT_STORE_DIR;
}

// In the child: opens as the verb's flags say, runs it, closes.
static int verb_run(struct context *ctx)
{
    const struct verb *verb = ctx->args->verb;
    int status = STATUS_DONE;
    bool looks = verb->flags & VERB_WRITES && context_given(ctx, OPT_DRY_RUN);
    if (verb->flags & VERB_READS || looks)
        status = open_for_reading(ctx, false);
    else if (verb->flags & VERB_WRITES)
        status = open_for_writing(ctx);
    struct spool spool;
    spool_begin(&spool, ctx);
    if (status == STATUS_DONE)
        status = verb->run(ctx);
    int confirmed = open_confirm(ctx);
    open_close(ctx);
    return spool_end(&spool, confirmed ? confirmed : status);
}

static int print_usage_error(const struct text *why)
{
    fprintf(stderr, PROGRAM ": %s\n" PROGRAM " --help says what there is\n", why->data);
    return STATUS_USAGE;
}

static int print_version(void)
{
    printf(PROGRAM " " PROJECT_VERSION " (store format %d, %s)\n", STORE_FORMAT_VERSION,
           store_library_versions());
    return STATUS_DONE;
}

static int dispatch(struct context *ctx)
{
    const struct args *args = ctx->args;
    const struct verb *verb = args->verb;
    if (args->values[OPT_VERSION].given)
        return print_version();
    if (verb && args->values[OPT_HELP].given)
        help_verb(stdout, verb);
    else if (!verb && args->noun && strcmp(args->noun, "help") != 0)
        help_noun(stdout, args->noun);
    else if (!verb)
        help_program(stdout);
    else if (verb->flags & (VERB_PROBES | VERB_NO_STORE))
        return verb->run(ctx);
    else
        return child_run(ctx, verb_run);
    return STATUS_DONE;
}

int main(int argc, char **argv)
{
    struct args args;
    struct text why = {0};
    setlocale(LC_CTYPE, "");
    json_init();

    int status = args_parse(&args, verbs, verbs_count, argc, argv, &why);
    if (status) {
        status = print_usage_error(&why);
    } else {
        bool json = args.values[OPT_JSON].given;
        struct context ctx = {
            .args = &args,
            .path = store_path(&args),
            .json = json,
            .color = color_wanted(&args, json),
        };
        status = dispatch(&ctx);
        if (fflush(stdout) != 0 && status == STATUS_DONE)
            status = context_refuse(STATUS_ERROR, "cannot write the output");
    }
    args_release(&args);
    text_release(&why);
    return status;
}

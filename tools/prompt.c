// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "prompt.h"

#include <stdio.h>
#include <unistd.h>

static bool answer_is_yes(void)
{
    char line[64];
    fprintf(stderr, "Do it? [y/N] ");
    fflush(stderr);
    if (!fgets(line, sizeof(line), stdin))
        return false;
    return strcmp(line, "y\n") == 0 || strcmp(line, "Y\n") == 0 || strcmp(line, "yes\n") == 0;
}

enum prompt_answer prompt_ask(const struct context *ctx, const char *what)
{
    bool dry_run = context_given(ctx, OPT_DRY_RUN);
    fprintf(ctx->json ? stderr : stdout, "%s %s\n", dry_run ? "would" : "will", what);
    fflush(stdout);
    if (dry_run)
        return PROMPT_DRY_RUN;
    if (context_given(ctx, OPT_YES))
        return PROMPT_YES;
    if (!isatty(STDIN_FILENO)) {
        context_refuse(STATUS_USAGE, "there is no terminal to ask on; nothing was changed (--yes "
                                     "does it without a question)");
        return PROMPT_REFUSED;
    }
    if (answer_is_yes())
        return PROMPT_YES;
    context_note("nothing was changed");
    return PROMPT_NO;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "commands.h"
#include "help.h"

int cmd_help_man(struct context *ctx)
{
    (void)ctx;
    help_man_page(stdout);
    return STATUS_DONE;
}

int cmd_help_completion(struct context *ctx)
{
    (void)ctx;
    help_completion(stdout);
    return STATUS_DONE;
}

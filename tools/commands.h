// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The verbs' functions, one in each cmd_*.c, for the table in verbs.c. Each returns an exit status.
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

struct context;

int cmd_status(struct context *ctx);
int cmd_export(struct context *ctx);
int cmd_import(struct context *ctx);
int cmd_session_ls(struct context *ctx);
int cmd_session_show(struct context *ctx);
int cmd_session_rm(struct context *ctx);
int cmd_queue_ls(struct context *ctx);
int cmd_queue_peek(struct context *ctx);
int cmd_queue_export(struct context *ctx);
int cmd_queue_purge(struct context *ctx);
int cmd_retained_ls(struct context *ctx);
int cmd_retained_get(struct context *ctx);
int cmd_retained_rm(struct context *ctx);
int cmd_sub_ls(struct context *ctx);
int cmd_will_ls(struct context *ctx);
int cmd_journal_ls(struct context *ctx);
int cmd_journal_dump(struct context *ctx);
int cmd_check(struct context *ctx);
int cmd_verify(struct context *ctx);
int cmd_repair(struct context *ctx);
int cmd_compact(struct context *ctx);
int cmd_dict_ls(struct context *ctx);
int cmd_dict_train(struct context *ctx);
int cmd_backup(struct context *ctx);
int cmd_restore(struct context *ctx);
int cmd_help_man(struct context *ctx);
int cmd_help_completion(struct context *ctx);

#endif

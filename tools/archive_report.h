// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What backup and restore say of an archive.
#ifndef TOOLS_ARCHIVE_REPORT_H
#define TOOLS_ARCHIVE_REPORT_H

#include "context.h"
#include "store/maintain.h"

// `file` is shown escaped; `out` is where the text goes, JSON goes to standard output.
void archive_report_print(const struct context *ctx, const struct store_backup_report *report,
                          const char *done, const char *file, bool on_stderr);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// In the place of import_sqlite.c where there is no SQLite.
#include "import.h"

int import_sqlite(struct import *import, const char *path, struct store_error *err)
{
    (void)path;
    return error_set(err, STORE_EINVAL,
                     "%s is an SQLite file, and this build of the program cannot read SQLite: it "
                     "was made without libsqlite3",
                     import->name);
}

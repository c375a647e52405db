// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What verify says of files beside a broker that removes some while they are looked at.
#include "args.h"
#include "findings.h"
#include "support.h"
#include "verify.h"

#include <cJSON.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static nlink_t links_now;

// The C library may have it under two names.
#define FSTATAT(name)                                                         \
    int __real_##name(int dir, const char *path, struct stat *st, int flags); \
    int __wrap_##name(int dir, const char *path, struct stat *st, int flags); \
    int __wrap_##name(int dir, const char *path, struct stat *st, int flags)  \
    {                                                                         \
        int rc = __real_##name(dir, path, st, flags);                         \
        st->st_nlink = links_now;                                             \
        return rc;                                                            \
    }
FSTATAT(fstatat)
#ifdef __GLIBC__
FSTATAT(fstatat64)
#endif

static void one_file(char *folder)
{
    struct store_error err = {0};
    struct store_options options = {.path = folder, .create = true};
    struct store *store = NULL;
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(store_close(store, true, &err), 0);
}

static uint64_t findings_with(nlink_t links)
{
    char *folder = folder_make();
    struct args args = {0};
    struct context ctx = {.args = &args, .path = folder, .json = true};
    struct verify verify = {0};
    struct list list;
    cJSON *document = cJSON_CreateObject();
    one_file(folder);
    links_now = links;
    ck_assert_int_eq(findings_open(&verify.findings), 0);
    verify_files(&ctx, &verify);
    findings_begin_list(&list, &ctx, document);
    uint64_t found = findings_list(&verify.findings, &list);
    list_end(&list, "");
    findings_close(&verify.findings);
    cJSON_Delete(document);
    folder_remove(folder);
    return found;
}

START_TEST(a_file_that_is_being_removed_has_no_other_name)
{
    ck_assert_uint_eq(findings_with(1), 0);
    ck_assert_uint_eq(findings_with(0), 0);
    ck_assert_uint_gt(findings_with(2), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify_files");
    TCase *cases = tcase_create("verify_files");
    tcase_add_test(cases, a_file_that_is_being_removed_has_no_other_name);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

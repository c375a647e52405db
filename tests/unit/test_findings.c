// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Findings go through a file, since the process that writes one may die of the next thing it reads.
#include "findings.h"
#include "json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct findings findings;
static struct args args;
static struct context ctx = {.args = &args, .json = true};

static void setup(void)
{
    ck_assert_int_eq(findings_open(&findings), STATUS_DONE);
    args.values[OPT_LIMIT] = (struct option_value){0};
}

static void teardown(void)
{
    findings_close(&findings);
}

// Everything as JSON; how many are no notes in *ret_count.
static char *listed(uint64_t *ret_count)
{
    struct list list;
    cJSON *document = cJSON_CreateObject();
    findings_begin_list(&list, &ctx, document);
    *ret_count = findings_list(&findings, &list);
    list_end(&list, "");
    char *text = cJSON_PrintUnformatted(document);
    cJSON_Delete(document);
    return text;
}

static void assert_listed(uint64_t count, const char *expected)
{
    uint64_t counted;
    char *text = listed(&counted);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(counted, count);
    free(text);
}

START_TEST(a_sentence_ends_with_what_is_lost)
{
    findings_add_damage(&findings, "queue", "it does not check; why; this is lost", "help");
    findings_add_damage(&findings, "queue", "nothing more is known", NULL);
    assert_listed(2,
                  "{\"findings\":[{\"severity\":\"error\",\"where\":\"queue\",\"what\":\"it does "
                  "not check; why\",\"lost\":\"this is lost\",\"help\":\"help\"},{\"severity\":"
                  "\"error\",\"where\":\"queue\",\"what\":\"nothing more is known\",\"lost\":"
                  "null,\"help\":null}],\"findings_more\":0}");
}
END_TEST

// The process was killed while it wrote, or a library wrote into the file.
START_TEST(a_line_that_is_no_finding_is_passed_over)
{
    fputs("garbage\n{\"where\":\"nowhere\"}\n", findings.file);
    findings_add(&findings, &(struct finding){SEVERITY_NOTE, "wills", "a note", NULL, NULL});
    fputs("{\"severity\":\"err", findings.file);
    assert_listed(0, "{\"findings\":[{\"severity\":\"note\",\"where\":\"wills\",\"what\":\"a "
                     "note\",\"lost\":null,\"help\":null}],\"findings_more\":0}");
}
END_TEST

START_TEST(those_beyond_the_limit_are_counted)
{
    args.values[OPT_LIMIT] = (struct option_value){.given = true, .number = 1};
    for (int i = 0; i < 3; i++)
        findings_add(&findings, &(struct finding){SEVERITY_ERROR, "queue", "what", NULL, NULL});
    assert_listed(3, "{\"findings\":[{\"severity\":\"error\",\"where\":\"queue\",\"what\":\"what\","
                     "\"lost\":null,\"help\":null}],\"findings_more\":2}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("findings");
    TCase *cases = tcase_create("findings");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_sentence_ends_with_what_is_lost);
    tcase_add_test(cases, a_line_that_is_no_finding_is_passed_over);
    tcase_add_test(cases, those_beyond_the_limit_are_counted);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

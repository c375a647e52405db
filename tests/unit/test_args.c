// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "args.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

// A table of its own: what the program's own says is tests/cli's business.
static const enum option_id none[] = {OPT_END};
static const enum option_id some[] = {OPT_LIMIT,     OPT_SORT,    OPT_IDLE,    OPT_TOPIC,
                                      OPT_MAX_QUEUE, OPT_MAX_AGE, OPT_OFFLINE, OPT_END};
static const struct verb table[] = {
    {"alone", NULL, "FILE", 1, 1, 0, none, NULL, "", "", ""},
    {"thing", "ls", "[ID]", 0, 1, 0, some, NULL, "", "", ""},
    {"thing", "rm", "ID...", 1, -1, 0, none, NULL, "", "", ""},
    {"secret", "made", "", 0, 0, VERB_HIDDEN, none, NULL, "", "", ""},
};

static struct args args;
static struct text why;

// The words after the program's name, apart by blanks.
static int parse(const char *line)
{
    static char copy[256];
    char *words[20] = {"program"};
    int count = 1;
    args_release(&args);
    text_clear(&why);
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        words[count++] = word;
    words[count] = NULL;
    return args_parse(&args, table, sizeof(table) / sizeof(table[0]), count, words, &why);
}

START_TEST(no_word_is_no_verb)
{
    ck_assert_int_eq(parse(""), STATUS_DONE);
    ck_assert_ptr_null(args.noun);
    ck_assert_ptr_null(args.verb);
}
END_TEST

START_TEST(options_may_stand_anywhere)
{
    static const char *const lines[] = {
        "--json --limit 10k thing ls x",
        "thing --json ls --limit=10k x",
        "thing ls x -j -l 10k",
        "-l10k thing ls --json -- x",
        "thing ls --limit 3 --limit 10k x --json",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_msg(parse(lines[i]) == STATUS_DONE, "%s: %s", lines[i], why.data);
        ck_assert_ptr_eq(args.verb, &table[1]);
        ck_assert_int_eq(args.positional_count, 1);
        ck_assert_str_eq(args.positional[0], "x");
        ck_assert(args.values[OPT_JSON].given);
        ck_assert_uint_eq(args.values[OPT_LIMIT].number, 10000);
    }
}
END_TEST

START_TEST(two_dashes_end_options)
{
    ck_assert_int_eq(parse("thing rm -- --yes -- -x"), STATUS_DONE);
    ck_assert_int_eq(args.positional_count, 3);
    ck_assert_str_eq(args.positional[0], "--yes");
    ck_assert_str_eq(args.positional[1], "--");
    ck_assert_str_eq(args.positional[2], "-x");
    ck_assert_int_eq(parse("alone -"), STATUS_DONE);
    ck_assert_str_eq(args.positional[0], "-");
}
END_TEST

START_TEST(values_have_their_units)
{
    ck_assert_int_eq(parse("thing ls --idle 2h --max-queue 5:10k --max-age 10m"), STATUS_DONE);
    ck_assert_uint_eq(args.values[OPT_IDLE].number, 7200000);
    ck_assert_uint_eq(args.values[OPT_MAX_QUEUE].number, 5);
    ck_assert_uint_eq(args.values[OPT_MAX_QUEUE].second, 10000);
    ck_assert_uint_eq(args.values[OPT_MAX_AGE].number, 600000);
    ck_assert(args.values[OPT_MAX_QUEUE].has_second && !args.values[OPT_MAX_AGE].has_second);
}
END_TEST

struct wrong {
    const char *line;
    const char *sentence;
};

static const struct wrong wrongs[] = {
    {"thin", "unknown command \"thin\"; did you mean thing?"},
    {"elephant", "unknown command \"elephant\""},
    {"secre", "unknown command \"secre\""},
    {"thing", "thing needs a verb: ls rm"},
    {"thing mv", "thing cannot \"mv\"; it can: ls rm"},
    {"thing rm", "thing rm needs ID..."},
    {"alone", "alone needs FILE"},
    {"alone a b", "alone does not know what to do with \"b\""},
    {"thing ls a b", "thing ls does not know what to do with \"b\""},
    {"thing rm x --limit 3", "thing rm takes no --limit"},
    {"thing ls --limt 3", "unknown option \"--limt\"; did you mean --limit?"},
    {"thing ls --zebra", "unknown option \"--zebra\""},
    {"thing ls -z", "unknown option \"-z\""},
    {"thing ls -jx", "unknown option \"-jx\""},
    {"thing ls --limit", "--limit needs a value: N"},
    {"thing ls --limit=", "--limit cannot be \"\"; it is a number such as 100, 10k or 2M"},
    {"thing ls --topic=", "--topic cannot be \"\""},
    {"thing ls --offline=yes", "--offline takes no value"},
    {"thing ls --limit -1", "--limit cannot be \"-1\"; it is a number such as 100, 10k or 2M"},
    {"thing ls --sort size", "--sort cannot be \"size\"; it is one of: id queue bytes age"},
    {"thing ls --sort i", "--sort cannot be \"i\"; it is one of: id queue bytes age"},
    {"thing ls --max-age 10:x",
     "--max-age cannot be \"10:x\"; it is one or two times such as 10m:1h"},
    {"thing ls --max-queue 1:2:3",
     "--max-queue cannot be \"1:2:3\"; it is one or two numbers such as 1000:10k"},
    {"thing ls \x1b[2J\x1b[3Jx y", "thing ls does not know what to do with \"y\""},
    {"thing \x1b[2J", "thing cannot \"\\x1b[2J\"; it can: ls rm"},
};

START_TEST(wrong_use_is_named)
{
    ck_assert_int_eq(parse(wrongs[_i].line), STATUS_USAGE);
    ck_assert_str_eq(why.data, wrongs[_i].sentence);
}
END_TEST

START_TEST(help_needs_no_arguments)
{
    ck_assert_int_eq(parse("thing --help"), STATUS_DONE);
    ck_assert_str_eq(args.noun, "thing");
    ck_assert_ptr_null(args.verb);
    ck_assert_int_eq(parse("thing rm -h"), STATUS_DONE);
    ck_assert_ptr_eq(args.verb, &table[2]);
    ck_assert_int_eq(parse("--help"), STATUS_DONE);
}
END_TEST

// Every option can be reached by its name, and by its letter if it has one, and no two share one.
START_TEST(the_list_of_options_is_sound)
{
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        const struct option *option = option_get((enum option_id)id);
        ck_assert_ptr_eq(option_by_name(option->name, strlen(option->name)), option);
        if (option->letter)
            ck_assert_ptr_eq(option_by_letter(option->letter), option);
        ck_assert((option->kind == OPTION_FLAG) == (option->placeholder == NULL));
        ck_assert((option->kind == OPTION_CHOICE || option->kind == OPTION_LIMITS) ==
                  (option->choices != NULL));
        ck_assert(option->help[0] && option->help[strlen(option->help) - 1] != '.');
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("args");
    TCase *tcase = tcase_create("args");
    tcase_add_test(tcase, no_word_is_no_verb);
    tcase_add_test(tcase, options_may_stand_anywhere);
    tcase_add_test(tcase, two_dashes_end_options);
    tcase_add_test(tcase, values_have_their_units);
    tcase_add_loop_test(tcase, wrong_use_is_named, 0, (int)(sizeof(wrongs) / sizeof(wrongs[0])));
    tcase_add_test(tcase, help_needs_no_arguments);
    tcase_add_test(tcase, the_list_of_options_is_sound);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

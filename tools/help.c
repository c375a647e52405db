// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "help.h"

#include <string.h>

#define WIDTH 80

const struct help_status help_statuses[] = {
    {STATUS_DONE, "done"},
    {STATUS_ERROR, "an error; one sentence on standard error says which"},
    {STATUS_USAGE, "wrong use"},
    {STATUS_FOUND, "the store is damaged, or verify or check found something"},
    {STATUS_HELD, "a running broker holds the store and the command needs it alone"},
};
const size_t help_statuses_count = sizeof(help_statuses) / sizeof(help_statuses[0]);

bool help_verb_has_status(const struct verb *verb, int status)
{
    // check ends as its format says.
    if (status > STATUS_DONE && status != STATUS_USAGE && strcmp(verb->noun, "check") == 0)
        return false;
    if (status == STATUS_HELD)
        return (verb->flags & (VERB_WRITES | VERB_ALONE)) != 0;
    if (status == STATUS_FOUND)
        return !(verb->flags & VERB_NO_STORE);
    return true;
}

// Prints `len` bytes of text in lines of at most WIDTH columns, indented; the cursor stands at
// `column` before.
static void print_wrapped(FILE *out, const char *text, size_t len, int indent, int column)
{
    bool fresh = column <= indent;
    fprintf(out, "%*s", indent > column ? indent - column : 0, "");
    column = column > indent ? column : indent;
    for (size_t at = 0; at < len;) {
        size_t word = 0;
        while (at + word < len && text[at + word] != ' ' && text[at + word] != '\n')
            word++;
        if (!fresh && column + 1 + (int)word > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            fresh = true;
        }
        column += fprintf(out, "%s%.*s", fresh ? "" : " ", (int)word, text + at);
        fresh = false;
        at += word;
        at += strspn(text + at, " \n");
    }
    fputc('\n', out);
}

static void print_paragraphs(FILE *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t len = end ? (size_t)(end - text) : strlen(text);
        print_wrapped(out, text, len, 0, 0);
        fputc('\n', out);
        text += len + (end ? 2 : 0);
    }
}

static void print_option(FILE *out, const struct option *option)
{
    int column = fprintf(out, "  ");
    if (option->letter)
        column += fprintf(out, "-%c, ", option->letter);
    else
        column += fprintf(out, "    ");
    column += fprintf(out, "--%s", option->name);
    if (option->placeholder)
        column += fprintf(out, " %s", option->placeholder);
    if (column >= 28) {
        fputc('\n', out);
        column = 0;
    }
    print_wrapped(out, option->help, strlen(option->help), 28, column);
}

static void print_global_options(FILE *out)
{
    fprintf(out, "Global options:\n");
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        if (option_get((enum option_id)id)->global)
            print_option(out, option_get((enum option_id)id));
    }
}

static void print_verb_line(FILE *out, const struct verb *verb)
{
    int column = fprintf(out, "  %s%s%s %s", verb->noun, verb->verb ? " " : "",
                         verb->verb ? verb->verb : "", verb->arguments);
    if (column >= 28) {
        fputc('\n', out);
        column = 0;
    }
    print_wrapped(out, verb->summary, strlen(verb->summary), 28, column);
}

void help_usage(FILE *out, const struct verb *verb)
{
    fprintf(out, PROGRAM " %s", verb->noun);
    if (verb->verb)
        fprintf(out, " %s", verb->verb);
    fprintf(out, " [OPTION]...");
    if (verb->arguments[0])
        fprintf(out, " %s", verb->arguments);
}

void help_program(FILE *out)
{
    fprintf(out, "Usage: " PROGRAM " [OPTION]... NOUN [VERB] [ARGUMENT]...\n\n");
    fprintf(out, "Shows, checks, copies and mends what a Mosquitto broker keeps in its store.\n\n");
    fprintf(out, "Commands:\n");
    for (size_t i = 0; i < verbs_count; i++) {
        if (!(verbs[i].flags & VERB_HIDDEN))
            print_verb_line(out, &verbs[i]);
    }
    fputc('\n', out);
    print_global_options(out);
    fprintf(out, "\nExit status:\n");
    for (size_t i = 0; i < help_statuses_count; i++)
        fprintf(out, "  %d  %s\n", help_statuses[i].status, help_statuses[i].meaning);
    fprintf(out, "\n" PROGRAM " NOUN --help and " PROGRAM " NOUN VERB --help say more.\n");
}

void help_noun(FILE *out, const char *noun)
{
    fprintf(out, "Usage: " PROGRAM " %s VERB [OPTION]... [ARGUMENT]...\n\n", noun);
    if (noun_summary(noun)[0])
        fprintf(out, "%s\n\n", noun_summary(noun));
    for (size_t i = 0; i < verbs_count; i++) {
        if (strcmp(verbs[i].noun, noun) == 0)
            print_verb_line(out, &verbs[i]);
    }
    fprintf(out, "\n" PROGRAM " %s VERB --help says more.\n", noun);
}

static void print_examples(FILE *out, const char *examples)
{
    fprintf(out, "\nExamples:\n");
    for (const char *at = examples; *at;) {
        size_t line = strcspn(at, "\n");
        size_t command = strcspn(at, "\t\n");
        fprintf(out, "  %.*s\n", (int)command, at);
        if (command + 1 < line)
            print_wrapped(out, at + command + 1, line - command - 1, 6, 0);
        at += line + (at[line] == '\n');
    }
}

void help_verb(FILE *out, const struct verb *verb)
{
    fprintf(out, "Usage: ");
    help_usage(out, verb);
    fprintf(out, "\n\n");
    print_paragraphs(out, verb->details);
    if (verb->options[0] != OPT_END) {
        fprintf(out, "Options:\n");
        for (const enum option_id *id = verb->options; *id != OPT_END; id++)
            print_option(out, option_get(*id));
        fputc('\n', out);
    }
    print_global_options(out);
    if (verb->examples[0])
        print_examples(out, verb->examples);
    fprintf(out, "\nExit status:\n");
    for (size_t i = 0; i < help_statuses_count; i++) {
        if (help_verb_has_status(verb, help_statuses[i].status))
            fprintf(out, "  %d  %s\n", help_statuses[i].status, help_statuses[i].meaning);
    }
}

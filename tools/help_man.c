// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "help.h"

#include <string.h>

// Text for troff: a backslash and a hyphen are characters, a leading dot or quote is not a request.
static void put(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool line_start = i == 0 || text[i - 1] == '\n';
        if (line_start && (text[i] == '.' || text[i] == '\''))
            fputs("\\&", out);
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else
            fputc(text[i], out);
    }
}

static void puts_line(FILE *out, const char *text)
{
    put(out, text, strlen(text));
    fputc('\n', out);
}

static void put_paragraphs(FILE *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t len = end ? (size_t)(end - text) : strlen(text);
        put(out, text, len);
        fputs(end ? "\n.PP\n" : "\n", out);
        text += len + (end ? 2 : 0);
    }
}

static void put_option(FILE *out, const struct option *option)
{
    fputs(".TP\n", out);
    if (option->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    put(out, option->name, strlen(option->name));
    fputs("\\fR", out);
    if (option->placeholder)
        fprintf(out, " \\fI%s\\fR", option->placeholder);
    fputc('\n', out);
    puts_line(out, option->help);
}

static void put_verb(FILE *out, const struct verb *verb)
{
    fprintf(out, ".SS %s%s%s", verb->noun, verb->verb ? " " : "", verb->verb ? verb->verb : "");
    fputc(' ', out);
    puts_line(out, verb->arguments);
    put_paragraphs(out, verb->details);
    for (const enum option_id *id = verb->options; *id != OPT_END; id++)
        put_option(out, option_get(*id));
    for (const char *at = verb->examples; *at;) {
        size_t line = strcspn(at, "\n");
        size_t command = strcspn(at, "\t\n");
        fputs(".PP\nExample: \\fB", out);
        put(out, at, command);
        fputs("\\fR\n", out);
        if (command + 1 < line) {
            fputs(".br\n", out);
            put(out, at + command + 1, line - command - 1);
            fputc('\n', out);
        }
        at += line + (at[line] == '\n');
    }
}

void help_man_page(FILE *out)
{
    fputs(
        ".TH MOSQUITTO_LMDB 1 \"\" \"mosquitto\\-persist\\-lmdb\" \"User Commands\"\n"
        ".SH NAME\nmosquitto_lmdb \\- look after the store of a Mosquitto broker\n"
        ".SH SYNOPSIS\n.B mosquitto_lmdb\n[\\fIOPTION\\fR]... \\fINOUN\\fR [\\fIVERB\\fR] "
        "[\\fIARGUMENT\\fR]...\n"
        ".SH DESCRIPTION\n"
        "Shows, checks, copies and mends what a Mosquitto broker keeps in its store.\n"
        ".PP\n"
        "On a store that no broker holds, a command first finishes what a crash left, as a "
        "broker would. On the store of a running broker it shows what the tables have and says "
        "how far they are behind the journal. Where the folder is mounted read\\-only, the broker "
        "cannot see what is being read, and this is refused.\n"
        ".PP\n"
        "What destroys something asks first, naming counts and bytes. Without a terminal it "
        "needs \\fB\\-\\-yes\\fR. Names of clients and topics are shown with control characters "
        "escaped.\n"
        ".SH GLOBAL OPTIONS\n",
        out);
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        if (option_get((enum option_id)id)->global)
            put_option(out, option_get((enum option_id)id));
    }
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < verbs_count; i++) {
        if (!(verbs[i].flags & VERB_HIDDEN))
            put_verb(out, &verbs[i]);
    }
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < help_statuses_count; i++) {
        fprintf(out, ".TP\n.B %d\n", help_statuses[i].status);
        puts_line(out, help_statuses[i].meaning);
    }
    fputs(".SH ENVIRONMENT\n.TP\n.B MOSQUITTO_LMDB_STORE\n"
          "the store folder if \\fB\\-\\-store\\fR is not given\n"
          ".TP\n.B NO_COLOR\nset and not empty: no colours unless \\fB\\-\\-color always\\fR\n"
          ".SH SEE ALSO\n.BR mosquitto (8),\n.BR mosquitto.conf (5)\n",
          out);
}

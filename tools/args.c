// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "args.h"

#include "escape.h"
#include "human.h"
#include "nearest.h"

#include <stdlib.h>

struct parser {
    struct args *args;
    const struct verb *table;
    size_t table_count;
    struct text *why;
    const char **words; // all that are no options
    int words_count;
};

static bool choice_is_legal(const char *choices, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = choices; *at;) {
        size_t choice = strcspn(at, " ");
        if (choice == len && memcmp(at, word, len) == 0)
            return true;
        at += choice;
        at += strspn(at, " ");
    }
    return false;
}

static bool limit_parse(const char *unit, const char *string, uint64_t *ret_value)
{
    switch (unit[0]) {
    case 'd':
        return human_parse_duration(string, ret_value);
    case 'b':
        return human_parse_bytes(string, ret_value);
    default:
        return human_parse_count(string, ret_value);
    }
}

static bool limits_parse(const char *unit, const char *string, struct option_value *value)
{
    char first[32];
    size_t len = strcspn(string, ":");
    if (len >= sizeof(first))
        return false;
    memcpy(first, string, len);
    first[len] = '\0';
    if (!limit_parse(unit, first, &value->number))
        return false;
    value->has_second = string[len] != '\0';
    return !value->has_second || limit_parse(unit, string + len + 1, &value->second);
}

static const char *kind_example(const struct option *option)
{
    switch (option->kind) {
    case OPTION_COUNT:
        return "a number such as 100, 10k or 2M";
    case OPTION_DURATION:
        return "a time such as 90s, 10m, 2h or 30d";
    case OPTION_LIMITS:
        return option->choices[0] == 'd'   ? "one or two times such as 10m:1h"
               : option->choices[0] == 'b' ? "one or two sizes such as 512M:1G"
                                           : "one or two numbers such as 1000:10k";
    default:
        return option->choices;
    }
}

static int option_store(struct parser *parser, const struct option *option, const char *text)
{
    struct option_value *value = &parser->args->values[option->id];
    bool legal = true;
    value->given = true;
    value->text = text;
    switch (option->kind) {
    case OPTION_FLAG:
        break;
    case OPTION_TEXT:
        legal = text[0] != '\0';
        break;
    case OPTION_CHOICE:
        legal = choice_is_legal(option->choices, text);
        break;
    case OPTION_COUNT:
        legal = human_parse_count(text, &value->number);
        break;
    case OPTION_DURATION:
        legal = human_parse_duration(text, &value->number);
        break;
    case OPTION_LIMITS:
        legal = limits_parse(option->choices, text, value);
        break;
    }
    if (legal)
        return STATUS_DONE;
    text_addf(parser->why, "--%s cannot be ", option->name);
    escape_add_quoted(parser->why, span_str(text));
    if (option->kind == OPTION_CHOICE)
        text_addf(parser->why, "; it is one of: %s", option->choices);
    else if (option->kind != OPTION_TEXT)
        text_addf(parser->why, "; it is %s", kind_example(option));
    return STATUS_USAGE;
}

// Takes the option at argv[*at] and, if it has one in a word of its own, its value.
static int option_take(struct parser *parser, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    const struct option *option = NULL;
    const char *text = NULL;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        option = option_by_name(word + 2, len);
        if (word[2 + len] == '=')
            text = word + 2 + len + 1;
    } else {
        option = option_by_letter(word[1]);
        if (option && word[2] != '\0') {
            if (option->kind == OPTION_FLAG)
                option = NULL;
            else
                text = word + 2;
        }
    }
    if (!option) {
        text_adds(parser->why, "unknown option ");
        escape_add_quoted(parser->why, span_str(word));
        const char *near = word[1] == '-' ? option_nearest(word + 2) : NULL;
        if (near)
            text_addf(parser->why, "; did you mean --%s?", near);
        return STATUS_USAGE;
    }
    if (option->kind == OPTION_FLAG && text) {
        text_addf(parser->why, "--%s takes no value", option->name);
        return STATUS_USAGE;
    }
    if (option->kind != OPTION_FLAG && !text) {
        if (*at + 1 >= argc) {
            text_addf(parser->why, "--%s needs a value: %s", option->name, option->placeholder);
            return STATUS_USAGE;
        }
        text = argv[++*at];
    }
    return option_store(parser, option, text);
}

static int words_collect(struct parser *parser, int argc, char **argv)
{
    bool options = true;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && word[0] == '-' && word[1] != '\0') {
            int status = option_take(parser, argc, argv, &at);
            if (status)
                return status;
        } else {
            parser->words[parser->words_count++] = word;
        }
    }
    return STATUS_DONE;
}

static bool noun_exists(const struct parser *parser, const char *noun)
{
    for (size_t i = 0; i < parser->table_count; i++) {
        if (strcmp(parser->table[i].noun, noun) == 0)
            return true;
    }
    return false;
}

static int unknown_noun(struct parser *parser, const char *noun)
{
    struct nearest nearest;
    nearest_init(&nearest, noun);
    for (size_t i = 0; i < parser->table_count; i++) {
        if (!(parser->table[i].flags & VERB_HIDDEN))
            nearest_add(&nearest, parser->table[i].noun);
    }
    text_adds(parser->why, "unknown command ");
    escape_add_quoted(parser->why, span_str(noun));
    if (nearest.name)
        text_addf(parser->why, "; did you mean %s?", nearest.name);
    return STATUS_USAGE;
}

static int unknown_verb(struct parser *parser, const char *noun, const char *verb)
{
    if (verb) {
        text_addf(parser->why, "%s cannot ", noun);
        escape_add_quoted(parser->why, span_str(verb));
        text_adds(parser->why, "; it can:");
    } else {
        text_addf(parser->why, "%s needs a verb:", noun);
    }
    for (size_t i = 0; i < parser->table_count; i++) {
        if (strcmp(parser->table[i].noun, noun) == 0)
            text_addf(parser->why, " %s", parser->table[i].verb);
    }
    return STATUS_USAGE;
}

// Finds the row of the first words and says in *ret_used how many they are.
static int verb_find(struct parser *parser, int *ret_used)
{
    struct args *args = parser->args;
    if (parser->words_count == 0)
        return STATUS_DONE;
    const char *noun = parser->words[0];
    const char *verb = parser->words_count > 1 ? parser->words[1] : NULL;
    args->noun = noun;
    if (!noun_exists(parser, noun))
        return unknown_noun(parser, noun);
    for (size_t i = 0; i < parser->table_count && !args->verb; i++) {
        const struct verb *row = &parser->table[i];
        if (strcmp(row->noun, noun) != 0)
            continue;
        if (!row->verb || (verb && strcmp(row->verb, verb) == 0)) {
            args->verb = row;
            *ret_used = row->verb ? 2 : 1;
        }
    }
    bool explains = args->values[OPT_HELP].given || strcmp(noun, "help") == 0;
    if (args->verb || (!verb && explains))
        return STATUS_DONE;
    return unknown_verb(parser, noun, verb);
}

static void add_verb_name(struct text *text, const struct verb *verb)
{
    text_adds(text, verb->noun);
    if (verb->verb)
        text_addf(text, " %s", verb->verb);
}

static bool option_allowed(const struct verb *verb, const struct option *option)
{
    if (option->global)
        return true;
    for (const enum option_id *id = verb->options; *id != OPT_END; id++) {
        if (*id == option->id)
            return true;
    }
    return false;
}

static int verb_check(struct parser *parser)
{
    const struct args *args = parser->args;
    const struct verb *verb = args->verb;
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        const struct option *option = option_get((enum option_id)id);
        if (args->values[id].given && !option_allowed(verb, option)) {
            add_verb_name(parser->why, verb);
            text_addf(parser->why, " takes no --%s", option->name);
            return STATUS_USAGE;
        }
    }
    if (args->values[OPT_HELP].given)
        return STATUS_DONE;
    int count = args->positional_count;
    if (count < verb->min_args) {
        add_verb_name(parser->why, verb);
        text_addf(parser->why, " needs %s", verb->arguments);
        return STATUS_USAGE;
    }
    if (verb->max_args >= 0 && count > verb->max_args) {
        add_verb_name(parser->why, verb);
        text_adds(parser->why, " does not know what to do with ");
        escape_add_quoted(parser->why, span_str(args->positional[verb->max_args]));
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

int args_parse(struct args *args, const struct verb *table, size_t table_count, int argc,
               char **argv, struct text *why)
{
    int used = 0;
    *args = (struct args){0};
    args->positional = xcalloc((size_t)argc + 1, sizeof(*args->positional));
    struct parser parser = {args, table, table_count, why, args->positional, 0};

    int status = words_collect(&parser, argc, argv);
    if (status == STATUS_DONE)
        status = verb_find(&parser, &used);
    if (status)
        return status;

    args->positional_count = parser.words_count - used;
    memmove(args->positional, args->positional + used,
            (size_t)args->positional_count * sizeof(*args->positional));
    return args->verb ? verb_check(&parser) : STATUS_DONE;
}

void args_release(struct args *args)
{
    free(args->positional);
    args->positional = NULL;
}

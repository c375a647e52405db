// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "help.h"

#include <string.h>

static bool noun_is_new(size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (strcmp(verbs[i].noun, verbs[row].noun) == 0)
            return false;
    }
    return !(verbs[row].flags & VERB_HIDDEN);
}

static void put_choices(FILE *out)
{
    fputs("    case $prev in\n"
          "    --store|-s) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n",
          out);
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        const struct option *option = option_get((enum option_id)id);
        if (option->kind == OPTION_CHOICE)
            fprintf(out, "    --%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n",
                    option->name, option->choices);
        else if (option->kind != OPTION_FLAG && option->id != OPT_STORE)
            fprintf(out, "    --%s) return ;;\n", option->name);
    }
    fputs("    esac\n", out);
}

// A loop that leaves the first two words that are no options in `noun` and `verb`.
static void put_words(FILE *out)
{
    fputs("    local word skip= noun= verb=\n"
          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "        if [ -n \"$skip\" ]; then skip=; continue; fi\n"
          "        case $word in\n"
          "        ",
          out);
    const char *bar = "";
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        const struct option *option = option_get((enum option_id)id);
        if (option->kind == OPTION_FLAG)
            continue;
        fprintf(out, "%s--%s", bar, option->name);
        if (option->letter)
            fprintf(out, "|-%c", option->letter);
        bar = "|";
    }
    fputs(") skip=1 ;;\n"
          "        -*) ;;\n"
          "        *) if [ -z \"$noun\" ]; then noun=$word; elif [ -z \"$verb\" ]; then "
          "verb=$word; fi ;;\n"
          "        esac\n"
          "    done\n",
          out);
}

static void put_options(FILE *out)
{
    fputs("    local options='", out);
    for (unsigned id = 1; id < OPT_COUNT_ALL; id++) {
        if (option_get((enum option_id)id)->global)
            fprintf(out, "--%s ", option_get((enum option_id)id)->name);
    }
    fputs("'\n    case \"$noun $verb\" in\n", out);
    for (size_t i = 0; i < verbs_count; i++) {
        if (verbs[i].options[0] == OPT_END || (verbs[i].flags & VERB_HIDDEN))
            continue;
        fprintf(out, "    '%s '%s) options+='", verbs[i].noun, verbs[i].verb ? verbs[i].verb : "*");
        for (const enum option_id *id = verbs[i].options; *id != OPT_END; id++)
            fprintf(out, "--%s ", option_get(*id)->name);
        fputs("' ;;\n", out);
    }
    fputs("    esac\n", out);
}

static void put_nouns(FILE *out)
{
    fputs("    case $noun in\n    '') COMPREPLY=($(compgen -W '", out);
    for (size_t i = 0; i < verbs_count; i++) {
        if (noun_is_new(i))
            fprintf(out, "%s ", verbs[i].noun);
    }
    fputs("' -- \"$cur\")) ;;\n", out);
    for (size_t i = 0; i < verbs_count; i++) {
        if (!noun_is_new(i) || !verbs[i].verb)
            continue;
        fprintf(out, "    %s) [ -n \"$verb\" ] || COMPREPLY=($(compgen -W '", verbs[i].noun);
        for (size_t j = i; j < verbs_count; j++) {
            if (strcmp(verbs[i].noun, verbs[j].noun) == 0)
                fprintf(out, "%s ", verbs[j].verb);
        }
        fputs("' -- \"$cur\")) ;;\n", out);
    }
    fputs("    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n    esac\n", out);
}

void help_completion(FILE *out)
{
    fputs("# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause\n"
          "# bash completion for mosquitto_lmdb, made from its table of commands\n"
          "_mosquitto_lmdb()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    COMPREPLY=()\n",
          out);
    put_choices(out);
    put_words(out);
    put_options(out);
    fputs("    case $cur in\n"
          "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")); return ;;\n"
          "    esac\n",
          out);
    put_nouns(out);
    fputs("}\ncomplete -F _mosquitto_lmdb mosquitto_lmdb\n", out);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "findings.h"

#include "json.h"

#include <errno.h>
#include <stdlib.h>

static const char *const severity_names[] = {"note", "error"};

static const struct column columns[] = {
    {"severity", "SEVERITY", COLUMN_WORD}, {"where", "WHERE", COLUMN_WORD},
    {"what", "WHAT", COLUMN_PROSE},        {"lost", "LOST", COLUMN_PROSE},
    {"help", "HELP", COLUMN_PROSE},
};

int findings_open(struct findings *findings)
{
    findings->file = tmpfile();
    if (!findings->file)
        return context_refuse(STATUS_ERROR, "cannot make a temporary file: %s", strerror(errno));
    return STATUS_DONE;
}

void findings_close(struct findings *findings)
{
    fclose(findings->file);
    findings->file = NULL;
}

void findings_add(struct findings *findings, const struct finding *finding)
{
    cJSON *entry = cJSON_CreateObject();
    json_add_string(entry, "severity", severity_names[finding->severity]);
    json_add_string(entry, "where", finding->where);
    json_add_string(entry, "what", finding->what);
    json_add_string(entry, "lost", finding->lost);
    json_add_string(entry, "help", finding->help);
    char *line = cJSON_PrintUnformatted(entry);
    fprintf(findings->file, "%s\n", line);
    // The next thing this process reads may be its last.
    fflush(findings->file);
    free(line);
    cJSON_Delete(entry);
}

void findings_add_damage(struct findings *findings, const char *where, const char *sentence,
                         const char *help)
{
    struct text what = {0};
    const char *lost = NULL;
    text_adds(&what, sentence);
    for (char *at = what.data; (at = strstr(at, "; ")); at += 2)
        lost = at + 2;
    if (lost)
        what.data[lost - 2 - what.data] = '\0';
    findings_add(findings, &(struct finding){SEVERITY_ERROR, where, what.data, lost, help});
    text_release(&what);
}

void findings_add_journal(struct findings *findings, const char *sentence)
{
    struct text what = {0};
    // What follows the first words is advice, which led here.
    text_add(&what, sentence, strcspn(sentence, ";"));
    findings_add(findings, &(struct finding){SEVERITY_ERROR, "journal", what.data,
                                             "what LMDB does not have yet",
                                             "keep a copy of the folder; then repair --output DIR, "
                                             "or repair --truncate-journal"});
    text_release(&what);
}

void findings_begin_list(struct list *list, const struct context *ctx, void *document)
{
    list_begin_part(list, ctx, document, "findings", columns, sizeof(columns) / sizeof(columns[0]));
}

static const char *member(const cJSON *entry, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, key));
}

static const char *severity_color(const char *severity)
{
    return severity[0] == 'e' ? "red" : NULL;
}

uint64_t findings_list(struct findings *findings, struct list *list)
{
    uint64_t count = 0;
    char *line = NULL;
    size_t size = 0;
    rewind(findings->file);
    while (getline(&line, &size, findings->file) > 0) {
        cJSON *entry = cJSON_Parse(line);
        const char *severity = entry ? member(entry, "severity") : NULL;
        if (severity && strcmp(severity, severity_names[SEVERITY_NOTE]) != 0)
            count++;
        if (severity && list_row(list)) {
            list_word(list, severity);
            if (severity_color(severity))
                list_paint(list, severity_color(severity));
            list_word(list, member(entry, "where"));
            list_word(list, member(entry, "what"));
            list_word(list, member(entry, "lost"));
            list_word(list, member(entry, "help"));
        }
        cJSON_Delete(entry);
    }
    free(line);
    return count;
}

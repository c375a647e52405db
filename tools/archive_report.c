// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "archive_report.h"

#include "escape.h"
#include "human.h"
#include "json.h"

#include <stdio.h>

static void id_text(const struct archive_head *head, char text[33])
{
    for (size_t i = 0; i < sizeof(head->store_id); i++)
        snprintf(text + 2 * i, 3, "%02x", head->store_id[i]);
}

void archive_report_print(const struct context *ctx, const struct store_backup_report *report,
                          const char *done, const char *file, bool on_stderr)
{
    char store_id[33];
    struct text line = {0}, text = {0};
    id_text(&report->head, store_id);
    if (ctx->json) {
        cJSON *document = json_document();
        json_add_string(document, "done", done);
        json_add_string(document, "file", file);
        json_add_string(document, "store_id", store_id);
        json_add_number(document, "format_version", report->head.format_version);
        json_add_signed(document, "taken_ms", report->head.taken_ms);
        json_add_id(document, "position", report->head.position);
        json_add_number(document, "bytes", report->bytes);
        json_add_number(document, "behind_records", report->behind_records);
        char *printed = cJSON_PrintUnformatted(document);
        text_addf(&line, "%s\n", printed);
        cJSON_free(printed);
        cJSON_Delete(document);
    } else {
        text_addf(&line, "%s: ", done);
        escape_add(&line, span_str(file));
        text_addf(&line, ", store %s, ", store_id);
        human_bytes(&line, report->bytes);
        text_adds(&line, " of tables, as of ");
        human_time(&line, report->head.taken_ms / 1000);
        text_addc(&line, '\n');
    }
    fputs(line.data, on_stderr ? stderr : stdout);
    if (report->behind_records) {
        human_plural(&text, report->behind_records, "event");
        context_note("%s that the journal had and the tables had not are not in it", text.data);
    }
    text_release(&line);
    text_release(&text);
}

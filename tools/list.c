// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "list.h"

#include "display_width.h"
#include "escape.h"
#include "human.h"
#include "json.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Rows whose widths are known before the first of them is printed. More would be memory.
#define BATCH_ROWS 1000u

static int kind_flags(enum column_kind kind)
{
    switch (kind) {
    case COLUMN_COUNT:
    case COLUMN_BYTES:
    case COLUMN_NUMBER:
    case COLUMN_ID:
        return SCOLS_FL_RIGHT;
    case COLUMN_TEXT:
        return SCOLS_FL_TRUNC;
    case COLUMN_PROSE:
        return SCOLS_FL_WRAP;
    default:
        return 0;
    }
}

static struct libscols_table *table_new(const struct context *ctx, const struct column *columns,
                                        size_t count)
{
    struct libscols_table *table = scols_new_table();
    if (!table)
        out_of_memory();
    // Strings are escaped before they get here.
    scols_table_enable_noencoding(table, 1);
    scols_table_enable_colors(table, ctx->color);
    for (size_t i = 0; i < count; i++) {
        if (!columns[i].title)
            continue;
        int flags = kind_flags(columns[i].kind);
        struct libscols_column *column = scols_table_new_column(table, columns[i].title, 0, flags);
        if (!column)
            out_of_memory();
        if (ctx->color)
            scols_cell_set_color(scols_column_get_header(column), "bold");
    }
    return table;
}

static void list_init(struct list *list, const struct context *ctx, const char *name,
                      const struct column *columns, size_t columns_count)
{
    *list = (struct list){
        .ctx = ctx,
        .name = name,
        .columns = columns,
        .columns_count = columns_count,
        .next = columns_count,
        .limit = context_number(ctx, OPT_LIMIT, UINT64_MAX),
    };
    if (!ctx->json)
        list->table = table_new(ctx, columns, columns_count);
}

void list_begin(struct list *list, const struct context *ctx, const char *name,
                const struct column *columns, size_t columns_count)
{
    list_init(list, ctx, name, columns, columns_count);
    if (ctx->json)
        printf("{\"format\":%d,\"%s\":[", JSON_FORMAT_VERSION, name);
}

void list_begin_part(struct list *list, const struct context *ctx, void *document, const char *name,
                     const struct column *columns, size_t columns_count)
{
    list_init(list, ctx, name, columns, columns_count);
    list->document = document;
    if (document)
        list->array = cJSON_AddArrayToObject(document, name);
}

// The table cuts what does not fit a terminal and does not show that it did.
static void batch_mark_cuts(struct list *list)
{
    struct libscols_table *table = list->table;
    struct libscols_iter *lines = scols_new_iter(SCOLS_ITER_FORWARD);
    struct libscols_line *line;
    char *printed = NULL;
    // Widths are known once it was printed.
    if (!lines || scols_print_table_to_string(table, &printed) != 0)
        out_of_memory();
    free(printed);
    while (scols_table_next_line(table, lines, &line) == 0) {
        for (size_t i = 0; i < scols_table_get_ncols(table); i++) {
            struct libscols_column *column = scols_table_get_column(table, i);
            struct libscols_cell *cell = scols_line_get_cell(line, i);
            size_t width = scols_column_get_width(column);
            const char *data = scols_cell_get_data(cell);
            if (!scols_column_is_trunc(column) || !data || display_width(data) <= width)
                continue;
            struct text text = {0};
            display_add_cut(&text, data, width);
            scols_cell_set_data(cell, text.data);
            text_release(&text);
        }
    }
    scols_free_iter(lines);
}

// Later batches have no titles and are at least as wide as what was printed before.
static void batch_print(struct list *list)
{
    struct libscols_table *table = list->table;
    if (isatty(STDOUT_FILENO))
        batch_mark_cuts(list);
    scols_print_table(table);
    size_t count = scols_table_get_ncols(table);
    for (size_t i = 0; i < count; i++) {
        struct libscols_column *column = scols_table_get_column(table, i);
        size_t width = scols_column_get_width(column);
        if (width > 1)
            scols_column_set_whint(column, (double)width);
    }
    scols_table_remove_lines(table);
    scols_table_enable_noheadings(table, 1);
    list->batch_rows = 0;
    list->printed = true;
}

static void json_row_print(struct list *list)
{
    char *row = cJSON_PrintUnformatted(list->row);
    if (!row)
        out_of_memory();
    printf("%s\n%s", list->rows > 1 ? "," : "", row);
    free(row);
    cJSON_Delete(list->row);
}

static void row_finish(struct list *list)
{
    if (list->row && list->array)
        cJSON_AddItemToArray(list->array, list->row);
    else if (list->row)
        json_row_print(list);
    list->row = NULL;
    if (list->line && ++list->batch_rows == BATCH_ROWS)
        batch_print(list);
    list->line = NULL;
}

bool list_row(struct list *list)
{
    row_finish(list);
    if (list->rows >= list->limit) {
        list->hidden++;
        return false;
    }
    list->rows++;
    list->next = 0;
    list->title_next = 0;
    if (list->ctx->json) {
        list->row = cJSON_CreateObject();
    } else {
        list->line = scols_table_new_line(list->table, NULL);
        if (!list->line)
            out_of_memory();
    }
    return true;
}

// Puts the cell's text into the table.
static void cell_set(struct list *list, const char *text)
{
    if (scols_line_set_data(list->line, list->title_next++, text) != 0)
        out_of_memory();
}

static const struct column *column_take(struct list *list)
{
    return &list->columns[list->next++];
}

void list_text(struct list *list, struct span span)
{
    const struct column *column = column_take(list);
    if (list->row && column->key)
        json_add_span(list->row, column->key, span);
    if (list->line && column->title) {
        struct text text = {0};
        escape_add(&text, span);
        cell_set(list, text.data);
        text_release(&text);
    }
}

void list_base64(struct list *list, struct span span)
{
    const struct column *column = column_take(list);
    if (list->row)
        json_add_base64(list->row, column->key, span);
}

void list_word(struct list *list, const char *word)
{
    const struct column *column = column_take(list);
    if (list->row && column->key)
        json_add_string(list->row, column->key, word);
    if (list->line && column->title)
        cell_set(list, word ? word : "-");
}

void list_nothing(struct list *list)
{
    list_word(list, NULL);
}

static void number_add_text(struct text *text, enum column_kind kind, uint64_t number)
{
    switch (kind) {
    case COLUMN_COUNT:
        human_count(text, number);
        break;
    case COLUMN_BYTES:
        human_bytes(text, number);
        break;
    case COLUMN_DURATION:
        human_duration(text, number);
        break;
    case COLUMN_BOOL:
        text_adds(text, number ? "yes" : "no");
        break;
    default:
        text_addf(text, "%" PRIu64, number);
    }
}

void list_number(struct list *list, uint64_t number)
{
    const struct column *column = column_take(list);
    if (list->row && column->key) {
        if (column->kind == COLUMN_ID)
            json_add_id(list->row, column->key, number);
        else if (column->kind == COLUMN_BOOL)
            json_add_bool(list->row, column->key, number != 0);
        else
            json_add_number(list->row, column->key, number);
    }
    if (list->line && column->title) {
        struct text text = {0};
        number_add_text(&text, column->kind, number);
        cell_set(list, text.data);
        text_release(&text);
    }
}

void list_age(struct list *list, int64_t time_s)
{
    int64_t age_s = context_now_s() - time_s;
    list_number(list, (uint64_t)time_s);
    if (time_s && age_s >= 0)
        list_number(list, (uint64_t)age_s * 1000);
    else
        list_nothing(list);
}

void list_paint(struct list *list, const char *color)
{
    if (list->line && list->ctx->color && list->title_next > 0)
        scols_cell_set_color(scols_line_get_cell(list->line, list->title_next - 1), color);
}

void list_print_more(uint64_t hidden)
{
    struct text more = {0};
    if (hidden == 0)
        return;
    human_count(&more, hidden);
    printf("\u2026 and %s more\n", more.data);
    text_release(&more);
}

void list_end(struct list *list, const char *empty)
{
    row_finish(list);
    if (list->document) {
        struct text key = {0};
        text_addf(&key, "%s_more", list->name);
        json_add_number(list->document, key.data, list->hidden);
        text_release(&key);
        return;
    }
    if (list->ctx->json) {
        printf("%s],\"more\":%" PRIu64 "}\n", list->rows ? "\n" : "", list->hidden);
        return;
    }
    if (list->batch_rows)
        batch_print(list);
    scols_unref_table(list->table);
    list->table = NULL;
    list_print_more(list->hidden);
    if (list->hidden == 0 && !list->printed && list->rows == 0 && empty[0]) {
        printf("%s\n", empty);
    }
}

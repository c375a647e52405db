// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A list of rows, printed while it is made: as a table in batches, or as one JSON document
//   {"format":1,"<name>":[{row},{row}],"more":N}
// with a line for each row. Each cell is added once and shown in both ways.
#ifndef TOOLS_LIST_H
#define TOOLS_LIST_H

#include "context.h"

enum column_kind {
    COLUMN_TEXT,     // a client's string: escaped in a table
    COLUMN_WORD,     // a word of ours
    COLUMN_PROSE,    // a sentence of ours, broken into lines on a terminal
    COLUMN_COUNT,    // 1,234,567
    COLUMN_BYTES,    // 1.2 MiB
    COLUMN_DURATION, // of milliseconds: 3 d 4 h
    COLUMN_NUMBER,   // digits
    COLUMN_ID,       // digits, a string in JSON
    COLUMN_BOOL,     // yes or no
};

struct column {
    const char *key;   // in JSON; NULL: not there
    const char *title; // in a table; NULL: not there
    enum column_kind kind;
};

struct list {
    const struct context *ctx;
    const char *name;
    const struct column *columns;
    size_t columns_count;
    size_t next;       // column of the next cell
    void *table;       // struct libscols_table, only for text
    void *line;        // struct libscols_line
    size_t title_next; // column of the table for the next cell
    unsigned batch_rows;
    bool printed; // a batch was printed
    void *row;    // cJSON, only for JSON
    void *array;  // cJSON, only as a part of a document
    void *document;
    uint64_t rows;
    uint64_t limit;  // rows to print
    uint64_t hidden; // rows not printed because of it
};

// The limit is --limit's, else there is none. The columns must outlive the list.
void list_begin(struct list *list, const struct context *ctx, const char *name,
                const struct column *columns, size_t columns_count);

// As a part of a document: with JSON the rows become the array `name` of the cJSON `document`, and
// the number of hidden rows `name`_more. Without, `document` is NULL and a table is printed.
void list_begin_part(struct list *list, const struct context *ctx, void *document, const char *name,
                     const struct column *columns, size_t columns_count);

// Begins a row. False if the limit is reached: the row is counted and its cells must not be added.
bool list_row(struct list *list);

// The cells of a row, in the order of the columns.
void list_text(struct list *list, struct span span);
void list_word(struct list *list, const char *word);   // NULL: none
void list_number(struct list *list, uint64_t number);  // count, bytes, duration, number, id, bool
void list_nothing(struct list *list);                  // null, "-"
void list_base64(struct list *list, struct span span); // only in JSON

// Two cells: a time in seconds since the epoch for JSON, and how long ago that was for the table;
// 0 is unknown.
void list_age(struct list *list, int64_t time_s);

// Colours the cell added last, e.g. "red". Nothing happens without colours.
void list_paint(struct list *list, const char *color);

// "... and N more", if N is not 0.
void list_print_more(uint64_t hidden);

// Prints what is left, says how many rows were hidden, and, in a table without rows, `empty`.
void list_end(struct list *list, const char *empty);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Strings of clients as a terminal may see them: what could move a cursor, change a colour or
// reorder a line is written as an escape.
#ifndef TOOLS_ESCAPE_H
#define TOOLS_ESCAPE_H

#include "text.h"

// Appends `span` with control characters as \n, \t, \r, \xNN, invisible and direction-changing
// characters as \u{...}, invalid UTF-8 as \xNN and a backslash doubled, so that nothing is
// ambiguous. An absent span gives "-".
void escape_add(struct text *text, struct span span);

// As escape_add, between quotes.
void escape_add_quoted(struct text *text, struct span span);

// As escape_add, but newlines, tabs and backslashes stay: for payloads that are shown as text.
void escape_add_lines(struct text *text, struct span span);

// Valid UTF-8 without a zero byte: what JSON and C strings can hold as it is.
bool utf8_is_plain(struct span span);

// Valid UTF-8 in which nothing would be escaped but newline, tab, carriage return and backslash.
bool utf8_is_readable(struct span span);

#endif

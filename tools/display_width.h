// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How much room a string takes on a terminal.
#ifndef TOOLS_DISPLAY_WIDTH_H
#define TOOLS_DISPLAY_WIDTH_H

#include "text.h"

// Columns that `string` takes; what is no character of the locale takes one for each byte.
size_t display_width(const char *string);

// Appends as much of `string` as `columns` hold, the last of them an ellipsis if something is left
// out.
void display_add_cut(struct text *text, const char *string, size_t columns);

#endif

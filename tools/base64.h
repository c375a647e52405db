// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Base64 as RFC 4648 section 4 has it, with padding.
#ifndef TOOLS_BASE64_H
#define TOOLS_BASE64_H

#include "text.h"

void base64_add(struct text *text, struct span span);

// Appends the bytes that `string` stands for. False if it is not base64; `text` is then as it was.
bool base64_decode(struct text *text, const char *string);

#endif

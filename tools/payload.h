// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Payloads for people.
#ifndef TOOLS_PAYLOAD_H
#define TOOLS_PAYLOAD_H

#include "text.h"

// Appends `payload` in a form of --payload: "auto" looks at the bytes and shows JSON indented,
// readable text as it is and all else as hex, and stops after PAYLOAD_AUTO_BYTES; the others show
// all of it. Ends with a newline unless nothing was added, or with "raw", which adds the bytes.
void payload_add(struct text *text, struct span payload, const char *form);

#define PAYLOAD_AUTO_BYTES 4096u

// Whether `payload` is one JSON object or array; and the same with line breaks and indents. Not a
// digit of it changes.
bool payload_is_json(struct span payload);
void payload_add_json(struct text *text, struct span payload);

#endif

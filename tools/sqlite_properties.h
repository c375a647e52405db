// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Properties as the persist-sqlite plugin writes them: a JSON list of {identifier, name?, value},
// binary in hexadecimal.
#ifndef TOOLS_SQLITE_PROPERTIES_H
#define TOOLS_SQLITE_PROPERTIES_H

#include "text.h"

// Appends the MQTT 5 wire form of those that can be read. NULL if that is all of them, else why one
// cannot.
const char *sqlite_properties_read(struct text *wire, const char *json, size_t len);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a store holds as JSON: one object for each entry, "type" first, the lines of `export`.
#ifndef TOOLS_ENTRIES_H
#define TOOLS_ENTRIES_H

#include "json.h"
#include "store/store.h"

// With `redact`, payloads are null, and user names and what properties say are "redacted".
cJSON *entry_store(const struct store_stats *stats, bool redact);
cJSON *entry_session(const struct session *session, bool redact);
cJSON *entry_subscription(const struct subscription *subscription);
cJSON *entry_message(const struct message *message, bool redact);
cJSON *entry_queued(const struct queued *queued);
cJSON *entry_retained(const struct retained *retained);
cJSON *entry_will(const struct will *will, bool redact);

// The list of {identifier, name?, value}. Bytes that are no properties become one element with the
// identifier "raw" and the bytes in base64.
cJSON *entry_properties(struct span bytes, bool redact);

#endif

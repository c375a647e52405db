// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the readers of import bring, on its way into a new store: checked, counted, appended. An
// entry that no broker could take, or that names what is not there, is left out and listed.
#ifndef TOOLS_IMPORT_H
#define TOOLS_IMPORT_H

#include "client_map.h"
#include "entries_read.h"
#include "id_set.h"
#include "progress.h"

#include <stdio.h>

// Of more only the number is kept.
#define IMPORT_LOSSES_LISTED 1000u

struct import_loss {
    enum entry_type type;
    char *what; // "client "a", message 7"
    char *why;
};

// Zero-initialise it, but for the first three members.
struct import {
    struct store *store;       // NULL: a dry run, nothing is appended
    struct progress *progress; // NULL: none
    const char *name;          // the source as a person may see it
    const char *format;        // what the source is, "mosquitto.db version 6": set by the reader
    char format_text[32];      // room for it
    uint64_t in[ENTRY_TYPES];  // found in the source
    uint64_t out[ENTRY_TYPES]; // of them, what was taken
    struct import_loss *losses;
    size_t losses_count;
    uint64_t losses_more; // those not listed
    struct text *notes;   // what a person should know besides, a sentence each
    size_t notes_count;
    uint64_t expired_sessions; // taken, and the broker will drop them
    uint64_t expired_messages;

    // For import.c alone.
    struct client_map clients;
    struct id_set messages;
    uint64_t unflushed_bytes;
};

// Takes one entry: the record that adds it, in the member of its type. Sessions come before what
// belongs to them, messages before what names them, the entries of a queue in their order. A
// queued entry whose cmsg_id is 0 gets the next number of its session; a will without user name
// gets its session's. The spans are the caller's and may go after the call.
// An error is one of the store's, or STORE_ESTOPPED after Ctrl-C.
int import_take(struct import *import, enum entry_type type, struct event *event,
                struct store_error *err);

bool import_has_session(const struct import *import, struct span client_id);

// Counts and lists an entry that could not be read.
void import_lose(struct import *import, enum entry_type type, const char *why, const char *what,
                 ...) __attribute__((format(printf, 4, 5)));

// As import_lose, for something that is missing from an entry that was taken: it is only listed.
void import_lose_part(struct import *import, enum entry_type type, const char *why,
                      const char *what, ...) __attribute__((format(printf, 4, 5)));

void import_note(struct import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void import_release(struct import *import);

// The readers. `file` is at its beginning. Errors name the place in the source.
int import_jsonl(struct import *import, FILE *file, struct store_error *err);
int import_mosquitto_db(struct import *import, FILE *file, struct store_error *err);

// `path` is a file of the persist-sqlite plugin. STORE_EINVAL if the program was built without
// SQLite.
int import_sqlite(struct import *import, const char *path, struct store_error *err);

#endif

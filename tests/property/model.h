// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a store must hold, kept in plain arrays: the other side of every comparison. It knows the
// meaning of events and nothing of journals, folds or tables.
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "store/store.h"

#define MODEL_CLIENTS 8
#define MODEL_TOPICS 12
#define MODEL_MESSAGES_MAX 4096
#define MODEL_QUEUE_MAX 4096

struct model_message {
    uint64_t store_id;
    uint32_t payload_bytes;
    uint8_t fill; // every byte of the payload
};

struct model_queued {
    uint64_t cmsg_id;
    uint64_t store_id;
    uint16_t mid;
    uint8_t direction, state, dup;
};

struct model_session {
    bool exists, connected;
    uint32_t expiry_interval;
    int64_t expiry_time;
    uint8_t username; // 0: none, else its number
    uint16_t listener_port;
    struct {
        bool exists;
        uint8_t options;
        uint32_t identifier;
    } subscriptions[MODEL_TOPICS];
    struct model_queued queue[MODEL_QUEUE_MAX];
    unsigned queue_count;
};

struct model_will {
    bool exists;
    uint8_t fill;
};

struct model {
    struct model_session sessions[MODEL_CLIENTS];
    struct model_will wills[MODEL_CLIENTS];
    uint64_t retained[MODEL_TOPICS]; // store id, 0: none
    struct model_message messages[MODEL_MESSAGES_MAX];
    unsigned message_count;
};

// The client ids and topics of the model's small world; some are longer than an LMDB key.
struct span model_client_id(unsigned client);
struct span model_topic(unsigned topic);
struct span model_username(unsigned username);

// Draws a random event that the broker could send in this state (now and then one that it should
// not), applies it to the model and gives it out. `life` numbers the ids of new queue entries,
// which restart at 1 in each life as the broker's do.
void model_step(struct model *model, uint64_t *seed, const struct store *store,
                struct event *ret_event);

// Starts the broker's numbering of queue entries anew.
void model_restart(void);

// Compares everything; aborts the test at the first difference and names it.
void model_compare(const struct model *model, struct store *store);

#endif

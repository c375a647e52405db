// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A client that publishes: keeps a window of messages in flight, times each from its PUBLISH (or,
// when paced, from the moment at which it was due) to its last acknowledgement, and records what
// was acknowledged.
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include "load.h"

#define TOPIC_BYTES_MAX 64

enum publisher_slot_state { SLOT_FREE, SLOT_WAIT_PUBACK, SLOT_WAIT_PUBREC, SLOT_WAIT_PUBCOMP };

// A packet id that can be in flight; the id is the place in the list plus one.
struct publisher_slot {
    uint64_t seq;
    uint64_t sent_ns;
    enum publisher_slot_state state;
};

struct publisher {
    struct connection connection;
    struct load_run *run;
    uint32_t index;
    bool ready;   // CONNACK came
    bool started; // publishes whenever it may
    bool retain;
    uint32_t lead;      // how far it may be ahead of its online subscriber, 0: any
    uint64_t limit;     // ends after so many messages
    uint64_t next_seq;  // also the number of messages published
    uint64_t finished;  // messages acknowledged for good
    uint64_t delivered; // messages the online subscriber has, for the lead
    uint64_t due_ns;    // paced: when the first message was due
    uint64_t *sent_ns;  // by sequence number, for delivery times; NULL: not kept
    struct publisher_slot *slots;
    uint16_t *free_slots; // a stack of the free ones' places
    uint32_t free_count;
    uint32_t slot_count;
};

// The topic of a publisher's message number `seq`; returns its length.
size_t topic_write(char dst[TOPIC_BYTES_MAX], const struct load_options *options,
                   uint32_t publisher, uint64_t seq);

// Connects all publishers of the run and waits for their CONNACKs.
struct publisher *publishers_open(struct load_run *run, bool retain, bool keep_sent_times);
void publishers_close(struct load_run *run, struct publisher *publishers);

// Lets every publisher publish from now on.
void publishers_start(struct load_run *run, struct publisher *publishers);

// True when every message up to the limit has been acknowledged.
bool publishers_finished(const struct load_run *run, const struct publisher *publishers);

// Publishes what window, lead and pace allow now, and sends it.
void publisher_fill(struct publisher *publisher);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One run of the load generator: what was asked for, and what was seen. Everything runs on one
// thread.
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "broker_usage.h"
#include "connection.h"
#include "histogram.h"
#include "payload.h"
#include "seqset.h"

#include <stdint.h>

struct load_options {
    uint16_t port;
    uint8_t version; // MQTT_V311 or MQTT_V5
    uint8_t qos;
    uint32_t publishers;
    uint32_t window;   // in-flight messages of a publisher
    uint32_t lead;     // how far a publisher may be ahead of its online subscriber, 0: any
    uint32_t topics;   // different topics of a publisher
    uint32_t sessions; // offline sessions, or sessions to make
    uint32_t parallel; // sessions made at the same time
    uint64_t count;    // messages of a publisher
    uint32_t rate;     // messages a second of a publisher, 0: as fast as acknowledged
    uint32_t seconds;  // length of a paced run
    enum payload_kind payload;
    uint32_t image_bytes;
    int32_t broker_pid;      // whose use of CPU, memory and disk is reported; 0: nobody's
    uint32_t timeout_s;      // gives up when the measured part takes longer
    uint64_t since_ns;       // `wait`: when the broker was started, on the monotonic clock
    const char *acked_file;  // written: what was acknowledged; read by `drain`. NULL: none
    const char *client_name; // prefix of client ids
};

// One second of a paced run.
struct load_second {
    uint64_t published;
    uint64_t received;
    uint64_t ack_max_ns;
};

struct load_run {
    const struct load_options *options;
    struct loop loop;
    uint64_t begin_ns; // of the measured part
    uint64_t end_ns;
    struct histogram ack;      // publish to acknowledgement, or connect to SUBACK
    struct histogram delivery; // publish to reception by the subscriber
    uint64_t published;
    uint64_t acknowledged;
    uint64_t refused; // acknowledged with a reason code that says no
    uint64_t received;
    uint64_t missing;     // order: sequence numbers jumped over
    uint64_t repeated;    // order: sequence numbers that came again
    uint64_t damaged;     // payloads that are not what was sent
    uint64_t retained;    // retained messages found after a retained run
    uint64_t lost;        // acknowledged and never received
    struct seqset *acked; // per publisher, when they are recorded
    struct seqset *received_set;
    struct load_second *by_second; // of a paced run
    uint32_t second_count;
    struct broker_usage usage_begin;
    struct broker_usage usage_end;
};

// A workload sets up (not measured), measures between run_begin and run_end, and leaves its figures
// in the run.
typedef void workload_fn(struct load_run *run);

// X(name, text, function, what it does)
#define WORKLOADS(X)                                                                          \
    X("offline", workload_offline, "publish to one offline session for each publisher")       \
    X("fanout", workload_fanout, "publish to --sessions offline sessions at once")            \
    X("retained", workload_retained, "set retained messages, over and over, then count them") \
    X("online", workload_online, "publish to one connected subscriber for each publisher")    \
    X("sessions", workload_sessions, "connect, subscribe, leave: --sessions times")           \
    X("drain", workload_drain, "connect the offline sessions and take what they hold")        \
    X("wait", workload_wait, "connect as soon as the broker answers")                         \
    X("steady", workload_steady, "publish at --rate while subscribers come and go")

#define WORKLOAD_DECLARE(name, function, help) workload_fn function;
WORKLOADS(WORKLOAD_DECLARE)
#undef WORKLOAD_DECLARE

void run_begin(struct load_run *run);
void run_end(struct load_run *run);

// Runs the loop until a callback stops it; ends the program at the time limit, saying what was
// waited for.
void run_loop(struct load_run *run, const char *waited_for);

#endif

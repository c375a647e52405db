// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One MQTT connection on a raw non-blocking socket, and the epoll loop that serves many of them on
// one thread. Packets are read in batches, and what a batch caused to be written goes out in one
// send.
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "mqtt_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

struct connection_events {
    // One packet came; it is valid during the call only.
    void (*packet)(void *user, struct connection *connection, const struct mqtt_packet *packet);
    // The socket has nothing more to read for now, or has taken what was to be written: a good
    // moment to write more. May be NULL.
    void (*idle)(void *user, struct connection *connection);
    // The peer closed or the socket failed; connection_close was called already. NULL: that ends
    // the program.
    void (*closed)(void *user, struct connection *connection);
};

// A loop. Zero-initialised members but epoll_fd; see loop_open.
struct loop {
    int epoll_fd;
    unsigned connections; // open ones
    uint64_t now_ns;      // when the batch at hand was read
    bool stop;            // set by any callback: loop_run returns true
    // Called when tick_at_ns has come; it sets tick_at_ns to the next time (UINT64_MAX: never).
    void (*tick)(void *user);
    void *tick_user;
    uint64_t tick_at_ns;
};

struct connection {
    struct loop *loop;
    const struct connection_events *events;
    void *user;
    int fd; // -1: closed
    uint8_t version;
    bool waits_to_write; // epoll tells when the socket takes more
    uint8_t *in;         // bytes read and not yet decoded
    size_t in_len;
    size_t in_capacity;
    uint8_t *out; // bytes from out_start on are still to be sent
    size_t out_start;
    size_t out_len;
    size_t out_capacity;
};

void loop_open(struct loop *loop);
void loop_close(struct loop *loop);

// Serves connections until `stop` is set (true) or `deadline_ns` has passed (false). Ends the
// program when nothing at all happens for a minute.
bool loop_run(struct loop *loop, uint64_t deadline_ns);

// Connects to 127.0.0.1:port. Returns false when the connection is refused. The connection's memory
// is the caller's and must stay where it is until connection_close.
bool connection_open(struct connection *connection, struct loop *loop, uint16_t port,
                     uint8_t version, const struct connection_events *events, void *user);

// Closes the socket and frees the buffers. Fine on a closed one. Allowed within its own callbacks.
void connection_close(struct connection *connection);

// Room for `len` bytes; the caller writes there and then says how many were used.
uint8_t *connection_reserve(struct connection *connection, size_t len);
void connection_commit(struct connection *connection, size_t len);

// Sends as much as the socket takes; the loop sends the rest.
void connection_flush(struct connection *connection);

// Bytes that still wait to be sent.
size_t connection_backlog(const struct connection *connection);

// Asks the kernel to acknowledge at once what it received so far. A broker that leaves Nagle's
// algorithm on holds small packets back for a delayed TCP acknowledgement, 40 ms, when the client
// has nothing more to say.
void connection_acknowledge(const struct connection *connection);

// Queues the packet; the loop sends it at the end of the batch, else connection_flush.
void connection_send_connect(struct connection *connection, const char *client_id, bool clean);
void connection_send_subscribe(struct connection *connection, uint16_t packet_id,
                               const char *filter, uint8_t qos);
void connection_send_ack(struct connection *connection, enum mqtt_packet_type type,
                         uint16_t packet_id);
void connection_send_disconnect(struct connection *connection);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "connection.h"

#include "load_error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES ((size_t)65536)
#define OUT_BYTES ((size_t)65536)
#define EVENTS_PER_WAIT 64
#define STALL_NS (60 * (uint64_t)1000000000)

void loop_open(struct loop *loop)
{
    memset(loop, 0, sizeof *loop);
    loop->tick_at_ns = UINT64_MAX;
    loop->now_ns = clock_ns();
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        load_die("epoll_create1: %s", strerror(errno));
}

void loop_close(struct loop *loop)
{
    close(loop->epoll_fd);
    loop->epoll_fd = -1;
}

static void watch(struct connection *connection, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (connection->waits_to_write ? EPOLLOUT : 0u),
                                .data.ptr = connection};
    if (epoll_ctl(connection->loop->epoll_fd, operation, connection->fd, &event) != 0)
        load_die("epoll_ctl: %s", strerror(errno));
}

bool connection_open(struct connection *connection, struct loop *loop, uint16_t port,
                     uint8_t version, const struct connection_events *events, void *user)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        load_die("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        if (error != ECONNREFUSED)
            load_die("connect to port %u: %s", port, strerror(error));
        return false;
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        load_die("socket options: %s", strerror(errno));
    memset(connection, 0, sizeof *connection);
    connection->loop = loop;
    connection->events = events;
    connection->user = user;
    connection->fd = fd;
    connection->version = version;
    watch(connection, EPOLL_CTL_ADD);
    loop->connections++;
    return true;
}

void connection_close(struct connection *connection)
{
    if (!connection->loop || connection->fd < 0)
        return;
    close(connection->fd);
    connection->fd = -1;
    connection->loop->connections--;
    free(connection->in);
    free(connection->out);
    connection->in = connection->out = NULL;
    connection->in_len = connection->in_capacity = 0;
    connection->out_start = connection->out_len = connection->out_capacity = 0;
}

static void lost(struct connection *connection, const char *why)
{
    connection_close(connection);
    if (!connection->events->closed)
        load_die("the broker closed a connection: %s", why);
    connection->events->closed(connection->user, connection);
}

static void buffer_grow(uint8_t **buffer, size_t *capacity, size_t wanted, size_t first)
{
    size_t bytes = *capacity ? *capacity : first;
    while (bytes < wanted)
        bytes *= 2;
    uint8_t *grown = realloc(*buffer, bytes);
    if (!grown)
        load_die("out of memory for a connection's buffer of %zu bytes", bytes);
    *buffer = grown;
    *capacity = bytes;
}

uint8_t *connection_reserve(struct connection *connection, size_t len)
{
    if (connection->out_start > 0 &&
        connection->out_start + connection->out_len + len > connection->out_capacity) {
        memmove(connection->out, connection->out + connection->out_start, connection->out_len);
        connection->out_start = 0;
    }
    if (connection->out_len + len > connection->out_capacity)
        buffer_grow(&connection->out, &connection->out_capacity, connection->out_len + len,
                    OUT_BYTES);
    return connection->out + connection->out_start + connection->out_len;
}

void connection_commit(struct connection *connection, size_t len)
{
    if (len == 0)
        load_die("a packet could not be encoded");
    connection->out_len += len;
}

size_t connection_backlog(const struct connection *connection)
{
    return connection->out_len;
}

void connection_flush(struct connection *connection)
{
    bool blocked = false;
    while (connection->fd >= 0 && connection->out_len > 0 && !blocked) {
        ssize_t sent = send(connection->fd, connection->out + connection->out_start,
                            connection->out_len, MSG_NOSIGNAL);
        if (sent >= 0) {
            connection->out_start += (size_t)sent;
            connection->out_len -= (size_t)sent;
        } else if (errno == EAGAIN) {
            blocked = true;
        } else if (errno != EINTR) {
            // Reading finds the reason, and what the broker sent before it.
            connection->out_len = 0;
        }
    }
    if (connection->fd < 0)
        return;
    if (connection->out_len == 0)
        connection->out_start = 0;
    if (blocked != connection->waits_to_write) {
        connection->waits_to_write = blocked;
        watch(connection, EPOLL_CTL_MOD);
    }
}

// Hands out every whole packet of the buffer. Stops early when a callback closes the connection.
static void packets_dispatch(struct connection *connection)
{
    size_t at = 0;
    size_t wanted = 0;
    for (;;) {
        struct mqtt_packet packet;
        int got =
            mqtt_decode(connection->in + at, connection->in_len - at, connection->version, &packet);
        if (got < 0)
            load_die("the broker sent a malformed packet");
        if (got == 0) {
            wanted = packet.wire_len;
            break;
        }
        connection->events->packet(connection->user, connection, &packet);
        if (connection->fd < 0)
            return;
        at += packet.wire_len;
    }
    connection->in_len -= at;
    memmove(connection->in, connection->in + at, connection->in_len);
    if (wanted > connection->in_capacity)
        buffer_grow(&connection->in, &connection->in_capacity, wanted, IN_BYTES);
}

static void connection_read(struct connection *connection)
{
    if (connection->in_len == connection->in_capacity)
        buffer_grow(&connection->in, &connection->in_capacity, connection->in_len + 1, IN_BYTES);
    ssize_t got = recv(connection->fd, connection->in + connection->in_len,
                       connection->in_capacity - connection->in_len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lost(connection, got == 0 ? "end of stream" : strerror(errno));
        return;
    }
    connection->loop->now_ns = clock_ns();
    connection->in_len += (size_t)got;
    packets_dispatch(connection);
}

static void connection_serve(struct connection *connection, uint32_t happened)
{
    if (connection->fd >= 0 && happened & EPOLLOUT)
        connection_flush(connection);
    if (connection->fd >= 0 && happened & (EPOLLIN | EPOLLHUP | EPOLLERR))
        connection_read(connection);
    if (connection->fd >= 0 && connection->events->idle)
        connection->events->idle(connection->user, connection);
    connection_flush(connection);
}

void connection_acknowledge(const struct connection *connection)
{
    int one = 1;
    if (connection->fd >= 0)
        (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

static int wait_ms(const struct loop *loop, uint64_t deadline_ns)
{
    uint64_t until = loop->tick_at_ns < deadline_ns ? loop->tick_at_ns : deadline_ns;
    uint64_t now = clock_ns();
    if (until <= now)
        return 0;
    uint64_t ms = (until - now + 999999) / 1000000;
    return ms > 1000 ? 1000 : (int)ms;
}

bool loop_run(struct loop *loop, uint64_t deadline_ns)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    uint64_t last_event_ns = clock_ns();
    loop->stop = false;
    while (!loop->stop) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(loop, deadline_ns));
        if (count < 0 && errno != EINTR)
            load_die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++)
            connection_serve(events[i].data.ptr, events[i].events);
        uint64_t now = count > 0 ? loop->now_ns : clock_ns();
        if (count > 0)
            last_event_ns = now;
        if (now >= loop->tick_at_ns)
            loop->tick(loop->tick_user);
        if (now >= deadline_ns && !loop->stop)
            return false;
        if (now - last_event_ns > STALL_NS && now > last_event_ns)
            load_die("the broker has sent nothing for a minute");
    }
    return true;
}

void connection_send_connect(struct connection *connection, const char *client_id, bool clean)
{
    struct mqtt_connect connect = {
        .client_id = client_id, .version = connection->version, .clean = clean};
    size_t capacity = 64 + strlen(client_id);
    uint8_t *dst = connection_reserve(connection, capacity);
    connection_commit(connection, mqtt_connect_encode(dst, capacity, &connect));
}

void connection_send_subscribe(struct connection *connection, uint16_t packet_id,
                               const char *filter, uint8_t qos)
{
    size_t capacity = 16 + strlen(filter);
    uint8_t *dst = connection_reserve(connection, capacity);
    connection_commit(connection, mqtt_subscribe_encode(dst, capacity, connection->version,
                                                        packet_id, filter, qos));
}

void connection_send_ack(struct connection *connection, enum mqtt_packet_type type,
                         uint16_t packet_id)
{
    uint8_t *dst = connection_reserve(connection, MQTT_ACK_BYTES);
    connection_commit(connection, mqtt_ack_encode(dst, MQTT_ACK_BYTES, type, packet_id));
}

void connection_send_disconnect(struct connection *connection)
{
    uint8_t *dst = connection_reserve(connection, 2);
    connection_commit(connection, mqtt_empty_encode(dst, 2, MQTT_DISCONNECT));
}

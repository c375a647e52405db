# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Publishers and subscribers under load, in one loop, for a broker that may die at any moment.

Each endpoint is a correct client: it keeps across connections what MQTT says a session's client
keeps, sends again what was not acknowledged, in order, and remembers which QoS 2 packet ids it has
received and not released. A publisher numbers its messages 1, 2, 3 ...; a subscriber notes which
numbers the application got. Nothing here knows how the broker stores anything.
"""
import collections
import selectors
import socket
import struct
import time

import wire
from wire import (CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK)

PING = wire.packet(wire.PINGREQ, 0)


class Violation(Exception):
    """The broker did what it must not."""


class Endpoint:
    """A session's client with one connection at a time, not blocking."""

    def __init__(self, loop, client_id, version):
        self.loop, self.client_id, self.version = loop, client_id, version
        self.stream = None
        self.known = False   # the broker has this session
        self.ready = False   # CONNACK has come
        self.steady = False  # and all that the broker sends at a reconnect
        self.pings = 0       # sent and not answered
        self.in_buffer, self.out_buffer = bytearray(), bytearray()
        self.wanted = True  # should be connected
        loop.endpoints.append(self)

    def connect(self):
        stream = socket.socket()
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            stream.connect(("127.0.0.1", self.loop.port))
        except OSError:
            stream.close()
            return False
        stream.setblocking(False)
        self.stream, self.ready, self.steady, self.pings = stream, False, False, 0
        self.in_buffer.clear()
        self.out_buffer.clear()
        self.loop.selector.register(stream, selectors.EVENT_READ, self)
        properties = [("session_expiry", wire.NEVER)] if self.version == 5 else []
        self.write(wire.connect(self.client_id, self.version, False, 600, properties, None, None,
                                None))
        return True

    def close(self):
        if self.stream:
            self.loop.selector.unregister(self.stream)
            self.stream.close()
            self.stream = None
        self.ready = False

    def leave(self, politely):
        """Ends the connection; impolitely, what is still to be sent is lost. Not before the broker
        has sent what it sends at a reconnect: Mosquitto 2.1.2 forgets that it owes PUBREL, and
        publishes again, when a connection breaks while it does that."""
        self.wanted = False
        if self.stream and not self.steady:
            return
        if self.stream and politely:
            self.write(wire.packet(DISCONNECT, 0))
            self.flush()
        self.close()

    def write(self, data):
        self.out_buffer += data

    def flush(self):
        """Sends what the socket takes; one send for all that was written meanwhile."""
        if self.stream and self.out_buffer:
            try:
                sent = self.stream.send(self.out_buffer)
                del self.out_buffer[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self.out_buffer.clear()  # what can still be read is read until its end

    def readable(self):
        try:
            data = self.stream.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self.in_buffer += data
        self.parse()

    def parse(self):
        buffer, at, length = self.in_buffer, 0, len(self.in_buffer)
        while length - at >= 2:
            size = shift = 0
            body = at + 1
            while body < length:
                digit = buffer[body]
                size |= (digit & 0x7F) << shift
                shift += 7
                body += 1
                if not digit & 0x80:
                    break
            else:
                break
            if length - body < size:
                break
            self.handle(buffer[at] >> 4, buffer[at] & 15, bytes(buffer[body:body + size]))
            at = body + size
            if not self.stream:
                return
        del buffer[:at]

    def handle(self, kind, flags, body):
        if kind == CONNACK:
            self.connected(bool(body[0] & 1), body[1])
        elif kind == PINGRESP:
            self.pings -= 1
            self.steady = True
        elif kind == DISCONNECT:
            self.close()
        else:
            self.packet(kind, flags, body)

    def connected(self, session_present, reason):
        if reason:
            raise Violation(f"{self.client_id}: CONNECT refused, reason {reason:#04x}")
        if self.known and not session_present:
            raise Violation(f"{self.client_id}: the session is gone")
        self.ready = True
        self.greet()
        self.ping()

    def greet(self):
        """What a client does first on a new connection."""

    def packet(self, kind, flags, body):
        raise NotImplementedError

    def ping(self):
        self.pings += 1
        self.write(PING)


class Publisher(Endpoint):
    """Keeps `window` messages in flight. `retain_topics`: publish retained, over so many topics."""

    def __init__(self, loop, name, version, qos, window=10, size=60, retain_topics=0):
        super().__init__(loop, f"publisher-{name}", version)
        self.name, self.qos, self.window, self.retain_topics = name, qos, window, retain_topics
        self.padding = b"." * size
        self.pending = collections.OrderedDict()  # id -> [number, released]
        self.last_number = self.last_mid = 0
        self.acknowledged = 0
        self.acknowledged_at = {}  # number -> when, by the monotonic clock
        self.publishing = False

    def topic(self, number):
        tail = f"/{number % self.retain_topics}" if self.retain_topics else ""
        return f"load/{self.name}{tail}"

    def send_message(self, mid, number, dup):
        payload = b"%s:%d:" % (self.name.encode(), number) + self.padding
        self.write(wire.publish(self.version, self.topic(number), payload, self.qos,
                                bool(self.retain_topics), mid, dup))

    def greet(self):
        for mid, (number, released) in self.pending.items():
            if released:
                self.write(wire.ack(PUBREL, mid))
            else:
                self.send_message(mid, number, True)

    def refill(self):
        """In bursts, so that the broker finds several packets at once."""
        if not self.publishing or not self.ready or len(self.pending) > self.window // 2:
            return
        while len(self.pending) < self.window:
            self.last_mid = self.last_mid % 65535 + 1
            self.last_number += 1
            self.pending[self.last_mid] = [self.last_number, False]
            self.send_message(self.last_mid, self.last_number, False)

    def packet(self, kind, flags, body):
        mid, = struct.unpack_from(">H", body)
        if len(body) > 2 and body[2] >= 0x80:
            raise Violation(f"{self.client_id}: refused, reason {body[2]:#04x}")
        if kind == PUBREC and self.qos == 2:
            if mid in self.pending:
                self.pending[mid][1] = True
            self.write(wire.ack(PUBREL, mid))
        elif kind == (PUBCOMP if self.qos == 2 else PUBACK):
            if mid in self.pending:
                self.acknowledged_at[self.pending.pop(mid)[0]] = time.monotonic()
                self.acknowledged += 1
        else:
            raise Violation(f"{self.client_id}: unexpected packet of type {kind}")
        self.refill()


class Subscriber(Endpoint):
    """`got[publisher]`: numbers in the order in which the application got them."""

    def __init__(self, loop, name, version):
        super().__init__(loop, f"subscriber-{name}", version)
        self.got = collections.defaultdict(list)
        self.unreleased = {}  # QoS 2 ids received and not released, with their payload
        self.connections = self.received = self.again = 0
        self.subscribed = False

    def greet(self):
        self.connections += 1
        if not self.subscribed:
            self.write(wire.subscribe(self.version, 1, [("load/#", 2)]))

    def packet(self, kind, flags, body):
        if kind == PUBLISH:
            self.message(flags, body)
        elif kind == PUBREL:
            mid, = struct.unpack_from(">H", body)
            self.unreleased.pop(mid, None)
            self.write(wire.ack(PUBCOMP, mid))
        elif kind == SUBACK:
            self.subscribed = True
        else:
            raise Violation(f"{self.client_id}: unexpected packet of type {kind}")

    def message(self, flags, body):
        qos = flags >> 1 & 3
        at = 2 + struct.unpack_from(">H", body)[0]
        mid, = struct.unpack_from(">H", body, at)
        at += 2
        if self.version == 5:
            reader = wire.Reader(body)
            reader.at = at
            reader.properties()
            at = reader.at
        payload = body[at:]
        if qos == 2:
            self.write(wire.ack(PUBREC, mid))
            if mid in self.unreleased:
                if self.unreleased[mid] != payload:
                    raise Violation(f"{self.client_id}: packet id {mid} carries another message "
                                    "before it was released")
                self.again += 1
                return
            self.unreleased[mid] = payload
        else:
            self.write(wire.ack(PUBACK, mid))
        name, number, _ = payload.split(b":", 2)
        self.got[name.decode()].append(int(number))
        self.received += 1


class Loop:
    def __init__(self, port):
        self.port, self.endpoints = port, []
        self.selector = selectors.DefaultSelector()

    def step(self, timeout=0.02):
        for endpoint in self.endpoints:
            endpoint.flush()
        for key, _ in self.selector.select(timeout):
            if key.data.stream is key.fileobj:
                key.data.readable()

    def connect_all(self):
        for endpoint in self.endpoints:
            if endpoint.wanted and not endpoint.stream:
                endpoint.connect()

    def read_to_the_end(self, limit_s=20):
        """After a kill: what the broker had sent is still to be read, and counts."""
        end = time.monotonic() + limit_s
        while any(endpoint.stream for endpoint in self.endpoints):
            self.step()
            if time.monotonic() > end:
                raise Violation("connections to a dead broker stay open")

    def run_until(self, done, limit_s, what):
        end = time.monotonic() + limit_s
        while not done():
            self.connect_all()
            self.step()
            if time.monotonic() > end:
                raise Violation(f"{what} within {limit_s} s")

    def settle(self, limit_s=30):
        """Everyone connects; publishers finish what they began, subscribers take all there is.
        Done when a ping of every subscriber, sent after the last publisher had all its
        acknowledgements, comes back and nothing else came with it."""
        publishers = [each for each in self.endpoints if isinstance(each, Publisher)]
        subscribers = [each for each in self.endpoints if isinstance(each, Subscriber)]
        for endpoint in self.endpoints:
            endpoint.wanted = True
        for publisher in publishers:
            publisher.publishing = False
        self.run_until(lambda: all(each.ready and not each.pending for each in publishers), limit_s,
                       "publishers do not get their acknowledgements")
        quiet = {}

        def state(each):
            return each.received, each.connections, each.again, len(each.unreleased)

        def all_quiet():
            for each in subscribers:
                if not each.ready or each.pings:
                    continue
                if quiet.get(each) == state(each) and not each.unreleased:
                    continue
                quiet[each] = state(each)
                each.ping()
            return all(each.ready and not each.pings and not each.unreleased
                       and quiet.get(each) == state(each) for each in subscribers)
        self.run_until(all_quiet, limit_s, "subscribers do not come to rest")

    def close(self):
        for endpoint in self.endpoints:
            endpoint.close()
        self.selector.close()

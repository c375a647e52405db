# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A small MQTT client that does what it is told, packet by packet.

A Client stands for a session: it may be connected, dropped and connected again, and keeps what a
correct client keeps between connections (the QoS 2 packet ids it has received and not released).
Nothing waits for a fixed time: every wait is for a packet, with a limit.
"""
import collections
import socket
import time
from dataclasses import dataclass, field

import transport as transports
import wire
from wire import (CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL,
                  SUBACK, UNSUBACK)

TIME_LIMIT_S = 20


class ConnectionLost(Exception):
    """The broker closed the connection."""


class Refused(Exception):
    """The broker answered with an error code."""

    def __init__(self, reason, what):
        super().__init__(f"{what}: reason {reason:#04x}")
        self.reason = reason


@dataclass
class Will:
    topic: str
    payload: bytes = b"gone"
    qos: int = 1
    retain: bool = False
    properties: list = field(default_factory=list)


class Client:
    """`clean` is clean session / clean start. `expiry`: session expiry interval of MQTT 5; without
    it an hour, or nothing for a clean start."""

    def __init__(self, port, client_id, *, version=4, clean=False, expiry=None, will=None,
                 username=None, password=None, receive_maximum=None, properties=(),
                 transport=transports.tcp, timeout=TIME_LIMIT_S, connect=True):
        self.port, self.client_id, self.version, self.clean = port, client_id, version, clean
        self.expiry = expiry if expiry is not None else 0 if clean else 3600
        self.will, self.username, self.password = will, username, password
        self.receive_maximum, self.properties = receive_maximum, list(properties)
        self.transport, self.timeout = transport, timeout
        self.stream = None
        self.connack = None
        self.unreleased = set()  # QoS 2 ids received and not yet released
        self.last_mid = 0
        if connect:
            self.connect()

    # ---- connection

    def connect(self, **changed):
        """Opens a connection; keyword arguments change the client's settings for good."""
        for name, value in changed.items():
            if not hasattr(self, name):
                raise AttributeError(name)
            setattr(self, name, value)
        self.close()
        self.buffer, self.inbox = bytearray(), collections.deque()
        try:
            self.stream = self.transport(self.port, self.timeout)
        except OSError as error:
            raise ConnectionLost(f"{self.client_id[:40]}: {error}") from error
        properties = list(self.properties)
        if self.version == 5:
            if self.expiry:
                properties.append(("session_expiry", self.expiry))
            if self.receive_maximum:
                properties.append(("receive_maximum", self.receive_maximum))
        self.send(wire.connect(self.client_id, self.version, self.clean, 600, properties, self.will,
                               self.username, self.password))
        self.connack = self.wait(CONNACK)
        if self.connack.reason:
            self.close()
            raise Refused(self.connack.reason, "CONNECT")
        if not self.connack.session_present:
            self.unreleased.clear()
        return self

    @property
    def session_present(self):
        return self.connack.session_present

    def close(self):
        """Closes without waiting; what the broker has not read yet may be lost."""
        if self.stream:
            self.stream.close()
            self.stream = None

    def drop(self):
        """Ends the connection without DISCONNECT and returns when the broker has noticed."""
        self.stream.shutdown(socket.SHUT_WR)
        self.wait_closed()

    def disconnect(self, reason=0, properties=()):
        """Returns when the broker has closed the connection; what it does after that a ping on
        another one waits for."""
        self.send(wire.disconnect(self.version, reason, properties))
        self.wait_closed()

    def wait_closed(self, timeout=None):
        """Reads on until the broker closes the connection."""
        limit = time.monotonic() + (timeout or self.timeout)
        try:
            while self._fill(limit):
                pass
        except OSError:
            pass
        self.close()

    # ---- packets

    def send(self, data):
        try:
            self.stream.sendall(data)
        except (OSError, AttributeError) as error:
            raise ConnectionLost(f"{self.client_id[:40]}: {error}") from error

    def _fill(self, limit):
        left = limit - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.stream.settimeout(left)
        data = self.stream.recv(1 << 20)
        self.buffer += data
        return bool(data)

    def _parse(self):
        """One whole packet out of the buffer, or None."""
        size = shift = 0
        for at in range(1, min(5, len(self.buffer))):
            size |= (self.buffer[at] & 0x7F) << shift
            shift += 7
            if not self.buffer[at] & 0x80:
                end = at + 1 + size
                if len(self.buffer) < end:
                    return None
                found = wire.decode(self.version, self.buffer[0], bytes(self.buffer[at + 1:end]))
                del self.buffer[:end]
                return found
        return None

    def read(self, timeout=None):
        """The next packet from the connection; TimeoutError or ConnectionLost."""
        limit = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            found = self._parse()
            if found:
                return found
            try:
                if not self.stream or not self._fill(limit):
                    raise ConnectionLost(f"{self.client_id[:40]}: closed by the broker")
            except TimeoutError:
                raise TimeoutError(f"{self.client_id[:40]}: no packet in time") from None
            except OSError as error:
                raise ConnectionLost(f"{self.client_id[:40]}: {error}") from error

    def next(self, kind=None, timeout=None):
        """The next packet, those put aside first. With `kind`, it must be of that type."""
        found = self.inbox.popleft() if self.inbox else self.read(timeout)
        assert kind is None or found.type == kind, f"wanted {wire.TYPE_NAMES[kind]}, got {found}"
        return found

    def wait(self, kind, mid=None, timeout=None):
        """Waits for this packet and puts others aside, in order."""
        limit = time.monotonic() + (timeout or self.timeout)
        for found in self.inbox:
            if found.type == kind and mid in (None, found.mid):
                self.inbox.remove(found)
                return found
        while True:
            found = self.read(max(0.001, limit - time.monotonic()))
            if found.type == kind and mid in (None, found.mid):
                return found
            if found.type == DISCONNECT:
                raise ConnectionLost(f"{self.client_id[:40]}: DISCONNECT {found.reason:#04x}")
            self.inbox.append(found)

    def mid(self):
        self.last_mid = self.last_mid % 65535 + 1
        return self.last_mid

    def ack(self, kind, mid, reason=0):
        self.send(wire.ack(kind, mid, reason))

    def ping(self):
        """A round trip: all that the broker sent before its answer is in `inbox` afterwards."""
        self.send(wire.packet(wire.PINGREQ, 0))
        self.wait(PINGRESP)

    def settle(self):
        """Two round trips. The broker may answer the first in the pass of its loop in which it read
        what came before; the second it reads in a later one, after each plugin has been called for
        the pass between, which may close this connection."""
        self.ping()
        self.ping()

    # ---- whole exchanges

    def send_publish(self, topic, payload, qos=0, retain=False, mid=None, dup=False,
                     properties=()):
        """Sends and does not wait. Returns the packet id."""
        mid = 0 if not qos else mid or self.mid()
        self.send(wire.publish(self.version, topic, payload, qos, retain, mid, dup, properties))
        return mid

    def publish(self, topic, payload, qos=1, retain=False, properties=()):
        """Publishes and waits for all acknowledgements; QoS 0 is confirmed by a ping."""
        mid = self.send_publish(topic, payload, qos, retain, properties=properties)
        if qos == 0:
            return self.ping()
        found = self.wait(PUBACK if qos == 1 else PUBREC, mid)
        if found.reason >= 0x80:
            raise Refused(found.reason, "PUBLISH")
        if qos == 2:
            self.release(mid)
        return found

    def release(self, mid):
        self.ack(PUBREL, mid)
        return self.wait(PUBCOMP, mid)

    def subscribe(self, *filters, qos=1, options=0, identifier=None):
        """`options`: the upper bits of MQTT 5's options byte (NO_LOCAL, ...)."""
        mid = self.mid()
        properties = [("subscription_identifier", identifier)] if identifier else []
        self.send(wire.subscribe(self.version, mid, [(name, qos | options) for name in filters],
                                 properties))
        codes = self.wait(SUBACK, mid).codes
        if any(code >= 0x80 for code in codes):
            raise Refused(max(codes), "SUBSCRIBE")
        return codes

    def unsubscribe(self, *filters):
        mid = self.mid()
        self.send(wire.unsubscribe(self.version, mid, filters))
        return self.wait(UNSUBACK, mid).codes

    # ---- receiving as a correct client does

    def handle(self, found):
        """Answers one packet; returns it if it is a message that is new to the application."""
        if found.type == PUBLISH:
            if found.qos == 0:
                return found
            if found.qos == 1:
                self.ack(PUBACK, found.mid)
                return found
            new = found.mid not in self.unreleased
            self.unreleased.add(found.mid)
            self.ack(PUBREC, found.mid)
            return found if new else None
        if found.type == PUBREL:
            self.unreleased.discard(found.mid)
            self.ack(PUBCOMP, found.mid)
            return None
        if found.type == DISCONNECT:
            raise ConnectionLost(f"{self.client_id[:40]}: DISCONNECT {found.reason:#04x}")
        raise AssertionError(f"unexpected {found}")

    def drain(self, reconnects=2):
        """Takes and acknowledges everything the broker has for this session, until it has settled
        and nothing more came. Comes back if the broker closes the connection, as any client would, but only
        so often. Returns the messages."""
        messages = []
        while True:
            try:
                if self.stream is None:
                    self.connect(clean=False)
                self.settle()
                waiting, self.inbox = self.inbox, collections.deque()
                if not waiting:
                    return messages
                for found in waiting:
                    message = self.handle(found)
                    if message:
                        messages.append(message)
            except ConnectionLost:
                if not reconnects:
                    raise
                reconnects -= 1
                self.close()

    def collect(self, count, timeout=None):
        """Acknowledges messages as they come until there are `count` of them."""
        limit = time.monotonic() + (timeout or self.timeout)
        messages = []
        while len(messages) < count:
            message = self.handle(self.next(timeout=max(0.001, limit - time.monotonic())))
            if message:
                messages.append(message)
        return messages

    def peek(self):
        """Everything that has been sent so far, not acknowledged."""
        self.settle()
        waiting, self.inbox = list(self.inbox), collections.deque()
        return waiting


NO_LOCAL, RETAIN_AS_PUBLISHED = 0x04, 0x08
RETAIN_IF_NEW, RETAIN_NEVER = 0x10, 0x20


def payloads(messages):
    return [message.payload.decode() for message in messages]

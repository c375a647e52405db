# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Restored messages that find no room in the broker's queue when their client connects, because a
limit is lower than it was. They move up one by one while others publish to the same client."""
import collections
import contextlib
import os
import pathlib
import signal
import socket

import pytest

import wire
from broker import free_port, poll, release_port
from helpers import numbers, offline_session, publish_numbers
from rawmqtt import Client, payloads
from wire import CONNACK, CONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL

SMALL = ["max_queued_messages 5", "set_tcp_nodelay true"]
IN_BROKER = 5 + 2 * 20  # those queued, 20 more for a client that is connected, 20 in flight
WAITING = 55
SENT = IN_BROKER + WAITING


@contextlib.contextmanager
def one_pass(broker, first):
    """What is sent meanwhile the broker finds all at once, and handles in one pass of its loop, in
    the order in which it was sent: the client `first` was heard last before, so that no other one
    still stands in front of it where the kernel keeps those that have something to say."""
    first.settle()
    state = pathlib.Path(f"/proc/{broker.process.pid}/stat")
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        poll(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "T", 20, "not stopped")
        yield
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)


class Reader:
    """Takes a session's messages and answers them one at a time, in order. No two of them may be on
    their way under one packet id."""

    def __init__(self, session):
        self.session, self.flight, self.got = session, {}, []

    def connect(self, **changed):
        self.flight.clear()
        self.session.connect(**changed)
        assert self.session.session_present
        self.read()

    def read(self):
        """Takes what the broker has sent."""
        self.session.settle()
        while self.session.inbox:
            found = self.session.next()
            if found.type == PUBREL:
                self.flight[found.mid] = None
                continue
            assert found.type == PUBLISH
            assert found.mid not in self.flight, \
                f"{found.payload} comes under {found.mid}, as {self.flight[found.mid]} has"
            self.flight[found.mid] = found

    def begin(self, place=0):
        """All of an exchange but its end, which frees a place. Returns the packet id."""
        mid = list(self.flight)[place]
        found = self.flight[mid]
        if found:
            self.got.append(found.payload.decode())
        if found and found.qos == 2:
            self.session.ack(PUBREC, mid)
            self.session.wait(PUBREL, mid)
            self.flight[mid] = None
        return mid

    def end(self, mid):
        found = self.flight.pop(mid)
        self.session.ack(PUBACK if found else PUBCOMP, mid)

    def step(self, place=0):
        self.end(self.begin(place))
        self.read()

    def finish(self, but=0):
        """Answers all but the oldest ones."""
        while len(self.flight) > but:
            self.step(but)


def send_numbers(source, last):
    """Many at once."""
    for first in range(1, last + 1, 500):
        mids = [source.send_publish("t/1", str(number), 1)
                for number in range(first, min(first + 500, last + 1))]
        for mid in mids:
            source.wait(PUBACK, mid)


def shrunk(new_broker, client, publisher, *, qos=1, shared=False):
    """A broker that has begun anew with a smaller queue, and a session with more messages. `shared`:
    each of them is a retained one too, so that the broker has it already."""
    broker = new_broker(conf=[f"max_queued_messages {SENT}"]).start()
    session = offline_session(broker, client, qos=qos)
    source = publisher(broker)
    for number in range(1, SENT + 1):
        source.publish(f"t/{number}", str(number), qos, retain=shared)
    broker.kill()
    broker.conf = SMALL
    broker.start()
    reader = Reader(session)
    reader.connect()
    return broker, reader


def hold_back(source):
    """Messages that await their PUBREL, and its packet ids."""
    held = {}
    for number in range(15):
        payload = f"new {number}"
        held[payload] = source.send_publish("t/1", payload, 2)
        source.wait(PUBREC, held[payload])
    return held


def in_order(got, of):
    return [payload for payload in got if payload in of]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("shared", [False, True], ids=["its own", "shared"])
def test_a_new_message_does_not_overtake_those_that_wait(new_broker, client, publisher, qos,
                                                         shared):
    broker, reader = shrunk(new_broker, client, publisher, qos=qos, shared=shared)
    source = publisher(broker)
    for number in range(WAITING - 10):
        mid = reader.begin()
        with one_pass(broker, reader.session):
            reader.end(mid)
            sent = source.send_publish("t/1", f"new {number}", 1)
        source.wait(PUBACK, sent)
        reader.read()
    reader.finish()
    assert reader.got == numbers(1, SENT)
    source.publish("t/1", "last")
    reader.read()
    reader.finish()
    assert reader.got[SENT:] == ["last"]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("shared", [False, True], ids=["its own", "shared"])
def test_a_message_that_comes_in_between_is_not_lost(new_broker, client, publisher, how, qos,
                                                     shared):
    """A PUBREL right behind an acknowledgement: no plugin is asked before it takes the place."""
    broker, reader = shrunk(new_broker, client, publisher, qos=qos, shared=shared)
    source = client(broker, "source")
    held = hold_back(source)
    for payload, mid in held.items():
        ending = reader.begin()
        with one_pass(broker, reader.session):
            reader.end(ending)
            source.ack(PUBREL, mid)
        source.wait(PUBCOMP, mid)
        reader.read()
        reader.step()
    broker.restart(how)
    reader.connect()
    reader.finish()
    assert in_order(reader.got, held) == list(held)
    assert in_order(reader.got, numbers(1, SENT)) == numbers(1, SENT)
    assert len(reader.got) == SENT + len(held)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_packet_ids_stay_apart_over_another_restart(new_broker, client, publisher, how):
    """Those in flight then have newer ones than those that still wait have in the store."""
    broker, reader = shrunk(new_broker, client, publisher)
    for _ in range(IN_BROKER):
        reader.step()
    broker.restart(how)
    reader.connect()
    reader.finish(but=1)
    for number in range(SENT, SENT + 150):
        publisher(broker).publish("t/1", f"{number + 1}")
        reader.read()
        reader.finish(but=1)
    reader.finish()
    assert reader.got == numbers(1, IN_BROKER) + numbers(IN_BROKER + 2, SENT + 150) + \
        [f"{IN_BROKER + 1}"]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_in_flight_keeps_its_packet_id(new_broker, client, publisher, qos):
    """A client that took 80 at once, and takes 10 now."""
    broker = new_broker().start()
    session = client(broker, "sub", version=5, receive_maximum=80)
    session.subscribe("t/#", qos=qos)
    source = publisher(broker)
    for number in range(1, 81):
        source.publish("t/1", str(number), qos)
    reader = Reader(session)
    reader.read()
    before = {found.payload: mid for mid, found in reader.flight.items()}
    assert len(before) == 80
    broker.kill()
    broker.conf = SMALL
    broker.start()
    source = client(broker, "source")
    held = hold_back(source)
    reader.connect(receive_maximum=10)
    seen = {}
    for mid in list(held.values()) + [None] * 80:
        if not reader.flight:
            break
        seen.update({found.payload: mid for mid, found in reader.flight.items() if found})
        ending = reader.begin()
        with one_pass(broker, reader.session):
            reader.end(ending)
            if mid:
                source.ack(PUBREL, mid)
        reader.read()
    assert in_order(reader.got, held) == list(held)
    assert in_order(reader.got, numbers(1, 80)) == numbers(1, 80)
    assert {payload: seen[payload] for payload in before} == before


@pytest.fixture
def far_port():
    port = free_port()
    yield port
    release_port(port)


def far_end(port):
    """What a bridge connects to: a Client that has taken its connection."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(20)
        far = Client(port, "far end", connect=False)
        far.stream = server.accept()[0]
    far.buffer, far.inbox = bytearray(), collections.deque()
    far.wait(CONNECT)
    far.send(wire.packet(CONNACK, 0, bytes(2)))
    return far


def test_a_bridge_too_has_its_messages_in_order(new_broker, publisher, far_port):
    """The far end has acknowledged nothing yet when a new one comes."""
    bridge = ["connection far", f"address 127.0.0.1:{far_port}", "topic # out 1",
              "cleansession false", "restart_timeout 1 1", "notifications false",
              "bridge_attempt_unsubscribe false"]
    broker = new_broker(conf=bridge).start()
    publish_numbers(publisher(broker), 1, SENT)
    broker.kill()
    broker.conf = SMALL + bridge
    broker.start()
    far = far_end(far_port)
    found = [far.wait(PUBLISH) for _ in range(5)]
    publisher(broker).publish("t/1", "new")
    while len(found) < SENT:
        far.ack(PUBACK, found[len(found) - 5].mid)
        found.append(far.wait(PUBLISH))
    far.close()
    assert payloads(found) == numbers(1, SENT)


def test_thousands_that_wait_move_up_without_being_gone_through_each_time(new_broker, client,
                                                                          publisher):
    """Going through all of them at each acknowledgement would take the broker many minutes."""
    count = 50000
    broker = new_broker(conf=[f"max_queued_messages {count}"]).start()
    session = offline_session(broker, client)
    send_numbers(publisher(broker), count)
    broker.kill()
    broker.conf = SMALL
    broker.start()
    session.connect()
    assert payloads(session.collect(count)) == numbers(1, count)


def test_a_message_that_cannot_be_read_is_named_once(new_broker, client, publisher):
    """Its page is damaged while it waits. It holds up those behind it, and is tried again with each
    place that comes free."""
    broker = new_broker(conf=[f"max_queued_messages {SENT}"],
                        options={"compression": "none"}).start()
    session = offline_session(broker, client)
    source = publisher(broker)
    readable = numbers(1, IN_BROKER + 2)
    for payload in [*readable, "needle", *numbers(IN_BROKER + 4, SENT)]:
        source.publish("t/1", payload)
    broker.kill()
    broker.conf = SMALL
    broker.start()
    reader = Reader(session)
    reader.connect()
    tables = broker.store / "data.mdb"
    data = tables.read_bytes()
    assert b"needle" in data
    with open(tables, "r+b") as file:
        file.write(data.replace(b"needle", b"noodle"))
    reader.finish()
    assert reader.got == readable
    assert broker.log().count("a message for client sub stays behind: ") == 1

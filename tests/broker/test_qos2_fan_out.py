# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Killed in the middle of a release: PUBREL makes the broker queue a QoS 2 message for one
subscriber after the other, and forget the publisher's id last. Whoever got it before the crash
must not get it again when the publisher repeats PUBREL, and all others must."""
import time

import pytest

from rawmqtt import Client, ConnectionLost
from wire import PUBLISH, PUBREC, PUBREL

SUBSCRIBERS = 60


@pytest.fixture
def broker(new_broker):
    """sync always makes each step slow enough to be hit."""
    return new_broker(options={"sync": "always"}).start()


@pytest.fixture
def sessions(broker):
    made = []
    for number in range(SUBSCRIBERS):
        session = Client(broker.port, f"s{number}", version=4 + number % 2)
        session.subscribe("t/#", qos=2)
        session.disconnect()
        made.append(session)
    return made


def count_deliveries(sessions):
    """How many messages each session gets."""
    counts = []
    for session in sessions:
        session.connect()
        assert session.session_present
        counts.append(len(session.drain()))
        session.disconnect()
    return counts


def release_and_kill(broker, source, mid, after_s):
    source.ack(PUBREL, mid)
    time.sleep(after_s)
    broker.kill()
    broker.start()
    source.connect()
    assert source.session_present


@pytest.mark.parametrize("fetched_before", [False, True], ids=["repeated at once", "fetched first"])
def test_a_release_that_was_cut_short_is_finished_not_repeated(broker, client, sessions,
                                                               fetched_before):
    source = client(broker, "source")
    for after_ms in (1, 4, 10):
        mid = source.send_publish("t/1", "once", 2)
        source.wait(PUBREC, mid)
        release_and_kill(broker, source, mid, after_ms / 1000)
        counts = [0] * SUBSCRIBERS
        if fetched_before:
            counts = count_deliveries(sessions)
            broker.restart("kill")
            source.connect()
        source.release(mid)
        counts = [sum(pair) for pair in zip(counts, count_deliveries(sessions))]
        wrong = {count: counts.count(count) for count in set(counts) if count != 1}
        assert not wrong, f"killed after {after_ms} ms: {wrong} (deliveries: sessions)"
        source.ping()


def test_online_subscribers_that_saw_it_do_not_see_it_again(broker, client):
    """They have the packet id: the message must keep it, and no other message may get it."""
    online = []
    for number in range(40):
        session = client(broker, f"s{number}", version=4 + number % 2)
        session.subscribe("t/#", qos=2)
        online.append(session)
    source = client(broker, "source")
    for after_ms in (1, 2, 4, 8):
        mid = source.send_publish("t/1", "once", 2)
        source.wait(PUBREC, mid)
        source.ack(PUBREL, mid)
        time.sleep(after_ms / 1000)
        broker.kill()
        counts = []
        for session in online:
            counts.append(count_read(session))
        broker.start()
        source.connect()
        source.release(mid)
        source.publish("t/1", "next", 2)
        for number, session in enumerate(online):
            session.connect()
            assert session.session_present
            got = [message.payload for message in session.drain()]
            expected = [b"once", b"next"][counts[number]:]
            assert got == expected, f"killed after {after_ms} ms, {counts[number]} seen before"


def count_read(session):
    """Takes what a dead broker had sent; nothing can be answered any more."""
    seen = 0
    while True:
        try:
            found = session.read(timeout=5)
        except ConnectionLost:
            session.close()
            return seen
        assert found.type == PUBLISH and found.mid not in session.unreleased
        session.unreleased.add(found.mid)
        seen += 1

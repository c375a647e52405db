# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Payloads of many sizes. A record larger than a segment of the journal gets one of its own."""
import hashlib
import random

import pytest

from helpers import offline_session, retained_on

MB = 1 << 20
ANY_SIZE = ["max_packet_size 268435460"]  # Mosquitto's own limit is 2 MB unless told otherwise


@pytest.fixture
def broker(new_broker):
    return new_broker(conf=ANY_SIZE, defaults=True).start()


def incompressible(size, seed):
    return random.Random(seed).randbytes(size)


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("make", [incompressible, lambda size, seed: (b"%d " % seed * size)[:size]],
                         ids=["incompressible", "compressible"])
def test_sizes_from_nothing_to_a_megabyte(broker, client, publisher, how, make):
    session = offline_session(broker, client)
    source = publisher(broker)
    sent = [make(size, size) for size in
            (0, 1, 2, 63, 64, 127, 128, 4000, 4095, 4096, 4097, 65535, 65536, 300000, MB)]
    for payload in sent:
        source.publish("t/1", payload)
    broker.restart(how)
    session.connect()
    assert [digest(message.payload) for message in session.drain()] == list(map(digest, sent))


def test_20_mb_are_more_than_a_segment(broker, client, publisher, how):
    session = offline_session(broker, client)
    payload = incompressible(20 * MB, 1)
    source = publisher(broker)
    source.publish("t/1", "before")
    source.publish("t/1", payload, retain=True)
    source.publish("t/1", "after")
    broker.restart(how)
    session.connect()
    before, large, after = session.drain()
    assert (before.payload, after.payload) == (b"before", b"after")
    assert digest(large.payload) == digest(payload)
    assert digest(retained_on(broker, client)["t/1"].payload) == digest(payload)


def test_messages_larger_than_a_small_segment(new_broker, client, publisher, how):
    broker = new_broker(conf=ANY_SIZE, options={"journal_segment_bytes": "1M"}).start()
    session = offline_session(broker, client)
    source = publisher(broker)
    sent = [incompressible(size, size) for size in (MB // 2, MB - 100, MB, MB + 1, 3 * MB, 10)]
    for payload in sent:
        source.publish("t/1", payload, qos=1)
    broker.restart(how)
    session.connect()
    assert [digest(message.payload) for message in session.drain()] == list(map(digest, sent))


def test_40_mb_in_many_messages(broker, client, publisher, how):
    session = offline_session(broker, client)
    source = publisher(broker)
    for number in range(400):
        source.publish("t/1", incompressible(100_000, number))
    broker.restart(how)
    session.connect()
    found = session.drain()
    assert len(found) == 400
    for number, message in enumerate(found):
        assert message.payload == incompressible(100_000, number), number

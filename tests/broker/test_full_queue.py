# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A queue that is full when the broker ends. A connected client may hold more than an offline one
(max_queued_messages plus what is in flight), and all of that was acknowledged to publishers."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import payloads

SENT = 1200


def fill(source, qos):
    """Publishes more than fits. Mosquitto acknowledges all and drops what is too much."""
    for first in range(1, SENT + 1, 10):
        publish_numbers(source, first, first + 9, qos)


def test_a_full_queue_of_an_offline_session_is_kept(broker, client, publisher, how):
    session = offline_session(broker, client)
    fill(publisher(broker), 1)
    broker.restart(how)
    session.connect()
    found = payloads(session.drain())
    assert found == numbers(1, len(found))
    assert len(found) == 1000


@pytest.mark.parametrize("qos", [1, 2])
def test_a_full_queue_of_a_connected_slow_client_is_kept(new_broker, client, publisher, how, qos):
    held = []
    for ending in (None, how):
        broker = new_broker().start()
        session = client(broker, "slow", version=5)
        session.subscribe("t/#", qos=qos)
        fill(publisher(broker), qos)
        if ending:
            broker.restart(ending)
            session.connect()
            assert session.session_present
        found = payloads(session.drain())
        assert found == numbers(1, len(found))
        held.append(len(found))
    assert held[0] > 1000
    assert held[1] == held[0], "messages that the broker held are gone"


def test_a_full_queue_takes_new_messages_after_it_was_read(broker, client, publisher, how):
    session = client(broker, "slow", version=5)
    session.subscribe("t/#")
    fill(publisher(broker), 1)
    broker.restart(how)
    session.connect()
    found = payloads(session.drain())
    session.disconnect()
    publish_numbers(publisher(broker), 2001, 2010)
    broker.restart(how)
    expect_received(session, numbers(2001, 2010))
    assert len(found) > 1000


def test_a_smaller_limit_after_the_restart_loses_nothing_that_was_stored(new_broker, client,
                                                                         publisher):
    broker = new_broker().start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 500)
    broker.kill()
    broker.conf = ["max_queued_messages 100"]
    broker.start()
    expect_received(session, numbers(1, 500))


def test_a_limit_in_bytes(new_broker, client, publisher, how):
    broker = new_broker(conf=["max_queued_messages 0", "max_queued_bytes 100000"]).start()
    session = client(broker, "slow", version=5)
    session.subscribe("t/#")
    source = publisher(broker)
    for number in range(1, 200):
        source.publish("t/1", f"{number:01000}")
    broker.restart(how)
    session.connect()
    found = [int(payload) for payload in payloads(session.drain())]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= 100

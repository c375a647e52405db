# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""QoS 0 messages that are queued because queue_qos0_messages is true (trap 11)."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import payloads


@pytest.fixture
def broker(new_broker):
    return new_broker(conf=["queue_qos0_messages true"]).start()


@pytest.mark.parametrize("version", [4, 5])
def test_queued_qos_0_messages_come_back_once_and_in_order(broker, client, publisher, how, version):
    """All of them have packet id 0."""
    session = offline_session(broker, client, version=version)
    publish_numbers(publisher(broker), 1, 20, qos=0)
    broker.restart(how)
    publish_numbers(publisher(broker), 21, 30, qos=0)
    expect_received(session, numbers(1, 30))
    broker.restart(how)
    expect_received(session, [])


def test_a_subscription_of_qos_0_queues_too(broker, client, publisher, how):
    session = offline_session(broker, client, qos=0)
    publish_numbers(publisher(broker), 1, 10, qos=2)
    broker.restart(how)
    session.connect()
    found = session.drain()
    assert payloads(found) == numbers(1, 10)
    assert {message.qos for message in found} == {0}


def test_all_three_qos_keep_their_order(broker, client, publisher, how):
    session = offline_session(broker, client, qos=2)
    source = publisher(broker)
    for number in range(1, 19):
        source.publish("t/1", str(number), qos=number % 3)
    broker.restart(how)
    session.connect()
    found = session.drain()
    assert payloads(found) == numbers(1, 18)
    assert [message.qos for message in found] == [number % 3 for number in range(1, 19)]


def test_qos_0_sent_to_a_connected_session_is_not_sent_again(broker, client, publisher, how):
    session = client(broker, "sub")
    session.subscribe("t/#", qos=0)
    publish_numbers(publisher(broker), 1, 5, qos=0)
    assert payloads(session.drain()) == numbers(1, 5)
    broker.restart(how)
    expect_received(session, [])


def test_the_same_message_queued_twice_with_packet_id_0(broker, client, publisher, how):
    """Overlapping subscriptions: two entries that only their identifier tells apart."""
    session = client(broker, "sub", version=5)
    session.subscribe("t/#", qos=0, identifier=1)
    session.subscribe("t/+", qos=0, identifier=2)
    session.disconnect()
    publish_numbers(publisher(broker), 1, 3, qos=0)
    broker.restart(how)
    session.connect()
    found = [(message.payload.decode(), message.one("subscription_identifier"))
             for message in session.drain()]
    assert sorted(found) == [(each, identifier) for each in numbers(1, 3) for identifier in (1, 2)]
    assert [payload for payload, _ in found] == ["1", "1", "2", "2", "3", "3"]


def test_without_the_option_qos_0_is_not_queued(new_broker, client, publisher, how):
    broker = new_broker().start()
    session = offline_session(broker, client)
    source = publisher(broker)
    publish_numbers(source, 1, 5, qos=0)
    publish_numbers(source, 6, 8, qos=1)
    broker.restart(how)
    expect_received(session, numbers(6, 8))

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Retained messages: set, replaced, cleared, expiring."""
import socket
import time

import pytest

from helpers import expect_received, offline_session, retained_on, retained_payloads


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_retained_message_is_there_after_a_restart(broker, client, publisher, how, qos):
    publisher(broker).publish("r/1", "value", qos, retain=True)
    broker.restart(how)
    found = retained_on(broker, client)["r/1"]
    assert (found.payload, found.retain) == (b"value", True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/1": b"value"}


def test_the_qos_of_a_retained_message_is_kept(broker, client, publisher, how):
    source = publisher(broker)
    for qos in (0, 1, 2):
        source.publish(f"r/{qos}", "value", qos, retain=True)
    broker.restart(how)
    probe = client(broker, "probe", clean=True)
    probe.subscribe("r/#", qos=2)
    assert {message.topic: message.qos for message in probe.drain()} == \
        {"r/0": 0, "r/1": 1, "r/2": 2}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_replaced_message_is_the_last_one(broker, client, publisher, how, qos):
    source = publisher(broker)
    for number in range(5):
        source.publish("r/1", str(number), qos, retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/1": b"4"}
    publisher(broker).publish("r/1", "5", qos, retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/1": b"5"}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_cleared_message_stays_cleared(broker, client, publisher, how, qos):
    source = publisher(broker)
    source.publish("r/1", "one", qos, retain=True)
    source.publish("r/2", "two", qos, retain=True)
    source.publish("r/1", "", qos, retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/2": b"two"}


def test_a_message_cleared_in_a_later_life_stays_cleared(broker, client, publisher, how):
    publisher(broker).publish("r/1", "one", retain=True)
    broker.restart(how)
    publisher(broker).publish("r/1", "", retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {}
    publisher(broker).publish("r/1", "again", retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/1": b"again"}


def test_clearing_what_is_not_there_harms_nothing(broker, client, publisher, how):
    source = publisher(broker)
    source.publish("r/never", "", retain=True)
    source.publish("r/1", "one", retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/1": b"one"}


def test_a_retained_message_that_is_also_queued_lives_on_when_it_is_cleared(broker, client,
                                                                           publisher, how):
    """One base message with two references."""
    session = offline_session(broker, client, topic="r/#")
    source = publisher(broker)
    source.publish("r/1", "queued", retain=True)
    source.publish("r/1", "", retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == {}
    expect_received(session, ["queued", ""])


def test_a_retained_message_lives_on_when_the_queue_has_been_read(broker, client, publisher, how):
    session = offline_session(broker, client, topic="r/#")
    publisher(broker).publish("r/1", "both", retain=True)
    expect_received(session, ["both"])
    broker.restart(how)
    assert retained_payloads(broker, client) == {"r/1": b"both"}
    expect_received(session, [])


def test_2000_retained_messages_come_back(broker, client, publisher, how):
    source = publisher(broker)
    for number in range(2000):
        source.send_publish(f"r/{number % 50}/{number}", str(number), 0, retain=True)
    source.ping()
    broker.restart(how)
    probe = client(broker, "probe", clean=True)
    probe.subscribe("#", qos=0)
    assert {message.topic: message.payload for message in probe.drain()} == \
        {f"r/{number % 50}/{number}": str(number).encode() for number in range(2000)}


def test_an_expiring_retained_message_expires_while_the_broker_is_down(broker, client, publisher,
                                                                       how):
    source = publisher(broker, version=5)
    source.publish("r/short", "short", retain=True, properties=[("message_expiry", 1)])
    source.publish("r/long", "long", retain=True, properties=[("message_expiry", 100)])
    source.publish("r/always", "always", retain=True)
    broker.end(how)
    time.sleep(2.1)
    broker.start()
    found = retained_on(broker, client)
    assert set(found) == {"r/long", "r/always"}
    assert 90 <= found["r/long"].one("message_expiry") <= 98
    assert found["r/always"].one("message_expiry") is None


def test_an_expired_retained_message_may_be_set_again(broker, client, publisher):
    publisher(broker, version=5).publish("r/1", "old", retain=True,
                                         properties=[("message_expiry", 1)])
    broker.kill()
    time.sleep(2.1)
    broker.start()
    publisher(broker).publish("r/1", "new", retain=True)
    broker.restart("kill")
    assert retained_payloads(broker, client) == {"r/1": b"new"}


def test_topics_below_dollar_are_not_kept_and_do_no_harm(broker, client, publisher, how):
    """Trap 13: the broker never sends them to a plugin."""
    source = publisher(broker)
    source.publish("$own/1", "lost", retain=True)
    source.publish("r/1", "kept", retain=True)
    broker.restart(how)
    assert "$own/1" not in retained_payloads(broker, client, "$own/#")
    assert retained_payloads(broker, client) == {"r/1": b"kept"}


def test_topics_that_begin_alike_are_kept_apart(broker, client, publisher, how):
    topics = ["a", "a/", "a//", "/a", "/", "a/b", "a/b/c", "A", "a ", " a", "ä",
              "b" * 479, "b" * 480, "b" * 481, "b" * 511, "b" * 512]
    source = publisher(broker)
    for topic in topics:
        source.publish(topic, f"value of {topic}", retain=True)
    broker.restart(how)
    assert retained_payloads(broker, client) == \
        {topic: f"value of {topic}".encode() for topic in topics}
    source = publisher(broker)
    for topic in topics[::2]:
        source.publish(topic, "", retain=True)
    broker.restart(how)
    assert set(retained_payloads(broker, client)) == set(topics[1::2])


@pytest.mark.parametrize("subscribed", [False, True])
def test_a_start_that_fails_for_its_port_keeps_them(broker, client, how, subscribed):
    """The broker then lets go of all that was restored, and tells that it deletes it. With
    subscriptions it even dies of that."""
    source = client(broker, "source", clean=not subscribed)
    if subscribed:
        source.subscribe("t/#")
    for number in range(10):
        source.publish(f"r/{number}", f"{number}", number % 3, True)
    source.publish("r/3", "", 1, True)
    source.disconnect()
    broker.end(how)
    with socket.create_server(("127.0.0.1", broker.port)):
        broker.launch()
        assert broker.process.wait(20) != 0
    broker.start()
    expected = {f"r/{number}": b"%d" % number for number in range(10) if number != 3}
    assert retained_payloads(broker, client) == expected
    broker.restart()
    assert retained_payloads(broker, client) == expected

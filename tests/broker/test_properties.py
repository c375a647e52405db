# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""MQTT 5 properties of messages, and their expiry, over a restart."""
import time

import pytest

from helpers import offline_session, retained_on
from rawmqtt import payloads


def through_a_restart(broker, client, publisher, how, properties, payload="x"):
    """The message as a subscriber and as a retained message gets it after a restart."""
    session = offline_session(broker, client, topic="p/#", version=5)
    publisher(broker, version=5).publish("p/1", payload, retain=True, properties=properties)
    broker.restart(how)
    session.connect()
    queued, = session.drain()
    retained = retained_on(broker, client)["p/1"]
    assert queued.payload == retained.payload
    assert queued.properties == retained.properties
    return queued.properties


ALL = [("payload_format", 1), ("content_type", "application/json"),
       ("response_topic", "answer/to/me"), ("correlation_data", bytes(range(256))),
       ("user_property", ("first", "1"))]


def test_all_properties_of_a_message_come_back(broker, client, publisher, how):
    assert through_a_restart(broker, client, publisher, how, ALL) == ALL


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0abc\0", b"\xff" * 65535, bytes(range(256))],
                         ids=["empty", "zero", "zeros", "largest", "every byte"])
def test_correlation_data_is_binary(broker, client, publisher, how, data):
    properties = [("correlation_data", data)]
    assert through_a_restart(broker, client, publisher, how, properties) == properties


def test_user_properties_keep_order_and_repetition(broker, client, publisher, how):
    properties = [("user_property", pair) for pair in
                  [("b", "2"), ("a", "1"), ("b", "2"), ("", ""), ("b", "3"), ("a", ""),
                   ("", "x"), ("key with space", "größer ☃ 𝄞")]]
    assert through_a_restart(broker, client, publisher, how, properties) == properties


def test_many_and_long_user_properties(broker, client, publisher, how):
    properties = [("user_property", (f"k{number}", "v" * (number % 50))) for number in range(500)]
    properties.append(("user_property", ("k" * 65535, "v" * 65535)))
    assert through_a_restart(broker, client, publisher, how, properties) == properties


@pytest.mark.parametrize("name", ["content_type", "response_topic"])
def test_long_strings_in_properties(broker, client, publisher, how, name):
    properties = [(name, "s" * 65535)]
    assert through_a_restart(broker, client, publisher, how, properties) == properties


@pytest.mark.parametrize("value", [0, 1])
def test_the_payload_format_is_told_apart_from_its_absence(broker, client, publisher, how, value):
    properties = [("payload_format", value)]
    assert through_a_restart(broker, client, publisher, how, properties) == properties


def test_a_message_without_properties_gets_none(broker, client, publisher, how):
    assert through_a_restart(broker, client, publisher, how, []) == []


def test_properties_of_a_qos_2_message_that_waits_for_pubrel(broker, client, publisher):
    """Stored as an incoming message, published after the restart."""
    session = offline_session(broker, client, topic="p/#", version=5, qos=2)
    source = client(broker, "source", version=5)
    mid = source.send_publish("p/1", "x", 2, properties=ALL)
    source.ping()
    broker.restart("kill")
    source.connect()
    source.release(mid)
    session.connect()
    message, = session.drain()
    assert message.properties == ALL


def test_a_message_expiry_counts_while_the_broker_is_down(broker, client, publisher, how):
    session = offline_session(broker, client, version=5)
    source = publisher(broker, version=5)
    source.publish("t/1", "short", properties=[("message_expiry", 1)])
    source.publish("t/1", "long", properties=[("message_expiry", 100)])
    source.publish("t/1", "always")
    broker.end(how)
    time.sleep(2.1)
    broker.start()
    session.connect()
    long, always = session.drain()
    assert payloads([long, always]) == ["long", "always"]
    assert 90 <= long.one("message_expiry") <= 98
    assert always.one("message_expiry") is None


def test_a_long_message_expiry_is_not_cut_short(broker, client, publisher, how):
    session = offline_session(broker, client, version=5)
    longest = 0xFFFFFFFE
    publisher(broker, version=5).publish("t/1", "x", properties=[("message_expiry", longest)])
    broker.restart(how)
    session.connect()
    message, = session.drain()
    assert longest - 10 <= message.one("message_expiry") <= longest


def test_properties_reach_a_3_1_1_subscriber_as_none_and_an_mqtt_5_one_later(broker, client,
                                                                            publisher):
    session = offline_session(broker, client, topic="p/#", version=4)
    publisher(broker, version=5).publish("p/1", "x", properties=ALL)
    broker.restart("kill")
    session.connect(version=5)
    message, = session.drain()
    assert message.properties == ALL

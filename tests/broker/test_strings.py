# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Strings of any legal size and content. A string longer than a key of LMDB's takes another path
than a short one (trap 10), so sizes around that limit are tried too.

Mosquitto refuses control characters in every UTF-8 string and ends such a connection, so they are
tested where it lets them through: in payloads, passwords and binary properties."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers, retained_payloads
from rawmqtt import ConnectionLost, payloads
from wire import PUBLISH

SIZES = [1, 479, 480, 481, 511, 512, 513, 1000, 65535]
UNICODE = "größe/Δ/日本語/🦟/ﷺ/\u00a0/\ufeff/end"
DEEP = "/".join("l" for _ in range(200))  # Mosquitto takes 200 levels


@pytest.mark.parametrize("size", SIZES)
def test_client_ids_of_any_length(broker, client, publisher, how, size):
    alike = ["c" * size]
    if size > 1:
        alike += ["c" * (size - 1) + "d", "d" + "c" * (size - 1)]
    sessions = [offline_session(broker, client, client_id, f"own/{number}")
                for number, client_id in enumerate(alike)]
    for number in range(len(alike)):
        publisher(broker).publish(f"own/{number}", f"for {number}")
    broker.restart(how)
    for number, session in enumerate(sessions):
        expect_received(session, [f"for {number}"])


@pytest.mark.parametrize("size", SIZES)
def test_topics_and_filters_of_any_length(broker, client, publisher, how, size):
    names = ["t" * size]
    if size > 1:
        names += ["t" * (size - 1) + "u", "u" + "t" * (size - 1)]
    session = client(broker, "sub")
    for name in names:
        session.subscribe(name)
    session.disconnect()
    source = publisher(broker)
    for number, name in enumerate(names):
        source.publish(name, f"queued {number}", retain=True)
    broker.restart(how)
    source = publisher(broker)
    for number, name in enumerate(names):
        source.publish(name, f"live {number}")
    session.connect()
    expected = [(name, f"{kind} {number}".encode()) for kind in ("queued", "live")
                for number, name in enumerate(names)]
    assert [(message.topic, message.payload) for message in session.drain()] == expected
    assert retained_payloads(broker, client) == \
        {name: f"queued {number}".encode() for number, name in enumerate(names)}
    session.unsubscribe(names[0])
    session.disconnect()
    publisher(broker).publish(names[0], "", retain=True)
    broker.restart(how)
    source = publisher(broker)
    for name in names:
        source.publish(name, "last")
    session.connect()
    assert [message.topic for message in session.drain()] == names[1:]
    assert set(retained_payloads(broker, client)) == set(names[1:])


def test_a_user_name_of_65535_bytes(broker, client, publisher, how):
    session = offline_session(broker, client, username="u" * 65535)
    publish_numbers(publisher(broker, username="p" * 65535), 1, 3)
    broker.restart(how)
    expect_received(session, numbers(1, 3))


def test_everything_long_at_once(broker, client, publisher, how):
    # Mosquitto takes a CONNECT packet of 100,000 bytes at most.
    session = client(broker, "c" * 65535, version=5, username="u" * 34000)
    session.subscribe("t" * 65533 + "/#", identifier=268435455)
    session.disconnect()
    properties = [("content_type", "c" * 65535), ("response_topic", "r" * 65535),
                  ("correlation_data", b"\xfe" * 65535)]
    client(broker, "p" * 34000, clean=True, version=5, username="v" * 65535).publish(
        "t" * 65533 + "/x", b"\0" * 100000, properties=properties)
    broker.restart(how)
    session.connect()
    message, = session.drain()
    assert message.topic == "t" * 65533 + "/x"
    assert message.payload == b"\0" * 100000
    assert message.properties == properties + [("subscription_identifier", 268435455)]


@pytest.mark.parametrize("text", [UNICODE, DEEP], ids=["unicode", "deep"])
def test_any_character_and_depth_that_mqtt_allows(broker, client, publisher, how, text):
    session = client(broker, text, username=text)
    session.subscribe(text)
    session.disconnect()
    publisher(broker).publish(text, text, retain=True)
    broker.restart(how)
    session.connect()
    assert session.session_present
    message, = session.drain()
    assert (message.topic, message.payload) == (text, text.encode())
    assert retained_payloads(broker, client) == {text: text.encode()}


@pytest.mark.parametrize("version", [4, 5])
def test_a_topic_that_is_too_long_below_its_mount_point_ends_no_broker(new_broker, client, version):
    """The broker looks at the length before it puts the mount point in front."""
    mount = "mount/"
    broker = new_broker(options={"on_failure": "stop"},
                        listener=["listener {port} 127.0.0.1", f"mount_point {mount}"]).start()
    session = client(broker, "sub", version=version)
    session.subscribe("#")
    longest = "t" * (65535 - len(mount))
    source = client(broker, "source", version=version)
    for qos in (0, 1, 2):
        for retain in (False, True):
            with pytest.raises(ConnectionLost):
                source.publish(longest + "t", "too long", qos, retain)
            source.connect()
            source.publish(longest, f"{qos} {retain}", qos, retain)
    with pytest.raises(ConnectionLost):
        source.subscribe(longest + "t")
    assert payloads(session.drain()) == \
        [f"{qos} {retain}" for qos in (0, 1, 2) for retain in (False, True)]
    broker.restart()
    assert set(retained_payloads(broker, client)) == {longest}


def test_payloads_may_hold_any_byte(broker, client, publisher, how):
    session = offline_session(broker, client)
    source = publisher(broker)
    contents = [b"", b"\0", b"\0" * 70, bytes(range(256)), "\x01\x1b[31m\x7f\u0085".encode(),
                b"\xff\xfe", b"line\nline\r\n"]
    for content in contents:
        source.publish("t/1", content)
    broker.restart(how)
    session.connect()
    assert [message.payload for message in session.drain()] == contents


def test_the_broker_itself_refuses_control_characters_in_strings(broker, client):
    """If this changes, topics and client ids with control characters must be tested here."""
    source = client(broker, "source", clean=True)
    source.send_publish("t/\x1b", "x", qos=1)
    with pytest.raises(ConnectionLost):
        source.ping()
    with pytest.raises(ConnectionLost):
        client(broker, "id\x07", clean=True)


def test_empty_topic_levels_are_levels(broker, client, publisher, how):
    session = client(broker, "sub")
    session.subscribe("/", "//", "a//b", "/a", "a/")
    session.disconnect()
    broker.restart(how)
    source = publisher(broker)
    for topic in ("/", "//", "a//b", "/a", "a/", "a", "a/b"):
        source.publish(topic, topic)
    session.connect()
    sent = [packet for packet in session.peek() if packet.type == PUBLISH]
    assert payloads(sent) == ["/", "//", "a//b", "/a", "a/"]

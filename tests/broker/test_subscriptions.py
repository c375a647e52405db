# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Subscriptions: options, identifiers, shared, overlapping."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import NO_LOCAL, RETAIN_AS_PUBLISHED, RETAIN_IF_NEW, RETAIN_NEVER, payloads
from wire import PUBACK, PUBLISH


def test_the_qos_of_a_subscription_is_kept(broker, client, publisher, how):
    session = client(broker, "sub")
    for qos in (0, 1, 2):
        session.subscribe(f"q/{qos}", qos=qos)
    broker.restart(how)
    session.connect()
    source = publisher(broker)
    for qos in (0, 1, 2):
        source.publish(f"q/{qos}", "x", qos=2)
    assert {message.topic: message.qos for message in session.drain()} == \
        {"q/0": 0, "q/1": 1, "q/2": 2}


def test_a_subscription_made_anew_replaces_the_old_one(broker, client, publisher, how):
    session = client(broker, "sub", version=5)
    session.subscribe("t/#", qos=2, identifier=7)
    session.subscribe("t/#", qos=1, options=RETAIN_AS_PUBLISHED, identifier=8)
    broker.restart(how)
    session.connect()
    publisher(broker).publish("t/1", "x", qos=2, retain=True)
    message, = session.drain()
    assert (message.qos, message.retain, message.all("subscription_identifier")) == (1, True, [8])


def test_no_local_is_kept(broker, client, publisher, how):
    session = client(broker, "sub", version=5)
    session.subscribe("own/#", options=NO_LOCAL)
    session.subscribe("echo/#")
    broker.restart(how)
    session.connect()
    for topic in ("own/1", "echo/1"):
        session.publish(topic, "by myself")
    publisher(broker).publish("own/1", "by another")
    assert [(message.topic, message.payload) for message in session.drain()] == \
        [("echo/1", b"by myself"), ("own/1", b"by another")]


def test_retain_as_published_is_kept(broker, client, publisher, how):
    session = client(broker, "sub", version=5)
    session.subscribe("as/#", options=RETAIN_AS_PUBLISHED)
    session.subscribe("not/#")
    broker.restart(how)
    session.connect()
    source = publisher(broker)
    for topic in ("as/1", "not/1"):
        source.publish(topic, "x", retain=True)
        source.publish(topic, "y", retain=False)
    assert [(message.topic, message.retain) for message in session.drain()] == \
        [("as/1", True), ("as/1", False), ("not/1", False), ("not/1", False)]


def test_the_retain_flag_of_a_queued_message_is_kept(broker, client, publisher, how):
    session = client(broker, "sub", version=5)
    session.subscribe("as/#", options=RETAIN_AS_PUBLISHED)
    session.subscribe("not/#")
    session.disconnect()
    source = publisher(broker)
    for topic in ("as/1", "not/1"):
        source.publish(topic, "x", retain=True)
    broker.restart(how)
    session.connect()
    assert [(message.topic, message.retain) for message in session.drain()] == \
        [("as/1", True), ("not/1", False)]


def test_retain_handling_knows_a_restored_subscription_as_an_old_one(broker, client, publisher,
                                                                     how):
    publisher(broker).publish("r/1", "retained", retain=True)
    session = client(broker, "sub", version=5)
    session.subscribe("r/#", options=RETAIN_IF_NEW)
    assert payloads(session.drain()) == ["retained"]
    broker.restart(how)
    session.connect()
    session.subscribe("r/#", options=RETAIN_IF_NEW)
    assert session.drain() == []
    session.subscribe("r/1", options=RETAIN_IF_NEW)
    assert payloads(session.drain()) == ["retained"]


def test_a_restored_subscription_sends_no_retained_message(broker, client, publisher, how):
    publisher(broker).publish("r/1", "retained", retain=True)
    session = client(broker, "sub", version=5)
    session.subscribe("r/#", options=RETAIN_NEVER)
    broker.restart(how)
    session.connect()
    assert session.drain() == []


IDENTIFIERS = [1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455]


def test_subscription_identifiers_of_all_sizes_are_kept(broker, client, publisher, how):
    session = client(broker, "sub", version=5)
    for identifier in IDENTIFIERS:
        session.subscribe(f"id/{identifier}", identifier=identifier)
    session.subscribe("id/none")
    session.disconnect()
    topics = [f"id/{identifier}" for identifier in IDENTIFIERS] + ["id/none"]
    expected = [(topic, [identifier]) for topic, identifier in zip(topics, IDENTIFIERS)]
    expected.append(("id/none", []))
    for queued in (True, False):
        if queued:
            source = publisher(broker)
            for topic in topics:
                source.publish(topic, "x")
        broker.restart(how)
        session.connect()
        if not queued:
            source = publisher(broker)
            for topic in topics:
                source.publish(topic, "x")
        assert [(message.topic, message.all("subscription_identifier"))
                for message in session.drain()] == expected


def test_a_shared_subscription_is_shared_after_a_restart(broker, client, publisher, how):
    members = [client(broker, f"m{each}", version=4 + each) for each in range(2)]
    for member in members:
        member.subscribe("$share/group/s/#")
        member.disconnect()
    publish_numbers(publisher(broker), 1, 10, topic="s/1")
    broker.restart(how)
    publish_numbers(publisher(broker), 11, 20, topic="s/1")
    shares = []
    for member in members:
        member.connect()
        assert member.session_present
        shares.append(payloads(member.drain()))
    assert sorted(shares[0] + shares[1], key=int) == numbers(1, 20)
    assert [share == sorted(share, key=int) for share in shares] == [True, True]
    assert len(shares[0]) == len(shares[1]) == 10


def test_shared_groups_and_a_plain_subscription_are_kept_apart(broker, client, publisher, how):
    one = client(broker, "one")
    one.subscribe("$share/a/s/#", "$share/b/s/#", "s/#")
    one.disconnect()
    broker.restart(how)
    publisher(broker).publish("s/1", "x")
    expect_received(one, ["x", "x", "x"])
    one.unsubscribe("$share/a/s/#")
    broker.restart(how)
    publisher(broker).publish("s/1", "y")
    expect_received(one, ["y", "y"])


@pytest.mark.parametrize("acknowledged", [0, 1, 2])
def test_of_overlapping_copies_only_the_acknowledged_one_goes(broker, client, publisher, how,
                                                              acknowledged):
    """Trap 12: one base message three times in one queue."""
    session = client(broker, "sub", version=5)
    for identifier, name in ((1, "t/#"), (2, "t/+"), (3, "t/1")):
        session.subscribe(name, identifier=identifier)
    session.disconnect()
    publisher(broker).publish("t/1", "copy")
    publisher(broker).publish("t/2", "other")
    broker.restart(how)
    session.connect()
    sent = [packet for packet in session.peek() if packet.type == PUBLISH]
    copies = [packet for packet in sent if packet.payload == b"copy"]
    assert sorted(packet.one("subscription_identifier") for packet in copies) == [1, 2, 3]
    assert len({packet.mid for packet in sent}) == len(sent) == 5
    session.ack(PUBACK, copies[acknowledged].mid)
    session.ping()
    broker.restart(how)
    session.connect()
    left = [(packet.payload, packet.mid, packet.one("subscription_identifier")) for packet in sent
            if packet is not copies[acknowledged]]
    again = [packet for packet in session.peek() if packet.type == PUBLISH]
    assert [(packet.payload, packet.mid, packet.one("subscription_identifier"))
            for packet in again] == left


def test_copies_are_kept_where_the_broker_makes_none_for_others(new_broker, client, publisher, how):
    """With allow_duplicate_messages false only sessions of MQTT 5 get a message twice, and a restored
    one has no version yet."""
    broker = new_broker(conf=["allow_duplicate_messages false"]).start()
    session = client(broker, "sub", version=5)
    session.subscribe("t/#", identifier=1)
    session.subscribe("t/+", identifier=2)
    session.disconnect()
    publisher(broker).publish("t/1", "copy")
    for _ in range(2):
        broker.restart(how)
        session.connect()
        copies = [packet for packet in session.peek() if packet.type == PUBLISH]
        assert sorted(packet.one("subscription_identifier") for packet in copies) == [1, 2]


def test_overlapping_qos_2_copies_end_one_by_one(broker, client, publisher, how):
    session = client(broker, "sub", version=5)
    session.subscribe("t/#", qos=2, identifier=1)
    session.subscribe("t/+", qos=2, identifier=2)
    session.disconnect()
    publisher(broker).publish("t/1", "copy", qos=2)
    session.connect()
    first, second = [packet for packet in session.peek() if packet.type == PUBLISH]
    session.handle(first)
    session.ping()
    session.handle(session.next())
    session.ping()
    broker.restart(how)
    session.connect()
    left, = session.drain()
    assert left.mid == second.mid
    assert left.one("subscription_identifier") == second.one("subscription_identifier")
    broker.restart(how)
    expect_received(session, [])


NUMERIC = ["007", "7", "1e5", "100000", "0x10", "16", "-0", "0", "1.0", "1", " 1", "1 ",
           "NaN", "true", "null", "9223372036854775808"]


def test_numeric_topics_are_strings(broker, client, publisher, how):
    """The stock plugin's 007 comes back as 7."""
    session = client(broker, "007")
    session.subscribe(*sorted(set(NUMERIC)))
    session.disconnect()
    source = publisher(broker)
    for topic in sorted(set(NUMERIC)):
        source.publish(topic, f"queued {topic}", retain=True)
    broker.restart(how)
    source = publisher(broker)
    for topic in sorted(set(NUMERIC)):
        source.publish(topic, f"live {topic}")
    session.connect()
    assert session.session_present
    found = {}
    for message in session.drain():
        found.setdefault(message.topic, []).append(message.payload.decode())
    assert found == {topic: [f"queued {topic}", f"live {topic}"] for topic in NUMERIC}
    probe = client(broker, "probe", clean=True)
    probe.subscribe("#")
    assert {message.topic: message.payload.decode() for message in probe.drain()} == \
        {topic: f"queued {topic}" for topic in NUMERIC}


def test_numeric_client_ids_and_user_names_are_strings(broker, client, publisher, how):
    sessions = [offline_session(broker, client, client_id, username=client_id)
                for client_id in ("007", "7", "7.0", "0x7")]
    publish_numbers(publisher(broker), 1, 2)
    broker.restart(how)
    for session in sessions:
        expect_received(session, numbers(1, 2))


def test_1000_subscriptions_of_one_session(broker, client, publisher, how):
    session = client(broker, "sub")
    for first in range(0, 1000, 100):
        session.subscribe(*[f"many/{number}" for number in range(first, first + 100)])
    session.disconnect()
    broker.restart(how)
    source = publisher(broker)
    for number in range(0, 1000, 37):
        source.publish(f"many/{number}", str(number))
    expect_received(session, [str(number) for number in range(0, 1000, 37)])

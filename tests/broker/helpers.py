# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Steps that many tests share."""
from rawmqtt import payloads


def offline_session(broker, client, client_id="sub", topic="t/#", qos=1, **settings):
    """A session that has subscribed and left."""
    session = client(broker, client_id, **settings)
    session.subscribe(topic, qos=qos)
    session.disconnect()
    return session


def numbers(first, last):
    return [str(number) for number in range(first, last + 1)]


def publish_numbers(source, first, last, qos=1, topic="t/1"):
    for number in range(first, last + 1):
        source.publish(topic, str(number), qos)


def retained_on(broker, client, topic="#"):
    """What a new subscriber gets: {topic: packet}."""
    probe = client(broker, "retained-probe", clean=True, version=5)
    probe.subscribe(topic)
    found = {packet.topic: packet for packet in probe.drain()}
    assert all(packet.retain for packet in found.values())
    probe.disconnect()
    return found


def retained_payloads(broker, client, topic="#"):
    return {topic: packet.payload for topic, packet in
            retained_on(broker, client, topic).items()}


def expect_received(session, expected):
    """Connects, drains and compares; the session must have been there."""
    session.connect()
    assert session.session_present, "the session is gone"
    assert payloads(session.drain()) == expected

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""QoS 2 to a subscriber, exactly once, with kill -9 at each step of the exchange.

Trap 8: a message whose PUBREC had come must be followed by PUBREL under the same id, never by
another PUBLISH. The broker may close the first connection after a restart to bring that about."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import ConnectionLost, payloads
from wire import PUBCOMP, PUBLISH, PUBREC, PUBREL


@pytest.fixture(params=[4, 5])
def session(broker, client, request):
    return offline_session(broker, client, qos=2, version=request.param)


def sent(session, reconnects=2):
    """What the broker sends after a reconnect, not acknowledged: [(type, id, payload)]. Coming
    back as often as a patient client would; nothing may be lost or told differently in between."""
    session.connect()
    assert session.session_present
    while True:
        try:
            found = session.peek()
            break
        except ConnectionLost:
            assert reconnects, "the broker closes the connection again and again"
            reconnects -= 1
            assert not [packet for packet in session.inbox if packet.type == PUBLISH
                        and packet.mid in session.unreleased], "published again after PUBREC"
            session.connect()
    return [(packet.type, packet.mid, packet.payload) for packet in found]


def receive(session, count):
    """Reads `count` PUBLISH packets, not acknowledged: [(id, payload)]."""
    return [(packet.mid, packet.payload)
            for packet in (session.next(PUBLISH) for _ in range(count))]


def pubrec(session, mids):
    """Answers with PUBREC and waits for PUBREL, and leaves it there."""
    for mid in mids:
        session.unreleased.add(mid)
        session.ack(PUBREC, mid)
    for mid in mids:
        session.wait(PUBREL, mid)


def test_killed_after_publish(broker, publisher, session, how):
    publisher(broker).publish("t/1", "x", 2)
    session.connect()
    (mid, _), = receive(session, 1)
    broker.restart(how)
    assert sent(session) == [(PUBLISH, mid, b"x")]
    session.connect()
    assert payloads(session.drain()) == ["x"]


def test_killed_after_pubrec(broker, publisher, session, how):
    publisher(broker).publish("t/1", "x", 2)
    session.connect()
    (mid, _), = receive(session, 1)
    pubrec(session, [mid])
    for _ in range(3):
        broker.restart(how)
        assert sent(session) == [(PUBREL, mid, None)]
    assert session.drain() == []
    session.connect()
    assert session.drain() == []
    assert session.unreleased == set()
    broker.restart(how)
    assert sent(session) == []


def test_killed_while_pubrec_is_on_its_way(broker, publisher, session):
    """Both PUBLISH and PUBREL are right now: the client knows the id."""
    publisher(broker).publish("t/1", "x", 2)
    session.connect()
    message = session.next(PUBLISH)
    assert session.handle(message)
    broker.restart("kill")
    session.connect()
    assert session.drain() == []
    assert session.unreleased == set()


def test_killed_while_pubcomp_is_on_its_way(broker, publisher, session, how):
    """The client has seen PUBREL and forgotten the id: another PUBLISH would be a second one."""
    publish_numbers(publisher(broker), 1, 3, 2)
    session.connect()
    mids = [mid for mid, _ in receive(session, 3)]
    pubrec(session, mids)
    broker.end(how)
    session.unreleased.clear()
    broker.start()
    session.connect()
    assert session.drain() == [], "delivered twice"
    broker.restart(how)
    assert sent(session) == []


def test_killed_after_pubcomp(broker, publisher, session, how):
    publisher(broker).publish("t/1", "x", 2)
    session.connect()
    assert payloads(session.drain()) == ["x"]
    broker.restart(how)
    assert sent(session) == []


def test_all_steps_at_once(broker, publisher, session, how):
    """1-5 done, 6-10 wait for PUBCOMP, 11-15 for PUBREC, 16-18 were never sent."""
    publish_numbers(publisher(broker), 1, 15, 2)
    session.connect()
    got = receive(session, 15)
    assert [payload.decode() for _, payload in got] == numbers(1, 15)
    mids = [mid for mid, _ in got]
    for mid in mids[:5]:
        session.ack(PUBREC, mid)
        session.wait(PUBREL, mid)
        session.ack(PUBCOMP, mid)
    pubrec(session, mids[5:10])
    session.ping()
    session.drop()
    publish_numbers(publisher(broker), 16, 18, 2)
    broker.restart(how)
    found = sent(session)
    assert [each[:2] for each in found if each[0] == PUBREL] == \
        [(PUBREL, mid) for mid in mids[5:10]]
    published = [(mid, payload) for kind, mid, payload in found if kind == PUBLISH]
    assert published[:5] == got[10:]
    assert [payload for _, payload in published] == [b"%d" % number for number in range(11, 19)]
    assert len({mid for _, mid, _ in found}) == len(found), "an id is used twice"
    session.connect()
    assert payloads(session.drain()) == numbers(11, 18)
    broker.restart(how)
    assert sent(session) == []


@pytest.mark.parametrize("receive_maximum", [100, 10])
def test_more_than_20_in_flight(new_broker, client, publisher, how, receive_maximum):
    broker = new_broker(conf=["max_inflight_messages 100"]).start()
    session = offline_session(broker, client, qos=2, version=5, receive_maximum=100)
    publish_numbers(publisher(broker), 1, 60, 2)
    session.connect()
    got = receive(session, 60)
    mids = [mid for mid, _ in got]
    pubrec(session, mids[:40])
    broker.end(how)
    broker.start()
    session.receive_maximum = receive_maximum
    session.connect()
    messages = session.drain(reconnects=31)
    assert payloads(messages) == numbers(41, 60)
    assert session.unreleased == set()
    broker.restart(how)
    assert sent(session) == []


def test_more_wait_for_pubcomp_than_may_be_in_flight(new_broker, client, publisher, how):
    """The default of 20 in flight after the restart, and 50 PUBRELs owed: each of the 30 that come
    in flight later may cost a connection of its own."""
    broker = new_broker(conf=["max_inflight_messages 100"]).start()
    session = offline_session(broker, client, qos=2)
    publish_numbers(publisher(broker), 1, 60, 2)
    session.connect()
    mids = [mid for mid, _ in receive(session, 60)]
    pubrec(session, mids[:50])
    broker.end(how)
    broker.conf = []
    broker.start()
    session.connect()
    assert payloads(session.drain(reconnects=31)) == numbers(51, 60)
    assert session.unreleased == set()
    broker.restart(how)
    assert sent(session) == []


def test_what_comes_in_flight_later_is_not_published_either(new_broker, client, publisher, how):
    """The client may have forgotten it at its PUBREL, and would take it for a new message."""
    broker = new_broker(conf=["max_inflight_messages 100"]).start()
    session = offline_session(broker, client, qos=2)
    publish_numbers(publisher(broker), 1, 30, 2)
    session.connect()
    mids = [mid for mid, _ in receive(session, 30)]
    pubrec(session, mids)
    broker.end(how)
    broker.conf = []
    broker.start()
    session.connect()
    for mid in mids[:20]:
        assert session.next(PUBREL).mid == mid
    session.ack(PUBCOMP, mids[0])
    with pytest.raises(ConnectionLost):
        assert not session.next()
    session.connect()
    assert [(found.type, found.mid) for found in session.peek()] == \
        [(PUBREL, mid) for mid in mids[1:21]]


def test_pubcomp_in_any_order(broker, publisher, session, how):
    publish_numbers(publisher(broker), 1, 10, 2)
    session.connect()
    mids = [mid for mid, _ in receive(session, 10)]
    pubrec(session, mids)
    for at in (9, 0, 4):
        session.ack(PUBCOMP, mids[at])
        session.unreleased.discard(mids[at])
    session.ping()
    broker.restart(how)
    left = [mid for at, mid in enumerate(mids) if at not in (9, 0, 4)]
    assert [(kind, mid) for kind, mid, _ in sent(session)] == [(PUBREL, mid) for mid in left]


def test_qos_1_and_2_in_one_queue(broker, publisher, session, how):
    source = publisher(broker)
    for number in range(1, 13):
        source.publish("t/1", str(number), 1 + number % 2)
    session.connect()
    got = [session.next(PUBLISH) for _ in range(12)]
    twos = [packet.mid for packet in got if packet.qos == 2]
    pubrec(session, twos[:3])
    session.ping()
    session.inbox.clear()
    broker.restart(how)
    session.connect()
    expected = [packet.payload.decode() for packet in got if packet.mid not in twos[:3]]
    messages = session.drain()
    first_deliveries = list(dict.fromkeys(payloads(messages)))
    assert first_deliveries == expected
    assert [each for each in payloads(messages) if int(each) % 2] == \
        [each for each in expected if int(each) % 2], "a QoS 2 message came twice"


def test_two_clients_at_different_steps(broker, client, publisher, how):
    """One waits for PUBCOMP, the other for PUBLISH, of the same base message."""
    ahead = offline_session(broker, client, "ahead", qos=2)
    behind = offline_session(broker, client, "behind", qos=2)
    publisher(broker).publish("t/1", "x", 2)
    ahead.connect()
    (mid, _), = receive(ahead, 1)
    pubrec(ahead, [mid])
    broker.restart(how)
    expect_received(behind, ["x"])
    assert sent(ahead) == [(PUBREL, mid, None)]


def test_the_message_goes_on_after_a_pubrel_that_was_owed(broker, publisher, session, how):
    """What is published to a client that was disconnected once for its PUBREL is not lost."""
    publisher(broker).publish("t/1", "before", 2)
    session.connect()
    (mid, _), = receive(session, 1)
    pubrec(session, [mid])
    broker.restart(how)
    publish_numbers(publisher(broker), 1, 5, 2)
    session.connect()
    assert payloads(session.drain()) == numbers(1, 5)
    publish_numbers(publisher(broker), 6, 8, 2)
    assert payloads(session.drain()) == numbers(6, 8)


def test_a_clean_start_gives_up_the_pubrel(broker, client, publisher, session, how):
    publisher(broker).publish("t/1", "x", 2)
    session.connect()
    (mid, _), = receive(session, 1)
    pubrec(session, [mid])
    broker.restart(how)
    fresh = client(broker, "sub", clean=True)
    assert fresh.peek() == []
    fresh.disconnect()
    broker.restart(how)
    fresh.connect(clean=False)
    assert not fresh.session_present
    assert fresh.peek() == []

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""QoS 2 from a publisher, exactly once, with kill -9 at each step of the exchange."""
import collections

import pytest

from cli import Export
from helpers import expect_received, numbers, offline_session
from rawmqtt import ConnectionLost, payloads
from wire import PUBCOMP, PUBREC, PUBREL


@pytest.fixture(params=[4, 5])
def source(broker, client, request):
    return client(broker, "source", version=request.param)


@pytest.fixture
def session(broker, client):
    return offline_session(broker, client, qos=2)


def reconnect(source):
    source.connect()
    assert source.session_present


def test_killed_after_publish_before_pubrec_was_read(broker, source, session):
    """The publisher does not know whether it arrived, and sends it again."""
    mid = source.send_publish("t/1", "once", 2)
    broker.restart("kill")
    reconnect(source)
    source.send_publish("t/1", "once", 2, mid=mid, dup=True)
    source.wait(PUBREC, mid)
    source.release(mid)
    expect_received(session, ["once"])


def test_killed_after_pubrec_and_published_again(broker, source, session, how):
    mid = source.send_publish("t/1", "once", 2)
    source.wait(PUBREC, mid)
    broker.restart(how)
    reconnect(source)
    source.send_publish("t/1", "once", 2, mid=mid, dup=True)
    source.wait(PUBREC, mid)
    source.release(mid)
    expect_received(session, ["once"])
    broker.restart(how)
    expect_received(session, [])


def test_killed_after_pubrec_and_released(broker, source, session, how):
    """After PUBREC a publisher may forget the message and only keep its id."""
    mid = source.send_publish("t/1", "once", 2)
    source.wait(PUBREC, mid)
    broker.restart(how)
    reconnect(source)
    source.release(mid)
    expect_received(session, ["once"])


def test_not_released_it_is_not_delivered(broker, source, session, how):
    source.send_publish("t/1", "later", 2)
    source.ping()
    for _ in range(2):
        broker.restart(how)
        expect_received(session, [])
        session.disconnect()
    reconnect(source)
    source.release(1)
    expect_received(session, ["later"])


def test_killed_after_pubcomp_and_released_again(broker, source, session, how):
    """The publisher never saw PUBCOMP."""
    mid = source.send_publish("t/1", "once", 2)
    source.wait(PUBREC, mid)
    source.release(mid)
    broker.restart(how)
    reconnect(source)
    source.release(mid)
    expect_received(session, ["once"])


def test_killed_while_pubrel_is_on_its_way(broker, source, session):
    mid = source.send_publish("t/1", "once", 2)
    source.wait(PUBREC, mid)
    source.ack(PUBREL, mid)
    broker.restart("kill")
    reconnect(source)
    source.release(mid)
    expect_received(session, ["once"])


def test_an_id_is_free_again_after_pubcomp(broker, source, session, how):
    for number in range(1, 4):
        source.send_publish("t/1", str(number), 2, mid=9)
        source.wait(PUBREC, 9)
        source.release(9)
        broker.restart(how)
        reconnect(source)
    expect_received(session, numbers(1, 3))


def test_twenty_in_flight_keep_their_ids_and_order(broker, source, session, how):
    for number in range(1, 21):
        source.send_publish("t/1", str(number), 2, mid=100 + number)
    for number in range(1, 21):
        source.wait(PUBREC, 100 + number)
    for number in range(1, 6):
        source.release(100 + number)
    broker.restart(how)
    reconnect(source)
    for number in range(6, 11):
        source.release(100 + number)
    broker.restart(how)
    reconnect(source)
    for number in range(11, 21):
        source.ack(PUBREL, 100 + number)
    for number in range(11, 21):
        source.wait(PUBCOMP, 100 + number)
    expect_received(session, numbers(1, 20))
    session.disconnect()
    broker.restart(how)
    expect_received(session, [])


def hand_over(source, count):
    """So many messages have their PUBREC, and are not released."""
    for number in range(1, count + 1):
        source.send_publish("t/1", str(number), 2, mid=number)
        source.wait(PUBREC, number)


def exceed_the_limit(source, count):
    """Has the broker take `count` messages that are not released, which are more than
    max_inflight_messages (20): any PUBACK lets one more in."""
    for number in range(1, count + 1):
        if number > 20:
            source.send_publish("elsewhere", "x", 1)
            source.ping()
        source.send_publish("t/1", str(number), 2, mid=100 + number)
        assert source.wait(PUBREC, 100 + number).reason < 0x80


def release_for_good(source, mids):
    """As a client does that regards a PUBREC for what it has released as an old one, and PUBCOMP as the
    end of the message; it comes back if it must, once."""
    left = collections.deque(mids)
    while left:
        try:
            source.release(left[0])
            left.popleft()
        except ConnectionLost:
            assert len(left) == len(mids), "not with the first"
            reconnect(source)
            source.release(left.popleft())


@pytest.mark.parametrize("order", [range(1, 24), range(23, 0, -1)], ids=["in order", "backwards"])
def test_more_than_the_broker_lets_in_at_once(broker, source, session, how, order):
    exceed_the_limit(source, 23)
    for _ in range(2):
        broker.restart(how)
    assert broker.log().count("more QoS 2 messages on their way in than max_inflight_messages") == 1
    reconnect(source)
    release_for_good(source, [100 + number for number in order])
    # What did not fit is asked for once more: PUBREC, to which a client answers as to any.
    again = [packet.mid for packet in source.peek() if packet.type == PUBREC]
    assert set(again) <= {121, 122, 123}
    for mid in again:
        source.release(mid)
    session.connect()
    assert sorted(map(int, payloads(session.drain()))) == list(range(1, 24))
    session.disconnect()
    broker.restart(how)
    expect_received(session, [])
    assert "on their way in" not in broker.log()


@pytest.mark.parametrize("order", [range(1, 24), range(23, 0, -1)], ids=["in order", "backwards"])
def test_what_did_not_fit_has_its_pubcomp_when_it_is_released(broker, source, session, how, order):
    """The broker would ask for one that waits with its PUBREL, and send PUBCOMP all the same. Only then
    is the connection closed."""
    exceed_the_limit(source, 23)
    broker.restart(how)
    reconnect(source)
    release_for_good(source, [100 + number for number in order])
    session.connect()
    assert sorted(map(int, payloads(session.drain()))) == list(range(1, 24))
    session.disconnect()
    assert broker.log().count("disconnected: administrative action") == (order[0] == 23)
    broker.end(how)
    assert Export(broker.store).of("queued") == []


def test_a_lower_limit_keeps_what_is_on_its_way(new_broker, client, how):
    broker = new_broker().start()
    session = offline_session(broker, client, qos=2)
    source = client(broker, "source")
    hand_over(source, 10)
    broker.end(how)
    broker.conf.append("max_inflight_messages 4")
    broker.start()
    reconnect(source)
    for number in range(1, 11):
        source.release(number)
    expect_received(session, numbers(1, 10))


def test_a_limit_that_leaves_no_room_at_all_is_refused_and_loses_nothing(new_broker, client, how):
    """The broker drops what it can neither let in nor queue, and says so to nobody."""
    broker = new_broker().start()
    session = offline_session(broker, client, qos=2)
    source = client(broker, "source")
    hand_over(source, 10)
    broker.end(how)
    limits = ["max_inflight_messages 4", "max_queued_messages 5"]
    broker.conf += limits
    for _ in range(2):
        assert "set max_inflight_messages and max_queued_messages as they were" in broker.start_fails()
    for line in limits:
        broker.conf.remove(line)
    broker.start()
    reconnect(source)
    for number in range(1, 11):
        source.release(number)
    expect_received(session, numbers(1, 10))


def test_released_out_of_order_it_is_queued_in_the_order_of_release(broker, source, session, how):
    for number in range(1, 7):
        source.send_publish("t/1", str(number), 2, mid=number)
    for number in range(1, 7):
        source.wait(PUBREC, number)
    order = [4, 2, 6, 1, 5, 3]
    for number in order[:3]:
        source.release(number)
    broker.restart(how)
    reconnect(source)
    for number in order[3:]:
        source.release(number)
    broker.restart(how)
    expect_received(session, [str(number) for number in order])


def test_a_clean_start_gives_up_what_was_not_released(broker, source, session, how):
    source.send_publish("t/1", "given up", 2, mid=5)
    source.ping()
    source.connect(clean=True)
    source.ping()
    broker.restart(how)
    source.connect(clean=False)
    source.release(5)
    expect_received(session, [])


def test_a_retained_qos_2_message_is_retained_when_it_is_released(broker, client, source, session,
                                                                  how):
    mid = source.send_publish("t/1", "retained", 2, retain=True)
    source.wait(PUBREC, mid)
    broker.restart(how)
    reconnect(source)
    source.release(mid)
    broker.restart(how)
    probe = client(broker, "probe", clean=True)
    probe.subscribe("t/#", qos=2)
    message, = probe.drain()
    assert (message.payload, message.retain) == (b"retained", True)
    expect_received(session, ["retained"])

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Queued messages come back: all of them, in order, under the same packet ids."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import payloads
from wire import PUBACK, PUBLISH


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [1, 2])
def test_messages_for_an_offline_session_are_there_after_a_restart(broker, client, publisher, how,
                                                                   version, qos):
    session = offline_session(broker, client, qos=qos, version=version)
    publish_numbers(publisher(broker), 1, 50, qos)
    broker.restart(how)
    expect_received(session, numbers(1, 50))
    broker.restart(how)
    expect_received(session, [])


def test_ids_that_start_again_at_1_overwrite_nothing(broker, client, publisher, how):
    """Trap 1: each life of the broker numbers a session's messages from 1."""
    session = offline_session(broker, client)
    for life in range(4):
        publish_numbers(publisher(broker), life * 10 + 1, life * 10 + 10)
        broker.restart(how)
    session.connect()
    assert payloads(session.drain()) == numbers(1, 40)


def test_order_holds_over_restarts_and_partial_acknowledgement(broker, client, publisher, how):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 30)
    left = numbers(1, 30)
    for life in range(4):
        broker.restart(how)
        session.connect()
        for expected in left[:5]:
            message = session.next(PUBLISH)
            assert message.payload.decode() == expected
            session.ack(PUBACK, message.mid)
        session.ping()
        session.drop()
        left = left[5:]
        first = 31 + life * 5
        publish_numbers(publisher(broker), first, first + 4)
        left += numbers(first, first + 4)
    broker.restart(how)
    session.connect()
    assert payloads(session.drain()) == left


def test_acknowledging_in_any_order_takes_away_only_what_was_acknowledged(broker, client, publisher,
                                                                          how):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 15)
    session.connect()
    sent = [packet for packet in session.peek() if packet.type == PUBLISH]
    assert payloads(sent) == numbers(1, 15)
    for at in (14, 0, 7, 3, 8):
        session.ack(PUBACK, sent[at].mid)
    session.ping()
    broker.restart(how)
    session.connect()
    gone = {"15", "1", "8", "4", "9"}
    assert payloads(session.drain()) == [each for each in numbers(1, 15) if each not in gone]


def test_packet_ids_are_kept_and_carry_on(broker, client, publisher, how):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 6)
    session.connect()
    before = {packet.payload: packet.mid for packet in session.peek()}
    assert len(before) == 6
    broker.restart(how)
    publish_numbers(publisher(broker), 7, 10)
    session.connect()
    sent = [packet for packet in session.peek() if packet.type == PUBLISH]
    assert payloads(sent) == numbers(1, 10)
    assert {packet.payload: packet.mid for packet in sent[:6]} == before
    mids = [packet.mid for packet in sent]
    assert mids == list(range(mids[0], mids[0] + 10)), "a packet id is used twice or left out"


def test_a_session_that_comes_back_with_nothing_pending_keeps_its_order(broker, client, publisher):
    """Trap 1, last sentence: its ids start again at 1 too, in the same life of the broker."""
    session = offline_session(broker, client)
    for round_number in range(3):
        first = round_number * 6 + 1
        publish_numbers(publisher(broker), first, first + 5)
        session.connect()
        assert payloads(session.drain()) == numbers(first, first + 5)
        session.disconnect()
        session.connect()
        assert session.drain() == []
        session.disconnect()
    publish_numbers(publisher(broker), 100, 105)
    broker.restart("kill")
    publish_numbers(publisher(broker), 106, 110)
    broker.restart("kill")
    session.connect()
    assert payloads(session.drain()) == numbers(100, 110)


def test_mixed_qos_keeps_the_order_of_arrival(broker, client, publisher, how):
    """Trap 2: QoS 2 messages are queued when PUBREL comes, so not in the order of their ids."""
    session = offline_session(broker, client, qos=2)
    source = publisher(broker)
    late = source.send_publish("t/late", "late", qos=2)
    source.ping()
    publish_numbers(source, 1, 4)
    source.inbox.clear()
    source.release(late)
    publish_numbers(source, 5, 8, qos=2)
    broker.restart(how)
    session.connect()
    assert payloads(session.drain()) == numbers(1, 4) + ["late"] + numbers(5, 8)


def test_a_retained_message_is_queued_behind_what_came_before_it(broker, client, publisher, how):
    """Trap 2: a retained message that a subscription brings has an older id than its place."""
    source = publisher(broker)
    source.publish("r/1", "retained", retain=True)
    session = client(broker, "sub")
    session.subscribe("t/#")
    publish_numbers(source, 1, 3)
    session.ping()
    session.subscribe("r/#")
    publish_numbers(source, 4, 6)
    session.ping()
    session.drop()
    broker.restart(how)
    session.connect()
    assert payloads(session.drain()) == numbers(1, 3) + ["retained"] + numbers(4, 6)


def test_a_client_online_at_the_end_gets_what_it_had_not_acknowledged(broker, client, publisher,
                                                                      how):
    session = client(broker, "sub")
    session.subscribe("t/#")
    publish_numbers(publisher(broker), 1, 40)
    assert payloads(session.collect(10)) == numbers(1, 10)
    session.ping()
    broker.restart(how)
    session.connect()
    assert session.session_present
    assert payloads(session.drain()) == numbers(11, 40)


def test_two_sessions_share_a_message_until_both_have_it(broker, client, publisher, how):
    first = offline_session(broker, client, "first")
    second = offline_session(broker, client, "second")
    publish_numbers(publisher(broker), 1, 20)
    first.connect()
    assert payloads(first.drain()) == numbers(1, 20)
    broker.restart(how)
    first.connect()
    assert first.drain() == []
    second.connect()
    assert payloads(second.drain()) == numbers(1, 20)


def test_a_hundred_restarts_worth_of_ids_do_not_mix_two_clients(broker, client, publisher):
    sessions = [offline_session(broker, client, f"sub{each}", f"t/{each}") for each in range(3)]
    for life in range(5):
        source = publisher(broker)
        for each in range(3):
            source.publish(f"t/{each}", f"{each}-{life}")
        broker.restart("kill")
    for each, session in enumerate(sessions):
        session.connect()
        assert payloads(session.drain()) == [f"{each}-{life}" for life in range(5)]

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A store that cannot take more: nothing is acknowledged that is not stored.

The disk is really full: a tmpfs of a few megabytes (these tests need root). MQTT 5 publishers are
told 0x97, MQTT 3.1.1 publishers lose their connection without an acknowledgement."""
import random

import pytest

from broker import poll
from disks import small_disk
from filling import Filler, content, expect_numbers
from helpers import expect_received, offline_session, retained_payloads
from rawmqtt import ConnectionLost, Refused, Will, payloads
from wire import PUBREC, PUBREL, QUOTA_EXCEEDED

SMALL = {"journal_segment_bytes": "256k", "commit_interval_ms": "100ms"}
REFUSING, TAKING = "publishers are refused", "publishers are taken again"


@pytest.fixture
def disk(stage):
    yield from small_disk(stage)


@pytest.fixture
def broker(new_broker, disk):
    return new_broker(store=disk.path / "store", options=SMALL, conf=["max_queued_messages 0"]).start()


@pytest.fixture(params=[4, 5])
def filler(client, broker, request):
    return Filler(client, broker, request.param)


def test_on_a_full_disk_what_was_acknowledged_is_kept_and_the_rest_is_refused(broker, client, disk,
                                                                              filler):
    session = offline_session(broker, client)
    filler.fill()
    assert len(filler.acknowledged) > 20, "hardly anything was taken"
    assert disk.free_bytes < 4 << 20, "the disk is not nearly full"
    assert REFUSING in broker.log()
    broker.restart("kill")  # still full
    expect_numbers(session, filler.acknowledged)


def test_it_opens_again_by_itself_when_there_is_room(broker, client, filler):
    session = offline_session(broker, client)
    filler.fill()
    first = list(filler.acknowledged)
    expect_numbers(session, first)  # acknowledgements still go through
    session.disconnect()
    filler.publish_again()
    broker.wait_log(TAKING)
    for _ in range(20):
        filler.publish_again()
    broker.restart("kill")
    expect_numbers(session, filler.acknowledged[len(first):])


def test_it_opens_again_when_someone_makes_room_on_the_disk(broker, client, disk, filler):
    ballast = disk.path / "ballast"
    ballast.write_bytes(b"\0" * (5 << 20))
    session = offline_session(broker, client)
    filler.fill()
    before = len(filler.acknowledged)
    ballast.unlink()
    filler.publish_again()
    for _ in range(30):
        assert filler.publish()
    assert len(filler.acknowledged) > before
    broker.restart("kill")
    expect_numbers(session, filler.acknowledged)


def test_the_log_says_it_once_and_again_when_it_is_over(broker, client, filler):
    session = offline_session(broker, client)
    filler.fill()
    assert 1 <= broker.log().count(REFUSING) <= 3, "not once for each message"
    expect_numbers(session, filler.acknowledged)
    filler.publish_again()
    broker.wait_log(TAKING)


def test_a_clean_stop_of_a_full_store_loses_nothing(broker, client, filler):
    session = offline_session(broker, client)
    filler.fill()
    broker.restart("stop")
    expect_numbers(session, filler.acknowledged)


def test_qos_0_still_flows_between_connected_clients(broker, client, publisher, filler):
    offline_session(broker, client)
    online = client(broker, "online", clean=True)
    online.subscribe("live/#", qos=0)
    filler.fill()
    publisher(broker).publish("live/1", "through", qos=0)
    assert payloads(online.drain()) == ["through"]


def test_a_retained_message_that_is_refused_leaves_the_old_one(broker, client, publisher, filler):
    offline_session(broker, client)
    publisher(broker).publish("r/1", "old", retain=True)
    filler.fill()
    source = client(broker, "source", clean=True, version=5)
    new = random.Random(1).randbytes(1_000_000)
    source.publish("r/1", new, qos=0, retain=True)
    with pytest.raises(Refused):
        source.publish("r/1", new, qos=1, retain=True)
    assert retained_payloads(broker, client, "r/#") == {"r/1": b"old"}
    broker.restart("kill")
    assert retained_payloads(broker, client, "r/#") == {"r/1": b"old"}


def test_a_will_that_could_not_be_stored_keeps_no_subscriber_away(broker, client, disk, filler):
    """The broker has it and gives it to whoever subscribes, also when there is room again; a session
    that would remember it would name a message that is not there."""
    hoarder = offline_session(broker, client)
    dying = client(broker, "dying", clean=True, will=Will("w/1", content(1, 60_000), retain=True))
    filler.fill()
    dying.drop()
    broker.wait_log("cannot be stored")
    expect_numbers(hoarder, filler.acknowledged)
    hoarder.disconnect()
    filler.publish_again()
    broker.wait_log(TAKING)
    newcomer = client(broker, "newcomer")
    newcomer.subscribe("w/#")
    assert [packet.topic for packet in newcomer.peek()] == ["w/1"]
    for _ in range(2):
        broker.restart("kill")
        assert "entries were forgotten" not in broker.log()
    newcomer.connect()
    assert newcomer.session_present and newcomer.drain() == []


def test_a_qos_2_message_is_refused_at_its_pubrec(broker, client):
    session = offline_session(broker, client, qos=2)
    filler = Filler(client, broker, 5)
    filler.fill()
    source = client(broker, "source", version=5)
    mid = source.send_publish("t/1", content(0), 2)
    assert source.wait(PUBREC, mid).reason == QUOTA_EXCEEDED
    broker.restart("kill")
    expect_numbers(session, filler.acknowledged)


def test_what_has_its_pubrec_can_be_released_when_the_disk_is_full(broker, client, filler):
    """To many sessions: what was admitted finds room even if it goes to every one."""
    sessions = [offline_session(broker, client, f"s{each}", "p/#", qos=2) for each in range(50)]
    offline_session(broker, client)
    source = client(broker, "source", version=5)
    mids = [source.send_publish("p/1", f"held {each}", 2) for each in range(5)]
    for mid in mids:
        assert source.wait(PUBREC, mid).reason == 0
    filler.fill()
    for mid in mids:
        source.release(mid)
    broker.restart("kill")
    for session in sessions:
        expect_received(session, [f"held {each}" for each in range(5)])


def test_qos_0_leaves_the_reserve_to_acknowledgements(new_broker, client, disk):
    """Nobody is asked about a QoS 0 message, which goes into a queue with queue_qos0_messages; and so it
    must not take what lets a QoS 2 message be on its way only once."""
    broker = new_broker(store=disk.path / "store", options=SMALL,
                        conf=["max_queued_messages 0", "queue_qos0_messages true"]).start()
    offline_session(broker, client, "hoarder", "flood/#")
    session = offline_session(broker, client, qos=2)
    source = client(broker, "source", clean=True)
    for number in range(1, 21):
        source.publish("t/1", str(number), 2)
    session.connect()
    first = [session.next() for _ in range(20)]
    flood = Filler(client, broker, 4, topic="flood", qos=0, size=4000)
    flood.publish_until(lambda: "cannot be stored" in broker.log())
    for _ in range(3000):
        flood.publish()
    for packet in first:
        session.handle(packet)  # PUBREC; the broker answers PUBREL when that is stored
    for packet in first:
        session.wait(PUBREL, packet.mid)
    broker.restart("kill")  # still full
    session.connect()
    again = session.peek()
    assert {packet.type for packet in again} == {PUBREL}, "what had its PUBREC came once more"
    assert [packet.mid for packet in again] == [packet.mid for packet in first]


def test_to_300_sessions_on_a_nearly_full_disk(broker, client, filler):
    sessions = [offline_session(broker, client, f"s{each}") for each in range(300)]
    filler.fill()
    broker.restart("kill")
    for session in sessions[::10]:
        expect_numbers(session, filler.acknowledged)
        session.disconnect()


def test_clients_come_subscribe_and_leave_while_it_is_full(broker, client, filler):
    session = offline_session(broker, client)
    filler.fill()
    other = offline_session(broker, client, "newcomer", "new/#")
    session.connect()
    session.ping()
    session.inbox.clear()
    session.unsubscribe("t/#")
    session.drop()
    broker.restart("kill")
    other.connect()
    assert other.session_present
    expect_numbers(session, filler.acknowledged)
    session.disconnect()
    filler.client.close()  # its connection went with the broker
    filler.publish_again()
    session.connect()
    assert session.drain() == [], "the subscription came back"


def test_the_cap_of_the_journal_refuses_and_opens_again(new_broker, client):
    """Without a full disk: one message is larger than the journal may be."""
    broker = new_broker(options={"journal_segment_bytes": "64k", "journal_max_bytes": "256k"},
                        conf=["max_queued_messages 0"]).start()
    session = offline_session(broker, client)
    source = client(broker, "source", clean=True, version=5)
    source.publish("t/1", "before")
    with pytest.raises(Refused) as refused:
        source.publish("t/1", b"x" * 1_000_000)
    assert refused.value.reason == QUOTA_EXCEEDED
    poll(lambda: taken(source, "after"), 20, "the journal takes nothing again")
    old = client(broker, "old", clean=True, version=4)
    old.send_publish("t/1", b"x" * 1_000_000, 1)
    with pytest.raises(ConnectionLost):
        old.ping()
    broker.restart("kill")
    expect_received(session, ["before", "after"])


def taken(source, text):
    try:
        source.publish("t/1", text)
        return True
    except Refused:
        return False


@pytest.mark.parametrize("version", [4, 5])
def test_a_burst_against_a_small_cap_loses_nothing_that_was_acknowledged(new_broker, client,
                                                                         version):
    broker = new_broker(options={"journal_segment_bytes": "64k", "journal_max_bytes": "256k"},
                        conf=["max_queued_messages 0"]).start()
    session = offline_session(broker, client)
    filler = Filler(client, broker, version)
    for _ in range(150):
        filler.publish()
    filler.publish_again()
    broker.restart("kill")
    expect_numbers(session, filler.acknowledged)

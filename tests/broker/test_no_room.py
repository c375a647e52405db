# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Not even the reserve has room: what would be acknowledged and cannot be stored ends the broker.

The journal has a small cap and the tables take in nothing, so that publishers are refused; a client
that subscribes again and again then uses up what is kept for acknowledgements."""
import pytest

from cli import Export
from filling import Filler, expect_numbers, use_up
from helpers import numbers, offline_session, publish_numbers, retained_payloads
from rawmqtt import ConnectionLost, Will, payloads
from stalled import StalledTables
from wire import PUBCOMP, PUBREC, PUBREL

SMALL = {"journal_segment_bytes": "64k", "journal_max_bytes": "256k", "commit_interval_ms": "50ms"}


@pytest.fixture
def broker(new_broker):
    return new_broker(options=SMALL, conf=["max_queued_messages 0"]).start()


@pytest.fixture
def hoarder(broker, client):
    return offline_session(broker, client, "hoarder", "flood/#")


class NoRoom(StalledTables):
    """While within, the broker's store takes nothing at all; `acknowledged` is what it took before."""

    def __init__(self, broker, client, will=None):
        super().__init__(broker)
        self.broker, self.client, self.will = broker, client, will
        self.filler = Filler(client, broker, 5, topic="flood", size=4000)

    def __enter__(self):
        super().__enter__()
        self.filler.fill()
        use_up(self.broker, self.client, will=self.will)
        return self


def expect_end(broker, client, kind, mid, what):
    """The packet does not come: the broker is gone, as a supervisor sees by its status."""
    with pytest.raises(ConnectionLost):
        client.wait(kind, mid)
    assert broker.process.wait(20) == 1
    assert f"the broker ends, so that {what} is not acknowledged: " in broker.log()


def test_a_pubrec_that_cannot_be_stored_ends_the_broker(broker, client, publisher, hoarder):
    """PUBREL would go out now, and the message once more after a restart."""
    session = offline_session(broker, client, qos=2)
    publish_numbers(publisher(broker), 1, 10, qos=2)
    session.connect()
    first = [session.next() for _ in range(10)]
    with NoRoom(broker, client) as full:
        assert session.handle(first[0])
        expect_end(broker, session, PUBREL, first[0].mid, "queue_update")
    broker.start()
    session.connect()
    assert session.session_present
    assert payloads(first[:1] + session.drain()) == numbers(1, 10)
    expect_numbers(hoarder, full.filler.acknowledged)


def release_ends_broker(broker, client, source, mid, record):
    """Without any room there is an end instead of PUBCOMP, and the same PUBREL is right after it. Returns what
    the filler of the room had been told is kept."""
    with NoRoom(broker, client) as full:
        source.ack(PUBREL, mid)
        expect_end(broker, source, PUBCOMP, mid, record)
    broker.start()
    source.connect()
    source.release(mid)
    return full.filler.acknowledged


def test_a_release_that_cannot_be_stored_ends_the_broker(broker, client, hoarder):
    """It would be released once more after a restart, if any of those that it went to had not
    acknowledged it by then."""
    source = client(broker, "source")
    mid = source.send_publish("nobody/1", "once", 2)
    source.wait(PUBREC, mid)
    acknowledged = release_ends_broker(broker, client, source, mid, "queue_delete")
    broker.kill()
    assert Export(broker.store).of("queued", client_id="source") == []
    broker.start()
    expect_numbers(hoarder, acknowledged)


def test_a_retained_message_that_is_cleared_by_a_release_does_not_come_back(broker, client,
                                                                           hoarder):
    source = client(broker, "source", version=5)
    source.publish("retained/1", "old", retain=True)
    mid = source.send_publish("retained/1", b"", 2, retain=True)
    source.wait(PUBREC, mid)
    acknowledged = release_ends_broker(broker, client, source, mid, "retained_delete")
    assert retained_payloads(broker, client, "retained/#") == {}
    broker.restart("kill")
    assert retained_payloads(broker, client, "retained/#") == {}
    expect_numbers(hoarder, acknowledged)


def test_a_retained_message_that_expires_ends_nothing(broker, client, publisher, hoarder):
    source = publisher(broker, version=5)
    source.publish("retained/1", "old", retain=True, properties=[("message_expiry", 1)])
    broker.restart("stop")  # the tables have it
    with NoRoom(broker, client) as full:
        assert retained_payloads(broker, client, "retained/#") == {}
        assert broker.process.poll() is None
    broker.restart("kill")
    assert retained_payloads(broker, client, "retained/#") == {}
    expect_numbers(hoarder, full.filler.acknowledged)


def test_a_will_that_clears_a_retained_message_ends_nothing(broker, client, publisher, hoarder):
    """Of a client that is sent away because there is no room: it is promised to nobody."""
    publisher(broker).publish("retained/1", "old", retain=True)
    with NoRoom(broker, client, Will("retained/1", b"", retain=True)) as full:
        client(broker, "afterwards", clean=True).ping()
    broker.restart("kill")
    expect_numbers(hoarder, full.filler.acknowledged)

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Writing fails: nothing more is acknowledged, and the broker goes on or ends, as on_failure says.

The failure is a limit on the size of the broker's files, far below what LMDB needs. It is no full
disk: the store cannot know that it will pass."""
import random

import pytest

from broker import poll
from helpers import offline_session, retained_payloads
from rawmqtt import ConnectionLost, Refused
from wire import QUOTA_EXCEEDED

LIMIT = 2 << 20
SMALL = {"journal_segment_bytes": "256k", "commit_interval_ms": "50ms"}


def content(number):
    """Numbered, and not to be compressed."""
    return b"%d:" % number + random.Random(number).randbytes(50_000)


def number_of(message):
    return int(message.payload.split(b":", 1)[0])


class Publisher:
    def __init__(self, client, broker, version):
        self.client = client(broker, "publisher", clean=True, version=version)
        self.broker, self.acknowledged, self.last = broker, [], 0

    def publish(self, qos=1):
        self.last += 1
        if not self.client.stream:
            self.client.connect()
        self.client.publish("t/1", content(self.last), qos)
        self.acknowledged.append(self.last)

    def until_refused(self):
        """Publishes until the store has failed. The first to meet that may have been admitted, and
        then loses its connection."""
        for _ in range(20):
            self.publish()
        self.broker.limit_files(LIMIT)
        for _ in range(2000):
            try:
                self.publish()
            except (Refused, ConnectionLost):
                self.client.close()
                return
        raise AssertionError("everything is taken though nothing can be written")


def expect_all(broker, session, publisher):
    """What was acknowledged is there, in order; of the rest at most what was under way at the end."""
    session.connect()
    assert session.session_present
    found = [number_of(message) for message in session.drain()]
    assert found == sorted(set(found))
    assert not set(publisher.acknowledged) - set(found)
    assert len(set(found) - set(publisher.acknowledged)) <= 1


@pytest.mark.parametrize("version", [4, 5])
def test_refuse_takes_nothing_more_and_runs_on(new_broker, client, version):
    broker = new_broker(options=SMALL, conf=["max_queued_messages 0"]).start()
    session = offline_session(broker, client)
    listener = client(broker, "listener", clean=True)
    listener.subscribe("live/#", qos=0)
    publisher = Publisher(client, broker, version)
    publisher.until_refused()
    for _ in range(5):
        with pytest.raises(Refused if version == 5 else ConnectionLost) as refused:
            publisher.publish(qos=2)
        assert version == 4 or refused.value.reason == QUOTA_EXCEEDED
        publisher.client.close()
    broker.wait_log("the journal takes nothing more until the broker is started again")
    source = client(broker, "source", clean=True)
    source.publish("live/1", "still here", 0)
    assert listener.collect(1)[0].payload == b"still here"
    source.send_publish("live/2", "kept?", 0, retain=True)
    source.ping()
    broker.restart("kill")
    assert retained_payloads(broker, client, "live/#") == {}
    expect_all(broker, session, publisher)


def test_stop_ends_the_broker(new_broker, client):
    broker = new_broker(options={**SMALL, "on_failure": "stop"}, conf=["max_queued_messages 0"])
    broker.start()
    session = offline_session(broker, client)
    publisher = Publisher(client, broker, 5)
    publisher.until_refused()
    status = poll(lambda: broker.process.poll() is not None and broker.process.returncode, 20,
                  "the broker runs on")
    assert status > 0
    assert "the broker ends" in broker.log() and "data.mdb" in broker.log()
    broker.start()
    expect_all(broker, session, publisher)

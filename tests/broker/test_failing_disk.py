# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A disk that fails under a running broker: strace answers its system calls with errors.

After a failed sync nobody knows what is on the disk, so the journal takes nothing more: it says so,
nothing is acknowledged from then on, and `on_failure stop` ends the broker with status 1. A segment
that cannot be prepared is no such end: it is tried again."""
import re
from typing import NamedTuple

import pytest

from broker import poll
from disks import FailingDisk
from helpers import expect_received, offline_session, retained_payloads
from rawmqtt import ConnectionLost, Refused, payloads
from wire import PUBACK, PUBREC, QUOTA_EXCEEDED

OPTIONS = {"journal_segment_bytes": "64k", "commit_interval_ms": "100ms"}
FOR_GOOD = "the journal takes nothing more until the broker is started again"
REFUSING, TAKING = "publishers are refused", "publishers are taken again"


class Fault(NamedTuple):
    calls: str
    files: str  # below the store
    says: str  # in the log


POISONING = {
    "sync of the journal": Fault("msync", "",
                                 r"cannot sync \S+\.log: Input/output error"),
    "pages of LMDB": Fault("pwrite64,pwritev", "data.mdb",
                           r"data\.mdb: cannot change the tables: Input/output error"),
    "sync of LMDB": Fault("fdatasync", "data.mdb",
                          r"data\.mdb: cannot change the tables: Input/output error"),
}
PASSING = {
    "room for a segment": Fault("fallocate", "", r"cannot allocate space for \S+"),
    "zeros of a segment": Fault("pwrite64", "prepare.tmp", r"cannot write to \S+prepare\.tmp"),
    "sync of a segment": Fault("fdatasync", "prepare.tmp", r"cannot sync \S+prepare\.tmp"),
    "name of a segment": Fault("renameat,renameat2", "", r"cannot rename \S+prepare\.tmp"),
    "names in the folder": Fault("fsync", "", r"cannot sync the folder \S+"),
}


def failing(broker, fault):
    files = [broker.store / fault.files] if fault.files else []
    return FailingDisk(broker, fault.calls, files=files)


@pytest.fixture(params=[4, 5])
def source(client, broker, request):
    return client(broker, "source", clean=True, version=request.param)


@pytest.fixture
def broker(new_broker):
    return new_broker(options=OPTIONS, conf=["max_queued_messages 0"]).start()


def taken(source, payload, qos=1, topic="t/1", retain=False):
    """True if it was acknowledged, False if it was refused as this version is."""
    if source.stream is None:
        source.connect()
    mid = source.send_publish(topic, payload, qos, retain)
    try:
        answer = source.wait(PUBACK if qos == 1 else PUBREC, mid)
    except ConnectionLost:
        source.close()
        return False
    if answer.reason >= 0x80:
        assert source.version == 5 and answer.reason == QUOTA_EXCEEDED
        return False
    if qos == 2:
        source.release(mid)
    return True


class Publishing:
    """Numbered messages, and which of them were acknowledged."""

    def __init__(self, source, size=0):
        self.source, self.size = source, size
        self.sent, self.acknowledged = 0, []

    def one(self):
        self.sent += 1
        text = f"{self.sent}:".ljust(self.size, "x")
        if not taken(self.source, text):
            return False
        self.acknowledged.append(text)
        return True

    def until_refused(self, limit=5000):
        for _ in range(limit):
            if not self.one():
                return
        raise AssertionError(f"{limit} messages were taken")


@pytest.mark.parametrize("name", POISONING)
def test_a_disk_that_fails_is_told_and_nothing_is_acknowledged_after(broker, client, source, name):
    fault = POISONING[name]
    session = offline_session(broker, client)
    publishing = Publishing(source)
    for _ in range(5):
        assert publishing.one()
    with failing(broker, fault) as disk:
        publishing.one()  # may still be acknowledged: the kernel has it
        broker.wait_log(f"{fault.says}; {FOR_GOOD}")
        assert disk.failed_calls > 0
        expect_nothing_is_taken(broker, client, source)
    # The disk works again, or says so.
    expect_nothing_is_taken(broker, client, source)
    assert broker.log().count(FOR_GOOD) == 1
    assert broker.log().count(REFUSING) == 1
    assert re.search(f"{REFUSING}: .*{fault.says}", broker.log())
    broker.restart("kill")
    expect_received(session, publishing.acknowledged)
    assert retained_payloads(broker, client) == {}
    source.close()
    assert taken(source, "after")


def expect_nothing_is_taken(broker, client, source):
    for qos in (1, 2):
        assert not taken(source, "refused", qos)
        assert not taken(source, "refused", qos, "r/1", retain=True)
    with pytest.raises(ConnectionLost):
        client(broker, "new", version=source.version).subscribe("t/#")


@pytest.mark.parametrize("name", POISONING)
def test_on_failure_stop_ends_the_broker_with_status_1(new_broker, client, name):
    fault = POISONING[name]
    broker = new_broker(options={**OPTIONS, "on_failure": "stop"}).start()
    session = offline_session(broker, client)
    source = client(broker, "source", clean=True)
    publishing = Publishing(source)
    for _ in range(5):
        assert publishing.one()
    with failing(broker, fault):
        publishing.one()
        assert broker.process.wait(30) == 1
    assert re.search(f"the broker ends, as plugin_opt_on_failure stop wants: .*{fault.says}",
                     broker.log())
    broker.start()
    expect_received(session, publishing.acknowledged)


@pytest.mark.parametrize("on_failure", ["refuse", "stop"])
def test_with_sync_always_what_the_disk_did_not_take_is_not_acknowledged(new_broker, client,
                                                                         on_failure):
    broker = new_broker(options={**OPTIONS, "sync": "always", "on_failure": on_failure}).start()
    session = offline_session(broker, client)
    publishing = Publishing(client(broker, "source", clean=True))
    for _ in range(5):
        assert publishing.one()
    with failing(broker, POISONING["sync of the journal"]) as disk:
        assert not publishing.one()
        if on_failure == "stop":
            assert broker.process.wait(30) == 1
        assert disk.failed_calls > 0
    if on_failure == "stop":
        broker.start()
    else:
        assert not publishing.one()
        broker.restart("kill")
    session.connect()
    found = payloads(session.drain())
    # What was not acknowledged may be there: the kernel had it.
    assert found[:5] == publishing.acknowledged
    assert len(found) <= 6


@pytest.mark.parametrize("name", PASSING)
def test_a_segment_that_cannot_be_prepared_is_tried_again(broker, client, source, name):
    fault = PASSING[name]
    session = offline_session(broker, client)
    publishing = Publishing(source, size=4000)
    with failing(broker, fault) as disk:
        publishing.until_refused()
        assert disk.failed_calls > 0
        assert re.search(f"{REFUSING}: .*{fault.says}.*: Input/output error", broker.log())
    poll(publishing.one, 30, "no message is taken again")
    broker.wait_log(TAKING)
    assert FOR_GOOD not in broker.log()
    broker.restart("kill")
    expect_received(session, publishing.acknowledged)


def test_on_failure_stop_does_not_wait_for_a_disk_that_takes_no_segment(new_broker, client):
    broker = new_broker(options={**OPTIONS, "on_failure": "stop"},
                        conf=["max_queued_messages 0"]).start()
    session = offline_session(broker, client)
    publishing = Publishing(client(broker, "source", clean=True), size=4000)
    with failing(broker, PASSING["sync of a segment"]):
        publishing.until_refused()
        assert broker.process.wait(30) == 1, broker.log()
    broker.start()
    expect_received(session, publishing.acknowledged)


def test_what_expires_on_a_disk_that_has_failed_ends_nothing(new_broker, client, publisher):
    """A retained message of which only the journal knows; the broker tells that it is gone, and not why."""
    broker = new_broker(options={"commit_interval_ms": "3600s"}).start()
    source = publisher(broker, version=5)
    source.publish("r/1", "short", retain=True, properties=[("message_expiry", 1)])
    source.publish("r/2", "long", retain=True)
    fault = POISONING["sync of the journal"]
    with failing(broker, fault):
        source.publish("t/1", "x")
        broker.wait_log(f"{fault.says}; {FOR_GOOD}")

    def found():
        probe = client(broker, "probe", clean=True)
        probe.subscribe("r/#")
        return payloads(probe.drain())
    poll(lambda: found() == ["long"], 10, "r/1 does not expire")
    assert broker.process.poll() is None
    assert "cannot be stored" in broker.log()

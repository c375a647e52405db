# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Really full disks, ext4 in a file of 16 MB and a tmpfs, that another program shares.

What was acknowledged is there when the disk has been freed and the broker started again, and what
was not stored had been refused. With every byte taken by the other program the broker goes on with
the room it has kept: it delivers, opens again when its queues are empty, and starts again."""
import pathlib
import re
import resource

import pytest

from disks import Eater, small_disk
from filling import Filler, content, expect_numbers, fill_all
from helpers import offline_session, retained_payloads

SMALL = {"journal_segment_bytes": "256k", "commit_interval_ms": "100ms"}
REFUSING, TAKING = "publishers are refused", "publishers are taken again"


@pytest.fixture(params=["ext4", "tmpfs"])
def disk(stage, request):
    yield from small_disk(stage, request.param, 16)


@pytest.fixture(params=[4, 5])
def version(request):
    return request.param


def broker_on(new_broker, disk, **options):
    return new_broker(store=disk.path / "store", options={**SMALL, **options},
                      conf=["max_queued_messages 0"])


def test_what_was_acknowledged_is_there_when_the_disk_was_freed(new_broker, client, disk, version):
    broker = broker_on(new_broker, disk).start()
    once = offline_session(broker, client, "once", "once/#", version=version)
    twice = offline_session(broker, client, "twice", "twice/#", qos=2, version=version)
    fillers = [Filler(client, broker, version, topic="once/t"),
               Filler(client, broker, version, topic="twice/t", qos=2),
               Filler(client, broker, version, topic="r", retain=True)]
    disk.fill("ballast", leave=6 << 20)
    fill_all(fillers)
    disk.fill("rest")
    assert disk.free_bytes == 0
    for filler in fillers:
        assert len(filler.acknowledged) > 10
        assert not any(filler.publish() for _ in range(5))
    assert broker.log().count(REFUSING) == 1
    assert TAKING not in broker.log()

    broker.kill()
    disk.free("ballast")
    disk.free("rest")
    broker.start()
    expect_numbers(once, fillers[0].acknowledged)
    expect_numbers(twice, fillers[1].acknowledged)
    assert retained_payloads(broker, client, "r/#") == {
        f"r/{number}": content(number) for number in fillers[2].acknowledged}
    for filler in fillers:
        filler.client.close()
        assert filler.publish()


def test_it_is_said_once_when_it_begins_and_once_when_it_is_over(new_broker, client, disk, version):
    broker = broker_on(new_broker, disk).start()
    offline_session(broker, client)
    filler = Filler(client, broker, version)
    disk.fill("ballast", leave=3 << 20)
    filler.fill()
    disk.free("ballast")
    filler.publish_again()
    broker.wait_log(TAKING)
    for _ in range(20):
        assert filler.publish()
    assert broker.log().count(REFUSING) == 1
    assert broker.log().count(TAKING) == 1


def test_with_no_byte_left_it_goes_on_in_the_room_it_has(new_broker, client, disk, version):
    """Far more passes through than lies in any reserve."""
    broker = broker_on(new_broker, disk).start()
    session = offline_session(broker, client)
    filler = Filler(client, broker, version)
    disk.fill("ballast", leave=6 << 20)
    filler.fill()
    with Eater(disk):
        seen = 0
        for _ in range(15):
            expect_numbers(session, filler.acknowledged[seen:])
            session.disconnect()
            seen = len(filler.acknowledged)
            for _ in range(15):
                filler.publish_again()
        assert disk.free_bytes == 0
        broker.restart("kill")
        expect_numbers(session, filler.acknowledged[seen:])
        session.disconnect()
        broker.restart("stop")
        assert disk.free_bytes == 0


def test_a_broker_that_is_full_starts_beside_a_program_that_takes_every_byte(new_broker, client,
                                                                             disk, version):
    broker = broker_on(new_broker, disk, journal_segment_bytes="512k").start()
    session = offline_session(broker, client)
    filler = Filler(client, broker, version)
    filler.fill()
    with Eater(disk):
        for how in ("kill", "stop", "kill"):
            broker.restart(how)
        expect_numbers(session, filler.acknowledged)
        session.disconnect()
        filler.client.close()
        seen = len(filler.acknowledged)
        filler.publish_again()
        broker.restart("kill")
        expect_numbers(session, filler.acknowledged[seen:])


def test_tables_whose_map_cannot_grow(new_broker, client):
    """There is room on the disk, but not in the address space: for a map of 32 MB, which values of
    half a page fill before the broker's own memory is used up, and not for one of 64."""
    plain = new_broker(persist=False).start()
    status = pathlib.Path(f"/proc/{plain.process.pid}/status").read_text()
    plain.stop()
    space = (int(re.search(r"VmSize:\s+(\d+)", status)[1]) << 10) + (70 << 20)
    broker = new_broker(options={**SMALL, "compression": "none", "journal_max_bytes": "1M"},
                        conf=["max_queued_messages 0", "max_inflight_messages 1000"],
                        limits={resource.RLIMIT_AS: space, resource.RLIMIT_STACK: 256 << 10})
    broker.start()
    session = offline_session(broker, client)
    filler = Filler(client, broker, 5, size=2100)
    filler.fill()
    assert len(filler.acknowledged) > 5000
    assert 24 << 20 < (broker.store / "data.mdb").stat().st_size <= 32 << 20
    assert REFUSING in broker.log()
    assert "is full" not in broker.log(), "its end was met, and not seen coming"
    broker.restart("kill")
    filler.client.close()
    filler.fill()
    broker.wait_log(f"{REFUSING}: .*the address space has no room for a larger map")
    expect_numbers(session, filler.acknowledged)
    session.disconnect()
    seen = len(filler.acknowledged)
    filler.publish_again()
    broker.wait_log(TAKING)
    filler.fill()
    broker.limits = {}
    broker.restart("kill")
    expect_numbers(session, filler.acknowledged[seen:])

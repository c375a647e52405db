# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A damaged store is not served: the broker does not start, the log names the place, and nothing is
changed. With the damage undone, everything is there."""
import re

import pytest

import cli
from broker import poll
from helpers import expect_received, numbers, offline_session, publish_numbers, retained_payloads

FILTER, TOPIC, USER, PAYLOAD = "filter/of/it", "topic/of/it", "user-of-it", "payload-of-it"
BEGUN = b"payload-of-"
VERSION = b"\1"  # begins a value, which stands right behind its key
FIRST_QUEUED = b"\x16" + (1 << 40 | 1).to_bytes(6, "big")  # ends a key: outgoing, first of life 1

# The table that the log must name, bytes that stand in it, and how far behind them a bit flips.
DAMAGES = [
    ("messages", BEGUN, 0),
    ("sessions", b"user-of-", 0),
    ("subscriptions", FILTER.encode() + VERSION, 0),
    ("queue", FIRST_QUEUED, 5),
    ("retained", TOPIC.encode() + VERSION, 2),
]


def flip(path, needle, behind=0):
    """Flips a bit behind every place where these bytes stand, old pages included. Once more, and all
    is as it was."""
    data = path.read_bytes()
    damaged = bytearray(data)
    places = [match.start() for match in re.finditer(re.escape(needle), data)]
    assert places, f"{path} does not hold {needle}"
    for place in places:
        damaged[place + len(needle) + behind] ^= 1
    path.write_bytes(damaged)


@pytest.fixture(params=["restore", "check_at_start"])
def stopped(request, new_broker, client, publisher):
    """A broker with something in every table, stopped, and its session."""
    check = "true" if request.param == "check_at_start" else "false"
    broker = new_broker(options={"compression": "none", "check_at_start": check}).start()
    session = offline_session(broker, client, topic=FILTER, username=USER)
    source = publisher(broker)
    source.publish(FILTER, PAYLOAD)
    source.publish(TOPIC, "kept", retain=True)
    broker.stop()
    return broker, session


@pytest.mark.parametrize("table, needle, behind", DAMAGES, ids=[each[0] for each in DAMAGES])
def test_a_damaged_value_stops_the_start_until_it_is_mended(stopped, client, table, needle, behind):
    """With check_at_start it is found before anything is handed to the broker."""
    broker, session = stopped
    flip(broker.store / "data.mdb", needle, behind)
    checked_first = broker.options["check_at_start"] == "true"
    for _ in range(2):
        log = broker.start_fails()
        line, = [line for line in log.splitlines() if f"{table}: key" in line]
        assert "checksum" in line, line
        assert ("restore: " in line) != checked_first, line
        assert "2.1.2 running" not in log
    flip(broker.store / "data.mdb", needle, behind)
    broker.start()
    assert retained_payloads(broker, client, TOPIC) == {TOPIC: b"kept"}
    expect_received(session, [PAYLOAD])


def test_a_table_file_that_is_cut_off_stops_the_start(stopped):
    """LMDB reads what is not there: the crash becomes a sentence."""
    broker, _ = stopped
    data = broker.store / "data.mdb"
    sound = data.read_bytes()
    for pages in (2, 3, 5, 8):
        data.write_bytes(sound[: pages * 4096])
        log = broker.start_fails()
        assert re.search("persist-lmdb: .*(damaged|data.mdb)", log), log
        assert "2.1.2 running" not in log


@pytest.mark.parametrize("sync", ["always", "interval"])
def test_a_damaged_record_of_the_journal_stops_the_start_until_it_is_mended(
        new_broker, client, publisher, sync):
    """What had been on the disk must check; a torn tail is something else."""
    broker = new_broker(options={"sync": sync, "commit_interval_ms": "3600s"}).start()
    session = offline_session(broker, client)
    source = publisher(broker)
    source.publish("t/1", PAYLOAD)
    source.publish("t/1", "another")
    # The mark that says so comes once the journal is on the disk.
    end = cli.status(broker.store)["journal_end"]
    poll(lambda: cli.status(broker.store)["journal_end"] != end or sync == "always", 20,
         "no mark is written")
    broker.kill()
    segment, = [path for path in broker.store.glob("*.log") if BEGUN in path.read_bytes()]
    flip(segment, BEGUN)
    for _ in range(2):
        log = broker.start_fails()
        assert re.search(rf"{segment.name}: the record at offset \d+ does not check", log), log
        assert "repair" in log
    flip(segment, BEGUN)
    broker.start()
    expect_received(session, [PAYLOAD, "another"])


def test_a_missing_segment_stops_the_start(new_broker, client, publisher):
    broker = new_broker(options={"journal_segment_bytes": "64k", "commit_interval_ms": "3600s",
                                 "journal_max_bytes": "16M"}).start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 600)
    broker.kill()
    segments = sorted(broker.store.glob("*.log"))
    assert len(segments) > 3
    hidden = broker.store.parent / segments[1].name
    segments[1].rename(hidden)
    log = broker.start_fails()
    assert f"{segments[1].name} is missing" in log, log
    hidden.rename(segments[1])
    broker.start()
    expect_received(session, numbers(1, 600))

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A damaged store under the real broker: it serves exactly what was stored, or does not start, ends by
itself with a status that a supervisor sees, and its log says once what is damaged.

SEED=n reruns the damage of a run; DAMAGES=n makes more of it."""
import os
import random
import re
import shutil

import pytest

import cli
from bitrot import PAGE, damage
from broker import BrokerExited
from helpers import offline_session, publish_numbers

SEED = int(os.environ.get("SEED") or random.randrange(2**32))
DAMAGES = int(os.environ.get("DAMAGES") or 40)
PLACE = re.compile(r"data\.mdb|meta:|sessions:|subscriptions:|messages:|queue:|retained:|wills:|"
                   r"the store \S+ is damaged")


@pytest.fixture
def lived(broker, client, publisher):
    """A stopped broker's store of several commits, with some of everything."""
    for number in range(12):
        offline_session(broker, client, f"sub-{number}", f"t/{number % 3}")
    source = publisher(broker)
    for topic in range(3):
        publish_numbers(source, 1, 60, topic=f"t/{topic}")
        source.publish(f"retained/{topic}", "x" * 3000, 1, retain=True)
    broker.restart("stop")
    publish_numbers(publisher(broker), 61, 90, topic="t/0")
    broker.stop()
    kept = broker.folder / "kept"
    shutil.copytree(broker.store, kept)
    return broker, kept


def put_back(broker, kept):
    """The files of the store as they were; their owner stays the broker's."""
    for path in broker.store.iterdir():
        if not (kept / path.name).exists():
            path.unlink()
    for path in kept.iterdir():
        target = broker.store / path.name
        target.write_bytes(path.read_bytes())
        owner = broker.store.stat()
        os.chown(target, owner.st_uid, owner.st_gid)
        target.chmod(0o600)


def start(broker):
    """Whether it serves; else it must have ended by itself and said what is damaged, once."""
    try:
        broker.start()
        return True
    except BrokerExited:
        status, broker.process = broker.process.returncode, None
        said = [line for line in broker.log().splitlines() if "persist-lmdb: " in line]
        assert status > 0, (status, broker.log())
        assert len([line for line in said if PLACE.search(line)]) == 1, broker.log()
        return False


def contents(broker):
    return cli.Export(broker.store).lines[1:]


def test_any_damage_of_the_tables(lived):
    broker, kept = lived
    whole = contents(broker)
    tables = (kept / "data.mdb").read_bytes()
    refused = 0
    print(f"SEED={SEED}")
    for number in range(DAMAGES):
        dice = random.Random(SEED + number)
        put_back(broker, kept)
        (broker.store / "data.mdb").write_bytes(damage(dice, tables))
        if start(broker):
            broker.kill()
            assert contents(broker) == whole, f"SEED={SEED + number} DAMAGES=1"
        else:
            refused += 1
    assert refused or DAMAGES < 20


def test_a_file_that_ends_in_the_middle_is_a_sentence_not_a_crash(lived):
    """LMDB maps what its head promises; behind the end of the file there is only SIGBUS."""
    broker, kept = lived
    data = (kept / "data.mdb").read_bytes()
    (broker.store / "data.mdb").write_bytes(data[: 3 * PAGE])
    assert not start(broker)
    assert "repair" in broker.log()


def test_repair_makes_a_store_that_the_broker_serves(lived):
    broker, kept = lived
    data = (kept / "data.mdb").read_bytes()
    whole = contents(broker)
    assert data.count(b"x" * 3000) == 0  # compressed
    at = data.rindex(b"\x01sub-7")
    (broker.store / "data.mdb").write_bytes(data[:at] + b"\x01sub-@" + data[at + 6 :])
    assert not start(broker)
    assert re.search(r"persist-lmdb: .*sessions: key .*sub-@.*this session is lost", broker.log())
    repaired = broker.folder / "repaired"
    cli.run(broker.store, "repair", "--output", str(repaired), status=3)
    cli.run(repaired, "verify")
    left = cli.Export(repaired).lines[1:]
    assert [line for line in left if line not in whole] == []
    assert [line["client_id"] for line in whole if line["type"] == "session" and line not in left] == \
        ["sub-7"]
    broker.store = repaired
    broker.start()
    broker.stop()

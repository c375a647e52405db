# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Power cuts under load. The broker is killed, and of its store is left what had been synced, with
`sync always` and `sync interval`, and in half of the rounds some of the rest.

--rounds N (25) power cuts a test; SEED repeats the decisions of a run."""
import random
import shutil
import threading
import time

import pytest

import cli
from broker import environment_folder, remove_folder
from crowd import Crowd, options_for
from load import Loop, Publisher, Subscriber
from powercut import PowerCut

SEEDED_PLUGIN = "tests/libseeded_plugin.so"
ROUNDS = 25
SYNC_US = 2000
# The longer a sync takes, the more hangs on each.
NOTICE_SYNC_US = 20000


def kill_later(broker, chance, longest_s):
    timer = threading.Timer(chance.uniform(0.02, longest_s), broker.process.kill)
    timer.start()
    return timer


def verify_copy(store, copy):
    """What the command line finds in a store that no broker has repaired yet."""
    shutil.copytree(store, copy)
    copy.chmod(0o700)
    cli.run(copy, "status")
    cli.run(copy, "verify")
    remove_folder(copy)


def always_round(broker, disk, crowd, chance):
    timer = kill_later(broker, chance, 0.45)
    process = broker.process
    crowd.work(lambda: process.poll() is not None)
    timer.join()
    broker.kill()
    disk.cut(chance, chance.choice([0, 0, 0.1, 0.5, 0.9]))
    if chance.random() < 0.3:
        verify_copy(broker.store, broker.folder / "copy")
    broker.options = {**options_for("always", chance),
                      "journal_segment_bytes": chance.choice(["64k", "256k", "1M"])}
    broker.start()


def cut_power(broker, rounds, chance, sync_us=SYNC_US):
    """`rounds` power cuts with `sync always`: nothing that was acknowledged may be missing, nothing
    of QoS 2 may come twice. Returns how many messages were acknowledged."""
    disk = PowerCut(broker, sync_us)
    broker.start()
    crowd = Crowd(broker.port, chance)
    crowd.introduce()
    crowd.survive(rounds, lambda: always_round(broker, disk, crowd, chance))
    broker.stop()
    cli.run(broker.store, "verify")
    return sum(publisher.acknowledged for publisher in crowd.publishers)


def test_sync_always_loses_nothing(new_broker, rounds, seed):
    rounds = rounds or ROUNDS
    broker = new_broker(conf=["max_queued_messages 0"], options={"sync": "always"})
    total = cut_power(broker, rounds, random.Random(seed))
    print(f"{rounds} power cuts, {total} acknowledged, 0 lost, 0 twice")
    assert total > rounds, "there was hardly any load"


# ---- sync interval ------------------------------------------------------------------------------

INTERVAL_S = 0.25
SLOW_SYNC_US = 200000
# Beside what is promised, a busy machine wakes the syncer late: as late as it once let the test
# wait in this round, twice, and this.
LATE_S = 0.1


class Burst:
    """Messages until the broker is killed, and how long the test itself once had to wait."""

    def __init__(self, broker, number):
        self.loop = Loop(broker.port)
        self.publishers = [Publisher(self.loop, f"p{number}", 5, 1),
                           Publisher(self.loop, f"q{number}", 4, 2)]
        self.longest_wait_s = 0

    def work(self, done):
        for publisher in self.publishers:
            publisher.publishing = True
        before = time.monotonic()
        while not done():
            self.loop.connect_all()
            for publisher in self.publishers:
                publisher.refill()
            self.loop.step(0.005)
            now = time.monotonic()
            self.longest_wait_s = max(self.longest_wait_s, now - before)
            before = now
        self.loop.read_to_the_end()
        self.loop.close()


def receive(broker):
    """All that the offline session is owed: {publisher: numbers}."""
    loop = Loop(broker.port)
    session = Subscriber(loop, "offline", 5)
    session.known = session.subscribed = True
    loop.settle()
    session.leave(True)
    loop.close()
    return session.got


def check_interval(burst, got, syncs, killed_at):
    """What is lost is no older than the interval and the sync then under way, and all that was
    acknowledged before a sync that succeeded is there. Returns the age of the oldest lost."""
    synced_at = max(begin for begin, end in syncs if end)
    under_way = [killed_at - begin for begin, end in syncs if not end and begin < killed_at]
    limit = INTERVAL_S + max(under_way, default=0) + LATE_S + 2 * burst.longest_wait_s
    oldest = 0
    for publisher in burst.publishers:
        there = got[publisher.name]
        assert there == list(range(1, len(there) + 1)), f"{publisher.name}: not a prefix: {there}"
        lost = {number: at for number, at in publisher.acknowledged_at.items()
                if number > len(there)}
        for number, at in lost.items():
            assert at > synced_at, \
                f"{publisher.name}: {number} is lost, and was acknowledged before a sync"
            oldest = max(oldest, killed_at - at)
    assert oldest <= limit, f"lost: up to {oldest:.3f} s of messages, {limit:.3f} s are allowed"
    return oldest


def interval_round(broker, disk, chance, number):
    burst = Burst(broker, number)
    process, killed_at = broker.process, []

    def kill():
        killed_at.append(time.monotonic())
        process.kill()
    timer = threading.Timer(chance.uniform(0.3, 1.2), kill)
    timer.start()
    burst.work(lambda: process.poll() is not None)
    timer.join()
    broker.kill()
    syncs = disk.disk().syncs()
    disk.cut(chance, 0)
    broker.start()
    oldest = check_interval(burst, receive(broker), syncs, killed_at[0])
    return sum(each.acknowledged for each in burst.publishers), oldest


def cut_power_interval(broker, rounds, chance):
    """Returns how many messages were acknowledged, and the age of the oldest that was lost."""
    broker.start()
    loop = Loop(broker.port)
    Subscriber(loop, "offline", 5)
    loop.settle()
    loop.close()
    broker.stop()
    disk = PowerCut(broker, SLOW_SYNC_US)
    broker.start()
    total, oldest = 0, 0
    for number in range(1, rounds + 1):
        try:
            acknowledged, lost_s = interval_round(broker, disk, chance, number)
        except Exception as error:
            raise AssertionError(f"round {number} of {rounds}: {error}") from error
        total, oldest = total + acknowledged, max(oldest, lost_s)
    broker.stop()
    cli.run(broker.store, "verify")
    return total, oldest


def interval_broker(new_broker, mode):
    """The journal alone must do it: one segment, and no commit before the power goes."""
    return new_broker(conf=["max_queued_messages 0"], options={
        "sync": mode, "sync_interval_ms": int(INTERVAL_S * 1000), "commit_interval_ms": "3600s",
        "journal_segment_bytes": "16M"})


def test_sync_interval_loses_no_more_than_that(new_broker, rounds, seed):
    rounds = rounds or ROUNDS
    broker = interval_broker(new_broker, "interval")
    total, oldest = cut_power_interval(broker, rounds, random.Random(seed))
    print(f"{rounds} power cuts, {total} acknowledged, the oldest lost {oldest * 1000:.0f} ms old")
    assert total > rounds and oldest > 0, "there was hardly any load"


# ---- would they notice? -------------------------------------------------------------------------

# Of plugin/store/seeded.h, those that this load finds within few rounds.
@pytest.mark.parametrize("bug", [1, 2, 20, 21])
def test_a_missing_protection_is_noticed(new_broker, rounds, seed, bug):
    plugin = environment_folder("BUILD_DIR", SEEDED_PLUGIN) / SEEDED_PLUGIN
    broker = new_broker(conf=["max_queued_messages 0"], options={"sync": "always"}, plugin=plugin)
    broker.environment["SEEDED_BUG"] = str(bug)
    with pytest.raises(AssertionError) as caught:
        cut_power(broker, rounds or ROUNDS, random.Random(seed), NOTICE_SYNC_US)
    print(f"bug {bug}: {str(caught.value)[:300]}")


def test_a_journal_that_is_not_synced_is_noticed(new_broker, rounds, seed):
    broker = interval_broker(new_broker, "os")
    with pytest.raises(AssertionError) as caught:
        cut_power_interval(broker, rounds or ROUNDS, random.Random(seed))
    assert "of messages" in str(caught.value), caught.value

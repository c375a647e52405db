# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Wills with a delay, over a crash or a stop.

Real seconds must pass here, so several clients go through one end of a broker together, and a
watcher notes when which will comes. Each test looks at one of them.
"""
import time

import pytest

import cli
from conftest import staged
from helpers import offline_session
from rawmqtt import Will, payloads


class Happening:
    """`came[name]`: how many seconds after the broker's start the wills of this client came.
    `again[name]`: the same after a second kill, when nothing must come any more."""

    def __init__(self, stage):
        self.stage, self.owners = stage, {}
        self.broker = stage.new_broker().start()
        self.watcher = offline_session(self.broker, stage.client, "watcher", "will/#", qos=2,
                                       version=5)

    def owner(self, name, delay_s, topic=None, **settings):
        will = Will(f"will/{topic or name}", name.encode(), 1,
                    properties=[("will_delay", delay_s)])
        self.owners[name] = self.stage.client(self.broker, name, version=5, will=will, **settings)
        self.owners[name].ping()
        return self.owners[name]

    def watch(self, seconds):
        came = {}
        self.watcher.connect()
        assert self.watcher.session_present
        while time.monotonic() < self.started + seconds:
            for message in self.watcher.drain():
                passed = time.monotonic() - self.started
                came.setdefault(message.payload.decode(), []).append(passed)
            time.sleep(0.02)
        self.watcher.disconnect()
        return came

    def watch_on(self, seconds):
        self.started = time.monotonic()
        return self.watch(seconds)

    def look(self, seconds, seconds_again):
        self.came = self.watch(seconds)
        self.broker.restart("kill")
        self.started = time.monotonic()
        self.again = self.watch(seconds_again)

    def restart(self, how, down_s=0.0):
        self.broker.end(how)
        time.sleep(down_s)
        self.broker.start()
        self.started = time.monotonic()

    def expect_once(self, name, earliest_s, latest_s):
        came = self.came.get(name, [])
        assert len(came) == 1, f"came {len(came)} times: {came}"
        assert earliest_s < came[0] < latest_s, f"after {came[0]:.1f} s"
        assert name not in self.again, "came again after another crash"

    def expect_never(self, name):
        assert name not in self.came
        assert name not in self.again


@pytest.fixture(scope="module")
def crash(request):
    for stage in staged(request):
        happening = Happening(stage)
        happening.owner("published", 1).drop()
        happening.owner("published without a session", 1, clean=True).drop()
        happening.owner("disconnected", 1).disconnect()
        given_up = happening.owner("given up", 2)
        given_up.drop()
        given_up.connect(will=None)
        given_up.disconnect()
        given_up = happening.owner("given up without a session", 60, clean=True)
        given_up.drop()
        given_up.connect(will=None)
        given_up.disconnect()
        happening.watcher.connect()
        assert set(payloads(happening.watcher.collect(2))) == {"published",
                                                               "published without a session"}
        happening.watcher.disconnect()
        happening.owner("waiting without a session", 60, clean=True).drop()
        happening.owner("connected", 3)
        back = happening.owner("back in time", 2)
        happening.owner("waiting", 4).drop()
        time.sleep(1)
        happening.restart("kill")
        back.connect(will=None)
        assert back.session_present
        happening.look(6.5, 4)
        yield happening


@pytest.fixture(scope="module")
def long_crash(request):
    for stage in staged(request):
        happening = Happening(stage)
        happening.owner("overdue", 1).drop()
        happening.owner("session over", 3600, expiry=1).drop()
        happening.owner("session ends", 3600, expiry=5).drop()
        happening.restart("kill", 3.1)
        happening.look(5, 1)
        yield happening


@pytest.fixture(scope="module")
def held_up(request):
    for stage in staged(request):
        happening = Happening(stage)
        happening.owner("never", 0xFFFFFFFF, expiry=0xFFFFFFFF).drop()
        happening.owner("held up", 1).drop()
        happening.held_up = happening.watch_on(3)
        happening.restart("kill")
        happening.look(2, 1)
        yield happening


@pytest.fixture(scope="module")
def clean_stop(request):
    for stage in staged(request):
        happening = Happening(stage)
        happening.owner("waiting", 60).drop()
        happening.owner("connected", 60)
        happening.owner("disconnected", 1).disconnect()
        happening.restart("stop")
        happening.look(2.5, 1)
        yield happening


def test_of_a_client_connected_at_the_crash_it_comes_after_its_delay(crash):
    crash.expect_once("connected", 1.5, 6)


def test_a_client_that_comes_back_in_time_owes_none(crash):
    crash.expect_never("back in time")


def test_waiting_at_the_crash_it_keeps_its_time(crash):
    """The connection was lost 1 s before the crash; what counts is when."""
    crash.expect_once("waiting", 1.2, 4.5)


@pytest.mark.parametrize("name", ["published", "published without a session"])
def test_published_before_the_crash_it_does_not_come_again(crash, name):
    crash.expect_never(name)


def test_without_a_session_it_comes_at_once(crash):
    """It was due when its session ended, with its connection; the broker, which waits for the delay
    all the same, says at once that it is gone."""
    crash.expect_once("waiting without a session", 0, 3.5)


@pytest.mark.parametrize("name", ["given up", "given up without a session"])
def test_given_up_by_a_reconnect_it_does_not_come_after_the_crash(crash, name):
    crash.expect_never(name)


def test_after_a_clean_disconnect_it_is_not_owed(crash):
    crash.expect_never("disconnected")


def test_overdue_after_the_crash_it_comes_at_once(long_crash):
    long_crash.expect_once("overdue", 0, 2)


def test_it_comes_with_the_end_of_a_session_that_expired_while_the_broker_was_down(long_crash):
    long_crash.expect_once("session over", 0, 2)


def test_it_comes_with_the_end_of_its_session(long_crash):
    """5 s after the drop, of which 3.1 s passed while the broker was down."""
    long_crash.expect_once("session ends", 0.9, 4.5)


def test_held_up_by_a_longer_one_it_is_owed_after_the_crash(held_up):
    """The broker puts the longest delays before the others, and publishes those no more."""
    assert held_up.held_up == {}
    held_up.expect_once("held up", 0, 1.5)
    held_up.expect_never("never")


@pytest.mark.parametrize("name", ["waiting", "connected"])
def test_at_a_clean_stop_it_comes_once(clean_stop, name):
    """Trap 17: the broker publishes delayed wills while it stops, and tells nobody."""
    clean_stop.expect_once(name, 0, 2)


def test_after_a_clean_disconnect_it_is_not_owed_after_a_stop_either(clean_stop):
    clean_stop.expect_never("disconnected")


def test_very_many_do_not_hold_the_broker_up(stage):
    """Going through all that wait for each that begins to would take the broker minutes."""
    broker = stage.new_broker().start()
    stage.client(broker, "0", version=5, will=Will("will/0", properties=[("will_delay", 3600)]))
    broker.kill()
    store, session, will = cli.Export(broker.store).lines
    lines = [store]
    for number in range(60000):
        session["will_delay_interval"] = 3600 + number * 7919 % 3600
        lines += [{**line, "client_id": str(number)} for line in (session, will)]
    cli.import_lines(broker, lines)
    broker.start()
    assert "60000 wills due" in broker.log()
    for number in range(100):
        stage.client(broker, str(number), version=5).disconnect()

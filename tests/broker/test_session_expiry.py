# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""When a session expires, counted over a crash or a stop.

Real seconds must pass here, so many sessions go through one end of a broker together: it is down
for 3 seconds, and runs for 3 more before the sessions come back. Each test looks at one of them.
"""
import random
import re
import time

import pytest

import cli
from conftest import staged
from helpers import numbers, offline_session, publish_numbers
from rawmqtt import payloads
from wire import NEVER

EXPIRED = "Expiring client {} due to timeout"


class Happening:
    """Sessions by name, and what became of them: `found[name]` is what each had waiting, or None
    if it was gone."""

    def __init__(self, stage, how):
        self.stage, self.sessions, self.found = stage, {}, {}
        self.broker = stage.new_broker().start()
        self.before()
        source = stage.publisher(self.broker)
        publish_numbers(source, 1, 3)
        source.disconnect()
        self.broker.end(how)
        time.sleep(3.1)
        self.broker.start()
        self.started = time.monotonic()
        self.look("connected")
        self.expired_after = self.wait_expired("connected, 3 s", 8)
        time.sleep(max(0, self.started + 3.1 - time.monotonic()))
        for name in self.sessions:
            if name not in self.found:
                self.look(name)

    def before(self):
        self.offline("connected", expiry=2).connect()
        self.offline("connected, 3 s", expiry=3).connect()
        time.sleep(4.1)  # what is stored of their first connection is over by now
        self.offline("over", expiry=1)
        self.offline("time left", expiry=60)
        self.offline("never", expiry=NEVER)
        self.offline("3.1.1", version=4)
        self.offline("3.1.1, connected", expiry=1).connect(version=4)
        self.offline("longer, connected", expiry=1).connect(expiry=3600)
        self.again("longer", 1, expiry=3600)
        self.again("shorter", 3600, expiry=1)
        self.again("never from now on", 1, expiry=NEVER)
        self.again("3.1.1 from now on", 1, version=4)
        self.again("by disconnect", 3600, leave=[("session_expiry", 1)])

    def offline(self, name, version=5, **settings):
        session = offline_session(self.broker, self.stage.client, name, version=version, **settings)
        self.sessions[name] = session
        return session

    def again(self, name, first_expiry, leave=(), **changed):
        """A session that comes once more, changed, and leaves again."""
        session = self.offline(name, expiry=first_expiry)
        session.connect(**changed)
        assert session.session_present
        session.disconnect(properties=leave)

    def look(self, name):
        session = self.sessions[name]
        session.connect()
        self.found[name] = payloads(session.drain()) if session.session_present else None
        session.disconnect()

    def wait_expired(self, name, limit_s):
        while time.monotonic() - self.started < limit_s:
            if EXPIRED.format(name) in self.broker.log():
                return time.monotonic() - self.started
            time.sleep(0.05)
        return None


@pytest.fixture(scope="module", params=["kill", "stop"])
def happening(request):
    for stage in staged(request):
        yield Happening(stage, request.param)


def expect_there(happening, name):
    assert happening.found[name] == numbers(1, 3)


def expect_gone(happening, name):
    assert happening.found[name] is None


def test_a_session_whose_time_is_over_while_the_broker_is_down_is_not_restored(happening):
    expect_gone(happening, "over")


def test_a_session_with_time_left_is_restored(happening):
    expect_there(happening, "time left")


@pytest.mark.parametrize("name", ["never", "3.1.1"])
def test_a_session_that_never_expires_is_restored(happening, name):
    expect_there(happening, name)


def test_a_session_connected_at_the_end_is_not_expired(happening):
    """Trap 5: what is stored of it is the end of its previous connection, long past."""
    expect_there(happening, "connected")


def test_a_session_connected_at_the_end_has_its_whole_interval_from_the_start(happening):
    assert happening.expired_after and 2 < happening.expired_after < 5.7


def test_a_longer_expiry_at_a_reconnect_counts(happening):
    expect_there(happening, "longer")


def test_a_shorter_expiry_at_a_reconnect_counts(happening):
    expect_gone(happening, "shorter")


def test_an_expiry_set_by_disconnect_counts(happening):
    expect_gone(happening, "by disconnect")


@pytest.mark.parametrize("name", ["never from now on", "3.1.1 from now on", "3.1.1, connected"])
def test_a_session_that_stopped_expiring_is_not_expired(happening, name):
    """Trap 6: nothing tells of it, because a session that never expires gets no CLIENT_UPDATE."""
    expect_there(happening, name)


def test_an_interval_changed_at_a_reconnect_is_not_known_before_the_connection_ends(happening):
    """A limit of Mosquitto 2.1.2: no event and no call tells a connected client's interval. So what
    counts after a crash is the one before. It shows when the broker mends it."""
    expect_gone(happening, "longer, connected")


def test_an_offline_session_keeps_its_time_over_restarts(broker, client, how):
    """It is not counted anew: with 4 s to go it is gone soon after, whatever restarts there are."""
    session = offline_session(broker, client, version=5, expiry=4)
    left_at = time.monotonic()
    for _ in range(3):
        time.sleep(0.9)
        broker.restart(how)
    broker.wait_log(EXPIRED.format("sub"), 8)
    passed = time.monotonic() - left_at
    assert 3 < passed < 6.5, f"expired after {passed:.1f} s"
    session.connect()
    assert not session.session_present


def test_what_an_expired_session_had_queued_goes_with_it(broker, client, publisher):
    session = offline_session(broker, client, version=5, expiry=1)
    publish_numbers(publisher(broker), 1, 3)
    broker.kill()
    time.sleep(2.1)
    broker.start()
    session.connect(expiry=3600)
    assert not session.session_present
    session.disconnect()
    broker.restart("kill")
    session.connect()
    assert session.session_present
    assert session.drain() == []


def test_the_brokers_own_limit_counts_over_a_restart(new_broker, client):
    """persistent_client_expiration, for sessions that would never expire."""
    broker = new_broker(conf=["persistent_client_expiration 1h"]).start()
    session = offline_session(broker, client)
    broker.restart("kill")
    session.connect()
    assert session.session_present
    assert not re.search("Expiring client", broker.whole_log())


def test_a_reload_leaves_restored_sessions_their_interval(broker, client, publisher, how):
    """The broker sends sessions away that have no listener yet, as all have that it restored. Of one
    that was offline already it says so, and not what its interval is."""
    session = offline_session(broker, client, version=5, expiry=3600)
    publish_numbers(publisher(broker), 1, 3)
    broker.restart(how)
    before = cli.Export(broker.store).one("session", client_id="sub")
    assert before["session_expiry_interval"] == 3600
    broker.hang_up()
    broker.wait_log("Reloading config")
    publisher(broker).settle()
    broker.restart(how)
    after = cli.Export(broker.store).one("session", client_id="sub")
    for name in ("session_expiry_interval", "session_expiry_time", "connected"):
        assert after[name] == before[name], name
    session.connect()
    assert payloads(session.drain()) == numbers(1, 3)


def test_very_many_are_there_soon(broker, client):
    """In the order of their client ids the broker would compare each with most of the others, and
    begin after many minutes."""
    offline_session(broker, client, version=5)
    broker.kill()
    store, session, *_ = cli.Export(broker.store).lines
    now, order = int(time.time()), random.Random(1)
    cli.import_lines(broker, [store] + [
        {**session, "client_id": str(number), "session_expiry_time": now + order.randrange(3600, 7200)}
        for number in range(100000)])
    broker.start()
    assert "restored 100000 sessions" in broker.log()
    for number in range(0, 100000, 9999):
        assert client(broker, str(number), version=5).session_present

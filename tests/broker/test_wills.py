# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Wills: who is owed one after a crash or a stop, and who is not. Never twice."""
import socket
import time

import pytest

from broker import poll
from helpers import offline_session, retained_on
from rawmqtt import Will, payloads
from wire import NEVER


@pytest.fixture
def watcher(client):
    """A session that waits for wills, offline."""
    return lambda broker, **settings: offline_session(broker, client, "watcher", "will/#", qos=2,
                                                      **settings)


def received(watcher):
    watcher.connect()
    assert watcher.session_present
    found = watcher.drain()
    watcher.disconnect()
    return found


def wait_for_wills(watcher, count, limit_s=10):
    """Polls until `count` wills have come, then looks once more for one too many."""
    watcher.connect()
    assert watcher.session_present
    found = []

    def enough():
        found.extend(watcher.drain())
        return len(found) >= count
    poll(enough, limit_s, f"{count} wills have not come")
    found.extend(watcher.drain())
    watcher.disconnect()
    return found


def expect_no_will(watcher, limit_s=0.5):
    """Nothing comes while the broker makes some passes of its loop."""
    watcher.connect()
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        assert watcher.drain() == [], "a will was published that was not owed"
        time.sleep(0.05)
    watcher.disconnect()


KINDS = {
    "3.1.1": {"version": 4},
    "3.1.1, clean": {"version": 4, "clean": True},
    "5": {"version": 5},
    "5, never expires": {"version": 5, "expiry": NEVER},
    "5, clean": {"version": 5, "clean": True},
}


@pytest.fixture(params=KINDS, ids=lambda name: name.replace(" ", ""))
def kind(request):
    return KINDS[request.param]


def test_the_will_of_a_client_connected_at_the_crash_is_published_once(broker, client, watcher,
                                                                        kind):
    """Trap 7: sessions that are not stored have wills too."""
    watch = watcher(broker)
    client(broker, "owner", will=Will("will/owner", b"gone", 1), **kind).ping()
    broker.restart("kill")
    assert payloads(wait_for_wills(watch, 1)) == ["gone"]
    for ending in ("kill", "stop", "kill"):
        broker.restart(ending)
        expect_no_will(watch)


def test_a_start_that_fails_behind_the_restore_keeps_the_wills(broker, client, kind):
    """They are published once the broker runs. (One with subscriptions dies of its own at such a
    failure, and leaves everything as it is.)"""
    client(broker, "owner", will=Will("will/owner", b"gone", 1, retain=True), **kind).ping()
    broker.kill()
    check_start_that_fails(broker, client)


def test_such_a_start_keeps_the_will_of_a_session_that_ended_meanwhile(broker, client):
    """The broker ends the session right behind the restore."""
    owner = client(broker, "owner", version=5, expiry=1,
                   will=Will("will/owner", b"gone", 1, True, [("will_delay", 3600)]))
    owner.drop()
    broker.kill()
    time.sleep(2.5)
    check_start_that_fails(broker, client)


def check_start_that_fails(broker, client):
    with socket.create_server(("127.0.0.1", broker.port)):
        assert "restored" in broker.start_fails()
    broker.start()
    assert retained_on(broker, client)["will/owner"].payload == b"gone"


def test_the_will_of_a_client_connected_at_a_clean_stop_is_published_once(broker, client, watcher,
                                                                          kind):
    """Trap 17: the broker publishes it while it stops, and tells nobody that it is gone."""
    watch = watcher(broker)
    client(broker, "owner", will=Will("will/owner", b"gone", 1), **kind).ping()
    broker.restart("stop")
    assert payloads(wait_for_wills(watch, 1)) == ["gone"]
    for ending in ("stop", "kill"):
        broker.restart(ending)
        expect_no_will(watch)


def test_after_a_clean_disconnect_no_will_is_published(broker, client, watcher, kind, how):
    """Trap 6: nothing says that the will of a session that never expires is gone."""
    watch = watcher(broker)
    client(broker, "owner", will=Will("will/owner"), **kind).disconnect()
    broker.restart(how)
    expect_no_will(watch)


def test_a_will_published_at_a_lost_connection_is_not_published_again(broker, client, watcher, kind,
                                                                      how):
    watch = watcher(broker)
    client(broker, "owner", will=Will("will/owner", b"gone"), **kind).drop()
    broker.restart(how)
    assert payloads(wait_for_wills(watch, 1)) == ["gone"]
    expect_no_will(watch)


def test_a_disconnect_with_will_publishes_it_once(broker, client, watcher, how):
    watch = watcher(broker)
    client(broker, "owner", version=5, will=Will("will/owner", b"gone")).disconnect(reason=4)
    broker.restart(how)
    assert payloads(wait_for_wills(watch, 1)) == ["gone"]
    expect_no_will(watch)


def test_a_published_will_waits_in_the_queue_over_a_second_crash(broker, client, watcher):
    """Published at the restart, and killed again before everyone had it."""
    first = watcher(broker)
    second = offline_session(broker, client, "second", "will/#", qos=2)
    client(broker, "owner", will=Will("will/owner", b"gone", 2)).ping()
    broker.restart("kill")
    assert payloads(wait_for_wills(first, 1)) == ["gone"]
    broker.restart("kill")
    assert payloads(wait_for_wills(second, 1)) == ["gone"]
    broker.restart("kill")
    expect_no_will(second)
    expect_no_will(first)


def test_wills_of_many_clients_come_each_once(broker, client, watcher):
    watch = watcher(broker)
    for each in range(30):
        client(broker, f"c{each}", clean=each % 2 == 0, will=Will(f"will/{each}", b"w")).ping()
    broker.restart("kill")
    topics = [message.topic for message in wait_for_wills(watch, 30)]
    assert sorted(topics) == sorted(f"will/{each}" for each in range(30))
    expect_no_will(watch)


def test_a_will_keeps_all_that_it_is(broker, client, watcher):
    watch = watcher(broker, version=5)
    properties = [("payload_format", 1), ("content_type", "text/plain"),
                  ("response_topic", "answer/here"), ("correlation_data", bytes(range(256))),
                  ("user_property", ("b", "1")), ("user_property", ("a", "2")),
                  ("user_property", ("b", "1"))]
    payload = "größer\n".encode()
    client(broker, "owner", version=5,
           will=Will("will/owner", payload, 2, properties=properties)).ping()
    broker.restart("kill")
    message, = wait_for_wills(watch, 1)
    assert (message.topic, message.payload, message.qos) == ("will/owner", payload, 2)
    assert message.properties == properties


def test_a_binary_will_and_an_empty_will(broker, client, watcher):
    watch = watcher(broker)
    client(broker, "binary", will=Will("will/binary", bytes(range(256)) * 4)).ping()
    client(broker, "empty", will=Will("will/empty", b"")).ping()
    client(broker, "largest", will=Will("will/largest", b"w" * 65535)).ping()
    broker.restart("kill")
    found = {message.topic: message.payload for message in wait_for_wills(watch, 3)}
    assert found == {"will/binary": bytes(range(256)) * 4, "will/empty": b"",
                     "will/largest": b"w" * 65535}


def test_a_retained_will_is_retained_after_the_crash(broker, client):
    client(broker, "owner", will=Will("will/owner", b"gone", 1, retain=True)).ping()
    broker.restart("kill")
    poll(lambda: "will/owner" in retained_on(broker, client), 10, "no retained will")
    broker.restart("kill")
    found = retained_on(broker, client)
    assert found["will/owner"].payload == b"gone"


def test_the_expiry_interval_of_a_will_is_not_kept(broker, client, watcher):
    """A limit of Mosquitto 2.1.2: it takes this one property out before it tells of the will. When
    the broker mends it, this test says so."""
    watch = watcher(broker, version=5)
    client(broker, "owner", version=5,
           will=Will("will/owner", b"gone", properties=[("message_expiry", 60)])).ping()
    broker.restart("kill")
    message, = wait_for_wills(watch, 1)
    assert message.payload == b"gone"
    assert message.one("message_expiry") is None


def test_a_new_will_at_a_reconnect_is_not_kept(broker, client, watcher):
    """Trap 18, a limit of Mosquitto 2.1.2: no event tells of this will. When the broker mends it,
    this test says so."""
    watch = watcher(broker)
    owner = client(broker, "owner", will=Will("will/owner", b"first"))
    owner.disconnect()
    owner.connect(will=Will("will/owner", b"second"))
    assert owner.session_present
    owner.ping()
    broker.restart("kill")
    expect_no_will(watch)


def test_an_old_will_is_not_owed_by_a_connection_without_one(broker, client, watcher):
    """Trap 19: taken over by a connection that has no will."""
    watch = watcher(broker)
    client(broker, "owner", will=Will("will/owner", b"first")).ping()
    second = client(broker, "owner", will=None)
    assert second.session_present
    second.ping()
    seen = payloads(received(watch))
    broker.restart("kill")
    if "first" not in seen:
        expect_no_will(watch)
    assert payloads(received(watch)) == []


def test_a_clean_client_that_came_back_owes_its_new_will(broker, client, watcher):
    """Sessions that are not stored get their WILL_ADD at each connection."""
    watch = watcher(broker)
    owner = client(broker, "owner", clean=True, will=Will("will/owner", b"first"))
    owner.disconnect()
    owner.connect(will=Will("will/owner", b"second"))
    owner.ping()
    broker.restart("kill")
    assert payloads(wait_for_wills(watch, 1)) == ["second"]

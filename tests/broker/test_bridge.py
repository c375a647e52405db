# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Bridges with cleansession false are persistent clients too (trap 14), on both of their ends."""
import re

import pytest

import cli
from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import Will, payloads


class Bridge:
    """`near` has the bridge in its configuration and connects to `far`."""

    def __init__(self, new_broker, near_persists=True, far_persists=True, topic="# both 2"):
        self.far = new_broker(persist=far_persists)
        self.near = new_broker(persist=near_persists, conf=[
            "connection far", f"address 127.0.0.1:{self.far.port}", f"topic {topic}",
            "cleansession false", "remote_clientid bridge-far", "local_clientid bridge-near",
            "restart_timeout 1 1", "notifications false"])

    def start(self):
        self.far.start()
        self.near.start()
        self.wait_connected()

    def wait_connected(self):
        """The near end has subscribed at the far end when it has got its SUBACK."""
        self.far.wait_log("New (bridge|client) connected from .* as bridge-far")


@pytest.fixture
def bridge(new_broker):
    made = Bridge(new_broker)
    made.start()
    return made


def wait_passing(source, sink, topic="warm/up"):
    """The bridge's subscriptions are in place when something has come through."""
    sink.subscribe(topic, qos=1)
    for _ in range(200):
        source.publish(topic, "x", 1)
        try:
            sink.next(timeout=0.1)
            break
        except TimeoutError:
            continue
    else:
        raise AssertionError("the bridge lets nothing through")
    sink.unsubscribe(topic)
    sink.disconnect()


def test_what_is_queued_for_the_far_end_survives_a_restart_of_the_near_one(bridge, client,
                                                                           publisher, how):
    session = offline_session(bridge.far, client, topic="out/#", qos=2)
    wait_passing(publisher(bridge.near), client(bridge.far, "probe", clean=True))
    bridge.far.stop()
    publish_numbers(publisher(bridge.near), 1, 20, qos=2, topic="out/1")
    bridge.near.restart(how)
    publish_numbers(publisher(bridge.near), 21, 30, qos=2, topic="out/1")
    bridge.near.restart(how)
    bridge.far.start()
    bridge.wait_connected()
    session.connect()
    assert session.session_present
    assert [message.payload.decode() for message in session.collect(30)] == numbers(1, 30)
    assert session.drain() == []


def test_what_is_queued_for_the_near_end_survives_a_restart_of_the_far_one(bridge, client,
                                                                           publisher, how):
    session = offline_session(bridge.near, client, topic="in/#", qos=2)
    wait_passing(publisher(bridge.far), client(bridge.near, "probe", clean=True))
    bridge.near.stop()
    publish_numbers(publisher(bridge.far), 1, 20, qos=2, topic="in/1")
    bridge.far.restart(how)
    publish_numbers(publisher(bridge.far), 21, 30, qos=2, topic="in/1")
    bridge.near.start()
    session.connect()
    assert session.session_present
    assert [message.payload.decode() for message in session.collect(30)] == numbers(1, 30)
    assert session.drain() == []


def test_a_bridge_goes_on_after_both_ends_were_killed(bridge, client, publisher):
    session = offline_session(bridge.far, client, topic="out/#", qos=2)
    wait_passing(publisher(bridge.near), client(bridge.far, "probe", clean=True))
    for life in range(3):
        publish_numbers(publisher(bridge.near), life * 5 + 1, life * 5 + 5, 2, "out/1")
        bridge.near.kill()
        bridge.far.kill()
        bridge.far.start()
        bridge.near.start()
        bridge.wait_connected()
    session.connect()
    assert session.session_present
    assert [message.payload.decode() for message in session.collect(15)] == numbers(1, 15)
    assert session.drain() == []


@pytest.mark.parametrize("settings", [{}, {"clean": True}, {"version": 5, "expiry": 1}],
                         ids=["session", "clean", "short session"])
def test_a_will_that_is_due_after_a_crash_goes_over_the_bridge(bridge, client, publisher, settings):
    """A bridge subscribes anew at each start, later than the plugin restores."""
    session = offline_session(bridge.far, client, topic="out/#", qos=2)
    wait_passing(publisher(bridge.near), client(bridge.far, "probe", clean=True))
    client(bridge.near, "owner", will=Will("out/will", b"gone", 2), **settings).ping()
    bridge.near.restart("kill")
    session.connect()
    assert session.collect(1)[0].payload == b"gone"
    bridge.near.restart("kill")
    wait_passing(publisher(bridge.near), client(bridge.far, "probe", clean=True))
    assert session.drain() == []


def test_a_bridge_that_is_taken_out_leaves_a_store_that_opens(bridge, client, publisher):
    session = offline_session(bridge.near, client)
    bridge.far.stop()
    publish_numbers(publisher(bridge.near), 1, 5)
    bridge.near.kill()
    bridge.near.conf = []
    bridge.near.start()
    expect_received(session, numbers(1, 5))
    assert not re.search("[Ee]rror", bridge.near.log())


def test_a_bridge_that_a_reload_makes_anew_begins_with_nothing(bridge, client, publisher, how):
    """The broker drops what is queued for a bridge that is down when its configuration is read again,
    and begins its queue anew, with the same numbers, without a word on either."""
    session = offline_session(bridge.far, client, topic="out/#", qos=2)
    wait_passing(publisher(bridge.near), client(bridge.far, "probe", clean=True))
    bridge.far.stop()
    publish_numbers(publisher(bridge.near), 1, 20, qos=2, topic="out/1")
    bridge.near.hang_up()
    # It subscribes when it tries to connect.
    bridge.near.wait_log("(?s)Reloading config.*Connecting bridge far")
    publish_numbers(publisher(bridge.near), 21, 25, qos=2, topic="out/1")
    for _ in range(2):
        bridge.near.restart(how)
    assert "queue entries were forgotten" not in bridge.near.log()
    assert len(cli.Export(bridge.near.store).of("queued")) == 5
    bridge.far.start()
    session.connect()
    assert session.session_present
    assert payloads(session.collect(5)) == numbers(21, 25)


def test_a_queue_whose_messages_the_broker_let_go_of_is_forgotten(bridge, client, publisher, how):
    """A bridge that no longer keeps its session drops the queue, and tells of the messages only."""
    wait_passing(publisher(bridge.near), client(bridge.far, "probe", clean=True))
    bridge.far.stop()
    publish_numbers(publisher(bridge.near), 1, 20, qos=2, topic="out/1")
    bridge.near.conf[bridge.near.conf.index("cleansession false")] = "cleansession true"
    bridge.near.restart(how)
    publisher(bridge.near).ping()
    bridge.near.restart(how)
    assert "20 queue entries were forgotten" in bridge.near.log()
    bridge.near.restart(how)
    assert "queue entries were forgotten" not in bridge.near.log()

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A clock that stands where it stood in the life before, as that of a device without a battery may:
the broker, which numbers messages by it, must not take new ones for stored ones."""
import pytest

from broker import environment_folder
from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import payloads

CLOCK = "tests/libstopped_clock.so"


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", str(environment_folder("BUILD_DIR", CLOCK) / CLOCK))


def test_messages_of_several_lives_are_told_apart(broker, client, publisher, how):
    session = offline_session(broker, client)
    for life in range(4):
        publish_numbers(publisher(broker), life * 50 + 1, life * 50 + 50)
        broker.restart(how)
    expect_received(session, numbers(1, 200))


def test_messages_that_wait_for_room_are_not_replaced(new_broker, client, publisher):
    """The broker does not know of them, and so would give their numbers away without a word."""
    broker = new_broker(conf=["max_queued_messages 0"]).start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 200)
    broker.kill()
    broker.conf = ["max_queued_messages 10"]
    broker.start()
    other = offline_session(broker, client, "other", topic="other/#")
    publish_numbers(publisher(broker), 1001, 1010, topic="other/1")
    broker.restart("kill")
    expect_received(other, numbers(1001, 1010))
    session.connect()
    assert session.session_present
    assert payloads(session.collect(200)) == numbers(1, 200)

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What nobody is owed any more leaves the store, while the broker runs: a store that only grew would
fill its disk. A restart would hide it, for the broker then lets go of what nobody names."""
import pytest

import cli
from broker import poll
from helpers import offline_session, publish_numbers
from rawmqtt import payloads
from wire import PUBREC

EMPTY = {"messages": 0, "queued": 0, "content_bytes": 0, "stored_bytes": 0}


@pytest.fixture
def broker(new_broker):
    return new_broker(options={"commit_interval_ms": "20ms"}).start()


def wait_stored(broker, **expected):
    """Until the tables hold so much."""
    poll(lambda: {name: cli.status(broker.store)[name] for name in expected} == expected, 20,
         f"the tables do not come to {expected}", lambda: cli.run(broker.store, "status"))


@pytest.mark.parametrize("qos", [1, 2])
def test_messages_that_every_session_has_had(broker, client, publisher, qos):
    sessions = [offline_session(broker, client, name, qos=qos) for name in ("one", "two")]
    publish_numbers(publisher(broker), 1, 30, qos=qos)
    wait_stored(broker, messages=30, queued=60)
    assert len(sessions[0].connect().drain()) == 30
    wait_stored(broker, messages=30, queued=30)
    assert len(sessions[1].connect().drain()) == 30
    wait_stored(broker, **EMPTY)


def test_messages_sent_to_connected_sessions(broker, client, publisher):
    session = client(broker, "online")
    session.subscribe("t/#", qos=2)
    publish_numbers(publisher(broker), 1, 30, qos=2)
    assert payloads(session.drain())[-1] == "30"
    wait_stored(broker, **EMPTY)
    assert cli.status(broker.store)["anomalies"] == 0


def test_messages_of_a_session_that_is_given_up(broker, client, publisher):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 30)
    wait_stored(broker, messages=30, queued=30, subscriptions=1)
    session.connect(clean=True).disconnect()
    wait_stored(broker, **EMPTY, sessions=0, subscriptions=0)


def test_retained_messages_that_are_replaced_or_cleared(broker, publisher):
    source, seen = publisher(broker), set()

    def is_replaced():
        found = {line["store_id"] for line in cli.Export(broker.store).of("retained")} - seen
        seen.update(found)
        return found

    for number in range(1, 6):
        source.publish("r/1", "x" * number, retain=True)
        poll(is_replaced, 20, "it is not replaced")
        wait_stored(broker, messages=1, retained=1)
    source.publish("r/1", "", retain=True)
    wait_stored(broker, **EMPTY, retained=0)


def test_a_qos_2_message_that_is_never_released(broker, client):
    source = client(broker, "source")
    source.send_publish("t/1", "half", 2, mid=7)
    source.wait(PUBREC, 7)
    wait_stored(broker, messages=1, queued=1)
    source.close()
    client(broker, "source", clean=True).disconnect()
    wait_stored(broker, **EMPTY, sessions=0)

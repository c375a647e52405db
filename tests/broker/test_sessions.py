# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Sessions: what begins one, what ends one, and who owns it after a restart."""
import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import Client, ConnectionLost, payloads
from wire import PUBLISH


@pytest.mark.parametrize("version", [4, 5])
def test_an_idle_session_is_there_after_a_restart(broker, client, how, version):
    session = client(broker, "idle", version=version)
    session.ping()
    broker.restart(how)
    session.connect()
    assert session.session_present


@pytest.mark.parametrize("version", [4, 5])
def test_a_clean_session_is_not(broker, client, publisher, how, version):
    session = client(broker, "clean", clean=True, version=version)
    session.subscribe("t/#")
    publish_numbers(publisher(broker), 1, 3)
    broker.restart(how)
    session.connect(clean=False)
    assert not session.session_present
    publish_numbers(publisher(broker), 4, 5)
    assert session.drain() == [], "the subscription of a clean session was restored"


@pytest.mark.parametrize("version", [4, 5])
def test_a_clean_start_discards_the_old_session(broker, client, publisher, how, version):
    """Trap 4: no CLIENT_MSG_DELETE comes for what the old session had."""
    session = offline_session(broker, client, version=version, qos=2)
    publish_numbers(publisher(broker), 1, 5, qos=2)
    fresh = client(broker, "sub", clean=True, version=version)
    fresh.disconnect()
    broker.restart(how)
    session.connect()
    assert not session.session_present
    publish_numbers(publisher(broker), 6, 7)
    assert session.drain() == []


def test_a_clean_start_with_an_expiry_is_a_new_session(broker, client, publisher, how):
    offline_session(broker, client, topic="old/#", version=5)
    publish_numbers(publisher(broker), 1, 5, topic="old/1")
    session = client(broker, "sub", clean=True, version=5, expiry=3600)
    session.subscribe("new/#")
    session.disconnect()
    source = publisher(broker)
    publish_numbers(source, 6, 7, topic="old/1")
    publish_numbers(source, 8, 9, topic="new/1")
    broker.restart(how)
    session.clean = False
    expect_received(session, numbers(8, 9))


def test_a_session_that_ends_with_its_connection_leaves_nothing(broker, client, publisher, how):
    """A session with an expiry interval that DISCONNECT sets to 0."""
    session = client(broker, "sub", version=5)
    session.subscribe("t/#")
    source = publisher(broker)
    publish_numbers(source, 1, 3)
    session.disconnect(properties=[("session_expiry", 0)])
    source.ping()  # the broker closes the connection first, and then ends the session
    broker.restart(how)
    session.connect()
    assert not session.session_present
    assert session.drain() == []


def test_an_ended_session_leaves_its_messages_to_the_others(broker, client, publisher):
    """Trap 4: what is removed with a session is its own, not what others still wait for."""
    other = offline_session(broker, client, "other")
    offline_session(broker, client, "ends")
    publish_numbers(publisher(broker), 1, 5)
    client(broker, "ends", clean=True).disconnect()
    broker.restart("kill")
    expect_received(other, numbers(1, 5))


def test_a_session_may_be_made_again_under_its_old_name(broker, client, publisher):
    for life in range(3):
        session = offline_session(broker, client)
        publish_numbers(publisher(broker), life * 3 + 1, life * 3 + 3)
        if life < 2:
            client(broker, "sub", clean=True).disconnect()
    broker.restart("kill")
    expect_received(session, numbers(7, 9))


def test_a_second_connection_takes_the_session_over(broker, client, publisher, how):
    """Trap 19: the old connection's end and the new one's begin carry one client id."""
    first = client(broker, "sub")
    first.subscribe("t/#")
    source = publisher(broker)
    publish_numbers(source, 1, 5)
    second = client(broker, "sub")
    assert second.session_present
    assert first.stream is not None
    first.wait_closed()
    publish_numbers(source, 6, 8)
    second.ping()
    broker.restart(how)
    expect_received(second, numbers(1, 8))


def test_a_session_taken_over_by_a_clean_start_is_gone(broker, client, publisher, how):
    first = client(broker, "sub")
    first.subscribe("t/#")
    publish_numbers(publisher(broker), 1, 5)
    second = client(broker, "sub", clean=True)
    second.ping()
    broker.restart(how)
    second.connect(clean=False)
    assert not second.session_present
    assert second.drain() == []


def test_a_clean_connection_taken_over_by_a_lasting_one_lasts(broker, client, publisher, how):
    client(broker, "sub", clean=True).subscribe("old/#")
    session = client(broker, "sub")
    session.subscribe("t/#")
    session.ping()
    source = publisher(broker)
    publish_numbers(source, 1, 3)
    publish_numbers(source, 4, 5, topic="old/1")
    broker.restart(how)
    expect_received(session, numbers(1, 3))


def test_taken_over_many_times_the_session_is_still_one(broker, client, publisher):
    session = client(broker, "sub", version=5)
    session.subscribe("t/#", qos=2)
    source = publisher(broker)
    for number in range(1, 11):
        session = client(broker, "sub", version=5)
        source.publish("t/1", str(number), qos=1)
    broker.restart("kill")
    expect_received(session, numbers(1, 10))


def test_300_sessions_each_keep_their_own(new_broker, client, publisher, how):
    broker = new_broker().start()
    count = 300
    for each in range(count):
        session = Client(broker.port, f"c{each}", version=4 + each % 2)
        session.subscribe(f"own/{each}", "all", qos=1)
        if each % 3 == 0:
            session.unsubscribe("all")
        session.disconnect()
    source = publisher(broker)
    for each in range(count):
        source.publish(f"own/{each}", f"own-{each}")
    source.publish("all", "all")
    broker.restart(how)
    for each in range(count):
        session = Client(broker.port, f"c{each}", version=4 + each % 2)
        assert session.session_present, each
        expected = [f"own-{each}"] + (["all"] if each % 3 else [])
        assert payloads(session.drain()) == expected
        session.disconnect()


def test_300_connected_sessions_survive_a_kill(broker, client, publisher):
    sessions = []
    for each in range(300):
        session = client(broker, f"c{each}")
        session.subscribe("all")
        sessions.append(session)
    publisher(broker).publish("all", "one for each")
    broker.restart("kill")
    for session in sessions:
        expect_received(session, ["one for each"])


def test_unsubscribing_lasts(broker, client, publisher, how):
    session = client(broker, "sub")
    session.subscribe("t/#", "u/#")
    session.unsubscribe("t/#")
    session.disconnect()
    broker.restart(how)
    source = publisher(broker)
    source.publish("t/1", "no")
    source.publish("u/1", "yes")
    expect_received(session, ["yes"])


def test_subscribing_again_after_unsubscribing_lasts(broker, client, publisher, how):
    session = client(broker, "sub")
    for _ in range(3):
        session.subscribe("t/#")
        session.unsubscribe("t/#")
    session.subscribe("t/#", qos=2)
    session.drop()
    broker.restart(how)
    publisher(broker).publish("t/1", "yes", qos=2)
    session.connect()
    message = session.next(PUBLISH)
    assert (message.payload, message.qos) == (b"yes", 2)


def test_an_mqtt_5_session_without_an_expiry_interval_ends_with_its_connection(broker, client, how):
    session = client(broker, "sub", version=5, expiry=0)
    session.subscribe("t/#")
    broker.restart(how)
    session.connect()
    assert not session.session_present


def test_a_connection_cut_without_a_word_is_noticed(broker, client):
    """The raw client itself: a killed broker is seen as a lost connection."""
    session = client(broker, "sub")
    broker.kill()
    with pytest.raises(ConnectionLost):
        session.ping()

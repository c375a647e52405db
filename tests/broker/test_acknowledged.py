# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Each acknowledgement the broker can send, and kill -9 at the moment it has been read: what it
promises must be there. One test for each row of the order of events and acknowledgements."""
import pytest

from helpers import expect_received, offline_session, retained_payloads
from rawmqtt import payloads
from wire import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL

TIMES = 4


@pytest.fixture(params=["always", "interval", "os"])
def broker(new_broker, request):
    """A killed broker loses nothing in any mode: they differ in what a power cut may take."""
    return new_broker(options={"sync": request.param}).start()


def test_suback_promises_the_subscription(broker, client, publisher):
    session = client(broker, "sub")
    session.ping()
    for number in range(TIMES):
        session.subscribe(f"t/{number}")
        broker.restart("kill")
        publisher(broker).publish(f"t/{number}", str(number))
        session.connect()
        assert session.session_present
        assert payloads(session.drain()) == [str(number)]


def test_unsuback_promises_its_end(broker, client, publisher):
    session = client(broker, "sub")
    for number in range(TIMES):
        session.subscribe(f"t/{number}")
        session.unsubscribe(f"t/{number}")
        broker.restart("kill")
        publisher(broker).publish(f"t/{number}", str(number))
        session.connect()
        assert session.drain() == []


def test_puback_promises_the_message_to_every_session(broker, client, publisher):
    sessions = [offline_session(broker, client, f"sub{each}") for each in range(5)]
    for number in range(TIMES):
        publisher(broker).publish("t/1", str(number), 1)
        broker.restart("kill")
    for session in sessions:
        expect_received(session, [str(number) for number in range(TIMES)])


def test_puback_promises_the_retained_message(broker, client, publisher):
    for number in range(TIMES):
        publisher(broker).publish("r/1", str(number), 1, retain=True)
        broker.restart("kill")
        assert retained_payloads(broker, client) == {"r/1": str(number).encode()}


def test_puback_promises_that_the_retained_message_is_gone(broker, client, publisher):
    for _ in range(TIMES):
        publisher(broker).publish("r/1", "x", 1, retain=True)
        publisher(broker).publish("r/1", "", 1, retain=True)
        broker.restart("kill")
        assert retained_payloads(broker, client) == {}


def test_pubrec_promises_that_the_message_is_the_brokers(broker, client):
    """A publisher may forget it then."""
    session = offline_session(broker, client, qos=2)
    source = client(broker, "source")
    source.ping()
    for number in range(TIMES):
        mid = source.send_publish("t/1", str(number), 2)
        source.wait(PUBREC, mid)
        broker.restart("kill")
        source.connect()
        assert source.session_present
        source.release(mid)
    expect_received(session, [str(number) for number in range(TIMES)])


def test_pubcomp_promises_the_message_to_every_session_and_frees_the_id(broker, client):
    sessions = [offline_session(broker, client, f"sub{each}", qos=2) for each in range(5)]
    source = client(broker, "source")
    source.ping()
    for number in range(TIMES):
        source.send_publish("t/1", str(number), 2, mid=7)
        source.wait(PUBREC, 7)
        source.release(7)
        broker.restart("kill")
        source.connect()
        source.release(7)
    for session in sessions:
        expect_received(session, [str(number) for number in range(TIMES)])


def test_pubrel_promises_that_it_is_not_published_again(broker, client, publisher):
    session = offline_session(broker, client, qos=2)
    for number in range(TIMES):
        publisher(broker).publish("t/1", str(number), 2)
        session.connect()
        message = session.next(PUBLISH)
        assert message.payload.decode() == str(number)
        session.ack(PUBREC, message.mid)
        session.wait(PUBREL, message.mid)
        broker.restart("kill")
        session.connect()
        assert session.drain() == []


def test_an_answered_pubcomp_ends_a_qos_2_message(broker, client, publisher):
    """The id is free for another message: PINGRESP says that PUBCOMP was read."""
    session = offline_session(broker, client, qos=2)
    for number in range(TIMES):
        publisher(broker).publish("t/1", str(number), 2)
        session.connect()
        message = session.next(PUBLISH)
        session.ack(PUBREC, message.mid)
        session.wait(PUBREL, message.mid)
        session.ack(PUBCOMP, message.mid)
        session.ping()
        broker.restart("kill")
        session.connect()
        assert session.peek() == []
        session.disconnect()


def test_an_answered_puback_may_come_back_but_nothing_else(broker, client, publisher):
    """Losing this delete would cost a legal redelivery; here it is not lost."""
    session = offline_session(broker, client)
    for number in range(TIMES):
        publisher(broker).publish("t/1", f"{number} first")
        publisher(broker).publish("t/1", f"{number} second")
        session.connect()
        first, second = session.next(PUBLISH), session.next(PUBLISH)
        session.ack(PUBACK, first.mid)
        session.ping()
        broker.restart("kill")
        session.connect()
        assert payloads(session.drain())[-1] == second.payload.decode()
        session.disconnect()

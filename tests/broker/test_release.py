# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A release of a QoS 2 message that was cut short between two copies (test_qos2_fan_out.py hits such
moments by chance). The store is made as it is then: the publisher's packet id still stands in it,
and some of the copies do not."""
import pytest

import cli
from helpers import expect_received, numbers, offline_session, publish_numbers
from wire import PUBREC



class Cut:
    """Sessions that subscribe, and a broker that was killed while it released a message to them."""

    def __init__(self, broker, client, sessions, before=lambda cut: None):
        self.broker, self.sessions = broker, {}
        for name, topics in sessions.items():
            session = client(broker, name, version=5)
            for topic in topics:
                session.subscribe(topic, qos=2)
            session.disconnect()
            self.sessions[name] = session
        before(self)
        self.source = client(broker, "source")
        self.mid = self.source.send_publish("t/1", "once", 2)
        self.source.wait(PUBREC, self.mid)
        broker.kill()
        self.incoming = cli.Export(broker.store).one("queued", direction="in")
        broker.start()
        self.source.connect()
        self.source.release(self.mid)
        broker.kill()

    def at(self, had, moved):
        """Those in `had` have so many copies: the first ones that they were given. A client's copies
        can be `moved` to another one before."""
        lines, left = [], dict(had)
        for line in cli.Export(self.broker.store).lines:
            if line["type"] == "queued":
                line["client_id"] = moved.get(line["client_id"], line["client_id"])
                left[line["client_id"]] = left.get(line["client_id"], 0) - 1
                if left[line["client_id"]] < 0:
                    continue
            lines.append(line)
        at = [line["type"] for line in lines].index("queued")
        lines.insert(at, self.incoming)
        cli.import_lines(self.broker, lines)
        self.broker.start()
        self.source.connect()
        assert self.source.session_present
        self.source.release(self.mid)

    def copies(self):
        found = {}
        for name, session in self.sessions.items():
            session.connect()
            assert session.session_present
            waiting = session.peek()
            assert len({packet.mid for packet in waiting}) == len(waiting), "a packet id is used twice"
            found[name] = len(waiting)
        return found


# Who subscribes to what; who had got how many copies; how many each has in the end.
SHARED = ["$share/g/t/1", "$share/h/t/+"]
CUTS = {
    "nothing of three": ({"a": ["t/#", *SHARED], "b": ["t/1"]}, {"b": 1}, {"a": 3, "b": 1}),
    "two groups": ({"a": SHARED, "b": ["t/1"]}, {"b": 1}, {"a": 2, "b": 1}),
    "a filter before the groups": ({"a": ["#", SHARED[0]], "b": ["t/1"]}, {"b": 1},
                                   {"a": 2, "b": 1}),
    "the plain one": ({"a": ["t/#", SHARED[0]]}, {"a": 1}, {"a": 2}),
    "all": ({"a": ["t/#", *SHARED]}, {"a": 3}, {"a": 3}),
    "another member's plain one": ({"a": [SHARED[0]], "b": ["t/1", SHARED[0]]}, {"b": 1},
                                   {"a": 1, "b": 1}),
    "overlapping ones": ({"a": ["t/#", "t/1"], "b": ["t/1"]}, {"b": 1}, {"a": 1, "b": 1}),
}


@pytest.mark.parametrize("sessions, had, expected", CUTS.values(), ids=CUTS.keys())
def test_each_copy_that_is_owed_comes_once(broker, client, sessions, had, expected):
    check(broker, Cut(broker, client, sessions), had, {}, expected)


def test_a_group_of_which_another_member_has_it_is_done(broker, client):
    cut = Cut(broker, client, {"a": [SHARED[0]], "b": [SHARED[0]], "c": ["t/1"]})
    check(broker, cut, {"b": 1, "c": 1}, {"a": "b"}, {"a": 0, "b": 1, "c": 1})


def test_a_release_of_what_came_in_flight_by_a_reconnect_is_finished_too(broker, client):
    """The broker then gives an incoming message a state that is one of outgoing ones."""
    cut = Cut(broker, client, {"a": ["t/#"], "b": ["t/1"]})
    cut.incoming["state"] = "publish_qos2"
    check(broker, cut, {"b": 1}, {}, {"a": 1, "b": 1})


def check(broker, cut, had, moved, expected):
    cut.at(had, moved)
    assert cut.copies() == expected
    broker.restart("kill")
    assert cut.copies() == expected


@pytest.mark.parametrize("restarts", [0, 2])
def test_a_reader_with_room_when_it_was_connected_gets_it(new_broker, client, publisher, restarts):
    """Connected, it may have more waiting for it than a queue holds at the restart."""
    broker = new_broker(conf=["max_queued_messages 5"]).start()

    def read_slowly(cut):
        cut.sessions["a"].connect()
        publish_numbers(publisher(broker), 1, 40, topic="t/2")

    cut = Cut(broker, client, {"a": ["t/#"], "b": ["t/1"]}, read_slowly)
    cut.at({"a": 40, "b": 1}, {})
    for _ in range(restarts):
        broker.restart("kill")
    expect_received(cut.sessions["a"], numbers(1, 40) + ["once"])
    expect_received(cut.sessions["b"], ["once"])

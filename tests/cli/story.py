# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What a broker is made to hold, so that its file can be imported: sessions of both protocol
versions, queues with messages in every state, properties, retained messages. A story is played to
any broker and tells what an import must find.

Times are so long that a file of today is still good in many years.
"""

import base64
import time

import end_to_end  # noqa: F401, first of these
import broker as brokers
import wire
from rawmqtt import NO_LOCAL, RETAIN_AS_PUBLISHED, Client
from wire import NEVER

# What the story wants of the broker it is played to.
CONF = ["allow_duplicate_messages true", "queue_qos0_messages true"]

YEARS = 3_000_000_000  # seconds
LONG_TOPIC = "long/" + "x" * 700
NAME = "näme €/ 𝄞"
PROPERTIES = [
    ("payload_format", 1),
    ("content_type", "text/plain; charset=UTF-8"),
    ("response_topic", "answers/here"),
    ("correlation_data", b"\x00\x01\xff'\"\\"),
    ("user_property", ("key", "värde")),
    ("user_property", ("key", "twice")),
]
EMPTY_PROPERTIES = [("content_type", ""), ("user_property", ("", ""))]

# The same as the lines of export have them.
EXPORTED_PROPERTIES = [
    {"identifier": "payload-format-indicator", "value": 1},
    {"identifier": "content-type", "value": "text/plain; charset=UTF-8"},
    {"identifier": "response-topic", "value": "answers/here"},
    {"identifier": "correlation-data", "value": "AAH/JyJc"},
    {"identifier": "user-property", "name": "key", "value": "värde"},
    {"identifier": "user-property", "name": "key", "value": "twice"},
]
EXPORTED_EMPTY = [
    {"identifier": "content-type", "value": ""},
    {"identifier": "user-property", "name": "", "value": ""},
]


def queued(direction, topic, payload, qos, state, mid=None, identifier=0, properties=(),
           expires=False, source="publisher", retain=False, source_mid=None):  # fmt: skip
    return {"direction": direction, "topic": topic, "payload": payload, "qos": qos, "state": state,
            "mid": mid, "identifier": identifier, "properties": list(properties),
            "expires": expires, "source": source, "retain": retain,
            "source_mid": source_mid}  # fmt: skip


def play(port):
    """Plays it to the broker on `port`. Returns what must be in its file, fit for JSON."""
    facts = {"sessions": {}, "subscriptions": [], "queues": {}, "retained": []}

    def session(client_id, filters, *, version=5, expiry=YEARS, username=None, **more):
        client = Client(port, client_id, version=version, expiry=expiry, username=username, **more)
        for topic_filter, qos, options, identifier in filters:
            client.subscribe(topic_filter, qos=qos, options=options, identifier=identifier or None)
            facts["subscriptions"].append([client_id, topic_filter, qos | options, identifier])
        facts["sessions"][client_id] = {
            "username": username,
            "interval": NEVER if version < 5 else expiry,
            "expires": version == 5 and expiry != NEVER,
        }
        facts["queues"][client_id] = []
        return client

    away = session("away", [("home/#", 2, 0, 0), ("home/+/door", 1, 0, 0)], version=4,
                   username="alice")  # fmt: skip
    away.disconnect()
    five = session("five", [("jobs/+", 1, NO_LOCAL | RETAIN_AS_PUBLISHED, 7),
                            ("jobs/#", 2, 0, 268435455)], username=NAME)  # fmt: skip
    five.disconnect()
    never = session(f"never {NAME}", [(LONG_TOPIC, 1, 0, 0), ("007", 1, 0, 0)], expiry=NEVER)
    never.drop()
    slow = session("slow", [("slow/#", 2, 0, 0)], receive_maximum=4)
    sender = session("sender", [], version=4)

    source = Client(port, "publisher", version=5, clean=True, username="carol")

    def publish(topic, payload, qos, **more):
        source.publish(topic, payload, qos=qos, **more)
        return source.last_mid

    # Overlapping subscriptions: one message twice, each with its own QoS.
    mid = publish("home/a/door", "open", 2)
    home = facts["queues"]["away"]
    home += [
        queued("out", "home/a/door", "open", 1, "queued", source_mid=mid),
        queued("out", "home/a/door", "open", 2, "queued", source_mid=mid),
    ]
    mid = publish("home/b", "", 1)
    home.append(queued("out", "home/b", "", 1, "queued", source_mid=mid))
    publish("home/c", "zero", 0)
    home.append(queued("out", "home/c", "zero", 0, "queued"))
    mid = publish("home/d", "last", 2)
    home.append(queued("out", "home/d", "last", 2, "queued", source_mid=mid))

    more = {"properties": EXPORTED_PROPERTIES, "expires": True}
    mid = publish("jobs/1", "with all", 1, retain=True,
                  properties=[*PROPERTIES, ("message_expiry", YEARS)])  # fmt: skip
    facts["queues"]["five"] += [
        queued("out", "jobs/1", "with all", 1, "queued", source_mid=mid, identifier=7, retain=True,
               **more),
        queued("out", "jobs/1", "with all", 1, "queued", source_mid=mid, identifier=268435455,
               **more),
    ]  # fmt: skip
    facts["retained"].append(["jobs/1", "with all", 1])
    mid = publish("jobs/deep/2", "with empty ones", 1, properties=EMPTY_PROPERTIES)
    facts["queues"]["five"].append(
        queued("out", "jobs/deep/2", "with empty ones", 1, "queued", source_mid=mid,
               identifier=268435455, properties=EXPORTED_EMPTY))  # fmt: skip

    mid = publish(LONG_TOPIC, "far", 1)
    facts["queues"][never.client_id].append(
        queued("out", LONG_TOPIC, "far", 1, "queued", source_mid=mid))  # fmt: skip
    mid = publish("007", "bond", 1, retain=True)
    facts["queues"][never.client_id].append(
        queued("out", "007", "bond", 1, "queued", source_mid=mid))  # fmt: skip
    facts["retained"].append(["007", "bond", 1])
    publish("state/zero", "retained at QoS 0", 0, retain=True)
    facts["retained"].append(["state/zero", "retained at QoS 0", 0])

    # Four are in flight: they wait for a PUBACK, a PUBCOMP, a PUBREC and a PUBACK. Two are queued
    # behind them.
    sent = [("slow/1", 1), ("slow/2", 2), ("slow/3", 2), ("slow/4", 1), ("slow/5", 1),
            ("slow/6", 2)]  # fmt: skip
    source_mids = [publish(topic, f"message {topic}", qos) for topic, qos in sent]
    slow_mids = [slow.next(wire.PUBLISH).mid for _ in range(4)]
    slow.ack(wire.PUBREC, slow_mids[1])
    slow.wait(wire.PUBREL, slow_mids[1])
    states = ["wait_for_puback", "wait_for_pubcomp", "wait_for_pubrec", "wait_for_puback", "queued",
              "queued"]  # fmt: skip
    for (topic, qos), state, mid, source_mid in zip(
        sent, states, [*slow_mids, None, None], source_mids
    ):
        facts["queues"]["slow"].append(
            queued("out", topic, f"message {topic}", qos, state, mid, source_mid=source_mid)
        )

    # Two on their way in, not released.
    for number in (1, 2):
        mid = sender.send_publish(f"in/{number}", f"arriving {number}", qos=2)
        sender.wait(wire.PUBREC, mid)
        facts["queues"]["sender"].append(
            queued("in", f"in/{number}", f"arriving {number}", 2, "wait_for_pubrel", mid,
                   source="sender", source_mid=mid))  # fmt: skip

    slow.drop()
    sender.drop()
    source.disconnect()
    return facts


# ---- what an import must have made of it ---------------------------------------------------------


def as_persist_sqlite_has_it(facts):
    """A topic that looks like a number has become one, and a message with a property that is empty
    has lost all of them."""
    for queue in facts["queues"].values():
        for entry in queue:
            entry["topic"] = entry["topic"].replace("007", "7")
            if entry["properties"] == EXPORTED_EMPTY:
                entry["properties"] = []
    facts["retained"] = [[topic.replace("007", "7"), *rest] for topic, *rest in facts["retained"]]
    return facts


def check_sessions(lines, facts, port):
    sessions = {line["client_id"]: line for line in lines if line["type"] == "session"}
    assert set(sessions) == set(facts["sessions"])
    for client_id, fact in facts["sessions"].items():
        session = sessions[client_id]
        assert session["username"] == fact["username"], client_id
        assert session["session_expiry_interval"] == fact["interval"]
        expiry_time = session["session_expiry_time"]
        assert expiry_time > time.time() + YEARS / 2 if fact["expires"] else expiry_time == 0
        assert session["listener_port"] == port and not session["connected"]
        assert session["max_qos"] == 2 and session["retain_available"]
    subscriptions = [
        [line["client_id"], line["topic_filter"], line["options"], line["identifier"]]
        for line in lines if line["type"] == "subscription"
    ]  # fmt: skip
    assert sorted(subscriptions) == sorted(facts["subscriptions"])


def check_message(message, fact, port):
    assert message["topic"] == fact["topic"]
    assert base64.b64decode(message["payload"]) == fact["payload"].encode()
    assert message["properties"] == fact["properties"]
    assert bool(message["expiry_time"]) == fact["expires"]
    assert not fact["expires"] or message["expiry_time"] > time.time() + YEARS / 2
    assert message["source_id"] == fact["source"] and message["source_port"] == port
    assert message["source_username"] == ("carol" if fact["source"] == "publisher" else None)
    if fact["source_mid"]:
        assert message["source_mid"] == fact["source_mid"]


def check_queues(lines, facts, port):
    messages = {line["store_id"]: line for line in lines if line["type"] == "message"}
    for client_id, queue in facts["queues"].items():
        found = [line for line in lines if line["type"] == "queued"
                 and line["client_id"] == client_id]  # fmt: skip
        assert len(found) == len(queue), client_id
        for entry, fact in zip(found, queue):
            check_message(messages[entry["store_id"]], fact, port)
            assert entry["direction"] == fact["direction"] and entry["qos"] == fact["qos"]
            assert entry["state"] == fact["state"] and entry["retain"] == fact["retain"]
            assert entry["subscription_identifier"] == fact["identifier"]
            assert fact["mid"] in (None, entry["mid"])
            # The broker marks as a duplicate what it has sent, when the connection ends.
            assert entry["dup"] == (fact["direction"] == "out" and fact["state"] != "queued")
        places = [int(entry["cmsg_id"]) for entry in found]
        assert places == [(1 << 40) + n for n in range(1, len(found) + 1)]


def check(lines, facts, port):
    """Holds the lines of an export against the facts. `port` is the one it was played to."""
    check_sessions(lines, facts, port)
    check_queues(lines, facts, port)
    messages = {line["store_id"]: line for line in lines if line["type"] == "message"}
    retained = []
    for line in lines:
        if line["type"] == "retained":
            message = messages[line["store_id"]]
            assert message["topic"] == line["topic"] and message["retain"]
            payload = base64.b64decode(message["payload"]).decode()
            retained.append([line["topic"], payload, message["qos"]])
    assert sorted(retained) == sorted(facts["retained"])


# ---- and what the clients then get ---------------------------------------------------------------


def start_on(folder, store):
    """A broker with the plugin on that store."""
    return brokers.Broker(folder, store=store, conf=CONF).start()


def drain_simple(port, facts):
    """The queues in which nothing was in flight."""
    for client_id in ("away", "five", f"never {NAME}"):
        version = 4 if client_id == "away" else 5
        client = Client(port, client_id, version=version, expiry=YEARS,
                        username=facts["sessions"][client_id]["username"])  # fmt: skip
        assert client.session_present
        messages = client.drain()
        expected = facts["queues"][client_id]
        assert [(m.topic, m.payload.decode(), m.qos, m.retain) for m in messages] == [
            (f["topic"], f["payload"], f["qos"], f["retain"] and version == 5) for f in expected
        ]
        for message, fact in zip(messages, expected):
            if fact["identifier"]:
                assert message.all("subscription_identifier") == [fact["identifier"]]
            left = message.one("message_expiry")
            assert YEARS / 2 < left <= YEARS if fact["expires"] else left is None
            # Nobody may put the properties into another order.
            rest = [p for p in message.properties
                    if p[0] not in ("subscription_identifier", "message_expiry")]  # fmt: skip
            assert rest == {0: [], 2: EMPTY_PROPERTIES, 6: PROPERTIES}[len(fact["properties"])]
        client.disconnect()


def drain_slow(port, facts):
    """Each message that was in flight comes as what its state says, with its packet id."""
    queue = facts["queues"]["slow"]
    slow = Client(port, "slow", version=5, expiry=YEARS, receive_maximum=4)
    assert slow.session_present
    seen = slow.peek()
    assert [(p.type, p.mid) for p in seen if p.type != wire.PUBREL] == [
        (wire.PUBLISH, queue[at]["mid"]) for at in (0, 2, 3)]  # fmt: skip
    assert [p.mid for p in seen if p.type == wire.PUBREL] == [queue[1]["mid"]]
    messages = [slow.handle(packet) for packet in seen]
    received = [message.payload.decode() for message in [*messages, *slow.drain()] if message]
    assert received == [queue[at]["payload"] for at in (0, 2, 3, 4, 5)]
    slow.disconnect()


def drain_sender(port, facts):
    """What was on its way in arrives once it is released, and only once."""
    watcher = Client(port, "watcher", version=5, clean=True)
    watcher.subscribe("in/#", qos=2)
    sender = Client(port, "sender", version=4)
    assert sender.session_present
    for fact in facts["queues"]["sender"]:
        sender.release(fact["mid"])
        sender.release(fact["mid"])
    assert [m.payload.decode() for m in watcher.drain()] == [
        fact["payload"] for fact in facts["queues"]["sender"]]  # fmt: skip
    watcher.disconnect()
    sender.disconnect()


def drain_retained(port, facts):
    late = Client(port, "late", version=5, clean=True)
    late.subscribe("#", qos=2)
    found = {message.topic: message for message in late.drain()}
    late.disconnect()
    assert sorted([topic, m.payload.decode(), m.qos] for topic, m in found.items()) == sorted(
        facts["retained"])  # fmt: skip
    assert [p for p in found["jobs/1"].properties if p[0] != "message_expiry"] == PROPERTIES


def drain(port, facts):
    """All clients of the story come back to a broker that has what it had."""
    drain_retained(port, facts)
    drain_simple(port, facts)
    drain_slow(port, facts)
    drain_sender(port, facts)

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""status and export agree with what clients put in, on the store of a running, a stopped and a
killed broker."""
import json
import time

import cli
import pytest

from broker import poll
from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import NO_LOCAL, Will
from wire import NEVER, PUBLISH, PUBREC, PUBREL


@pytest.fixture
def broker(new_broker):
    return new_broker(options={"commit_interval_ms": "20ms"}).start()


@pytest.fixture(params=["running", "stopped", "killed"])
def when(broker, request):
    """Brings the broker into the state in which its store is read, and waits until the picture is
    whole. A command finishes by itself what a killed broker left."""
    def settle():
        if request.param == "running":
            poll(lambda: cli.status(broker.store)["behind_records"] == 0, 10,
                 "LMDB does not catch up", broker.log)
        else:
            broker.end({"stopped": "stop", "killed": "kill"}[request.param])
        return request.param
    return settle


def test_an_empty_store(broker, when):
    when()
    found = cli.status(broker.store)
    for name in ("sessions", "subscriptions", "messages", "queued", "retained", "wills"):
        assert found[name] == 0, name
    export = cli.Export(broker.store)
    assert [line["type"] for line in export.lines] == ["store"]
    assert export.lines[0]["format"] == 1
    assert export.lines[0]["store_id"] == found["store_id"]


def test_counts(broker, client, publisher, when):
    for each in range(5):
        offline_session(broker, client, f"sub{each}")
    client(broker, "online", will=Will("will/1")).ping()
    client(broker, "clean", clean=True, will=Will("will/2")).ping()
    source = publisher(broker)
    publish_numbers(source, 1, 20)
    for topic in ("r/1", "r/2", "r/3"):
        source.publish(topic, "x" * 1000, retain=True)
    state = when()
    found = cli.status(broker.store)
    wills = 0 if state == "stopped" else 2
    assert {name: found[name] for name in ("sessions", "subscriptions", "messages", "queued",
                                           "retained", "wills")} == \
        {"sessions": 6, "subscriptions": 5, "messages": 23, "queued": 100, "retained": 3,
         "wills": wills}
    assert found["sessions_connected"] + found["sessions_offline"] == 6
    assert found["content_bytes"] > 3000 + sum(map(len, numbers(1, 20)))
    assert 0 < found["stored_bytes"] < found["content_bytes"]
    assert found["lmdb_file_bytes"] > 0 and found["journal_bytes"] > 0
    assert found["anomalies"] == 0
    export = cli.Export(broker.store)
    for kind, count in (("session", 6), ("subscription", 5), ("message", 23), ("queued", 100),
                        ("retained", 3), ("will", wills)):
        assert len(export.of(kind)) == count, kind


def test_who_holds_the_store(broker, when):
    state = when()
    holder = cli.status(broker.store)["held_by"]
    if state == "running":
        assert str(broker.process.pid) in holder and "mosquitto" in holder
    else:
        assert holder is None


def test_sessions(broker, client, when):
    client(broker, "online", version=5, expiry=77, username="alice",
           properties=[("maximum_packet_size", 5000)]).ping()
    before = int(time.time())
    client(broker, "offline", version=5, expiry=1000).disconnect()
    client(broker, "never", version=4, username="größe").disconnect()
    when()
    export = cli.Export(broker.store)
    online, offline, never = (export.one("session", client_id=name)
                              for name in ("online", "offline", "never"))
    assert online["connected"] is True  # it is, or was when the broker ended
    assert (online["username"], online["session_expiry_interval"]) == ("alice", 77)
    assert (online["max_packet_size"], online["max_qos"]) == (5000, 2)
    assert online["listener_port"] == broker.port
    assert online["auth_method"] is None and online["retain_available"] is True
    assert (offline["connected"], offline["username"]) == (False, None)
    assert 0 <= offline["session_expiry_time"] - before - 1000 <= 5
    assert (never["username"], never["session_expiry_interval"]) == ("größe", NEVER)
    assert never["session_expiry_time"] == 0


def test_subscriptions(broker, client, when):
    session = client(broker, "sub", version=5)
    session.subscribe("a/#", qos=2, identifier=268435455)
    session.subscribe("b/+", qos=1, options=NO_LOCAL)
    session.subscribe("$share/g/c", qos=0)
    session.subscribe("gone")
    session.unsubscribe("gone")
    when()
    found = {line["topic_filter"]: (line["options"], line["identifier"])
             for line in cli.Export(broker.store).of("subscription", client_id="sub")}
    assert found == {"a/#": (2, 268435455), "b/+": (1 | NO_LOCAL, 0), "$share/g/c": (0, 0)}


def test_messages_with_all_they_have(broker, client, publisher, when):
    offline_session(broker, client, topic="p/#", qos=2)
    before = int(time.time())
    properties = [("payload_format", 0), ("content_type", "text/plain"),
                  ("response_topic", "answer"), ("correlation_data", b"\0\xff\x01"),
                  ("user_property", ("b", "2")), ("user_property", ("a", "1")),
                  ("user_property", ("b", "2"))]
    source = client(broker, "source", version=5, clean=True, username="bob")
    source.publish("p/1", bytes(range(256)), 2, properties=[*properties, ("message_expiry", 500)])
    source.publish("p/2", "", 1)
    when()
    export = cli.Export(broker.store)
    full = export.one("message", topic="p/1")
    assert cli.payload(full) == bytes(range(256))
    assert (full["payload_len"], full["qos"], full["retain"]) == (256, 2, False)
    assert (full["source_id"], full["source_username"], full["source_port"]) == \
        ("source", "bob", broker.port)
    assert full["source_mid"] == 1
    assert 0 <= full["expiry_time"] - before - 500 <= 5
    listed = [{key: value for key, value in each.items()} for each in full["properties"]]
    assert [each.get("value") for each in listed] == \
        [0, "text/plain", "answer", "AP8B", "2", "1", "2"]
    assert [each["name"] for each in listed[4:]] == ["b", "a", "b"]
    assert [each["identifier"] for each in listed] == \
        ["payload-format-indicator", "content-type", "response-topic", "correlation-data",
         "user-property", "user-property", "user-property"]
    empty = export.one("message", topic="p/2")
    assert (cli.payload(empty), empty["payload_len"], empty["properties"]) == (b"", 0, [])
    assert empty["expiry_time"] == 0


def test_a_queue_in_order_with_its_states(broker, client, publisher, when):
    session = offline_session(broker, client, qos=2)
    source = publisher(broker)
    for number in range(1, 26):
        source.publish("t/1", str(number), 1 + number % 2)
    session.connect()
    sent = [session.next(PUBLISH) for _ in range(20)]
    twos = [packet.mid for packet in sent if packet.qos == 2]
    for mid in twos[:2]:
        session.ack(PUBREC, mid)
        session.wait(PUBREL, mid)
    session.ping()
    when()
    export = cli.Export(broker.store)
    queue = export.of("queued", client_id="sub", direction="out")
    contents = [cli.payload(export.message(entry["store_id"])).decode() for entry in queue]
    assert contents == numbers(1, 25)
    assert [entry["mid"] for entry in queue] == list(range(queue[0]["mid"], queue[0]["mid"] + 25))
    assert [entry["qos"] for entry in queue] == [1 + number % 2 for number in range(1, 26)]
    ids = [int(entry["cmsg_id"]) for entry in queue]
    assert ids == sorted(set(ids))
    states = [entry["state"] for entry in queue]
    for entry, state in zip(queue[:20], states):
        expected = "wait_for_pubcomp" if entry["mid"] in twos[:2] else \
            {1: ("wait_for_puback", "publish_qos1"), 2: ("wait_for_pubrec", "publish_qos2")}[
                entry["qos"]]
        assert state in expected, entry
    assert set(states[20:]) == {"queued"}


def test_a_qos_2_message_that_waits_for_its_publisher(broker, client, when):
    source = client(broker, "source")
    mid = source.send_publish("t/1", "held", 2, mid=4711)
    source.wait(PUBREC, mid)
    when()
    export = cli.Export(broker.store)
    entry = export.one("queued", client_id="source", direction="in")
    assert (entry["mid"], entry["qos"], entry["state"]) == (4711, 2, "wait_for_pubrel")
    assert cli.payload(export.message(entry["store_id"])) == b"held"


def test_retained_messages_and_wills(broker, client, publisher, when):
    source = publisher(broker)
    source.publish("r/1", "old", retain=True)
    source.publish("r/1", "new", retain=True)
    source.publish("r/2", "gone", retain=True)
    source.publish("r/2", "", retain=True)
    client(broker, "owner", version=5, will=Will(
        "will/1", b"\0will", 2, True, properties=[("content_type", "x")])).ping()
    state = when()
    export = cli.Export(broker.store)
    retained = export.one("retained") if state != "stopped" else export.one("retained",
                                                                            topic="r/1")
    assert retained["topic"] == "r/1"
    assert cli.payload(export.message(retained["store_id"])) == b"new"
    if state == "stopped":
        assert export.of("will") == []  # the broker has published it
        assert export.one("retained", topic="will/1")
        return
    will = export.one("will", client_id="owner")
    assert (will["topic"], cli.payload(will), will["qos"], will["retain"]) == \
        ("will/1", b"\0will", 2, True)
    assert [(each["identifier"], each["value"]) for each in will["properties"]] == \
        [("content-type", "x")]


def test_text_says_the_same(broker, client, publisher, when):
    offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 7)
    when()
    text = cli.run(broker.store, "status")
    lines = dict(line.split(None, 1) for line in text.splitlines() if " " in line)
    assert lines["sessions"].startswith("1 ")
    assert lines["queued"].split()[0] == "7"
    assert lines["store"] == str(broker.store)
    for line in cli.run(broker.store, "export").splitlines():
        assert json.loads(line)["type"]


def test_reading_disturbs_neither_broker_nor_store(broker, client, publisher, how):
    session = offline_session(broker, client)
    source = publisher(broker)
    for number in range(1, 31):
        source.publish("t/1", str(number))
        if number % 5 == 0:
            cli.status(broker.store)
            cli.run(broker.store, "export")
    broker.end(how)
    before = cli.run(broker.store, "export")
    assert cli.run(broker.store, "export") == before
    broker.start()
    expect_received(session, numbers(1, 30))


def test_no_store_is_one_sentence_and_status_1(folder):
    cli.run(folder / "nowhere", "status", status=1)
    assert not (folder / "nowhere").exists()

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""import of a mosquitto.db: files that real brokers wrote, and files of every version."""

import base64
import itertools
import json
import os
import re
import struct
from pathlib import Path

import pytest

import cli
import end_to_end  # noqa: F401, first of these
import mosquitto_db
import story
import wire
from as_root import as_root
from mosquitto_db import Writer
from own_folder import let_others_enter
from rawmqtt import Client
from story import brokers

FIXTURES = Path(__file__).parent / "fixtures"
LAYOUTS = {"x86-64": {}, "i386": {"align": 4, "time_bytes": 4}, "big-endian": {"order": ">"}}
VERSIONS = range(2, 7)
AWAY_SINCE = 1_500_000_000
LATER = 4_000_000_000
PROPERTIES = [("content_type", "text/plain"), ("correlation_data", b"\x00\xff")]


def run_import(source, store, *more):
    return cli.run("--store", store, "import", source, *more)


def export(store):
    result = cli.run("--store", store, "export")
    assert result.status == 0, result
    return result.lines[1:]


def imported(data, tmp_path):
    """The export of a store that a file with these bytes was imported into, and the report."""
    (tmp_path / "some.db").write_bytes(data)
    result = cli.run("--store", tmp_path / "new", "--json", "import", tmp_path / "some.db")
    assert result.status == 0, result
    assert result.json["left_out"] == []
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    return export(tmp_path / "new"), result.json


# ---- files of real brokers -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def story_2_0():
    facts = json.loads((FIXTURES / "mosquitto-2.0.json").read_text())
    facts["sessions"]["slow"]["username"] = story.NAME  # see fixtures/README.md
    return FIXTURES / "mosquitto-2.0.db", facts, facts["port"]


@pytest.fixture(scope="module")
def story_2_1(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mosquitto")
    conf = [*story.CONF, "persistence true", f"persistence_location {folder}/",
            "autosave_interval 0"]  # fmt: skip
    broker = brokers.Broker(folder / "broker", conf=conf, persist=False)
    try:
        broker.start()
        facts = story.play(broker.port)
        broker.stop()
        yield folder / "mosquitto.db", facts, broker.port
    finally:
        broker.close()


@pytest.mark.parametrize("which", ["story_2_0", "story_2_1"])
def test_file_of_a_real_broker(request, tmp_path, which):
    source, facts, port = request.getfixturevalue(which)
    before = source.read_bytes()
    result = run_import(source, tmp_path / "new")
    assert result.status == 0, result
    assert "mosquitto.db version 6" in result.err
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    story.check(export(tmp_path / "new"), facts, port)
    assert source.read_bytes() == before
    broker = story.start_on(tmp_path / "broker", tmp_path / "new")
    try:
        story.drain(broker.port, facts)
    finally:
        broker.close()


def test_user_names_that_mosquitto_2_0_made_up(story_2_0, tmp_path):
    result = run_import(story_2_0[0], tmp_path / "new", "--json")
    assert result.json["left_out"] == [] and len(result.json["notes"]) == 1
    assert result.json["notes"][0].startswith("for 2 of the sessions the file has another")


def test_what_a_broker_takes_in_later_comes_behind(story_2_1, tmp_path):
    """The queue goes on where the import ended, over two lives of the broker."""
    source, _, _ = story_2_1
    assert run_import(source, tmp_path / "new").status == 0
    for payload in ("after", "much later"):
        broker = story.start_on(tmp_path / payload, tmp_path / "new")
        try:
            Client(broker.port, "publisher", version=5, clean=True).publish("home/z", payload)
            broker.kill()
        finally:
            broker.close()
    broker = story.start_on(tmp_path / "last", tmp_path / "new")
    try:
        away = Client(broker.port, "away", version=4)
        assert [m.payload.decode() for m in away.drain()] == [
            "open", "open", "", "zero", "last", "after", "much later"]  # fmt: skip
    finally:
        broker.close()


# ---- every version and layout --------------------------------------------------------------------


def small_world(version, **layout):
    """A file with one of everything, and what its export must be."""
    five, six = version >= 5, version >= 6
    names = version >= 4
    writer = Writer(version, **layout).cfg(last_id=12)
    writer.message(9, "t/queued", b"one", qos=2, source_id="source", username="user", source_mid=7,
                   port=1883, expires=LATER, properties=PROPERTIES)  # fmt: skip
    writer.message(10, "t/" + "é" * 300, b"", qos=1, source_id="source")
    writer.message(11, "keep", bytes(range(256)), qos=0, retain=True)
    writer.session("first", last_mid=70, since=AWAY_SINCE, expires=LATER, interval=3600, port=1883,
                   username="näme")  # fmt: skip
    writer.queued("first", 10, mid=300, qos=2, direction="in", state="wait_for_pubrel")
    writer.queued("first", 9, mid=2, qos=2, state="wait_for_pubcomp", dup=True, identifier=300)
    writer.queued("first", 10, mid=3, qos=1, state="wait_for_puback", retain=True)
    writer.queued("first", 10, mid=0, qos=0)
    writer.session("zweite €", since=AWAY_SINCE + 1)
    writer.queued("zweite €", 9, mid=65535, qos=1)
    writer.subscription("first", "t/#", qos=2, options=0x2C, identifier=268435455)
    writer.subscription("zweite €", "+/+/#", qos=1)
    writer.retained(11)

    def session(client_id, username, expires, interval, port):
        return {"type": "session", "client_id": client_id, "username": username if six else None,
                "auth_method": None, "connected": False,
                "session_expiry_interval": interval if five else wire.NEVER,
                "session_expiry_time": expires if five else 0, "will_delay_interval": 0,
                "will_delay_time": 0, "listener_port": port if six else 0, "max_packet_size": 0,
                "max_qos": 2, "retain_available": True}  # fmt: skip

    def message(number, topic, payload, qos, retain=False, **more):
        return {"type": "message", "store_id": str(number), "topic": topic,
                "payload": base64.b64encode(payload).decode(), "payload_len": len(payload),
                "source_id": None, "source_username": None, "source_mid": 0, "source_port": 0,
                "qos": qos, "retain": retain, "expiry_time": 0, "properties": [],
                **more}  # fmt: skip

    def queued(client_id, place, number, mid, qos, state, direction="out", **more):
        return {"type": "queued", "client_id": client_id, "direction": direction,
                "cmsg_id": str((1 << 40) + place), "store_id": str(number), "mid": mid, "qos": qos,
                "retain": False, "dup": False, "state": state, "subscription_identifier": 0,
                **more}  # fmt: skip

    full = {"source_id": "source", "source_mid": 7}
    if names:
        full.update(source_username="user", source_port=1883)
    if five:
        full.update(expiry_time=LATER,
                    properties=[{"identifier": "content-type", "value": "text/plain"},
                                {"identifier": "correlation-data", "value": "AP8="}])  # fmt: skip
    lines = [
        session("first", "näme", LATER, 3600, 1883),
        session("zweite €", None, 0, wire.NEVER, 0),
        {"type": "subscription", "client_id": "first", "topic_filter": "t/#",
         "options": 0x2E if five else 2, "identifier": 268435455 if five else 0},
        {"type": "subscription", "client_id": "zweite €", "topic_filter": "+/+/#", "options": 1,
         "identifier": 0},
        message(9, "t/queued", b"one", 2, **full),
        message(10, "t/" + "é" * 300, b"", 1, source_id="source"),
        message(11, "keep", bytes(range(256)), 0, retain=True),
        queued("first", 1, 10, 300, 2, "wait_for_pubrel", "in"),
        queued("first", 2, 9, 2, 2, "wait_for_pubcomp", dup=True,
               subscription_identifier=300 if five else 0),
        queued("first", 3, 10, 3, 1, "wait_for_puback", retain=True),
        queued("first", 4, 10, 0, 0, "queued"),
        queued("zweite €", 1, 9, 65535, 1, "queued"),
        {"type": "retained", "topic": "keep", "store_id": "11"},
    ]  # fmt: skip
    return writer.data, lines


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version(tmp_path, version, layout):
    data, lines = small_world(version, **LAYOUTS[layout])
    found, report = imported(data, tmp_path)
    assert found == lines
    assert report["source"] == f"mosquitto.db version {version}" and not report["notes"]


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_since_when_a_client_is_away(tmp_path, version, layout):
    imported(small_world(version, **LAYOUTS[layout])[0], tmp_path)
    sessions = cli.run("--store", tmp_path / "new", "--json", "session", "ls").json["sessions"]
    assert [session["changed_time_ms"] // 1000 for session in sessions] == [
        AWAY_SINCE, AWAY_SINCE + 1]  # fmt: skip


RESTORED = {"messages": "base messages", "retained": "retained messages", "sessions": "clients",
            "subscriptions": "subscriptions", "queued": "client messages"}  # fmt: skip


def held_by(broker):
    """What the clients of small_world get of a broker."""
    queues = []
    for client_id in ("first", "zweite €"):
        client = Client(broker.port, client_id, version=4)
        queues.append(client.session_present and [
            (m.topic, m.payload, m.qos, m.mid, m.retain) for m in client.drain()])  # fmt: skip
        client.disconnect()
    late = Client(broker.port, "late", version=4, clean=True)
    late.subscribe("#", qos=2)
    return queues, sorted((m.topic, m.payload, m.qos) for m in late.drain())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_broker_itself_reads_the_same(tmp_path, version):
    """Mosquitto's own persistence on the file, and the plugin on the imported store."""
    data, _ = small_world(version)
    _, report = imported(data, tmp_path)
    (tmp_path / "mosquitto.db").write_bytes(data)
    own = brokers.Broker(tmp_path / "own", persist=False, conf=[
        *story.CONF, "persistence true", f"persistence_location {tmp_path}/"])  # fmt: skip
    ours = brokers.Broker(tmp_path / "ours", store=tmp_path / "new", conf=story.CONF)
    try:
        queues, retained = held_by(ours.start())
        own.start()
        for row in report["imported"]:
            if row["type"] in RESTORED:
                assert f"Restored {row['out']} {RESTORED[row['type']]}\n" in own.log()
        # Of a version before 5 it takes the sessions for such as end at once.
        if version >= 5:
            assert held_by(own) == (queues, retained)
    finally:
        own.close()
        ours.close()
    assert retained == [("keep", bytes(range(256)), 0)]
    assert [mid for _, _, _, mid, _ in queues[0]] == [3, None]
    assert [mid for _, _, _, mid, _ in queues[1]] == [65535]


def test_sessions_without_a_chunk(tmp_path):
    """As the earliest brokers wrote them: only what is theirs tells that there is a session."""
    writer = Writer(2).cfg(5).message(5, "t", b"x", qos=1).queued("a", 5, mid=1, qos=1)
    writer.subscription("b", "t", qos=1).subscription("b", "u", qos=1)
    lines, report = imported(writer.data, tmp_path)
    sessions = [line for line in lines if line["type"] == "session"]
    assert [session["client_id"] for session in sessions] == ["a", "b"]
    assert {session["session_expiry_interval"] for session in sessions} == {wire.NEVER}
    assert report["notes"][0].startswith("2 of the sessions have no entry of their own")


def test_a_topic_is_found_however_the_messages_lie(tmp_path):
    writer = Writer(6).cfg(1)
    numbers = [7, 3, 2**40, 5, 2]
    for number in numbers:
        writer.message(number, f"topic/{number}", bytes(5000), retain=True)
    for number in reversed(numbers):
        writer.retained(number)
    lines, _ = imported(writer.data, tmp_path)
    assert sorted((line["topic"], line["store_id"]) for line in lines
                  if line["type"] == "retained") == sorted(
        (f"topic/{number}", str(number)) for number in numbers)  # fmt: skip


def test_a_number_that_was_counted_is_no_time(tmp_path):
    """Mosquitto 2.0 counted its messages; later ones put the time into the number."""
    writer = Writer(6).cfg(1)
    for number in (2**33, 130_000_000 << 23):
        writer.message(number, f"t/{number}", retain=True).retained(number)
    imported(writer.data, tmp_path)
    rows = cli.run("--store", tmp_path / "new", "--json", "retained", "ls").json["retained"]
    times = {row["store_id"]: row["time"] for row in rows}
    assert times == {str(2**33): 0, str(130_000_000 << 23): 130_000_000 + 1637168273}


def test_nothing_in_it(tmp_path):
    lines, _ = imported(Writer(6).cfg(0).data, tmp_path)
    assert lines == []


def test_what_has_expired_is_kept_and_said(tmp_path):
    writer = Writer(6).cfg(5).message(5, "t", b"x", qos=1, expires=1000)
    writer.session("gone", expires=2000, interval=60).queued("gone", 5, qos=1)
    lines, report = imported(writer.data, tmp_path)
    assert len(lines) == 3
    assert [note.split(" had expired")[0] for note in report["notes"]] == ["1 session", "1 message"]


# ---- what does not go in -------------------------------------------------------------------------


def lossy():
    writer = Writer(6).cfg(9).message(5, "t", b"x", qos=1).message(6, "", b"").message(0, "t")
    writer.message(7, "a/#", b"").message(5, "again", b"")
    writer.session("a").session("a", username="b").session("")
    writer.queued("a", 5, mid=1, qos=1).queued("a", 8, mid=2, qos=1).queued("a", 5, mid=3, qos=1)
    writer.queued("", 5).subscription("a", "t/#/u").subscription("a", "t", options=0xC0)
    writer.subscription("", "t").subscription("a", "+", qos=1)
    writer.retained(5).retained(6).retained(88)
    writer.chunk(7, b"what?").chunk(0xFFFF)
    return writer.data


LOSSES = [
    ("messages", 'message 6, topic ""', "its topic is not MQTT's"),
    ("messages", 'message 0, topic "t"', "it has no number"),
    ("messages", 'message 7, topic "a/#"', "its topic is not MQTT's"),
    ("messages", 'message 5, topic "again"', "its number is there twice"),
    ("sessions", 'client "a"', "the client is there twice"),
    ("sessions", 'client ""', "it has no client id"),
    ("queued", 'client "a", message 8, packet id 2', "there is no message of that number"),
    ("queued", 'client "", message 5, packet id 0', "there is no session of that client"),
    ("subscriptions", 'client "a", filter "t/#/u"', "its topic filter is not MQTT's"),
    ("subscriptions", 'client "a", filter "t"', "its options are not MQTT's"),
    ("subscriptions", 'client "", filter "t"', "there is no session of that client"),
    ("retained", 'topic "", message 6', "its topic is not MQTT's"),
    ("retained", 'topic "", message 88', "its topic is not MQTT's"),
    ("other", "a chunk of type 7 and 5 bytes", "no version that is known has such chunks"),
    ("other", "a chunk of type 65535 and 0 bytes", "no version that is known has such chunks"),
]


def test_losses_are_listed(tmp_path):
    (tmp_path / "some.db").write_bytes(lossy())
    result = cli.run("--store", tmp_path / "new", "--json", "import", tmp_path / "some.db")
    assert result.status == 3 and "what came in is not what is in the store" in result.err
    listed = [(row["type"], re.sub(r" at byte \d+", "", row["what"]), row["why"])
              for row in result.json["left_out"]]  # fmt: skip
    assert listed == LOSSES
    counts = {row["type"]: (row["in"], row["out"]) for row in result.json["imported"]}
    assert counts == {"sessions": (3, 1), "subscriptions": (4, 1), "messages": (5, 1),
                      "queued": (4, 2), "retained": (3, 1), "wills": (0, 0)}  # fmt: skip
    assert cli.run("--store", tmp_path / "new", "verify").status == 0


def test_losses_as_a_table(tmp_path):
    (tmp_path / "some.db").write_bytes(lossy())
    result = run_import(tmp_path / "some.db", tmp_path / "new", "--limit", 2)
    assert result.status == 3
    table = result.out.split("\n\n")[1].splitlines()
    assert table[0].split() == ["LEFT", "OUT", "WHAT", "WHY"]
    assert len(table) == 4 and table[3] == "… and 13 more"


def test_a_dry_run_makes_nothing(tmp_path):
    (tmp_path / "some.db").write_bytes(lossy())
    result = cli.run("--store", tmp_path / "new", "--json", "import", tmp_path / "some.db",
                     "--dry-run")  # fmt: skip
    assert result.status == 3 and "not all of" in result.err and result.json["dry_run"]
    assert len(result.json["left_out"]) == len(LOSSES)
    assert {row["type"]: row["out"] for row in result.json["imported"]}["queued"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["some.db"]
    (tmp_path / "some.db").write_bytes(small_world(6)[0])
    assert run_import(tmp_path / "some.db", tmp_path / "new", "--dry-run").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["some.db"]


# ---- damage --------------------------------------------------------------------------------------

GOOD = small_world(6)[0]
HEADER = len(mosquitto_db.MAGIC) + 8


def after(data):
    return Writer(6).cfg(9).data + data


def one_chunk(kind, body):
    return after(struct.pack(">II", kind, len(body)) + body)


@pytest.mark.parametrize(
    "data, sentence",
    [
        (GOOD[:HEADER - 1], "damaged at byte 0: the file ends within its header"),
        (GOOD[:HEADER], "the file ends before its first chunk"),
        (GOOD[:HEADER + 7], f"damaged at byte {HEADER}: the file ends within a chunk"),
        (GOOD[:-1], "the file ends within a chunk"),
        (GOOD + b"\0", f"damaged at byte {len(GOOD)}: the file ends within a chunk"),
        (GOOD[:18] + b"\0\0\0\0\7" + GOOD[23:], "a mosquitto.db of version 7, of which nothing"),
        (GOOD[:18] + b"\0\0\0\0\1" + GOOD[23:], "versions 2 to 6 can be read"),
        (Writer(6).message(5, "t").data, "the cfg chunk is not the first"),
        (Writer(6).cfg(1).cfg(1).data, "a second cfg chunk"),
        (Writer(6).cfg(1, id_bytes=4).data, "its ids do not have 8 bytes"),
        (Writer(3).cfg(1, id_bytes=4).data, "its ids do not have 8 bytes"),
        (Writer(6).chunk(1, bytes(9)).data, "it is shorter than what it must hold"),
        (Writer(6).chunk(1, bytes(8) + b"\1\x08" + bytes(8)).data, "it is longer than"),
        (after(b"\0\0\0\2" + b"\xff" * 4), "the file ends within a chunk"),
        (one_chunk(2, bytes(31)), "it is shorter than what it must hold"),
        (one_chunk(2, bytes(16) + b"\0\0\0\2" + bytes(13)), "it is shorter"),
        (one_chunk(2, bytes(16) + b"\xff" * 4 + bytes(13)), "its payload is larger than MQTT"),
        (Writer(6).cfg(1).message(1, "t", qos=3).data, "its QoS is not 0, 1 or 2"),
        (Writer(6).cfg(1).message(1, "t", expires=-1).data, "it holds a time that cannot be"),
        (Writer(6).cfg(1).message(1, "t", expires=2**54).data, "it holds a time that cannot be"),
        (one_chunk(2, bytes(32) + b"\1"), "the length of its properties does not fit"),
        (one_chunk(2, bytes(32) + b"\x80\x80\x80\x80\0"), "the length of its properties does not"),
        (one_chunk(2, bytes(32) + b"\2\1"), "the length of its properties does not fit"),
        (one_chunk(2, bytes(32) + b"\1\1"), "its properties are not MQTT 5's"),
        (one_chunk(2, bytes(32) + b"\2\x7f\0"), "its properties are not MQTT 5's"),
        (Writer(6).cfg(1).queued("a", 1, state=12).data, "its state is not one of the broker's"),
        (one_chunk(3, bytes(15) + b"\2"), "its direction is not in or out"),
        (one_chunk(4, bytes(7)), "it is shorter than what it must hold"),
        (one_chunk(4, bytes(9)), "it is longer than what it must hold"),
        (one_chunk(5, bytes(13)), "it is longer than what it must hold"),
        (one_chunk(6, bytes(28)), "it is longer than what it must hold"),
        (Writer(6).cfg(1).session("a", expires=-1).data, "it holds a time that cannot be"),
        (Writer(3).cfg(1).session("a", since=-1).data, "it holds a time that cannot be"),
        (Writer(2).cfg(1).chunk(6, b"\0\1a\0\0\0").data, "it is longer than what it must hold"),
        (Writer(4).cfg(1).chunk(2, bytes(8) + b"\xff\xff").data, "it is shorter than what it must"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_damage_is_named(tmp_path, data, sentence):
    (tmp_path / "some.db").write_bytes(data)
    result = run_import(tmp_path / "some.db", tmp_path / "new")
    assert result.status == 1 and result.out == "", result
    assert result.err.startswith(f"mosquitto_lmdb: {tmp_path}/some.db: ")
    assert result.err.count("\n") == 1 and sentence in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["some.db"]


def test_a_pipe_is_refused(tmp_path):
    result = cli.run("--store", tmp_path / "new", "import", "-", stdin=GOOD)
    assert result.status == 1 and "only JSON lines can be read from a pipe" in result.err
    result = cli.shell(f"'{cli.PROGRAM}' --store '{tmp_path}/new' import <(head -c 100 /dev/zero)")
    assert result.status == 1 and "only JSON lines can be read from a pipe" in result.err


def test_standard_input_that_is_a_file(tmp_path):
    (tmp_path / "some.db").write_bytes(GOOD)
    result = cli.shell(f"'{cli.PROGRAM}' --store '{tmp_path}/new' import - < '{tmp_path}/some.db'")
    assert result.status == 0 and "standard input is mosquitto.db version 6" in result.err


@as_root
def test_it_is_read_before_becoming_the_owner(tmp_path):
    """A broker's folder belongs to the broker's user, who may not read what root may."""
    source = tmp_path / "some.db"
    source.write_bytes(GOOD)
    source.chmod(0o600)
    let_others_enter(source)
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 1234, 1234)
    result = run_import(source, tmp_path / "theirs" / "new")
    assert result.status == 0, result
    assert (tmp_path / "theirs" / "new" / "data.mdb").stat().st_uid == 1234

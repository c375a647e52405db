# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""export and import: what goes out comes in again, and nothing else does."""

import base64
import json
import os
import signal
import subprocess

import pytest

import cli


def without_store_line(text):
    lines = text.splitlines()
    assert json.loads(lines[0])["type"] == "store"
    return lines[1:]


def export(store):
    result = cli.run("--store", store, "export")
    assert result.status == 0 and result.err == "", result
    return result.out


def import_lines(store, lines):
    return cli.run("--store", store, "import", "-", stdin="".join(f"{line}\n" for line in lines))


def test_round_trip(made, tmp_path):
    out = export(made["busy"])
    (tmp_path / "busy.jsonl").write_text(out)
    result = cli.run("--store", tmp_path / "new", "import", tmp_path / "busy.jsonl")
    assert result.status == 0, result
    assert [line.split() for line in result.out.splitlines()] == [
        ["TYPE", "IN", "OUT"], ["sessions", "3", "3"], ["subscriptions", "4", "4"],
        ["messages", "6", "6"], ["queued", "6", "6"], ["retained", "2", "2"], ["wills", "2", "2"],
    ]  # fmt: skip
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    assert without_store_line(export(tmp_path / "new")) == without_store_line(out)
    assert {path.name for path in tmp_path.iterdir()} == {"busy.jsonl", "new"}
    for path in [tmp_path / "new", *(tmp_path / "new").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0


def test_round_trip_of_odd_values(made, tmp_path):
    """Every kind of property, strings that are not UTF-8, the largest numbers, long strings."""
    lines = [json.loads(line) for line in export(made["busy"]).splitlines()]
    session = next(line for line in lines if line["type"] == "session")
    session.update(session_expiry_interval=2**32 - 1, session_expiry_time=2**40, listener_port=65535,
                   max_packet_size=2**32 - 1, will_delay_interval=2**32 - 2, will_delay_time=2**40,
                   auth_method="x" * 65535, username={"base64": "//4="}, max_qos=0,
                   retain_available=False)  # fmt: skip
    message = next(line for line in lines if line["type"] == "message")
    message.update(expiry_time=2**40, source_mid=65535, topic="t/" + "é" * 30000, payload_len=100000,
                   payload=base64.b64encode(bytes(range(250)) * 400).decode(), retain=True,
                   source_username="", source_id=None)  # fmt: skip
    message["properties"] = [
        {"identifier": "payload-format-indicator", "value": 1},
        {"identifier": "message-expiry-interval", "value": 2**32 - 1},
        {"identifier": "content-type", "value": ""},
        {"identifier": "response-topic", "value": "a/é"},
        {"identifier": "correlation-data", "value": "AP8="},
        {"identifier": "subscription-identifier", "value": 268435455},
        {"identifier": "topic-alias", "value": 65535},
        {"identifier": "user-property", "name": "", "value": "v" * 65535},
        {"identifier": "user-property", "name": "", "value": "again"},
    ]
    given = [json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in lines]
    result = import_lines(tmp_path / "new", given)
    assert result.status == 0, result
    assert without_store_line(export(tmp_path / "new")) == given[1:]


def test_entries_of_later_lives_come_first(made, tmp_path):
    """What a broker queues after an import sorts behind what was imported."""
    lines = [json.loads(line) for line in export(made["busy"]).splitlines()]
    for line in lines:
        if line["type"] == "queued":
            line["cmsg_id"] = str((700 << 40) + int(line["cmsg_id"]) % 1000)
    assert import_lines(tmp_path / "new", map(json.dumps, lines)).status == 0
    assert cli.run("--store", tmp_path / "new", "--json", "status").json["life"] == 700
    cli.make_store("queue", tmp_path / "new", "beta")
    entries = cli.run("--store", tmp_path / "new", "--json", "queue", "ls", "beta").json["entries"]
    assert len(entries) == 5 and int(entries[-1]["cmsg_id"]) >> 40 == 701


def broken(made, change):
    lines = export(made["busy"]).splitlines()
    at = next(i for i, line in enumerate(lines) if json.loads(line)["type"] == change[0])
    entry = json.loads(lines[at])
    change[1](entry)
    lines[at] = json.dumps(entry)
    return lines, at + 1


@pytest.mark.parametrize(
    "type_, change, sentence",
    [
        ("store", lambda e: e.update(format=2), "another format than 1"),
        ("store", lambda e: e.update(redacted=True), "--redact"),
        ("store", lambda e: e.update(type="session"), '"client_id" is missing'),
        ("session", lambda e: e.pop("max_qos"), 'session: "max_qos" is missing'),
        ("session", lambda e: e.update(max_qos=3), 'session: "max_qos" holds'),
        ("session", lambda e: e.update(client_id=None), 'session: "client_id" holds'),
        ("session", lambda e: e.update(listener_port=65536), 'session: "listener_port" holds'),
        ("session", lambda e: e.update(listener_port=1.5), 'session: "listener_port" holds'),
        ("session", lambda e: e.update(connected=1), 'session: "connected" holds'),
        ("message", lambda e: e.update(store_id=17), 'message: "store_id" holds'),
        ("message", lambda e: e.update(store_id="17x"), 'message: "store_id" holds'),
        ("message", lambda e: e.update(payload="AP8"), 'message: "payload" holds'),
        ("message", lambda e: e.update(payload=None), 'message: "payload" holds'),
        ("message", lambda e: e.update(properties=None), 'message: "properties" holds'),
        ("message", lambda e: e.update(properties=[{"identifier": "colour", "value": 1}]),
         'message: "properties" holds'),
        ("message", lambda e: e.update(properties=[{"identifier": "topic-alias", "value": 65536}]),
         'message: "properties" holds'),
        ("queued", lambda e: e.update(state="lost"), 'queued: "state" holds'),
        ("queued", lambda e: e.update(direction="up"), 'queued: "direction" holds'),
        ("queued", lambda e: e.update(cmsg_id=str(2**63)), "larger than any store makes it"),
        ("will", lambda e: e.update(type="testament"), 'no "type" that export writes'),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(made, tmp_path, type_, change, sentence):
    lines, number = broken(made, (type_, change))
    result = import_lines(tmp_path / "new", lines)
    assert result.status == 1, result
    assert result.err.startswith(f"mosquitto_lmdb: standard input, line {number}: ")
    assert sentence in result.err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "\n", "{", "[]\n", "SQLite format 3\0", '{"type":"store"}\n'])
def test_other_files_are_refused(tmp_path, text):
    result = cli.run("--store", tmp_path / "new", "import", "-", stdin=text)
    assert result.status == 1 and result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_counts_that_differ_are_reported(made, tmp_path):
    lines = [line for line in export(made["busy"]).splitlines()
             if '"type":"session","client_id":"beta"' not in line]  # fmt: skip
    result = import_lines(tmp_path / "new", lines)
    assert result.status == 3 and "what came in is not what is in the store" in result.err
    rows = {line.split()[0]: line.split()[1:] for line in result.out.splitlines()[:7]}
    assert rows["queued"] == ["6", "2"] and rows["subscriptions"] == ["4", "2"]
    assert rows["messages"] == ["6", "6"]


def test_a_store_is_not_overwritten(store, made):
    busy = store("busy")
    before = export(busy)
    result = import_lines(busy, export(made["empty"]).splitlines())
    assert result.status == 1 and "is not empty" in result.err
    assert export(busy) == before


def test_an_empty_folder_is_taken(made, tmp_path):
    (tmp_path / "new").mkdir()
    assert import_lines(tmp_path / "new", export(made["busy"]).splitlines()).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing(made, tmp_path, number):
    process = subprocess.Popen([cli.PROGRAM, "--store", tmp_path / "new", "import", "-"],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True, env=cli.environment())  # fmt: skip
    process.stdin.write(export(made["busy"]))
    process.stdin.flush()
    while not (tmp_path / "new.new" / "data.mdb").exists():
        assert process.poll() is None
    # A terminal sends the signal to parent and child.
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=cli.TIMEOUT_S)
    assert process.returncode == -number and err == ""
    assert list(tmp_path.iterdir()) == []


def test_redacted(made):
    out = cli.run("--store", made["busy"], "export", "--redact").out
    for secret in ("alice", "bob", "celsius", "application/json", "AP8B", "b3Blbg", "bG9zdA"):
        assert secret not in out
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == len(export(made["busy"]).splitlines())
    assert {line["payload"] for line in lines if "payload" in line} == {None}


def test_one_queue(made, tmp_path):
    result = cli.run("--store", made["busy"], "queue", "export", "beta")
    assert [line["type"] for line in result.lines] == [
        "store", "session", "message", "queued", "message", "queued", "message", "queued", "queued"]  # fmt: skip
    assert import_lines(tmp_path / "new", result.out.splitlines()).status == 0

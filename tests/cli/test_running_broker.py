# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The command line beside, and between the lives of, a real broker."""

import json
import re
import subprocess
import threading

import pytest

import cli
import end_to_end  # noqa: F401, first of these
import broker as brokers
import rawmqtt
from rawmqtt import Client
from test_golden import BESIDE_A_HOLDER, run_all


@pytest.fixture
def stage():
    """stage.broker(...) and stage.client(broker, id): all are gone at the end."""

    class Stage:
        def __init__(self):
            self.folder = brokers.make_folder()
            self.made = []

        def broker(self, name="broker", **settings):
            self.made.append(brokers.Broker(self.folder / name, **settings))
            return self.made[-1]

        def client(self, broker, client_id, **settings):
            self.made.append(Client(broker.port, client_id, **settings))
            return self.made[-1]

    stage = Stage()
    try:
        yield stage
    finally:
        for each in reversed(stage.made):
            each.close()
        brokers.remove_folder(stage.folder)


def away(stage, broker, client_id="away", topic="t/#", qos=1, **settings):
    session = stage.client(broker, client_id, **settings)
    session.subscribe(topic, qos=qos)
    session.disconnect()
    return session


def payloads(messages):
    return [int(message.payload) for message in messages]


def caught_up(broker):
    """The status, once the tables have what the journal has."""

    def status():
        seen = cli.run("--store", broker.store, "--json", "status").json
        return seen if seen["behind_records"] == 0 else None

    return brokers.poll(status, 20, "the tables do not catch up")


def some_of_each(stage, broker):
    """Somebody away with a message, somebody here with a will, a retained message."""
    away(stage, broker, version=5, expiry=3600)
    here = stage.client(broker, "here", version=5, username="carol",
                        will=rawmqtt.Will("gone/here", b"bye"))  # fmt: skip
    here.subscribe("$share/g/jobs/+")
    source = stage.client(broker, "source", version=5, clean=True)
    source.publish("t/1", b'{"n":1}', properties=[("content_type", "application/json")])
    source.publish("kept/1", b"retained", retain=True)
    return source


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_verb(stage, form):
    broker = stage.broker().start()
    some_of_each(stage, broker)
    caught_up(broker)
    (stage.folder / "export.jsonl").touch()
    commands = [[word.replace("beta", "away").replace("home/kitchen/temperature", "kept/1")
                 for word in command] for command in BESIDE_A_HOLDER]  # fmt: skip
    # Its commits come and go: which segments it needs is not for a golden file.
    commands.remove(["journal", "ls"])
    seen = run_all(commands, broker.store, stage.folder, form)
    for pattern, replacement in (
        (r"\b\d{8,}(?=\D)", "NUMBER"), (r'((?:listener|source)_port":)\d+', r"\1PORT"),
        (r"listener port \d+", "listener port PORT"),
        (r'("changed_time_ms":)\d+', r"\1N"), (r"behind_seconds[= ]\S+", "behind_seconds N"),
    ):  # fmt: skip
        seen = re.sub(pattern, replacement, seen)
    cli.golden(f"broker-{form}", seen)


def test_shows_what_is_going_on(stage):
    broker = stage.broker().start()
    source = some_of_each(stage, broker)
    seen = caught_up(broker)
    assert (seen["sessions"], seen["sessions_connected"]) == (2, 1)
    assert (seen["queued"], seen["retained"], seen["wills"]) == (1, 1, 1)
    assert f"process {broker.process.pid}" in seen["held_by"]
    show = cli.run("--store", broker.store, "session", "show", "here", "--users").out
    assert "\nstate          connected for " in show and "\nuser name      carol\n" in show
    assert "\nwill           gone/here, QoS 1, 3 B\n" in show
    peek = cli.run("--store", broker.store, "queue", "peek", "away").out
    assert "\n   content-type: application/json\n{\n  \"n\": 1\n}\n" in peek
    assert "here" in cli.run("--store", broker.store, "sub", "ls", "--topic", "jobs/7").out
    assert cli.run("--store", broker.store, "verify").status == 0
    assert cli.run("--store", broker.store, "session", "rm", "away", "-y").status == 4
    # None of this has disturbed the broker.
    source.publish("t/1", b"2")
    away_again = stage.client(broker, "away", version=5, expiry=3600)
    assert len(away_again.drain()) == 2


def test_follows_events(stage):
    broker = stage.broker().start()
    follower = subprocess.Popen(
        [cli.PROGRAM, "--store", broker.store, "--json", "journal", "dump", "--follow",
         "--from", "newest"],
        stdout=subprocess.PIPE, text=True, env=cli.environment(),
    )  # fmt: skip
    seen = []
    reader = threading.Thread(
        target=lambda: seen.extend(json.loads(line) for line in follower.stdout), daemon=True
    )
    reader.start()
    try:
        away(stage, broker)
        source = stage.client(broker, "source", clean=True)
        number = 0

        def followed():
            nonlocal number
            number += 1
            source.publish("t/1", str(number).encode())
            return {"message_add", "queue_add"} <= {event["type"] for event in seen}

        brokers.poll(followed, 20, "no event came")
    finally:
        follower.kill()
        follower.wait()
        reader.join()
    added = [event for event in seen if event["type"] == "queue_add"]
    assert added[0]["client_id"] == "away" and added[0]["state"] == "queued"
    assert [int(event["position"]) for event in seen] == sorted(
        int(event["position"]) for event in seen
    )


def test_a_backup_under_load_is_drained_by_its_clients(stage):
    """All that was acknowledged when the backup began is in it, in order, and a prefix of the rest."""
    broker = stage.broker(conf=["max_queued_messages 0"]).start()
    away(stage, broker)
    stop = threading.Event()
    acknowledged = 0

    def load():
        nonlocal acknowledged
        source = stage.client(broker, "source", clean=True)
        while not stop.is_set():
            source.publish("t/1", str(acknowledged + 1).encode())
            acknowledged += 1

    thread = threading.Thread(target=load)
    thread.start()
    try:
        brokers.poll(lambda: acknowledged > 200, 30, "the load does not begin")
        before = acknowledged
        result = cli.run("--store", broker.store, "backup", stage.folder / "b")
        after = acknowledged
        brokers.poll(lambda: acknowledged > after, 30, "the broker has stopped taking messages")
    finally:
        stop.set()
        thread.join()
    assert result.status == 0, result
    restored = stage.broker("second", conf=["max_queued_messages 0", "max_inflight_messages 0"])
    result = cli.run("restore", stage.folder / "b", restored.store)
    assert result.status == 0, result
    assert cli.run("--store", restored.store, "verify").status == 0
    restored.start()
    got = payloads(stage.client(restored, "away").drain())
    assert got == list(range(1, len(got) + 1))
    assert before <= len(got) <= acknowledged


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_what_was_imported_is_drained(stage, how):
    broker = stage.broker().start()
    away(stage, broker, qos=2)
    source = stage.client(broker, "source", clean=True)
    for number in range(1, 21):
        source.publish("t/1", str(number).encode(), qos=1 + number % 2)
    broker.end(how)
    export = cli.run("--store", broker.store, "export")
    second = stage.broker("second")
    result = cli.run("--store", second.store, "import", "-", stdin=export.out)
    assert result.status == 0, result
    second.start()
    # New messages queue behind those that were imported, in this life and the next.
    source = stage.client(second, "source", clean=True)
    source.publish("t/1", b"21")
    second.restart("kill")
    source = stage.client(second, "source", clean=True)
    source.publish("t/1", b"22")
    assert payloads(stage.client(second, "away").drain()) == list(range(1, 23))


def test_what_was_purged_does_not_come_back(stage):
    broker = stage.broker().start()
    away(stage, broker)
    away(stage, broker, "gone")
    source = stage.client(broker, "source", clean=True)
    for number in range(1, 31):
        source.publish("t/1", str(number).encode())
    source.publish("t/kept", b"99", retain=True)
    broker.kill()
    for command in (["queue", "purge", "away", "--keep", "6"], ["session", "rm", "gone"],
                    ["retained", "rm", "#"], ["compact"]):  # fmt: skip
        options = [] if command == ["compact"] else ["--yes"]
        result = cli.run("--store", broker.store, *command, *options)
        assert result.status == 0, result
    broker.start()
    assert payloads(stage.client(broker, "away").drain()) == [26, 27, 28, 29, 30, 99]
    again = stage.client(broker, "gone")
    assert not again.session_present
    again.subscribe("#")
    assert again.drain() == []


def test_what_was_repaired_is_drained(stage):
    broker = stage.broker().start()
    away(stage, broker)
    source = stage.client(broker, "source", clean=True)
    for number in range(1, 11):
        source.publish("t/1", f"{number:08}".encode())
    broker.stop()
    path = broker.store / "data.mdb"
    data = path.read_bytes()
    assert data.count(b"00000004") == 1
    path.write_bytes(data.replace(b"00000004", b"0000000x"))
    log = broker.start_fails()
    assert "checksum does not match" in log
    second = stage.broker("second")
    result = cli.run("--store", broker.store, "repair", "--output", second.store)
    assert result.status == 3 and 'client "away": 1 queued message could not be read' in result.out
    second.start()
    got = payloads(stage.client(second, "away").drain())
    assert got == [number for number in range(1, 11) if number != 4]

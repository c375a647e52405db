# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""import of a file of Mosquitto's persist-sqlite plugin, as the plugin of 2.1 writes it, and as
earlier ones did."""

import os
import re
import shutil
import sqlite3

import pytest

import cli
import end_to_end  # noqa: F401, first of these
import story
from own_folder import let_others_enter
from rawmqtt import Client, Will
from story import brokers
from wire import NEVER

WILL_PROPERTIES = [("will_delay", 3600), ("correlation_data", b"\x00\xfe"), ("content_type", "ü")]


class Played:
    """The story on a broker with persist-sqlite: its file, as it stopped."""

    def __init__(self, folder, *, wills=False):
        self.folder, self.wills, self.clients = folder, wills, []
        self.file = folder / "mosquitto.sqlite3"
        self.broker = brokers.Broker(folder / "broker", store=folder, conf=story.CONF)

    def __enter__(self):
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PERSIST_PLUGIN", "sqlite")
                patch.setenv("SQLITE_FLUSH_PERIOD", "0")
                self.broker.start()
            self.facts = story.as_persist_sqlite_has_it(story.play(self.broker.port))
            if self.wills:
                self.leave_wills()
        except BaseException:
            self.broker.close()
            raise
        return self

    def leave_wills(self):
        port = self.broker.port
        self.clients = [
            Client(port, "willing", version=5, expiry=NEVER, username="walter",
                   will=Will("gone/1", b"\x00bye", 1, True, WILL_PROPERTIES)),
            Client(port, "passer-by", version=4, clean=True, will=Will("gone/2", b"", 0)),
        ]  # fmt: skip

    def __exit__(self, *_):
        self.broker.close()
        for client in self.clients:
            client.close()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    with Played(tmp_path_factory.mktemp("sqlite")) as done:
        done.broker.stop()
        yield done


@pytest.fixture
def copy(played, tmp_path):
    """A copy of the file that a test may change."""
    (tmp_path / "copy").mkdir()
    return shutil.copy(played.file, tmp_path / "copy" / "some.sqlite3")


def execute(file, *statements):
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def run_import(source, tmp_path, *more):
    return cli.run("--store", tmp_path / "new", "--json", "import", source, *more)


def export(tmp_path):
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    result = cli.run("--store", tmp_path / "new", "export")
    assert result.status == 0, result
    return result.lines[1:]


def test_file_of_a_real_broker(played, copy, tmp_path):
    before = played.file.read_bytes()
    result = run_import(copy, tmp_path)
    assert result.status == 0, result
    assert result.json["source"] == "persist-sqlite schema 1.1" and not result.json["left_out"]
    assert all(row["in"] == row["out"] for row in result.json["imported"])
    story.check(export(tmp_path), played.facts, played.broker.port)
    with open(copy, "rb") as file:
        assert file.read() == before
    assert os.listdir(tmp_path / "copy") == ["some.sqlite3"]
    broker = story.start_on(tmp_path / "broker", tmp_path / "new")
    try:
        story.drain(broker.port, played.facts)
    finally:
        broker.close()


def test_numbers_are_said(copy, tmp_path):
    note = r"^1 topics, client ids or user names of publishers look like numbers"
    assert re.search(note, run_import(copy, tmp_path).json["notes"][0])


def test_wills_and_a_killed_broker(tmp_path):
    """What is only in SQLite's write-ahead log is read too."""
    folder = tmp_path / "killed"
    folder.mkdir()
    with Played(folder, wills=True) as killed:
        used = run_import(killed.file, tmp_path)
        killed.broker.kill()
        assert (folder / "mosquitto.sqlite3-wal").stat().st_size > 0
        before = {path.name for path in folder.iterdir()}
        result = run_import(killed.file, tmp_path)
        assert {path.name for path in folder.iterdir()} == before
    assert used.status == 4
    assert re.search(r"is in use \(by process \d+\): stop the broker", used.err)
    assert result.status == 0 and not result.json["left_out"], result
    assert "will publish all 2" in "".join(result.json["notes"])
    lines = export(tmp_path)
    killed.facts["sessions"]["willing"] = {"username": "walter", "interval": NEVER,
                                           "expires": False}  # fmt: skip
    willing = next(line for line in lines if line.get("client_id") == "willing")
    assert willing["will_delay_interval"] == 3600
    story.check(lines, killed.facts, killed.broker.port)
    assert [line for line in lines if line["type"] == "will"] == [
        {"type": "will", "client_id": "passer-by", "topic": "gone/2", "payload": "", "qos": 0,
         "retain": False, "properties": []},
        {"type": "will", "client_id": "willing", "topic": "gone/1", "payload": "AGJ5ZQ==",
         "qos": 1, "retain": True, "properties": [
             {"identifier": "correlation-data", "value": "AP4="},
             {"identifier": "content-type", "value": "ü"}]},
    ]  # fmt: skip


TO_1_0 = ("DROP TABLE wills", "UPDATE version_info SET minor = 0")
TO_0_9 = ("DROP TABLE wills", "DROP TABLE version_info")
WITHOUT_IDENTIFIERS = (
    "ALTER TABLE client_msgs DROP COLUMN cmsg_id",
    "ALTER TABLE client_msgs DROP COLUMN subscription_identifier",
)


@pytest.mark.parametrize(
    "version, statements",
    [("1.0", TO_1_0), ("0.9", TO_0_9), ("0.9", TO_0_9 + WITHOUT_IDENTIFIERS)],
    ids=["1.0", "0.9", "0.9, the first"],
)
def test_earlier_schemas(played, copy, tmp_path, version, statements):
    execute(copy, *statements)
    result = run_import(copy, tmp_path)
    assert result.status == 0 and result.json["source"] == f"persist-sqlite schema {version}"
    lines = export(tmp_path)
    if statements[-1] == WITHOUT_IDENTIFIERS[-1]:
        queued = [line for line in lines if line["type"] == "queued"]
        assert {line["subscription_identifier"] for line in queued} == {0}
        for line in queued:
            fact = played.facts["queues"][line["client_id"]][(int(line["cmsg_id"]) & 0xFFFF) - 1]
            line["subscription_identifier"] = fact["identifier"]
    story.check(lines, played.facts, played.broker.port)


LOSSES = {
    "UPDATE clients SET max_qos = 3 WHERE client_id = 'away'":
        ("sessions", "one of its numbers is out of range"),
    "UPDATE base_msgs SET source_mid = 65536 WHERE topic = 'state/zero'":
        ("messages", "one of its numbers is out of range"),
    "UPDATE base_msgs SET topic = 'a/+' WHERE topic = 'state/zero'":
        ("messages", "its topic is not MQTT's"),
    "UPDATE base_msgs SET payloadlen = 3 WHERE topic = 'state/zero'":
        ("messages", "its payload does not have the length that the file says"),
    "UPDATE base_msgs SET properties = '{}' WHERE topic = 'state/zero'":
        ("messages", "its properties are not a JSON list"),
    "UPDATE base_msgs SET properties = '[{\"identifier\":\"hue\",\"value\":1}]' "
    "WHERE topic = 'state/zero'":
        ("messages", "one of its properties has no name that MQTT 5 knows"),
    "UPDATE base_msgs SET properties = '[{\"identifier\":\"content-type\"}]' "
    "WHERE topic = 'state/zero'":
        ("messages", "one of its properties has no value, or one that MQTT 5 does not allow"),
    "UPDATE base_msgs SET properties = '[{\"identifier\":\"correlation-data\",\"value\":\"0g\"}]' "
    "WHERE topic = 'state/zero'":
        ("messages", "one of its properties has no value, or one that MQTT 5 does not allow"),
    "UPDATE client_msgs SET state = 12 WHERE mid = 5":
        ("queued", "one of its numbers is out of range"),
    "UPDATE client_msgs SET client_id = 'nobody' WHERE mid = 5":
        ("queued", "there is no session of that client"),
    "UPDATE client_msgs SET store_id = 1 WHERE mid = 5":
        ("queued", "there is no message of that number"),
    "UPDATE subscriptions SET subscription_options = 3 WHERE topic = 'slow/#'":
        ("subscriptions", "its options are not MQTT's"),
    "UPDATE subscriptions SET subscription_identifier = -1 WHERE topic = 'slow/#'":
        ("subscriptions", "one of its numbers is out of range"),
    "UPDATE retains SET store_id = 1 WHERE topic = 'state/zero'":
        ("retained", "there is no message of that number"),
    "INSERT INTO wills VALUES ('w', x'00', 'a/#', 1, 0, 0, NULL)":
        ("wills", "its topic is not MQTT's"),
}  # fmt: skip


@pytest.mark.parametrize("statement", LOSSES, ids=range(len(LOSSES)))
def test_losses_are_listed(copy, tmp_path, statement):
    execute(copy, statement)
    result = run_import(copy, tmp_path)
    assert result.status == 3 and "what came in is not what is in the store" in result.err
    first = result.json["left_out"][0]
    assert (first["type"], first["why"]) == LOSSES[statement]
    assert cli.run("--store", tmp_path / "new", "verify").status == 0


def test_properties_that_can_be_read_stay(copy, tmp_path):
    two = '[{"identifier":"hue","value":1},{"identifier":"content-type","value":"a"}]'
    execute(copy, f"UPDATE base_msgs SET properties = '{two}' WHERE topic = 'state/zero'")
    assert run_import(copy, tmp_path).status == 3
    message = next(line for line in export(tmp_path) if line.get("topic") == "state/zero")
    assert message["properties"] == [{"identifier": "content-type", "value": "a"}]


def test_a_dry_run_makes_nothing(copy, tmp_path):
    result = run_import(copy, tmp_path, "--dry-run")
    assert result.status == 0 and result.json["dry_run"]
    assert not (tmp_path / "new").exists() and os.listdir(tmp_path / "copy") == ["some.sqlite3"]


def test_odd_names_of_files(copy, tmp_path):
    odd = tmp_path / "copy" / "a?mode=rw#b%20ü\x1b.sqlite3"
    os.rename(copy, odd)
    result = run_import(odd, tmp_path)
    assert result.status == 0 and "\x1b" not in result.err


# ---- files that are refused ----------------------------------------------------------------------


def refused(source, tmp_path, sentence, status=1):
    result = run_import(source, tmp_path)
    assert result.status == status and result.out == "", result
    assert result.err.count("\n") == 1 and sentence in result.err
    assert not (tmp_path / "new").exists() and not (tmp_path / "new.new").exists()


def test_another_schema(copy, tmp_path):
    execute(copy, "UPDATE version_info SET minor = 2")
    refused(copy, tmp_path, "schema 1.2, which is not known; 0.9 to 1.1 can be read")


def test_another_program(copy, tmp_path):
    execute(copy, "DROP TABLE retains")
    refused(copy, tmp_path, "an SQLite file, but not of the persist-sqlite plugin")


def test_another_table(copy, tmp_path):
    execute(copy, "ALTER TABLE clients DROP COLUMN max_qos")
    refused(copy, tmp_path, "SQLite says: no such column: max_qos")


def test_a_file_that_was_cut(copy, tmp_path):
    for size in (os.path.getsize(copy) - 4096, 4096, 100, 16):
        os.truncate(copy, size)
        refused(copy, tmp_path, f"mosquitto_lmdb: {copy}: ")


def test_damaged_pages(copy, tmp_path):
    """Each page in turn is overwritten; nothing crashes, and nothing is half imported."""
    with open(copy, "rb") as file:
        good = file.read()
    for page in range(0, len(good), 4096):
        with open(copy, "wb") as file:
            file.write(good[:page] + b"\xa5" * 4096 + good[page + 4096:])
        result = run_import(copy, tmp_path)
        assert result.status == 1 and result.err.count("\n") == 1, result
        assert not (tmp_path / "new").exists()


def test_a_file_the_owner_may_not_read(copy, tmp_path):
    if os.geteuid() != 0:
        os.chmod(copy, 0)
        return refused(copy, tmp_path, "cannot read")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 1234, 1234)
    let_others_enter(theirs)
    os.chmod(copy, 0o600)
    result = cli.run("--store", theirs / "new", "import", copy)
    assert result.status == 1 and list(theirs.iterdir()) == []
    assert "as user 1234, the owner of the store: Permission denied" in result.err

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""verify: each thing that can be found, and the words for it. Damage of pages is in test_damage.py."""

import errno
import os
import shutil
import signal

import cli

FIRST_ID = (1767225600 - 1637168273) << 23  # make_store's


def findings(store):
    """Its JSON's findings, as (severity, where, what); and whether the exit status agrees."""
    result = cli.run("--store", store, "--json", "verify")
    found = result.json["findings"]
    errors = [entry for entry in found if entry["severity"] != "note"]
    assert result.status == (3 if errors else 0) and result.json["sound"] == (not errors), result
    return [(entry["severity"], entry["where"], entry["what"]) for entry in found]


def test_what_does_not_belong_together(tmp_path):
    store = cli.make_store("unsound", tmp_path / "store")
    found = findings(store)
    assert [entry for entry in found if entry[1] not in ("messages", "wills")] == [
        ("error", "queue", f"an entry for message {FIRST_ID + 1} has the unknown state 99"),
        ("error", "queue", f'client "alpha": an entry names message {FIRST_ID + 77}, which is not there'),
        ("error", "retained", f'topic "gone" names message {FIRST_ID + 78}, which is not there'),
    ]
    message, orphans = (entry for entry in found if entry[1] == "messages")
    assert message[0] == "error" and message[2].startswith(f"{FIRST_ID + 3}: ")
    assert orphans == ("note", "messages", "1 message (6 B) that no queue and no retained topic names, "
                       "as a crash may leave them")  # fmt: skip
    (will,) = (entry for entry in found if entry[1] == "wills")
    assert will[0] == "error" and will[2].startswith("0: ")
    text = cli.run("--store", store, "verify")
    assert text.status == 3 and text.out.splitlines()[-1].startswith("not sound: 5 findings; ")


def test_repair_of_it_leaves_what_belongs_together(tmp_path):
    store = cli.make_store("unsound", tmp_path / "store")
    result = cli.run("--store", store, "repair", "--output", tmp_path / "new", "--json")
    assert result.status == 3 and result.json["messages_that_nothing_names"] == 1
    left = findings(tmp_path / "new")
    assert {entry[1] for entry in left} == {"messages", "wills", "queue"}
    assert not any("not there" in entry[2] or "names" in entry[2] for entry in left), left


def test_files_that_others_could_reach(store):
    busy = store("busy")
    os.link(busy / "0000000001.log", busy.parent / "elsewhere")
    os.mkfifo(busy / "pipe", 0o600)
    (busy / "lock.mdb").chmod(0o640)
    assert sorted(entry for entry in findings(busy) if entry[1] != "store") == [
        ("error", "0000000001.log", "has another name elsewhere (a hard link)"),
        ("error", "lock.mdb", "is open to other users, who could read or change it"),
        ("error", "pipe", "is neither a file nor a folder"),
    ]


def test_a_file_of_another_user(store):
    """Needs root, who alone gives files away."""
    busy = store("busy")
    (busy / "spare-1.tmp").write_bytes(b"")
    (busy / "spare-1.tmp").chmod(0o600)
    os.chown(busy / "spare-1.tmp", 65534, 65534)
    assert findings(busy) == [("error", "spare-1.tmp", "does not belong to the folder's owner")]


def test_a_torn_tail_that_was_kept_is_a_note(store):
    busy = store("busy")
    (busy / "torn-0000000001-5000.bin").write_bytes(bytes(2048))
    (busy / "torn-0000000001-5000.bin").chmod(0o600)
    assert findings(busy) == [
        ("note", "journal", "torn-0000000001-5000.bin: 2.0 KiB that a crash tore from the journal's "
         "end lie aside")
    ]  # fmt: skip


def test_a_segment_that_cannot_be_read(store):
    busy = store("busy")
    path = busy / "0000000001.log"
    data = bytearray(path.read_bytes())
    data[100] ^= 1  # of the header
    path.write_bytes(data)
    assert findings(busy) == [
        ("error", "journal", "0000000001.log: the segment header's checksum does not match"),
        ("error", "journal", "segment 1 cannot be read"),
    ]
    # The tables are looked at nevertheless.
    assert " 3 sessions, " in cli.run("--store", busy, "verify").out
    result = cli.run("--store", busy, "export")
    assert result.status == 3 and result.out == "" and "0000000001.log" in result.err
    result = cli.run("--store", busy, "--read-only", "session", "ls")
    assert result.status == 0 and "beta" in result.out
    assert result.err.startswith("note: the journal is damaged, ")


def test_without_a_store(tmp_path):
    result = cli.run("--store", tmp_path / "none", "verify")
    assert result.status == 1 and result.err.count("\n") == 1 and "no store" in result.err
    shutil.copytree(cli.make_store("empty", tmp_path / "empty"), tmp_path / "cut")
    (tmp_path / "cut").chmod(0o700)
    (tmp_path / "cut" / "data.mdb").write_bytes(b"x" * 100)
    result = cli.run("--store", tmp_path / "cut", "--json", "verify")
    assert result.status == 3 and "data.mdb" in result.json["findings"][0]["what"]


def test_totals_that_the_tables_do_not_hold(tmp_path):
    store = cli.make_store("miscounted", tmp_path / "store")
    ((severity, where, what),) = findings(store)
    assert (severity, where) == ("error", "meta")
    held, said = (int(word) for word in what.replace(",", "").split() if word.isdigit())
    assert what == f"messages have {held} bytes, and the tables say {said}" and said == held + 1


def test_a_damaged_session_is_found_once(store):
    """Although the walks over subscriptions and queues meet it again."""
    busy = store("busy")
    path = busy / "data.mdb"
    data = path.read_bytes()
    assert data.count(b"\x00bob") == 1
    path.write_bytes(data.replace(b"\x00bob", b"\x00rob"))
    found = findings(busy)
    assert found[0] == ("error", "sessions", 'sessions: key "beta": checksum does not match')
    assert [entry[1] for entry in found].count("sessions") == 1, found


def test_dictionaries_are_counted(tmp_path):
    store = cli.make_store("readings", tmp_path / "store", 0, 3000)
    assert cli.run("--store", store, "dict", "train").status == 0
    result = cli.run("--store", store, "--json", "verify")
    assert result.status == 0 and result.json["checked"]["dictionaries"] == 1, result


def test_files_that_cannot_be_looked_at(store):
    """A disk that fails, not one that is damaged: what was not checked is not called sound."""
    busy, told = store("busy"), set()
    calls = [("opendir", 1), *(("fstatat", n) for n in range(1, 4)), *(("fstat", n) for n in range(1, 60))]
    for call, number in calls:
        for error in (errno.EIO, errno.ENOENT):
            result = cli.run("--store", busy, "--json", "verify", env=cli.environment(
                LD_PRELOAD=str(cli.FAIL_AT), FAIL_CALL=call, FAIL_AT=str(number),
                FAIL_ERRNO=str(error)))  # fmt: skip
            whats = [entry["what"] for entry in result.json["findings"]] if result.out else []
            if f"cannot be looked at: {os.strerror(error)}" in whats:
                assert result.status == 3
                told.add((call, error))
    # A file may be recycled meanwhile.
    assert ("opendir", errno.EIO) in told and ("fstatat", errno.EIO) in told
    assert ("fstat", errno.EIO) in told
    assert ("fstatat", errno.ENOENT) not in told


def test_references_need_every_table(store):
    """Damage that ends their walk is told by the stage of its table, once."""
    busy = store("busy")
    path = busy / "data.mdb"
    data = path.read_bytes()
    assert data.count(b"\x01home/door") == 1
    path.write_bytes(data.replace(b"\x01home/door", b"\x01home/doos"))
    assert [entry[:2] for entry in findings(busy)] == [("error", "retained")]


def test_a_table_that_cannot_be_read_is_named(made):
    """A disk that fails in the middle of a walk: each table, and what is behind the entry."""
    told, number = set(), 0
    while True:
        number += 1
        result = cli.run("--store", made["empty"], "--read-only", "--json", "verify", env=cli.environment(
            LD_PRELOAD=str(cli.FAIL_AT), FAIL_CALL="mdb_stat", FAIL_AT=str(number)))  # fmt: skip
        if result.status == 0:
            break
        assert result.status == 3 or result.err, result
        told |= {entry["where"] for entry in (result.json["findings"] if result.out else [])
                 if entry["lost"] and entry["lost"].startswith("this entry; those behind")}  # fmt: skip
    assert told == {"sessions", "subscriptions", "messages", "queue", "retained", "wills",
                    "dictionaries"}, number  # fmt: skip


def test_no_end_of_reading(made):
    """An hour of processor time: a loop in damaged tables, or more than anybody has."""
    result = cli.run(
        "--store", made["busy"], "export",
        env=cli.environment(LD_PRELOAD=str(cli.FAIL_AT), FAIL_CALL="mdb_cursor_get", FAIL_AT="3",
                            FAIL_SIGNAL=str(int(signal.SIGXCPU))),
    )  # fmt: skip
    assert result.status == 3 and "3600 s of processor time" in result.err, result

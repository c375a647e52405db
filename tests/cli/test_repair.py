# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""repair: what can be read is saved, nothing is made up, and what is lost is named.

SEED=n reruns the damage of a run; ROUNDS=n makes more of it."""

import json
import os
import random
import shutil

import pytest

import cli
import end_to_end  # noqa: F401, first of these
from bitrot import damage
from holder import Holder

SEED = int(os.environ.get("SEED") or random.randrange(2**32))
ROUNDS = int(os.environ.get("ROUNDS") or 20)


def contents(store):
    result = cli.run("--store", store, "export")
    assert result.status == 0, result
    return result.out.splitlines()[1:]


def repair(store, output, *options):
    return cli.run("--store", store, "repair", "--output", output, *options)


def test_a_sound_store_is_copied(store, tmp_path):
    busy = store("busy")
    before = contents(busy)
    files = {path.name: path.read_bytes() for path in busy.iterdir() if path.name != "lock.mdb"}
    result = repair(busy, tmp_path / "new")
    assert result.status == 0 and result.out.endswith("\nnothing was lost\n"), result
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    assert contents(tmp_path / "new") == before
    assert cli.run("--store", tmp_path / "new", "--json", "session", "ls").json == (
        cli.run("--store", busy, "--json", "session", "ls").json
    )
    assert files == {p.name: p.read_bytes() for p in busy.iterdir() if p.name != "lock.mdb"}


def test_the_journal_is_saved_too(store, tmp_path):
    crashed = store("crashed")
    result = repair(crashed, tmp_path / "new")
    assert result.status == 0 and "what the journal had" in result.out
    assert cli.run("--store", crashed, "--read-only", "--json", "status").json["behind_records"] == 2
    assert contents(tmp_path / "new") == contents(crashed)


def test_links_and_marks_in_the_journal_are_no_events(tmp_path):
    store = cli.make_store("long", tmp_path / "long")
    assert len(list(store.glob("*.log"))) >= 2
    result = repair(store, tmp_path / "new")
    assert result.status == 0 and "what the journal had" in result.out, result
    salvaged = contents(tmp_path / "new")
    assert len(salvaged) == 2 * 8000 + 1 and salvaged == contents(store)


def test_a_segment_of_another_store_is_not_read(tmp_path):
    """Although it goes on where the one before ends."""
    store, other = (cli.make_store("long", tmp_path / name) for name in ("long", "other"))
    shutil.copy(other / "0000000002.log", store)
    result = repair(store, tmp_path / "new", "--json")
    assert result.status == 3, result
    whats = [finding["what"] for finding in result.json["findings"]]
    assert any("0000000002.log belongs to another store" in what for what in whats), whats
    assert 0 < len(contents(tmp_path / "new")) < 2 * 8000
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    dump = cli.run("--store", store, "--read-only", "journal", "dump")
    assert dump.status == 3 and "belongs to another store" in dump.err, dump.err


def test_a_journal_that_cannot_be_read_leaves_the_tables(store, tmp_path):
    """One bit of the header of the segment that the tables cover up to."""
    busy = store("busy")
    before = contents(busy)
    path = busy / "0000000001.log"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    result = repair(busy, tmp_path / "new", "--json")
    assert result.status == 3
    assert [(f["where"], f["what"]) for f in result.json["findings"]] == [
        ("journal", "0000000001.log: the segment header's checksum does not match"),
    ]
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    assert contents(tmp_path / "new") == before


def test_names_what_is_lost(store, tmp_path):
    busy = store("busy")
    before = contents(busy)
    path = busy / "data.mdb"
    path.write_bytes(path.read_bytes().replace(b"open\nwide", b"open\nwise")
                     .replace(b"closed", b"cloned"))  # fmt: skip
    result = repair(busy, tmp_path / "new", "--json")
    assert result.status == 3
    report = result.json
    assert report["lost"] is True
    assert [(f["where"], f["what"]) for f in report["findings"]] == [
        ("messages", "messages: key 1090999933730818: checksum does not match"),
        ("messages", "messages: key 1090999933730821: checksum does not match"),
        ("queue", 'client "beta": 1 queued message could not be read'),
        ("retained", 'topic "home/door": its message could not be read'),
    ]
    assert {row["type"]: row["there"] - row["salvaged"] for row in report["salvaged"]} == {
        "sessions": 0, "subscriptions": 0, "messages": 2, "queued": 1, "retained": 1, "wills": 0,
    }  # fmt: skip
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    gone = [json.loads(line)["type"] for line in before if line not in contents(tmp_path / "new")]
    assert gone == ["message", "message", "queued", "retained"]


def test_queued_messages_that_are_lost_are_counted_by_client(store, tmp_path):
    busy = store("busy")
    path, data = busy / "data.mdb", (busy / "data.mdb").read_bytes()
    for word, other in ((b"open\nwide", b"open\nwise"), (b"home/empty", b"home/emptx"),
                        (b"jobs/7", b"jobs/8")):  # fmt: skip
        assert data.count(word) == 1, word
        data = data.replace(word, other)
    path.write_bytes(data)
    result = repair(busy, tmp_path / "new", "--json")
    assert result.status == 3
    assert [f["what"] for f in result.json["findings"] if f["where"] == "queue"] == [
        'client "beta": 2 queued messages could not be read',
        'client "gamma €\\x1b[31m": 1 queued message could not be read',
    ]


def test_a_lost_session_takes_its_own_along(store, tmp_path):
    busy = store("busy")
    path = busy / "data.mdb"
    path.write_bytes(path.read_bytes().replace(b"\x01beta", b"\x01bexa"))
    result = repair(busy, tmp_path / "new", "--json")
    assert result.status == 3 and result.json["messages_that_nothing_names"] == 2
    assert "sessions" in {finding["where"] for finding in result.json["findings"]}
    verify = cli.run("--store", tmp_path / "new", "verify")
    assert verify.status == 0 and "note" not in verify.out
    assert '"client_id":"beta"' not in "".join(contents(tmp_path / "new"))


# What the finding says of a page that is whole but old: repair cannot tell which entries it has, and
# if it has not as many as the one that was lost, neither whether it is old.
OLD_PAGES = ("not those that were written last", "may be older ones")


@pytest.mark.parametrize("kind", ["busy", "lived"])
def test_any_damage(made, tmp_path, kind):
    print(f"SEED={SEED}")
    whole = contents(made[kind])
    saved = 0
    for number in range(ROUNDS):
        dice = random.Random(SEED + number)
        store, new = tmp_path / "damaged", tmp_path / "new"
        for folder in (store, new):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made[kind], store)
        store.chmod(0o700)
        path = store / "data.mdb"
        path.write_bytes(damage(dice, path.read_bytes()))
        where = f"SEED={SEED + number} ROUNDS=1"
        result = repair(store, new)
        assert result.status in (0, 1, 3), (where, result)
        assert {p.name for p in tmp_path.iterdir()} <= {"damaged", "new"}, (where, result)
        assert new.exists() == result.out.endswith(
            ("nothing was lost\n", "not all could be saved\n")
        ), (where, result)
        if not new.exists():
            continue
        saved += 1
        verify = cli.run("--store", new, "verify")
        assert verify.status == 0, (where, result, verify)
        after = contents(new)
        made_up = [line for line in after if line not in whole]
        said = " ".join(result.out.split())
        assert made_up == [] or any(old in said for old in OLD_PAGES), (where, made_up, result)
        assert (after == whole) or result.status == 3, (where, result)
    assert saved or ROUNDS < 20


@pytest.mark.parametrize("kind, words", [
    ("unsound", "1 message (6 B) that nothing names any more was left out"),
    ("lost", "2 messages that nothing names any more were left out"),
])  # fmt: skip
def test_says_what_nothing_names(store, tmp_path, kind, words):
    if kind == "unsound":
        source = cli.make_store("unsound", tmp_path / "store")
    else:
        source = store("busy")
        path = source / "data.mdb"
        path.write_bytes(path.read_bytes().replace(b"\x01beta", b"\x01bexa"))
    result = repair(source, tmp_path / "new")
    assert result.status == 3
    said = " ".join(result.out.split())
    assert words.replace(" (6 B)", "") in said and said.endswith("not all could be saved"), result


def test_more_than_is_flushed_at_once(tmp_path):
    store = cli.make_store("heavy", tmp_path / "heavy")
    result = repair(store, tmp_path / "new", "--json")
    assert result.status == 0 and not result.json["lost"]
    verify = cli.run("--store", tmp_path / "new", "--json", "verify")
    assert verify.status == 0 and verify.json["checked"]["payload_bytes"] == 70 << 20


def test_gives_up_a_large_store(tmp_path):
    """While its processes wait with more than their pipes hold."""
    store = cli.make_store("large", tmp_path / "large", 500, 5000)
    (tmp_path / "new.new").mkdir()
    result = repair(store, tmp_path / "new")
    assert result.status == 1 and "remove what was left half made" in result.err


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "goes"])
@pytest.mark.parametrize("at", [1, 30])
def test_somebody_takes_the_store_meanwhile(store, tmp_path, at, stays):
    """What is read then does not belong together, whether or not something shows it."""
    busy = store("busy")
    run = cli.Stopped(at, "--store", busy, "repair", "--output", tmp_path / "new")
    assert run.stopped
    holder = Holder(busy)
    try:
        holder.tell("add")
        holder.tell("flush")
        if not stays:
            holder.close()
        result = run.go_on()
    finally:
        run.kill()
        holder.kill()
    assert result.status == 4 and result.out == "", result
    assert result.err.count("\n") == 1 and "was not made" in result.err, result
    assert ("make_store" in result.err) == stays, result
    assert {path.name for path in tmp_path.iterdir()} == {"busy"}


def test_the_store_goes_meanwhile(store, tmp_path):
    busy = store("busy")
    run = cli.Stopped(30, "--store", busy, "repair", "--output", tmp_path / "new")
    assert run.stopped
    (busy / "data.mdb").unlink()
    result = run.go_on()
    assert result.status == 1 and "there is no store" in result.err, result
    assert "was not made" in result.err and {path.name for path in tmp_path.iterdir()} == {"busy"}


def test_needs_a_folder_of_its_own(store, made):
    busy = store("busy")
    assert cli.run("--store", busy, "repair").status == 2
    before = contents(busy)
    assert cli.run("--store", busy, "repair", "--output", busy, "--yes").status == 2
    result = repair(made["empty"], busy)
    assert result.status == 1 and "is not empty" in result.err
    assert contents(busy) == before


@pytest.mark.parametrize("kind", ["none", "empty folder", "foreign", "newer"])
def test_what_is_no_store_of_ours(tmp_path, kind):
    store = tmp_path / "store"
    if kind == "newer":
        cli.make_store("newer", store)
    elif kind != "none":
        store.mkdir(mode=0o700)
    if kind == "foreign":
        (store / "thesis.txt").write_text("ten years of work")
    result = repair(store, tmp_path / "new")
    assert result.status == 1 and result.err.count("\n") == 1 and result.out == "", result
    assert not (tmp_path / "new").exists()

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A journal that the broker refuses: every command says so, repair saves what can be read, and
repair --truncate-journal mends it in place."""

import pytest

import cli
from journal_damage import damaged_journal, journal

TRUNCATE = ["repair", "--truncate-journal"]


@pytest.fixture
def damaged(tmp_path):
    return damaged_journal(tmp_path / "damaged")


def missing(store):
    """The segment that the tables need is not there."""
    path = journal(store, b"delta")
    path.unlink()
    return path.name, f"{path.name} is missing"


def header(store):
    path = journal(store, b"delta")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    return path.name, f"{path.name}: the segment header's checksum does not match"


def foreign(store):
    path = journal(store, b"delta")
    other = cli.make_store("empty", store.parent / "other")
    path.write_bytes(next(other.glob("*1.log")).read_bytes())
    return path.name, f"{path.name} belongs to another store"


@pytest.mark.parametrize("damage", [missing, header, foreign])
def test_a_segment_that_cannot_be_read(store, tmp_path, damage):
    crashed = store("crashed")
    _, sentence = damage(crashed)
    for command in (["status"], ["session", "ls"], ["export"]):
        result = cli.run("--store", crashed, *command)
        assert result.status == 3 and sentence in result.err and result.out == "", result
        result = cli.run("--store", crashed, "--read-only", *command)
        assert result.status == 0 and "the journal is damaged" in result.err, result
    status = cli.run("--store", crashed, "--read-only", "--json", "status").json
    assert sentence in status["journal_damage"]
    verify = cli.run("--store", crashed, "--json", "verify")
    assert verify.status == 3 and sentence in verify.json["findings"][0]["what"], verify
    assert verify.json["checked"]["messages"] == 6
    result = cli.run("--store", crashed, "repair", "--output", tmp_path / "new")
    assert result.status == 3 and sentence in result.out, result
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    assert cli.run("--store", crashed, *TRUNCATE, "--yes").status == 0
    assert cli.run("--store", crashed, "verify").status == 0
    assert cli.run("--store", crashed, "export").out.splitlines()[1:] == (
        cli.run("--store", tmp_path / "new", "export").out.splitlines()[1:]
    )


def test_a_torn_tail_is_no_damage(store):
    crashed = store("crashed")
    path = journal(crashed, b"delta")
    data = bytearray(path.read_bytes())
    data[data.find(b"delta")] ^= 1
    path.write_bytes(data)
    verify = cli.run("--store", crashed, "--json", "verify")
    (note,) = verify.json["findings"]
    assert verify.status == 0 and note["severity"] == "note" and "at the journal's end" in note["what"]
    assert cli.run("--store", crashed, "--json", "status").json["torn_bytes"] > 0


def test_truncating_asks_and_names_the_bytes(damaged):
    refused = cli.run("--store", damaged, "session", "ls")
    assert refused.status == 3 and "later records say that it was on the disk" in refused.err
    result = cli.run_at_terminal("--store", damaged, *TRUNCATE, answer="n")
    assert result.status == 0 and "does not check, and later records say" in result.out
    assert (
        "will cut 144 bytes off the journal, from 0000000002.log at offset 4,184 on, with 2 events "
        "that can still be read; the files are kept aside as torn-*.bin\nDo it? [y/N] "
    ) in result.out
    assert cli.run("--store", damaged, "session", "ls").status == 3
    result = cli.run("--store", damaged, *TRUNCATE, stdin="y\n")
    assert result.status == 2 and "there is no terminal to ask on" in result.err
    dry = cli.run("--store", damaged, *TRUNCATE, "--dry-run", "--json").json
    assert (dry["done"], dry["events_lost"], dry["events_kept"]) == (False, 2, 1)
    assert cli.run("--store", damaged, "session", "ls").status == 3


def test_truncating(damaged):
    before = {path.name: path.read_bytes() for path in damaged.glob("*.log")}
    result = cli.run_at_terminal("--store", damaged, *TRUNCATE, answer="y")
    assert result.status == 0 and result.out.endswith("done\n"), result
    topics = cli.run("--store", damaged, "--json", "retained", "ls").json["retained"]
    assert [row["topic"] for row in topics if row["topic"].startswith("added")] == ["added/1"]
    assert cli.run("--store", damaged, "verify").status == 0
    # The one with the damage, and the file behind it, of which nobody knows what it held.
    asides = sorted(damaged.glob("torn-*.bin"))
    assert asides and all(aside.read_bytes() in before.values() for aside in asides)
    again = cli.run("--store", damaged, *TRUNCATE)
    assert again.status == 0 and again.out == "nothing to cut: the journal can be read to its end\n"


def test_a_single_byte(store):
    """Of the segment that the tables point to."""
    crashed = store("crashed")
    path = journal(crashed, b"delta")
    path.write_bytes(path.read_bytes()[:1])
    result = cli.run_at_terminal("--store", crashed, *TRUNCATE, answer="n")
    assert "will cut 1 byte off the journal, from " in result.out and result.status == 0, result
    assert cli.run("--store", crashed, *TRUNCATE, "--yes").status == 0
    assert cli.run("--store", crashed, "verify").status == 0


def test_no_store_to_cut(tmp_path):
    result = cli.run("--store", tmp_path / "none", *TRUNCATE)
    assert result.status == 1 and "there is no store at" in result.err


def test_it_is_one_or_the_other(made):
    for options in ([], ["--output", "/none", "--truncate-journal"]):
        result = cli.run("--store", made["busy"], "repair", *options)
        assert result.status == 2 and "repair needs --output DIR" in result.err
    result = cli.run("--store", made["busy"], "repair", "--output", "/none", "--dry-run")
    assert result.status == 2 and "go with --truncate-journal" in result.err

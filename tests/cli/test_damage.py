# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Damaged files: verify finds what is wrong, nothing crashes, and nothing wrong is shown as right.

SEED=n reruns the damage of a run; ROUNDS=n makes more of it."""

import os
import random
import shutil

import pytest

import cli
import end_to_end  # noqa: F401, first of these
from bitrot import PAGE, damage

SEED = int(os.environ.get("SEED") or random.randrange(2**32))
ROUNDS = int(os.environ.get("ROUNDS") or 40)


@pytest.fixture
def clone(made, tmp_path):
    def copy(kind="busy"):
        target = tmp_path / "damaged"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made[kind], target)
        target.chmod(0o700)
        return target

    return copy


@pytest.mark.parametrize("kind, client", [("busy", "beta"), ("lived", "device-0007")])
def test_damaged_tables(made, clone, kind, client):
    print(f"SEED={SEED}")
    whole = cli.run("--store", made[kind], "export").out
    found = 0
    for number in range(ROUNDS):
        dice = random.Random(SEED + number)
        store = clone(kind)
        path = store / "data.mdb"
        path.write_bytes(damage(dice, path.read_bytes()))
        where = f"SEED={SEED + number} ROUNDS=1"
        verify = cli.run("--store", store, "verify")
        assert verify.status in (0, 1, 3), (where, verify)
        found += verify.status != 0
        for command in (["export"], ["status"], ["session", "show", client], ["queue", "ls"]):
            result = cli.run("--store", store, *command)
            assert result.status in (0, 1, 3), (where, result)
            assert (result.status == 0) == (result.err == ""), (where, result)
            assert result.err.count("\n") <= 1, (where, result)
            # verify also finds what export has no use for, such as a wrong total.
            if command == ["export"] and result.status == 0:
                assert result.out == whole, (where, result, verify)
            if command == ["export"] and result.status:
                assert verify.status == result.status, (where, result, verify)
    assert found or ROUNDS < 20


def test_verify_names_what_is_lost(made, clone):
    store = clone()
    path = store / "data.mdb"
    data = path.read_bytes()
    assert data.count(b"open\nwide") >= 1 and data.count(b"closed") >= 1
    data = data.replace(b"open\nwide", b"open\nwise").replace(b"closed", b"cloned")
    path.write_bytes(data)
    result = cli.run("--store", store, "--json", "verify")
    assert result.status == 3
    # Each of them, not only the first.
    assert [finding["where"] for finding in result.json["findings"]] == ["messages", "messages"]
    finding = result.json["findings"][0]
    assert finding["severity"] == "error" and finding["where"] == "messages"
    assert finding["what"] == "messages: key 1090999933730818: checksum does not match"
    assert finding["lost"] == "this message is lost"
    assert "repair" in finding["help"] and result.json["sound"] is False
    assert cli.run("--store", store, "queue", "peek", "beta").status == 3
    assert cli.run("--store", store, "check").out.startswith("STORE OK")
    text = cli.run("--store", store, "verify")
    assert text.status == 3 and text.out.splitlines()[-1].startswith("not sound: ")


def test_a_file_cut_under_the_reader_is_a_sentence(made, clone):
    """LMDB maps what its head promises; behind the end of the file there is only SIGBUS."""
    store = clone()
    path = store / "data.mdb"
    path.write_bytes(path.read_bytes()[: 2 * PAGE])
    for command in (["status"], ["export"]):
        result = cli.run("--store", store, *command)
        assert result.status == 3 and "data.mdb" in result.err and result.err.count("\n") == 1
    result = cli.run("--store", store, "--json", "verify")
    assert result.status == 3 and result.json["sound"] is False
    check = cli.run("--store", store, "check")
    assert check.status == 2 and check.out.startswith("STORE CRITICAL - ")
    gauge = cli.run("--store", store, "check", "--format", "prometheus")
    assert gauge.status == 3 and "mosquitto_lmdb_up 0" in gauge.out


def test_a_damaged_journal_is_found(clone):
    """What the tables do not have yet, damaged: the tables are shown with --read-only only."""
    store = clone("crashed")
    path = max(store.glob("*.log"), key=lambda p: p.read_bytes().rfind(b"delta"))
    data = bytearray(path.read_bytes())
    # The first of the two records that are missing from the tables: the second one behind it is
    # whole, and may vouch for it or not; either way a whole event must not be made up.
    data[data.find(b"delta")] ^= 1
    path.write_bytes(data)
    result = cli.run("--store", store, "session", "ls")
    assert result.status in (0, 3) and "delta" not in result.out
    if result.status == 3:
        assert path.name in result.err
        assert cli.run("--store", store, "verify").status == 3
        assert cli.run("--store", store, "--read-only", "session", "ls").status == 0


def test_unsafe_files_are_findings(store):
    busy = store("busy")
    (busy / "0000000001.log").chmod(0o644)
    result = cli.run("--store", busy, "--json", "verify")
    assert result.status == 3
    assert "0000000001.log" in {finding["where"] for finding in result.json["findings"]}


def test_a_file_that_was_being_recycled_is_no_damage(clone):
    """A power cut may leave the header of a file's next life under its old name, behind all that
    is needed."""
    store = clone()
    assert cli.run("--store", store, "retained", "rm", "#", "-y").status == 0
    old, first = store / "0000000001.log", store / "0000000002.log"
    old.touch(0o600)
    old.write_bytes(first.read_bytes())
    listed = cli.run("--store", store, "--json", "journal", "ls").json["segments"]
    assert {each["number"]: each["state"] for each in listed}[int(old.stem)] == "covered"
    assert cli.run("--store", store, "verify").status == 0
    shutil.copy(old, store / f"{int(first.stem) + 9:010d}.log")
    (store / f"{int(first.stem) + 9:010d}.log").chmod(0o600)
    assert cli.run("--store", store, "verify").status == 3

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Stores as they should not be: one sentence, the right exit status, nothing changed, no crash."""

import os
import shutil

import pytest

import cli
import end_to_end  # noqa: F401, first of these
from as_root import as_root
from own_folder import let_others_enter

READERS = [
    ["status"], ["export"], ["session", "ls"], ["session", "show", "beta"], ["queue", "ls"],
    ["queue", "peek", "beta"], ["queue", "export", "beta"], ["retained", "ls"],
    ["retained", "get", "home/door"], ["sub", "ls"], ["will", "ls"], ["journal", "dump"],
    ["dict", "ls"], ["verify"],
]  # fmt: skip
WRITERS = [["session", "rm", "beta", "-y"], ["queue", "purge", "beta", "-y"],
           ["retained", "rm", "#", "-y"], ["compact"], ["dict", "train"]]  # fmt: skip


def refused(store, command, status, *words):
    result = cli.run("--store", store, *command)
    assert result.status == status, result
    assert result.out == ""
    assert result.err.startswith("mosquitto_lmdb: ") and result.err.count("\n") == 1, result
    for word in words:
        assert word in result.err, result


@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_no_folder(command, tmp_path):
    refused(tmp_path / "none", command, 1, "there is no store at", "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_empty_folder(command, tmp_path):
    tmp_path.chmod(0o700)
    refused(tmp_path, command, 1, "there is no store at")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_foreign_folder(command, tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "thesis.txt").write_text("ten years of work")
    refused(tmp_path, command, 1, "thesis.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_a_folder_that_was_named_by_mistake(command, tmp_path):
    """Nobody is told to close /etc, and nothing is done to an empty folder."""
    (tmp_path / "etc").mkdir(mode=0o755)
    refused(tmp_path / "etc", command, 1, "there is no store at")
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o755
    (tmp_path / "etc" / "passwd").touch()
    refused(tmp_path / "etc", command, 1, "there is no store at", "mode 0755")
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["passwd"]


@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_newer_format(command, tmp_path):
    store = cli.make_store("newer", tmp_path / "newer")
    refused(store, command, 1, "format 2", "format 1", "newer version")


@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_open_to_others(command, store):
    busy = store("busy")
    busy.chmod(0o755)
    if command == ["verify"]:
        result = cli.run("--store", busy, *command)
        assert result.status == 3 and "mode 0755" in result.out, result
    else:
        refused(busy, command, 1, "mode 0755", "chmod 700")
    assert busy.stat().st_mode & 0o777 == 0o755


@as_root  # only root can become somebody else, or fear to be root
@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_another_users(command, store):
    busy = store("busy")
    let_others_enter(busy)
    for path in [busy, *busy.iterdir()]:
        os.chown(path, 4711, 4711)
    result = cli.run_as(4712, "--store", busy, *command)
    assert result.status == 1 and result.err.count("\n") == 1, result
    assert "Permission denied" in result.err


@as_root
@pytest.mark.parametrize("command", READERS + WRITERS, ids=" ".join)
def test_root_leaves_the_owner_what_is_his(command, store):
    """A file of root's in the folder would keep the broker from starting."""
    crashed = store("crashed")
    (crashed / "lock.mdb").unlink(missing_ok=True)
    for path in [crashed, *crashed.iterdir()]:
        os.chown(path, 4711, 4711)
    let_others_enter(crashed)
    result = cli.run("--store", crashed, *command)
    assert result.status == 0, result
    for path in crashed.iterdir():
        assert path.stat().st_uid == 4711 and path.stat().st_mode & 0o077 == 0, path


def test_a_crash_is_finished_first(store):
    crashed = store("crashed")
    result = cli.run("--store", crashed, "session", "ls")
    assert "delta" in result.out
    assert result.err == "note: finished what the last stop left: 2 events of the journal\n"
    assert cli.run("--store", crashed, "session", "ls").err == ""


def test_read_only_leaves_a_crash_and_says_so(store):
    crashed = store("crashed")
    before = {p.name: p.read_bytes() for p in crashed.iterdir() if p.suffix == ".log"}
    for _ in range(2):
        result = cli.run("--store", crashed, "--read-only", "session", "ls")
        assert result.status == 0 and "delta" not in result.out
        assert result.err == (
            "note: 2 events of the journal are missing from this picture (--read-only)\n"
        )
    assert cli.run("--store", crashed, "--read-only", "--json", "status").json["behind_records"] == 2
    assert before == {p.name: p.read_bytes() for p in crashed.iterdir() if p.suffix == ".log"}


def test_writing_verbs_refuse_read_only(store):
    result = cli.run("--store", store("busy"), "--read-only", "session", "rm", "beta", "-y")
    assert result.status == 2 and "--read-only" in result.err


def test_store_from_the_environment(made):
    result = cli.run("status", env=cli.environment(MOSQUITTO_LMDB_STORE=str(made["busy"])))
    assert result.status == 0 and str(made["busy"]) in result.out


def test_full_output_is_an_error(made):
    with open("/dev/full", "w") as full:
        result = cli.run_to(full, "--store", made["busy"], "export")
    assert result.status == 1 and "cannot write the output" in result.err


def test_closed_pipe_is_quiet(store):
    shell = cli.shell(f"'{cli.PROGRAM}' --store '{store('busy')}' export | head -n 1")
    assert shell.status == 0 and '"type":"store"' in shell.out and shell.err == ""


def test_copy_of_a_store_reads_the_same(made, tmp_path):
    shutil.copytree(made["busy"], tmp_path / "copy")
    (tmp_path / "copy").chmod(0o700)
    assert (
        cli.run("--store", tmp_path / "copy", "export").out
        == cli.run("--store", made["busy"], "export").out
    )


def test_queue_ls_of_one_takes_no_option_for_many(made):
    for options in (["--sort", "bytes"], ["--match", "*"], ["--queue-gt", "1"]):
        result = cli.run("--store", made["busy"], "queue", "ls", "beta", *options)
        assert result.status == 2 and "choose among queues" in result.err


def test_peek_of_nothing(made):
    assert cli.run("--store", made["busy"], "queue", "peek", "beta", "-n", "0").out == ""

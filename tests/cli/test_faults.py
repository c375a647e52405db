# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""verify, repair and restore when a call of theirs fails, in any of their processes: of the C
library, of LMDB, or by a signal as damage brings it about. The command says what failed, or comes
to the same result; nothing half made is left. An EINTR is not noticed."""

import errno
import os
import shutil
import signal

import pytest

import cli
from journal_damage import damaged_journal

# Of a function that is called often each of the first calls fails, and then fewer and fewer; of any
# other each one.
DENSE = 4
OFTEN = int(os.environ.get("OFTEN") or 10)

LIBC = {
    "fork": errno.EAGAIN, "pipe": errno.EMFILE, "tmpfile": errno.ENOSPC, "mmap": errno.ENOMEM,
    "opendir": errno.EIO, "fstat": errno.EIO, "fstatat": errno.EIO, "pread": errno.EIO,
    "read": errno.EIO, "write": errno.EIO, "fsync": errno.EIO, "fdatasync": errno.EIO,
    "msync": errno.EIO,
}  # fmt: skip
REPEATED = ("read", "write", "waitpid")
LMDB = ("mdb_env_open", "mdb_txn_begin", "mdb_txn_commit", "mdb_stat", "mdb_cursor_get", "mdb_put")


class Command:
    """Words that can be run again and again. What they make is looked at after each run."""

    def __init__(self, folder, words, prepare=None, look=None):
        self.folder, self.words, self.prepare, self.look = folder, words, prepare, look

    def run(self, call, number, **more):
        if self.prepare:
            self.prepare()
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        env = {"LD_PRELOAD": cli.FAIL_AT, "FAIL_CALL": call, "FAIL_AT": number, "CALLS_TO": calls,
               **more}  # fmt: skip
        done = cli.run(*self.words, env=cli.environment(**{k: str(v) for k, v in env.items()}))
        return done, int(calls.read_text()) if calls.exists() else number

    def failures(self, call, **more):
        """What comes of each call that fails, until there are no more of them."""
        _, calls = self.run(call, 0, **more)
        often = calls > OFTEN
        number = 1
        while True:
            done, calls = self.run(call, number, **more)
            if calls < number:
                return
            yield (call, number, done), done
            number += 1 + (9 * max(0, number - DENSE) if often else 0)


@pytest.fixture(params=["verify", "verify unsound", "repair", "repair damaged", "truncate", "restore"])
def command(request, made, tmp_path):
    new = tmp_path / "new"

    def clear():
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(tmp_path / "new.new", ignore_errors=True)

    def new_is_sound_or_not_there(done):
        killed = "reading it ended with signal" in done.err
        left = {path.name for path in tmp_path.iterdir()} - {"new", "backup", "calls", "damaged"}
        assert left == set() or (killed and left == {"new.new"}), done
        if done.status == 0:
            assert cli.run("--store", new, "verify").status == 0, done
        elif new.exists() and {path.name for path in new.iterdir()} != {"store.lock"}:
            # A restore that was killed leaves what no broker takes for a store (test_kill.py).
            sound = cli.run("--store", new, "verify").status == 0
            complete = done.status == 3 or "is complete, but the folder" in done.err
            assert complete and (sound or killed), done

    def copy():
        clear()
        shutil.copytree(tmp_path / "damaged", new)
        new.chmod(0o700)

    def can_be_cut(done):
        again = cli.run("--store", new, "repair", "--truncate-journal", "--yes")
        assert again.status == 0, (done, again)
        assert cli.run("--store", new, "verify").status == 0, done

    kind = request.param
    if kind == "verify":
        return Command(tmp_path, ["--store", made["crashed"], "--read-only", "--json", "verify"])
    if kind == "verify unsound":
        store = cli.make_store("unsound", tmp_path / "store")
        return Command(tmp_path, ["--store", store, "--json", "verify"])
    if kind == "restore":
        assert cli.run("--store", made["busy"], "backup", tmp_path / "backup").status == 0
        words = ["--json", "restore", tmp_path / "backup", new]
        return Command(tmp_path, words, clear, new_is_sound_or_not_there)
    if kind != "repair":
        damaged_journal(tmp_path / "damaged")
    if kind == "truncate":
        words = ["--store", new, "--json", "repair", "--truncate-journal", "--yes"]
        return Command(tmp_path, words, copy, can_be_cut)
    store = tmp_path / "damaged" if kind == "repair damaged" else made["crashed"]
    words = ["--store", store, "--json", "repair", "--output", new]
    return Command(tmp_path, words, clear, new_is_sound_or_not_there)


def check(command, calls, **more):
    """Lets each of the calls fail. Gives how many did, and how many results were others."""
    usual, _ = command.run("none", 0)
    failed = others = 0
    for call in calls:
        if isinstance(calls, dict):
            more["FAIL_ERRNO"] = calls[call]
        for where, done in command.failures(call, **more):
            failed += 1
            assert done.status in (0, 1, 3), where
            if (done.status, done.out) != (usual.status, usual.out):
                others += 1
                # It is told: as what was found, or in a line.
                assert done.status != 0, where
                if done.status == 1:
                    assert "\nmosquitto_lmdb: " in "\n" + done.err, where
            if command.look:
                command.look(done)
    return failed, others


def test_calls_that_fail(command):
    failed, others = check(command, LIBC)
    assert others > 2, (failed, others)


def test_calls_that_are_interrupted(command):
    failed, others = check(command, REPEATED, FAIL_ERRNO=errno.EINTR)
    assert failed > 0 and others == 0, (failed, others)


def test_lmdb_fails(command):
    failed, others = check(command, LMDB, FAIL_ERRNO=errno.EIO)
    assert others > 2, (failed, others)


def test_damage_ends_a_process(command):
    failed, others = check(command, LMDB, FAIL_SIGNAL=int(signal.SIGSEGV))
    assert failed == others > 2, (failed, others)

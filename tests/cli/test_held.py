# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A store that another process holds, as a broker does: reading goes on beside it, writing does
not, and neither changes anything of its."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

import cli
from holder import Holder

WRITERS = [["session", "rm", "beta", "-y"], ["queue", "purge", "beta", "-y"],
           ["retained", "rm", "#", "-y"], ["compact"], ["dict", "train"],
           ["repair", "--output", "/nonexistent/new"]]  # fmt: skip


@pytest.fixture
def holder(store):
    holder = Holder(store("busy"))
    yield holder
    if holder.process.poll() is None:
        holder.kill()


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_writing_is_refused(holder, command):
    before = cli.run("--store", holder.store, "export").out
    result = cli.run("--store", holder.store, *command)
    assert result.status == 4 and result.out == "", result
    assert "make_store" in result.err and str(holder.process.pid) in result.err
    assert cli.run("--store", holder.store, "export").out == before


def test_dry_run_works(holder):
    result = cli.run("--store", holder.store, "session", "rm", "beta", "--dry-run")
    assert result.status == 0 and result.out.startswith("would remove 1 session, ")


def test_reading_names_the_holder(holder):
    status = cli.run("--store", holder.store, "--json", "status").json
    assert "make_store" in status["held_by"]
    assert cli.run("--store", holder.store, "verify").status == 0


def test_a_session_is_connected_while_the_store_is_held(holder):
    assert "\nalpha           connected " in cli.run("--store", holder.store, "session", "ls").out
    holder.close()
    assert "\nalpha           was connected " in cli.run("--store", holder.store, "session", "ls").out


def test_says_how_far_the_tables_are_behind(holder):
    holder.tell("add")
    holder.tell("add")
    result = cli.run("--store", holder.store, "session", "ls")
    assert result.err.startswith("note: make_store") and "newest 2 events" in result.err, result
    assert cli.run("--store", holder.store, "--json", "status").json["behind_records"] == 2
    holder.tell("flush")
    assert cli.run("--store", holder.store, "session", "ls").err == ""
    assert cli.run("--store", holder.store, "--json", "status").json["behind_records"] == 0


def test_follows_the_journal(holder):
    follower = subprocess.Popen(
        [cli.PROGRAM, "--store", holder.store, "journal", "dump", "--follow", "--from", "newest",
         "--limit", "2", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.environment(),
    )  # fmt: skip
    try:
        # Events are appended until it has seen two: it may begin late.
        deadline = time.monotonic() + cli.TIMEOUT_S
        while follower.poll() is None and time.monotonic() < deadline:
            holder.tell("add")
        out, err = follower.communicate(timeout=cli.TIMEOUT_S)
    finally:
        follower.kill()
    result = cli.Result(follower.returncode, out, err)
    assert result.status == 0 and [line["type"] for line in result.lines] == ["retained_set"] * 2


def wait_until_full(pipe, process):
    """Until nothing more goes in: who writes waits for us."""
    waiting = bytearray(4)
    deadline = time.monotonic() + cli.TIMEOUT_S
    while int.from_bytes(waiting, sys.byteorder) < 60_000:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        assert process.poll() is None and time.monotonic() < deadline


def test_who_follows_the_journal_too_slowly_is_told(holder):
    """While it waits for us, the segment that it reads goes, and the next one too."""
    for _ in range(1500):
        holder.tell("add")
    reader = subprocess.Popen(
        [cli.PROGRAM, "--store", holder.store, "--json", "journal", "dump", "--follow"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.environment(),
        start_new_session=True,
    )  # fmt: skip
    late = threading.Timer(cli.TIMEOUT_S, os.killpg, (reader.pid, signal.SIGKILL))
    late.start()
    try:
        wait_until_full(reader.stdout, reader)
        holder.close()
        for _ in range(3):
            last = Holder(holder.store)
            last.tell("add")
            last.close()
        positions = []
        for line in reader.stdout:
            positions.append(int(json.loads(line)["position"]))
            if positions[-1] >> 32 > (positions[0] >> 32) + 1:
                os.killpg(reader.pid, signal.SIGKILL)
        err = reader.stderr.read()
    finally:
        late.cancel()
        if reader.poll() is None:
            os.killpg(reader.pid, signal.SIGKILL)
        reader.wait()
    assert positions == sorted(positions)
    assert positions[-1] >> 32 == (positions[0] >> 32) + 3
    assert "removed" in err, err


def test_who_follows_the_journal_may_take_any_time(holder):
    """Processor time: an hour is enough for what ends, and none is for what does not."""
    holder.tell("add")
    reader = subprocess.Popen(
        [cli.PROGRAM, "--store", holder.store, "journal", "dump", "--follow"],
        stdout=subprocess.PIPE, env=cli.environment(), start_new_session=True,
    )  # fmt: skip
    try:
        assert reader.stdout.readline() != b""
        child = Path(f"/proc/{reader.pid}/task/{reader.pid}/children").read_text().split()[0]
        limits = Path(f"/proc/{child}/limits").read_text()
        assert re.search(r"Max cpu time +unlimited", limits), limits
    finally:
        os.killpg(reader.pid, signal.SIGKILL)
        reader.communicate()


def test_a_reader_that_is_slow_holds_no_pages(tmp_path):
    """Its pipe is full and nobody reads it: freed pages are used again nevertheless."""
    holder = Holder(cli.make_store("large", tmp_path / "large", 500, 5000))
    reader = subprocess.Popen([cli.PROGRAM, "--store", holder.store, "export"],
                              stdout=subprocess.PIPE, env=cli.environment())  # fmt: skip
    try:
        wait_until_full(reader.stdout, reader)
        tables = holder.store / "data.mdb"
        for number in range(220):
            if number == 20:  # by then the file has what it needs
                before = tables.stat().st_size
            holder.tell("add")
            holder.tell("flush")
        assert tables.stat().st_size - before < 1 << 20
        assert reader.stdout.read().count(b"\n") == 11_001
        assert reader.wait(cli.TIMEOUT_S) == 0
    finally:
        reader.kill()
        reader.wait()
        holder.kill()


def test_a_backup_has_what_the_journal_had(holder, tmp_path):
    holder.tell("add")
    backup = subprocess.Popen([cli.PROGRAM, "--store", holder.store, "backup", tmp_path / "b"],
                              stdout=subprocess.PIPE, text=True, env=cli.environment())  # fmt: skip
    deadline = time.monotonic() + cli.TIMEOUT_S
    while backup.poll() is None and time.monotonic() < deadline:
        holder.tell("flush")
    assert backup.returncode == 0
    restored = tmp_path / "restored"
    assert cli.run("restore", tmp_path / "b", restored).status == 0
    assert "added/1" in cli.run("--store", restored, "retained", "ls").out

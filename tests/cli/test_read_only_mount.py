# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A store below a read-only mount, as in a container that is to look at another one's volume: a
reader cannot tell the writer which pages it reads. Where there is none, nothing is amiss."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

import cli
import end_to_end  # noqa: F401, first of these
import disks
from as_root import as_root
from broker import Broker, poll
from holder import Holder
from rawmqtt import Client
from test_held import wait_until_full

pytestmark = as_root

READERS = [["status"], ["export"], ["verify"], ["check"], ["session", "ls"], ["backup", "-"],
           ["journal", "dump"]]  # fmt: skip


@pytest.fixture
def mounted(tmp_path):
    """mounted(store): the same folder, read-only. The mount ends with the process at the latest."""
    disks.own_mounts()
    made = []

    def mount(store):
        path = tmp_path / "mounted"
        path.mkdir()
        subprocess.run(["mount", "--bind", store, path], check=True)
        made.append(path)
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        return path

    yield mount
    for path in made:
        subprocess.run(["umount", "-l", path], check=True)


def refused(result, *words):
    assert result.status == 4 and result.err.count("\n") == 1, result
    for word in words:
        assert word in result.err, result


@pytest.mark.parametrize("lock", ["kept", "removed"])
def test_a_store_that_nobody_holds_is_read(store, mounted, lock):
    busy = store("busy")
    before = {" ".join(c): cli.run("--store", busy, *c).out for c in READERS if "backup" not in c}
    if lock == "removed":
        (busy / "lock.mdb").unlink()
    here = mounted(busy)
    for command in READERS:
        result = cli.run("--store", here, *command, raw=command[0] == "backup")
        assert result.status == 0, (command, result)
        if command[0] in ("export", "session"):
            assert result.out == before[" ".join(command)]
    assert (busy / "lock.mdb").exists() == (lock == "kept")


def test_what_a_crash_left_stays_there(store, mounted):
    result = cli.run("--store", mounted(store("crashed")), "session", "ls")
    assert result.status == 0, result
    assert "2 events of the journal are missing" in result.err and "mounted read-only" in result.err


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_not_beside_a_writer(store, mounted, command):
    busy = store("busy")
    here = mounted(busy)
    holder = Holder(busy)
    try:
        result = cli.run("--store", here, *command)
        if command == ["check"]:
            assert result.status == 3 and "mounted read-only" in result.out, result
        else:
            refused(result, "make_store", "mounted read-only", "mount it writable")
            assert result.out == ""
        assert cli.run("--store", busy, *command, raw=True).status == 0
    finally:
        holder.close()
    assert cli.run("--store", here, *command, raw=True).status == 0


def test_beside_a_broker(tmp_path, mounted):
    """A real one, and what its kill left."""
    broker = Broker(tmp_path / "broker").start()
    try:
        here = mounted(broker.store)
        away = Client(broker.port, "away")
        away.subscribe("t/#", qos=1)
        away.disconnect()
        refused(cli.run("--store", here, "backup", "-"), "mosquitto", "mounted read-only")
        broker.kill()
        sessions = cli.run("--store", here, "session", "ls")
        assert sessions.status == 0, sessions
        assert "away" in sessions.out or "missing from this picture" in sessions.err, sessions
        assert cli.run("--store", here, "verify").status == 0
        broker.start()
        refused(cli.run("--store", here, "verify"), "mosquitto")
    finally:
        broker.close()


def comes(store, stays):
    holder = Holder(store)
    holder.tell("add")
    holder.tell("flush")
    if not stays:
        holder.close()
    return holder


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "goes"])
def test_a_writer_that_comes_while_a_backup_is_written(store, mounted, tmp_path, stays):
    busy = store("busy")
    run = cli.Stopped(2, "--store", mounted(busy), "backup", tmp_path / "copy.backup")
    assert run.stopped
    holder = comes(busy, stays)
    try:
        result = run.go_on()
    finally:
        holder.kill()
    refused(result, "make_store" if stays else "another program", "may not belong together")
    assert not list(tmp_path.glob("copy*")) and "written" not in result.out


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "goes"])
def test_a_writer_that_comes_while_an_export_is_printed(tmp_path, mounted, stays):
    """Whoever takes the lines takes its time."""
    large = cli.make_store("large", tmp_path / "large", 500, 5000)
    export = subprocess.Popen([cli.PROGRAM, "--store", mounted(large), "export"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=cli.environment())  # fmt: skip
    holder = None
    try:
        wait_until_full(export.stdout, export)
        holder = comes(large, stays)
        out, err = export.communicate(timeout=cli.TIMEOUT_S)
    finally:
        export.kill()
        export.wait()
        if holder:
            holder.kill()
    refused(cli.Result(export.returncode, out, err), "may not belong together")


def disturbed(busy, here, at, how, *command):
    """Runs it. A writer comes while its process reads, and that read fails then, or by a signal."""
    reader = subprocess.Popen(
        [cli.PROGRAM, "--store", here, *command], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
        env=cli.environment(LD_PRELOAD=str(cli.FAIL_AT), FAIL_CALL="mdb_cursor_get",
                            FAIL_AT=str(at), FAIL_SIGNAL=str(int(signal.SIGSTOP))),
    )  # fmt: skip
    holder = None

    def child_stopped():
        children = Path(f"/proc/{reader.pid}/task/{reader.pid}/children").read_text().split()
        try:
            return next(pid for pid in children if " T " in Path(f"/proc/{pid}/stat").read_text())
        except (FileNotFoundError, StopIteration):  # it has ended, or has not stopped
            return None

    try:
        child = poll(child_stopped, cli.TIMEOUT_S, "it does not come so far")
        holder = comes(busy, True)
        if how == "dies":
            os.kill(int(child), signal.SIGSEGV)
        os.kill(int(child), signal.SIGCONT)
        out, err = reader.communicate(timeout=cli.TIMEOUT_S)
    finally:
        if reader.poll() is None:
            os.killpg(reader.pid, signal.SIGKILL)
        reader.wait()
        if holder:
            holder.kill()
    return cli.Result(reader.returncode, out, err)


@pytest.mark.parametrize("how", ["fails", "dies"])
@pytest.mark.parametrize("at", [1, 40])
def test_a_writer_that_comes_during_verify(store, mounted, at, how):
    busy = store("busy")
    result = disturbed(busy, mounted(busy), at, how, "verify")
    refused(result, "make_store")
    assert result.out == ""


@pytest.mark.parametrize("how", ["fails", "dies"])
@pytest.mark.parametrize("at", [1, 10])
def test_what_a_writer_does_is_no_damage(store, mounted, at, how):
    busy = store("busy")
    here = mounted(busy)
    result = disturbed(busy, here, at, how, "session", "ls")
    assert result.status == 4 and "make_store" in result.err and "damaged" not in result.err, result
    result = disturbed(busy, here, at, how, "check")
    assert result.status == 3 and result.out.startswith("STORE UNKNOWN - make_store"), result

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The drop-in for systemd: what it is worth, and that the broker needs nothing of what it takes."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from broker import poll
from helpers import offline_session, publish_numbers

HERE = pathlib.Path(__file__).resolve().parent
DROP_IN = HERE.parents[1] / "conf-examples" / "systemd" / "mosquitto-persist-lmdb.conf"
SCORE = re.compile(r"Overall exposure level for mosquitto\.service: (\d+\.\d+)")
EXPOSURE_MAX = 2.0


def settings(key):
    """The values that the drop-in gives a setting, in order."""
    return re.findall(rf"^{key}=(.*)$", DROP_IN.read_text(), re.MULTILINE)


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)], text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    return done.stdout + done.stderr


@pytest.fixture
def root(tmp_path):
    """A machine with Debian's unit and what it starts; root(True) adds the drop-in."""
    def make(dropped_in):
        units = tmp_path / "etc/systemd/system"
        units.mkdir(parents=True)
        shutil.copy(HERE / "mosquitto.service", units)
        if dropped_in:
            (units / "mosquitto.service.d").mkdir()
            shutil.copy(DROP_IN, units / "mosquitto.service.d")
        return tmp_path
    return make


def exposure(root):
    return float(SCORE.search(
        analyze(f"--root={root}", "security", "--offline=true", "mosquitto.service"))[1])


def test_debians_unit_alone_is_exposed(root):
    assert exposure(root(False)) > 9


def test_with_the_drop_in_it_is_not(root):
    assert exposure(root(True)) <= EXPOSURE_MAX


def test_systemd_knows_every_setting(tmp_path):
    unit = tmp_path / "probe.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n" +
                    DROP_IN.read_text().partition("[Service]")[2])
    said = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert str(unit) not in said and "probe.service" not in said, said


# ---- the broker, watched ------------------------------------------------------------------------

def calls_of(words):
    """The system calls that names and @groups stand for."""
    found = set()
    for word in words:
        if not word.startswith("@"):
            found.add(word)
            continue
        listed = analyze("syscall-filter", word).splitlines()[1:]
        found |= calls_of(line.strip() for line in listed
                          if line.strip() and not line.strip().startswith("#"))
    return found


def calls_allowed():
    allowed = set()
    for value in settings("SystemCallFilter"):
        if value.startswith("~"):
            allowed -= calls_of(value[1:].split())
        else:
            allowed |= calls_of(value.split())
    return allowed


class Watched:
    """A broker of an unprivileged user, as strace saw it from its first own call on."""

    CALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$", re.MULTILINE)
    WRAPPER = ["strace", "-D", "-f", "-A", "-y", "-s", "300", "-o"]
    AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def __init__(self, broker):
        self.broker, self.trace = broker, broker.folder / "trace"
        broker.wrapper = [*self.WRAPPER, str(self.trace)]
        if os.geteuid() == 0:
            broker.wrapper += self.AS_NOBODY
        self.calls = []

    def end(self, how):
        """Ends the broker, and takes note of all that this life called."""
        ended = re.compile(rf"^{self.broker.process.pid} +\+\+\+ (exited|killed)", re.MULTILINE)
        self.broker.end(how)
        poll(lambda: ended.search(self.trace.read_text()), 20, "strace does not end")
        lives = self.trace.read_text()
        begin = [each.end() for each in re.finditer(r"execve\(.*/mosquitto\".* = 0$", lives,
                                                    re.MULTILINE)]
        self.calls += self.CALL.findall(lives[begin[-1]:])

    def names(self):
        return {name for name, _ in self.calls}

    def arguments(self, *names):
        return [arguments for name, arguments in self.calls if name in names]


@pytest.fixture(scope="module")
def watched(module_stage):
    """With a store to make, a session, messages, a reload, a kill and a clean stop."""
    home = module_stage.folder / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 65534, 65534)
    broker = module_stage.new_broker(store=home / "store",
                                     options={"sync": "always", "journal_segment_bytes": "64k"})
    watch = Watched(broker)
    for how in ("kill", "stop"):
        broker.start()
        offline_session(broker, module_stage.client)
        source = module_stage.publisher(broker)
        publish_numbers(source, 1, 300)
        source.publish("t/large", "x" * 200000, 1, retain=True)
        broker.hang_up()
        broker.wait_log("Reloading config|persist-lmdb: .*reload")
        source.ping()
        watch.end(how)
    assert watch.broker.store.stat().st_uid != 0 or os.geteuid() != 0
    assert len(watch.calls) > 1000
    return watch


def test_the_broker_makes_no_system_call_that_is_refused(watched):
    assert {"fdatasync", "msync", "madvise", "setpriority"} <= watched.names()
    assert not watched.names() - calls_allowed()


def test_a_refused_call_would_be_noticed(watched):
    calls = calls_allowed()
    assert calls > {"read", "fdatasync", "epoll_wait"}
    assert not calls & {"mount", "reboot", "ptrace", "setuid", "chown", "init_module"}
    assert watched.names() - calls_of(["@file-system"])


def test_the_broker_writes_nowhere_else(watched):
    """All but the store and the log, which is an inherited descriptor, is closed to it."""
    opened = watched.arguments("open", "openat", "creat", "mkdir", "mkdirat", "renameat", "unlink")
    written = [each for each in opened if re.search(r"O_WRONLY|O_RDWR|O_CREAT|mkdir|rename", each)]
    assert any("data.mdb" in each for each in written)
    assert not [each for each in written if str(watched.broker.store) not in each], written


def test_the_broker_uses_only_sockets_that_are_allowed(watched):
    families = {re.match(r"(AF_\w+)", each)[1] for each in watched.arguments("socket")
                if each.startswith("AF_")}
    assert "AF_INET" in families
    assert families <= set(settings("RestrictAddressFamilies")[0].split())


def test_no_memory_is_writable_and_executable(watched):
    assert settings("MemoryDenyWriteExecute") == ["yes"]
    assert not [each for each in watched.arguments("mmap", "mprotect")
                if "PROT_WRITE" in each and "PROT_EXEC" in each]
    assert not [each for each in watched.arguments("mprotect") if "PROT_EXEC" in each]

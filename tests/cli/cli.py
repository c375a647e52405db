# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Running the command line over stores that make_store makes, and comparing what it prints.

BUILD_DIR says where the programs are. GOLDEN_UPDATE=1 writes what is printed into golden/, for a
person to look at with `git diff`."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

BUILD = Path(os.environ["BUILD_DIR"])
PROGRAM = BUILD / "tools" / "mosquitto_lmdb"
MAKE_STORE = BUILD / "tests" / "make_store"
KILL_AT = BUILD / "tests" / "libkill_at.so"
FAIL_AT = BUILD / "tests" / "libfail_at.so"
GOLDEN = Path(__file__).parent / "golden"
TIMEOUT_S = 120


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"


def environment(**more):
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "MOSQUITTO_LMDB_STORE")}
    return {**clean, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80", **more}


def run(*args, stdin="", env=None, raw=False, alone=False):
    """Runs the command line without a terminal. `stdin` is text or bytes. `alone` gives it a process
    group of its own."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [PROGRAM, *map(str, args)], input=data, capture_output=True, timeout=TIMEOUT_S,
        env=env or environment(), start_new_session=alone,
    )  # fmt: skip
    out = done.stdout if raw else done.stdout.decode()
    return Result(done.returncode, out, done.stderr.decode())


def run_as(uid, *args):
    """Runs it as another user, who is in no group, and from a folder that this user may enter: the
    build may lie in one that is closed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        done = subprocess.run(
            [shutil.copy(PROGRAM, folder), *map(str, args)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(), user=uid,
            group=uid, extra_groups=[],
        )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


def run_to(output, *args):
    """Runs it with an open file as its standard output."""
    done = subprocess.run(
        [PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=output, text=True,
        stderr=subprocess.PIPE, timeout=TIMEOUT_S, env=environment(),
    )  # fmt: skip
    return Result(done.returncode, "", done.stderr)


def shell(script):
    done = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT_S, env=environment())  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


class Stopped:
    """A run that stands still in front of its `at`-th call that changes something, if there are so
    many; go_on lets it end."""

    def __init__(self, at, *args):
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
            env=environment(LD_PRELOAD=str(KILL_AT), STOP_AT=str(at)),
        )  # fmt: skip
        seen = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self.stopped = seen.si_code == os.CLD_STOPPED

    def go_on(self):
        until = time.monotonic() + TIMEOUT_S
        while True:
            if self.stopped:
                os.killpg(self.process.pid, signal.SIGCONT)
            try:
                out, err = self.process.communicate(timeout=0.5)
                return Result(self.process.returncode, out.decode(), err.decode())
            except subprocess.TimeoutExpired:
                # Whoever stops its leader stops itself thereafter, perhaps only now.
                assert time.monotonic() < until, "it does not go on"

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def run_at_terminal(*args, answer="", columns=80):
    """Runs it at a terminal of its own, which gets `answer` when the program asks."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(PROGRAM, [str(PROGRAM), *map(str, args)], environment())
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    seen, answered = b"", False
    while True:
        ready, _, _ = select.select([fd], [], [], TIMEOUT_S)
        assert ready, f"nothing more came after {seen!r}"
        try:
            some = os.read(fd, 65536)
        except OSError:
            some = b""
        if not some:
            break
        seen += some
        if b"[y/N]" in seen and not answered:
            os.write(fd, answer.encode() + b"\n")
            answered = True
    _, status = os.waitpid(pid, 0)
    return Result(os.waitstatus_to_exitcode(status), seen.decode().replace("\r\n", "\n"), "")


def make_store(kind, path, *more):
    subprocess.run([MAKE_STORE, kind, path, *map(str, more)], check=True, timeout=TIMEOUT_S)
    return path


def normal(text, store=None, folder=None):
    """What differs from run to run, made equal: ages, ids, times, sizes of files, free space."""
    for path, name in ((store, "STORE"), (folder, "TMP")):
        if path:
            text = text.replace(str(path), name)
    for pattern, replacement in (
        (r"\b[0-9a-f]{32}\b", "ID"),
        (r"\b\d+ (?:d|h|min|s|ms)\b(?: \d+ (?:h|min)\b)?", "AGE"),
        (r'("(?:created_time|lmdb_\w+_bytes|behind_ms)":)\d+', r"\1N"),
        (r'((?:free_bytes|store_bytes|oldest_message_age_seconds)(?:[= ]|":))\d+', r"\1N"),
        (r'("journal_(?:bytes|segments)":)\d+', r"\1N"),
        (r"(?m)^((?:LMDB|journal) +).*", r"\1SIZES"),
        (r"zstd [\d.]+|lmdb [\d.]+", "VERSION"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME"),
        (r'("(?:taken_ms|before_bytes|after_bytes|created_ms)":)\d+', r"\1N"),
        (r"[\d.]+ [KM]iB( of tables| →)", r"SIZE\1"),
        (r"→ [\d.]+ [KM]iB", "→ SIZE"),
        (r"process \d+ on \S+, since [\dTZ:-]+", "process PID"),
        (r"(?m)^! note: \S+ belongs to root; .*\n", ""),
        # A segment is prepared, or not yet.
        (r"(?m)^ *\d+ ready .*\n|^.*\"state\":\"ready\".*\n", ""),
        (r"},\n", "}\n"),
        (r" +", " "),
        (r"(?m) $", ""),
    ):
        text = re.sub(pattern, replacement, text)
    return text


def shown(command, result, store=None, folder=None):
    """A run as it stands in a golden file."""
    return normal(
        f"$ mosquitto_lmdb {' '.join(command)}\n{result.out}"
        + "".join(f"! {line}\n" for line in result.err.splitlines())
        + f"exit {result.status}\n\n",
        store,
        folder,
    )


def golden(name, seen):
    """Holds what was seen against golden/NAME.txt."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN_UPDATE"):
        path.write_text(seen)
    assert seen == path.read_text(), f"not what {path} says; GOLDEN_UPDATE=1 rewrites it"

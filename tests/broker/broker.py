# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Starts, stops and kills a real Mosquitto on a store folder.

From the environment: BROKER_PREFIX (sbin/mosquitto, bin, lib), BUILD_DIR (plugin, tools) and
PERSIST_PLUGIN = lmdb (default) | sqlite | none, so that the tests can be held against the stock
plugin; SQLITE_FLUSH_PERIOD sets its one option that matters here.
"""
import ctypes
import fcntl
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

START_LIMIT_S = 120
STOP_LIMIT_S = 60
REFUSE_LIMIT_S = 8
QUICK = {"journal_segment_bytes": "1M"}
PLUGINS = ("lmdb", "sqlite", "none")


class BrokerExited(Exception):
    """The broker ended before it listened."""

    def __init__(self, status, log):
        super().__init__(f"the broker ended with status {status}:\n{log}")
        self.status, self.log = status, log


def environment_folder(name, holds):
    """The folder that an environment variable names, checked for what must be in it."""
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: the folder with {holds}", 2)
    folder = pathlib.Path(value).resolve()
    if not (folder / holds).exists():
        pytest.exit(f"{name}={value}: there is no {holds} in it", 2)
    return folder


def plugin_name():
    name = os.environ.get("PERSIST_PLUGIN", "lmdb")
    if name not in PLUGINS:
        pytest.exit(f"PERSIST_PLUGIN={name}: must be one of {', '.join(PLUGINS)}", 2)
    return name


def prefix():
    return environment_folder("BROKER_PREFIX", "sbin/mosquitto")


def plugin_path():
    if plugin_name() == "sqlite":
        return prefix() / "lib" / "mosquitto_persist_sqlite.so"
    return environment_folder("BUILD_DIR", "plugin/mosquitto_persist_lmdb.so") / \
        "plugin" / "mosquitto_persist_lmdb.so"


_port_locks = {}


def free_port():
    """A port that no other test process takes, below the range of outgoing connections, so that
    it is still free when a broker comes back to it."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"persist-lmdb-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for _ in range(1000):
        port = random.SystemRandom().randrange(12000, 32000)
        lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _port_locks[port] = lock
        return port
    raise RuntimeError("no free port")


def release_port(port):
    lock = _port_locks.pop(port, None)
    if lock is not None:
        os.close(lock)


def before_exec():
    """The broker dies with the test, and a file that may not grow is an error, not its end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


class Broker:
    """One broker, its configuration and its store; it can be started many times.

    conf       lines added to the configuration
    options    plugin options without their prefix, {"sync": "always"}
    listener   lines of the listener; {port} stands for the port
    defaults   True: nothing but the path is set; else the journal's segments are small, so that
               a broker starts quickly and a journal soon has many of them
    persist    False: a broker without any persistence plugin
    user       whom it becomes when it is started by root
    plugin     another build of the plugin than BUILD_DIR's
    limits     of its resources: {resource.RLIMIT_AS: bytes}
    """

    def __init__(self, folder, *, conf=(), options=None, defaults=False, listener=None,
                 persist=True, store=None, user="root", anonymous=True, plugin=None,
                 limits=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.store = pathlib.Path(store) if store else self.folder / "store"
        self.conf, self.options = list(conf), dict(options or {})
        self.listener = listener or ["listener {port} 127.0.0.1"]
        self.defaults, self.persist = defaults, persist
        self.user, self.anonymous = user, anonymous
        self.plugin = plugin
        self.environment = {}  # beside the test's own
        self.wrapper = []      # a command that runs it
        self.limits = dict(limits or {})
        self.log_file = self.folder / "broker.log"
        self.conf_file = self.folder / "broker.conf"
        # Below per_listener_settings, `plugin` belongs to a listener, and the broker sends the
        # events of persistence only to plugins that belong to none.
        per_listener = "per_listener_settings true" in self.conf
        self.plugin_word = "global_plugin" if per_listener else "plugin"
        self.pid_file = None
        self.process = None
        self.log_start = 0

    # ---- configuration

    def plugin_lines(self):
        if not self.persist or plugin_name() == "none":
            return []
        if plugin_name() == "sqlite":
            self.store.mkdir(parents=True, exist_ok=True)
            lines = [f"{self.plugin_word} {plugin_path()}",
                     f"plugin_opt_db_file {self.store}/mosquitto.sqlite3"]
            if os.environ.get("SQLITE_FLUSH_PERIOD"):
                lines.append(f"plugin_opt_flush_period {os.environ['SQLITE_FLUSH_PERIOD']}")
            return lines
        options = {"path": self.store, **({} if self.defaults else QUICK), **self.options}
        return [f"{self.plugin_word} {self.reachable_plugin()}"] + \
            [f"plugin_opt_{key} {value}" for key, value in options.items() if value is not None]

    def reachable_plugin(self):
        """A broker that becomes another user before it loads plugins need not be able to enter the
        folder of the build, which may be root's own."""
        plugin = self.plugin or plugin_path()
        if self.user == "root":
            return plugin
        self.folder.chmod(0o755)
        return shutil.copy(plugin, self.folder)

    def write_conf(self):
        lines = [line for line in self.conf if line.startswith("per_listener_settings")]
        if os.geteuid() == 0:
            lines.append(f"user {self.user}")
        if self.anonymous:
            lines.append("allow_anonymous true")
        lines += ["log_dest stderr", "log_timestamp_format %H:%M:%S"]
        for kind in ("error", "warning", "notice", "information"):
            lines.append(f"log_type {kind}")
        if os.environ.get("BROKER_DEBUG"):
            lines.append("log_type debug")
        lines += [line for line in self.conf if not line.startswith("per_listener_settings")]
        lines += [line.format(port=self.port) for line in self.listener]
        lines += self.plugin_lines()
        self.conf_file.write_text("".join(line + "\n" for line in lines))
        return self.conf_file

    # ---- life

    def launch(self, *arguments, before=lambda: None):
        """Starts the process and returns at once. `before` is called in it first."""

        def begin():
            before_exec()
            for limit, value in self.limits.items():
                resource.setrlimit(limit, (value, value))
            before()

        self.write_conf()
        self.log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        environment = dict(os.environ)
        environment["LD_LIBRARY_PATH"] = ":".join(
            filter(None, [str(prefix() / "lib"), os.environ.get("LD_LIBRARY_PATH")]))
        environment.update(self.environment)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, str(prefix() / "sbin" / "mosquitto"), "-c", str(self.conf_file),
                 *arguments],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, preexec_fn=begin)
        return self

    def start(self):
        """Starts and returns when the broker takes connections; BrokerExited if it ends first."""
        self.launch()
        return self.wait_listening()

    def listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def wait_listening(self, limit_s=START_LIMIT_S):
        end = time.monotonic() + limit_s
        while True:
            status = self.process.poll()
            if status is not None:
                raise BrokerExited(status, self.log())
            if self.listening():
                return self.wait_running()
            if time.monotonic() > end:
                raise TimeoutError(f"the broker does not listen after {limit_s} s:\n{self.log()}")
            time.sleep(0.004)

    def wait_running(self, limit_s=2):
        """Between listening and its loop the broker takes no signal as it should: one ends it at once,
        or is forgotten. It says when that is over, unless the log leaves it out."""
        end = time.monotonic() + limit_s
        while " running" not in self.log() and time.monotonic() < end:
            time.sleep(0.004)
        return self

    def start_fails(self, limit_s=REFUSE_LIMIT_S):
        """Starts a broker that must refuse; returns its log. Its status must not be 0."""
        self.launch()
        try:
            status = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the broker runs, and should have refused:\n{self.log()}") \
                from None
        assert status > 0, f"the broker ended with status {status}:\n{self.log()}"
        self.process = None
        return self.log()

    def kill(self):
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        status = self.process.wait(STOP_LIMIT_S)
        self.process = None
        assert status == -signal.SIGKILL, f"ended by itself, status {status}:\n{self.log()}"

    def stop(self):
        """SIGTERM; the broker must end by itself with status 0."""
        end = time.monotonic() + STOP_LIMIT_S
        while True:
            self.process.terminate()
            try:
                status = self.process.wait(5)
                break
            except subprocess.TimeoutExpired:
                # It may have come just before the loop began, which forgets it.
                assert time.monotonic() < end, f"the broker does not stop:\n{self.log()}"
        self.process = None
        assert status == 0, f"a clean stop ended with status {status}:\n{self.log()}"

    def end(self, how):
        {"kill": self.kill, "stop": self.stop}[how]()

    def restart(self, how="kill"):
        self.end(how)
        return self.start()

    def limit_files(self, size):
        """No file of the running broker may grow beyond so many bytes any more."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, size))

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        """Whatever state it is in: gone afterwards."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_LIMIT_S)
        self.process = None
        if self.pid_file and self.pid_file.exists():
            kill_daemon(self.pid_file)
        release_port(self.port)

    # ---- log

    def log(self):
        """What the broker said since its last start."""
        with open(self.log_file, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def whole_log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, pattern, limit_s=20):
        """Waits for a line that matches; returns the match."""
        return poll(lambda: re.search(pattern, self.log(), re.MULTILINE), limit_s,
                    f"no line matches {pattern!r}", self.log)


def poll(condition, limit_s, what, details=lambda: ""):
    """Calls `condition` until it is true, and returns its value."""
    end = time.monotonic() + limit_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what} within {limit_s} s\n{details()}")
        time.sleep(0.02)


def kill_daemon(pid_file, how=signal.SIGKILL, limit_s=STOP_LIMIT_S):
    """Ends the broker that wrote this file, and waits until it is gone."""
    pid = int(pid_file.read_text())
    command = pathlib.Path(f"/proc/{pid}/comm")
    if not command.exists() or command.read_text().strip() != "mosquitto":
        pid_file.unlink(missing_ok=True)
        return
    os.kill(pid, how)
    state = re.compile(r"^State:\s+([A-Z])", re.MULTILINE)

    def gone():
        try:
            return state.search(pathlib.Path(f"/proc/{pid}/status").read_text())[1] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True
    poll(gone, limit_s, f"the broker {pid} does not end")
    pid_file.unlink(missing_ok=True)


def make_folder():
    """A folder that other users may enter, since a broker may drop its privileges."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="persist-lmdb-"))
    folder.chmod(0o755)
    return folder


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Starting and stopping: daemon mode, the store folder, its lock, what the log says."""
import os
import re
import signal
import stat
import subprocess

import pytest

from as_root import as_root
from broker import kill_daemon, poll, prefix
from helpers import expect_received, numbers, offline_session, publish_numbers


NOTHING_TO_RECOVER = "persist-lmdb: the broker had been stopped cleanly: nothing to recover"


def test_the_log_names_versions_and_what_was_restored(broker, client, publisher, how):
    assert re.search(r"persist-lmdb: .*\d+\.\d+\.\d+.*format \d+.*lmdb 0\.\d+\.\d+.*zstd \d",
                     broker.log(), re.IGNORECASE)
    session = client(broker, "sub")
    session.subscribe("t/#", "u/#")
    session.disconnect()
    publish_numbers(publisher(broker), 1, 7)
    publisher(broker).publish("r/1", "x", retain=True)
    broker.restart(how)
    line = broker.wait_log("persist-lmdb: .*restored.*").group()
    for count in ("1 session", "2 subscription", "7 queued", "1 retained"):
        assert count in line, line
    assert re.search(r"\d+(\.\d+)? (ms|s)\b", line), line


def test_after_a_clean_stop_there_is_nothing_to_recover(broker, client, publisher):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 10)
    broker.restart("stop")
    assert NOTHING_TO_RECOVER in broker.log()
    expect_received(session, numbers(1, 10))


def test_after_a_kill_the_log_says_what_was_recovered(broker, client, publisher):
    offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 10)
    broker.restart("kill")
    assert NOTHING_TO_RECOVER not in broker.log()
    assert re.search(r"persist-lmdb: .*\b[1-9]\d* events were recovered", broker.log())


def test_a_restart_without_anything_in_between_is_clean(broker, client, publisher, how):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 3)
    for _ in range(5):
        broker.restart(how)
    expect_received(session, numbers(1, 3))


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_stop_a_broker_stop_it_cleanly(broker, client, publisher, ending):
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 3)
    broker.process.send_signal(ending)
    assert broker.process.wait(20) == 0
    broker.start()
    assert NOTHING_TO_RECOVER in broker.log()
    expect_received(session, numbers(1, 3))


def test_the_folder_is_closed_to_others(new_broker, client, publisher):
    """0700 and 0600 whatever the umask is."""
    before = os.umask(0)
    try:
        broker = new_broker().start()
        offline_session(broker, client)
        publish_numbers(publisher(broker), 1, 3)
        broker.restart("kill")
        modes = {}
        for parent, folders, files in os.walk(broker.store):
            modes[parent] = stat.S_IMODE(os.stat(parent).st_mode)
            for name in files:
                modes[name] = stat.S_IMODE(os.stat(os.path.join(parent, name)).st_mode)
            for name in folders:
                modes[name] = stat.S_IMODE(os.stat(os.path.join(parent, name)).st_mode)
    finally:
        os.umask(before)
    assert modes.pop(str(broker.store)) == 0o700
    assert modes and set(modes.values()) <= {0o600, 0o700}, modes
    files = [each for each in broker.store.rglob("*") if each.is_file()]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}


def test_a_missing_folder_is_made(new_broker, client, folder, how):
    broker = new_broker(store=folder / "not yet there").start()
    session = offline_session(broker, client)
    broker.restart(how)
    session.connect()
    assert session.session_present


def test_a_missing_folder_above_it_is_not_and_is_named(new_broker, folder):
    log = new_broker(store=folder / "not" / "there").start_fails()
    assert str(folder / "not" / "there") in log and "No such file or directory" in log
    assert not (folder / "not").exists()


def test_a_second_broker_on_the_same_folder_is_refused_and_told_who_holds_it(new_broker, client,
                                                                             publisher):
    first = new_broker().start()
    session = offline_session(first, client)
    publish_numbers(publisher(first), 1, 5)
    second = new_broker(store=first.store)
    log = second.start_fails()
    assert "mosquitto" in log and str(first.process.pid) in log, log
    assert str(first.store) in log
    publish_numbers(publisher(first), 6, 10)
    first.restart("kill")
    expect_received(session, numbers(1, 10))


def test_the_lock_of_a_killed_broker_is_free(new_broker, client, publisher):
    first = new_broker().start()
    session = offline_session(first, client)
    publish_numbers(publisher(first), 1, 5)
    first.kill()
    second = new_broker(store=first.store).start()
    session.port = second.port
    expect_received(session, numbers(1, 5))


@as_root
def test_a_folder_that_cannot_be_written_stops_the_start(new_broker, folder):
    """The broker drops its privileges before it loads plugins."""
    closed = folder / "closed"
    closed.mkdir(mode=0o755)
    log = new_broker(store=closed / "store", user="nobody").start_fails()
    assert str(closed) in log and "ermission denied" in log, log


@as_root
def test_a_folder_of_another_user_stops_the_start(new_broker, folder):
    theirs = folder / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 1, 1)
    log = new_broker(store=theirs).start_fails()
    assert str(theirs) in log, log


@as_root
def test_an_unprivileged_broker_keeps_its_store(new_broker, client, publisher, folder, how):
    home = folder / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    broker = new_broker(store=home / "store", user="nobody").start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 5)
    assert broker.store.stat().st_uid == 65534
    broker.restart(how)
    expect_received(session, numbers(1, 5))


def test_a_path_that_is_a_file_stops_the_start(new_broker, folder):
    (folder / "file").write_text("not a folder")
    log = new_broker(store=folder / "file").start_fails()
    assert str(folder / "file") in log, log
    assert (folder / "file").read_text() == "not a folder"


def test_a_folder_with_other_peoples_files_is_left_alone(new_broker, folder):
    other = folder / "other"
    other.mkdir(mode=0o700)
    (other / "letter.txt").write_text("mine")
    log = new_broker(store=other).start_fails()
    assert str(other) in log, log
    assert [each.name for each in other.iterdir()] == ["letter.txt"]


def test_a_link_in_place_of_the_folder_stops_the_start(new_broker, folder):
    (folder / "real").mkdir(mode=0o700)
    (folder / "link").symlink_to(folder / "real")
    log = new_broker(store=folder / "link").start_fails()
    assert str(folder / "link") in log, log


def test_beside_the_brokers_own_persistence_it_does_not_start(new_broker):
    """Trap 3: Mosquitto refuses, and the log says why."""
    log = new_broker(conf=["persistence true"]).start_fails()
    assert "persistence true" in log


def test_where_no_event_of_persistence_reaches_it_the_broker_does_not_run_on(new_broker):
    """Below per_listener_settings a `plugin` of a listener is never told of anything to keep."""
    broker = new_broker(conf=["per_listener_settings true"], anonymous=False,
                        listener=["listener {port} 127.0.0.1", "allow_anonymous true"])
    broker.plugin_word = "plugin"
    assert "global_plugin" in broker.start_fails()


def test_loaded_twice_it_does_not_start(new_broker):
    """Two copies of the plugin on one folder would be two writers."""
    broker = new_broker()
    broker.conf = broker.plugin_lines()
    log = broker.start_fails()
    assert str(broker.store) in log, log


def test_with_default_options_all_is_kept(new_broker, client, publisher, how):
    broker = new_broker(defaults=True).start()
    session = offline_session(broker, client)
    for life in range(3):
        publish_numbers(publisher(broker), life * 10 + 1, life * 10 + 10)
        broker.restart(how)
    expect_received(session, numbers(1, 30))


class Daemon:
    def __init__(self, broker):
        self.broker = broker
        broker.pid_file = broker.folder / "pid"
        log = broker.folder / "daemon.log"
        broker.conf += [f"pid_file {broker.pid_file}", f"log_dest file {log}"]
        self.log = log

    def start(self):
        self.broker.write_conf()
        environment = {**os.environ, "LD_LIBRARY_PATH": str(prefix() / "lib")}
        with open(self.broker.log_file, "ab") as log:
            assert subprocess.call(
                [str(prefix() / "sbin/mosquitto"), "-d", "-c", str(self.broker.conf_file)],
                cwd=self.broker.folder, env=environment, stdout=log, stderr=log) == 0
        poll(self.broker.listening, 20, "the daemon does not listen", self.broker.whole_log)

    def end(self, how):
        kill_daemon(self.broker.pid_file,
                    {"kill": signal.SIGKILL, "stop": signal.SIGTERM}[how])


@pytest.mark.parametrize("start", [0, 5])
def test_what_can_wait_runs_below_the_broker(new_broker, start):
    """However low that runs itself: what folds, and what makes segments. What syncs runs beside it."""
    broker = new_broker()
    broker.launch(before=lambda: os.nice(start))
    broker.wait_listening()
    own = os.getpriority(os.PRIO_PROCESS, broker.process.pid)
    threads = [int(thread) for thread in os.listdir(f"/proc/{broker.process.pid}/task")]
    assert len(threads) > 2
    wanted = [own] * (len(threads) - 2) + [min(own + 10, 19)] * 2
    poll(lambda: sorted(os.getpriority(os.PRIO_PROCESS, each) for each in threads) == wanted, 20,
         f"{len(threads)} threads do not come to {wanted}")


def test_in_daemon_mode_all_is_kept(new_broker, client, publisher, how):
    """The broker forks before it loads plugins, so threads may be started there."""
    broker = new_broker()
    daemon = Daemon(broker)
    daemon.start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 20)
    daemon.end(how)
    daemon.start()
    publish_numbers(publisher(broker), 21, 30)
    daemon.end(how)
    daemon.start()
    expect_received(session, numbers(1, 30))
    daemon.end("stop")
    assert "rror" not in daemon.log.read_text()


def test_a_store_moved_to_another_folder_opens_there(new_broker, client, publisher, folder):
    first = new_broker().start()
    session = offline_session(first, client)
    publish_numbers(publisher(first), 1, 5)
    first.kill()
    first.store.rename(folder / "moved")
    second = new_broker(store=folder / "moved").start()
    session.port = second.port
    expect_received(session, numbers(1, 5))

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Files in the store's folder that are not what they should be: links, pipes, open to others, of
another user. Plugin and command line refuse with a sentence that names the file, or put the file
away; what a link leads to is neither read nor changed."""
import os
import shutil
import stat
import subprocess

import pytest

import cli
from broker import environment_folder
from helpers import expect_received, numbers, offline_session, publish_numbers

LETTER = "a letter to somebody else"


def by_link(path, outside):
    path.unlink(missing_ok=True)
    path.symlink_to(outside)


def by_link_to_a_store(path, outside):
    """As if the file had been moved elsewhere."""
    shutil.copy(path, outside)
    by_link(path, outside)


def by_link_to_nothing(path, outside):
    outside.unlink()
    by_link(path, outside)


def by_second_name(path, outside):
    outside.unlink()
    if not path.exists():
        path.write_text(LETTER)
        path.chmod(0o600)
    os.link(path, outside)


def by_pipe(path, _):
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)


def by_folder(path, _):
    path.unlink(missing_ok=True)
    path.mkdir(0o700)


def by_mode(path, _):
    path.touch()
    path.chmod(0o640)


def by_owner(path, _):
    path.touch(0o600)
    os.chown(path, 1, 1)


SPOILS = [by_link, by_link_to_a_store, by_link_to_nothing, by_second_name, by_pipe, by_folder,
          by_mode] + ([by_owner] if os.geteuid() == 0 else [])
# What must be sound, and what may be missing and means nothing.
NEEDED = ["store.lock", "data.mdb", "lock.mdb", "segment"]
MEANINGLESS = ["prepare.tmp", "reserve.bin"]
READ, CHANGE = ["session", "ls"], ["queue", "purge", "sub", "--yes"]


@pytest.fixture(scope="module")
def template(module_stage):
    """The store of a broker that was killed, with ten messages for `sub`."""
    broker = module_stage.new_broker().start()
    offline_session(broker, module_stage.client)
    publish_numbers(module_stage.publisher(broker), 1, 10)
    broker.kill()
    return broker.store


class Spoiled:
    """A copy of the store with one file spoiled, and a file outside that a link may lead to."""

    def __init__(self, stage, template, name, spoil):
        self.broker = stage.new_broker()
        shutil.copytree(template, self.broker.store)
        self.broker.store.chmod(0o700)
        if name == "segment":
            name = max(path.name for path in self.broker.store.glob("*.log"))
        self.path, self.outside = self.broker.store / name, stage.folder / "outside"
        self.outside.write_text(LETTER)
        self.outside.chmod(0o600)
        spoil(self.path, self.outside)
        self.before = self.seen()

    def seen(self):
        """All of the file outside: what is in it, and whose it is."""
        if not self.outside.exists():
            return None
        status = self.outside.stat()
        return self.outside.read_bytes(), stat.S_IMODE(status.st_mode), status.st_uid

    def tool(self, *command):
        tool = environment_folder("BUILD_DIR", cli.TOOL) / cli.TOOL
        return subprocess.run([tool, "--store", self.broker.store, *command], text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                              check=False)


@pytest.fixture
def spoiled(stage, template, request):
    return Spoiled(stage, template, *request.param)


def spoilt(names):
    cases = [(name, spoil) for name in names for spoil in SPOILS
             if name not in MEANINGLESS or spoil is not by_link_to_a_store]
    return pytest.mark.parametrize("spoiled", cases, indirect=True,
                                   ids=[f"{name}-{spoil.__name__}" for name, spoil in cases])


@spoilt(NEEDED)
def test_a_broker_does_not_start_with_it(spoiled):
    log = spoiled.broker.start_fails()
    assert f"{spoiled.path}" in log or spoiled.path.name in log.split("persist-lmdb: ")[-1], log
    assert spoiled.seen() == spoiled.before


@spoilt(NEEDED)
def test_the_command_line_refuses_it(spoiled):
    for command in (READ, CHANGE):
        done = spoiled.tool(*command)
        assert done.returncode in (1, 3), done
        assert spoiled.path.name in done.stderr and done.stderr.count("\n") == 1, done
        assert done.stdout == ""
    assert spoiled.seen() == spoiled.before


@spoilt(MEANINGLESS)
def test_what_means_nothing_is_put_away_or_refused(spoiled, client):
    """Never is anything outside touched. A folder cannot be put away."""
    try:
        spoiled.broker.start()
    except Exception as refused:
        assert spoiled.path.name in str(refused), refused
    else:
        expect_received(client(spoiled.broker, "sub"), numbers(1, 10))
        spoiled.broker.stop()
    assert spoiled.seen() == spoiled.before

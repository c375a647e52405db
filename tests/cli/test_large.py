# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A store that is large for the memory that a command may have: lists and streams go on regardless."""

import resource
import subprocess

import pytest

import cli

SESSIONS, MESSAGES = 20_000, 100_000
# What a command takes before it has read anything, and a little more. All rows of a list, or the
# ids of all messages, would not fit.
LIMIT_BYTES = 3 << 20

COMMANDS = [
    ["session", "ls"], ["session", "ls", "--json"], ["session", "ls", "--match", "*77*"],
    ["session", "ls", "--sort", "bytes", "--limit", "20"], ["queue", "ls"],
    ["queue", "ls", "--sort", "age", "--limit", "20"], ["queue", "ls", "client-0000000"],
    ["queue", "peek", "client-0000000", "--from", "newest"], ["sub", "ls", "--topic", "site/1/x"],
    ["session", "show", "client-0000000"], ["check"], ["export"], ["journal", "dump"],
]  # fmt: skip


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return cli.make_store("large", tmp_path_factory.mktemp("large") / "store", SESSIONS, MESSAGES)


def limited(store, command, limit_bytes):
    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))

    done = subprocess.run([cli.PROGRAM, "--store", store, *command], capture_output=True, text=True,
                          timeout=cli.TIMEOUT_S, env=cli.environment(), preexec_fn=limit)  # fmt: skip
    return cli.Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_memory_does_not_grow_with_the_store(large, command):
    result = limited(large, command, LIMIT_BYTES)
    assert result.status == 0, result.err


def test_the_limit_is_felt(large):
    """verify keeps the ids of all messages."""
    assert limited(large, ["verify"], LIMIT_BYTES).status != 0


def test_the_rows_that_are_left_out_are_counted(large):
    out = cli.run("--store", large, "session", "ls", "--limit", "3").out
    assert out.splitlines()[-1] == "… and 19,997 more" and out.count("\n") == 5
    out = cli.run("--store", large, "queue", "ls", "--sort", "bytes", "--limit", "3").out
    assert out.splitlines()[-1] == "… and 19,997 more"
    assert cli.run("--store", large, "--json", "sub", "ls", "--limit", "2").json["more"] == 19_998

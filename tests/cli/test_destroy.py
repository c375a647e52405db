# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""session rm, queue purge, retained rm: exact counts, nothing more, nothing without being asked."""

import json

import pytest

import cli

RM = ["session", "rm", "beta"]


def contents(store):
    result = cli.run("--store", store, "export")
    assert result.status == 0, result
    return [json.loads(line) for line in result.out.splitlines()[1:]]


def of(lines, type_, **fields):
    return [
        line for line in lines
        if line["type"] == type_ and all(line[k] == v for k, v in fields.items())
    ]  # fmt: skip


def sound(store):
    result = cli.run("--store", store, "verify")
    assert result.status == 0 and "no queue and no retained topic" not in result.out, result


def test_without_a_terminal_it_refuses(store):
    busy = store("busy")
    before = contents(busy)
    result = cli.run("--store", busy, *RM, stdin="y\n")
    assert result.status == 2 and "there is no terminal to ask on" in result.err
    assert contents(busy) == before


@pytest.mark.parametrize("answer, done", [("y", True), ("yes", True), ("n", False), ("", False),
                                          ("yeah", False)])  # fmt: skip
def test_asks_at_a_terminal(store, answer, done):
    busy = store("busy")
    result = cli.run_at_terminal("--store", busy, *RM, answer=answer)
    assert result.status == 0
    assert result.out.startswith(
        "will remove 1 session, 2 subscriptions, 4 queued messages (83 B); this frees 2 stored "
        "messages (9 B)\nDo it? [y/N] "
    )
    assert bool(of(contents(busy), "session", client_id="beta")) != done


@pytest.mark.parametrize("command", [RM, ["queue", "purge", "beta"], ["retained", "rm", "#"]])
def test_dry_run_changes_nothing(store, command):
    busy = store("busy")
    before = contents(busy)
    result = cli.run("--store", busy, *command, "--dry-run")
    assert result.status == 0 and result.out.startswith("would remove "), result
    as_json = cli.run("--store", busy, *command, "--dry-run", "--json").json
    assert as_json["done"] is False
    assert contents(busy) == before
    assert cli.run("--store", busy, "--json", "status").json["life"] == 1


def test_session_rm(store):
    busy = store("busy")
    before = contents(busy)
    result = cli.run("--store", busy, *RM, "alpha", "beta", "--yes", "--json")
    assert result.status == 0
    assert result.json == {
        "format": 1, "done": True, "sessions": 2, "subscriptions": 3, "wills": 1, "queued": 5,
        "queued_bytes": 89, "retained": 0, "retained_bytes": 0, "messages": 3, "message_bytes": 15,
    }  # fmt: skip
    after = contents(busy)
    gone = [line for line in before if line not in after]
    assert {line.get("client_id") for line in gone} == {"alpha", "beta", None}
    # Message 1 is retained too, and stays.
    assert [line["topic"] for line in of(gone, "message")] == ["home/door", "home/empty", "in/flight"]
    assert of(after, "will") == of(before, "will", client_id="passer-by")
    assert [line for line in after if line not in before] == []
    sound(busy)


def test_session_rm_of_an_unknown_one_changes_nothing(store):
    busy = store("busy")
    before = contents(busy)
    result = cli.run("--store", busy, *RM, "nob\nody", "-y")
    assert result.status == 1
    assert result.err == 'mosquitto_lmdb: there is no session "nob\\nody"; nothing was changed\n'
    assert contents(busy) == before


@pytest.mark.parametrize(
    "options, left",
    [
        ([], [2]),  # the one whose PUBREC has come stays
        (["--keep", "1"], [2, 4]),
        (["--keep", "9"], [1, 2, 3, 4]),
        (["--topic", "home/+/temperature"], [2, 3]),
        (["--topic", "home/+/temperature", "--keep", "1"], [2, 3, 4]),
        (["--older-than", "30d"], [2]),
        (["--older-than", "9000d"], [1, 2, 3, 4]),
    ],
)
def test_queue_purge(store, options, left):
    busy = store("busy")
    before = contents(busy)
    result = cli.run("--store", busy, "queue", "purge", "beta", *options, "--yes")
    assert result.status == 0
    if len(left) == 4:
        assert result.out == "nothing to remove\n"
    after = contents(busy)
    assert [line["mid"] for line in of(after, "queued", client_id="beta")] == left
    for type_ in ("session", "subscription", "retained", "will"):
        assert of(after, type_) == of(before, type_)
    sound(busy)


def test_queue_purge_of_what_comes_in_leaves_it(store):
    busy = store("busy")
    result = cli.run("--store", busy, "queue", "purge", "alpha", "-y")
    assert result.status == 0 and result.out == "nothing to remove\n"


@pytest.mark.parametrize(
    "options, left",
    [
        (["#"], []),
        (["home/door"], ["home/kitchen/temperature"]),
        (["home/+/temperature"], ["home/door"]),
        (["nothing/#"], ["home/door", "home/kitchen/temperature"]),
        (["#", "--older-than", "9000d"], ["home/door", "home/kitchen/temperature"]),
    ],
)
def test_retained_rm(store, options, left):
    busy = store("busy")
    before = contents(busy)
    result = cli.run("--store", busy, "retained", "rm", *options, "--yes")
    assert result.status == 0
    after = contents(busy)
    assert [line["topic"] for line in of(after, "retained")] == left
    # Message 1 is queued too, and stays.
    assert bool(of(after, "message", payload_len=6, qos=0)) == ("home/door" in left)
    assert of(after, "queued") == of(before, "queued")
    sound(busy)


def test_wrong_filter(store):
    result = cli.run("--store", store("busy"), "retained", "rm", "home/#/x", "-y")
    assert result.status == 2 and "not a topic filter" in result.err


def test_wills_outlive_what_the_command_line_does(store):
    """A clean stop's mark would say that no will is owed; only a broker may write it."""
    crashed = store("crashed")
    assert cli.run("--store", crashed, "retained", "rm", "home/door", "-y").status == 0
    assert cli.run("--store", crashed, "compact").status == 0
    assert [line["client_id"] for line in of(contents(crashed), "will")] == ["alpha", "passer-by"]

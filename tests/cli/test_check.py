# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""check: each measurement with its limits, the exit statuses of a monitor's plugin, and what it says
of a store that it cannot read."""

import errno
import json
import os
import shutil
import signal
import subprocess

import pytest

import cli
from journal_damage import damaged_journal

FIRST_S = 1767225600  # make_store's messages
MADE_S = FIRST_S + 100 * 86400
CLOCK = cli.BUILD / "tests" / "libstopped_clock.so"
OK, WARNING, CRITICAL, UNKNOWN = range(4)
NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def at(time_s, **more):
    """An environment in which the clock stands still."""
    return cli.environment(LD_PRELOAD=str(CLOCK), CLOCK_S=str(time_s), **more)


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A store with messages of FIRST_S, whose tables have had all up to MADE_S, and no more."""
    store = tmp_path_factory.mktemp("check") / "crashed"
    subprocess.run([cli.MAKE_STORE, "crashed", store], check=True, env=at(MADE_S))
    return store


def check(store, *options, time_s=MADE_S, env=None):
    """Its words and its JSON, which must say the same, as its exit status. The tail of the journal
    stays where it is."""
    words = ["--store", store, "--read-only", "check", *options]
    text, document = (cli.run(*more, *words, env=env or at(time_s)) for more in ([], ["--json"]))
    assert text.err == "" == document.err, (text, document)
    assert text.status == document.status and document.json["status"] == NAMES[text.status]
    assert text.out.startswith(f"STORE {NAMES[text.status]} - ") and text.out.count("\n") == 1
    return text, document.json


def performance(text):
    """name: (value with its unit, warning, critical) of what follows the bar."""
    line, bar, measured = text.out.rstrip("\n").partition(" | ")
    assert bar and "|" not in line + measured
    return {name: (*values.split(";"), None, None)[:3]
            for name, values in (entry.split("=") for entry in measured.split(" "))}  # fmt: skip


# ---- what is measured ----------------------------------------------------------------------------

VALUES = {
    "sessions": 3, "sessions_connected": 1, "queued_messages": 6, "longest_queue_messages": 4,
    "oldest_message_age_seconds": 100 * 86400, "retained_messages": 2, "behind_records": 2,
}  # fmt: skip


def test_what_is_measured(behind):
    text, found = check(behind, time_s=MADE_S + 90)
    fs = os.statvfs(behind)
    assert {name: found[name] for name in VALUES} == {
        **VALUES, "oldest_message_age_seconds": 100 * 86400 + 90}  # fmt: skip
    assert found["behind_seconds"] == 90 and found["reasons"] is None
    sizes = [(behind / "data.mdb").stat().st_size, *(p.stat().st_size for p in behind.glob("*.log"))]
    assert found["store_bytes"] == sum(sizes)
    assert abs(found["free_bytes"] - fs.f_bavail * fs.f_frsize) < fs.f_blocks * fs.f_frsize // 4
    assert text.out.startswith("STORE OK - 3 sessions, 6 queued | sessions=3 ")
    values = performance(text)
    assert list(values) == [name for name in found if name not in ("format", "status", "reasons")]
    for name, (value, warning, critical) in values.items():
        unit = "s" if name.endswith("seconds") else "B" if name.endswith("bytes") else ""
        assert warning is None and critical is None, name
        assert name == "free_bytes" or value == f"{found[name]}{unit}", name


def test_prometheus_has_the_same(behind):
    result = cli.run("--store", behind, "--read-only", "check", "--format", "prometheus",
                     env=at(MADE_S + 90))  # fmt: skip
    lines = result.out.splitlines()
    assert result.status == 0 and len(lines) % 3 == 0, result
    found = {}
    for about, kind, value in zip(lines[::3], lines[1::3], lines[2::3]):
        name, number = value.split()
        assert about.startswith(f"# HELP {name} ") and kind == f"# TYPE {name} gauge"
        found[name.removeprefix("mosquitto_lmdb_")] = int(number)
    _, said = check(behind, time_s=MADE_S + 90)
    for name in said.keys() - {"format", "status", "reasons", "free_bytes"}:
        assert found[name] == said[name], name
    assert found["up"] == 1 and found["free_bytes"] > 0
    # Whoever asks for gauges judges by himself.
    limit = cli.run("--store", behind, "--read-only", "check", "--format", "prometheus",
                    "--max-queue", "1:2", env=at(MADE_S))  # fmt: skip
    assert limit.status == 0


def test_an_empty_store(made):
    text, found = check(made["empty"], "--max-queue", "1", "--max-age", "1s")
    assert text.status == OK and text.out.startswith("STORE OK - 0 sessions, 0 queued | ")
    assert found["longest_queue_messages"] == found["oldest_message_age_seconds"] == 0


@pytest.mark.parametrize("time_s", [FIRST_S, FIRST_S - 1])
def test_a_clock_that_is_behind_the_messages_gives_no_age(behind, time_s):
    text, found = check(behind, "--max-age", "1s", "--max-lag", "1s", time_s=time_s)
    assert text.status == OK
    assert found["oldest_message_age_seconds"] == found["behind_seconds"] == 0


def test_tables_that_have_all_are_not_behind(made):
    text, found = check(made["busy"], "--max-lag", "1s", time_s=2_000_000_000)
    assert text.status == OK and found["behind_records"] == found["behind_seconds"] == 0


# ---- limits --------------------------------------------------------------------------------------

# Option, what it judges, its value at MADE_S + 90 s.
MOST = [
    ("--max-queue", "longest_queue_messages", 4, ""),
    ("--max-age", "oldest_message_age_seconds", 100 * 86400 + 90, "s"),
    ("--max-lag", "behind_seconds", 90, "s"),
    ("--max-bytes", "store_bytes", None, ""),
]


@pytest.mark.parametrize("option, name, value, unit", MOST)
def test_a_limit_may_be_reached_and_not_passed(behind, option, name, value, unit):
    value = value or check(behind)[1]["store_bytes"]
    for warning, critical, status in (
        (value, None, OK), (value - 1, None, WARNING), (1, None, WARNING),
        (value, value, OK), (value - 1, value, WARNING), (value - 1, value - 1, CRITICAL),
        (value - 2, value - 1, CRITICAL), (value + 1, value + 2, OK),
    ):  # fmt: skip
        words = f"{warning}{unit}" + (f":{critical}{unit}" if critical else "")
        text, found = check(behind, option, words, time_s=MADE_S + 90)
        assert text.status == status and found[name] == value, (words, text)
        shown = f"{value}{'B' if name == 'store_bytes' else unit}"
        # The limits go with the measurement, in its own unit, whatever came of them.
        assert performance(text)[name] == (
            shown, str(warning), str(critical) if critical else None), words  # fmt: skip
        reason = f"{name} is {shown}" + (" (beta)" if option == "--max-queue" else "")
        assert found["reasons"] == (None if status == OK else reason), words
        assert status == OK or text.out.startswith(f"STORE {NAMES[status]} - {reason} | "), words


def test_limits_have_units(behind):
    text, _ = check(behind, "--max-queue", "10k:2M")
    assert performance(text)["longest_queue_messages"] == ("4", "10000", "2000000")
    text, _ = check(behind, "--max-lag", "1h:2d", "--max-bytes", "1G", "--min-free", "2k:1k")
    values = performance(text)
    assert text.status == OK
    assert values["behind_seconds"] == ("0s", "3600", "172800")
    assert values["store_bytes"][1:] == (str(1 << 30), None)
    assert values["free_bytes"][1:] == ("2048:", "1024:")


def test_free_space_has_least_limits(behind):
    fs = os.statvfs(behind)
    above = 8 * fs.f_blocks * fs.f_frsize
    for words, status in ((f"{above}", WARNING), (f"{above}:1k", WARNING),
                          (f"{above}:{above}", CRITICAL), (f"{2 * above}:{above}", CRITICAL),
                          ("2k:1k", OK), ("1k", OK)):  # fmt: skip
        text, found = check(behind, "--min-free", words)
        assert text.status == status, (words, text)
        free = found["reasons"] and found["reasons"].removeprefix("free_bytes is ")
        assert free == (None if status == OK else f"{found['free_bytes']}B"), words


def test_the_worst_of_all_counts_and_all_are_named(behind):
    text, found = check(behind, "--max-queue", "1:2", "--max-age", "1s", "--max-bytes", "1G")
    assert text.status == CRITICAL
    assert found["reasons"] == (
        "longest_queue_messages is 4 (beta), oldest_message_age_seconds is 8640000s")
    text, found = check(behind, "--max-queue", "1", "--max-age", "1s:2s")
    assert text.status == CRITICAL and found["reasons"].count(" is ") == 2


@pytest.mark.parametrize("words, side", [
    (["--max-queue", "5:4"], "above"), (["--max-age", "2h:1h"], "above"),
    (["--max-lag", "2s:1s"], "above"), (["--max-bytes", "2k:1k"], "above"),
    (["--min-free", "1k:2k"], "below"),
])  # fmt: skip
def test_limits_in_the_wrong_order_are_a_mistake(behind, words, side):
    """And not a store that is well: 2 is also what a monitor takes for CRITICAL."""
    result = cli.run("--store", behind, "check", *words)
    assert result.status == 2 and result.out == ""
    assert result.err == (f"mosquitto_lmdb: {words[0]}: the second limit, of CRITICAL, must be {side} "
                          "the first\n")  # fmt: skip


@pytest.mark.parametrize("words", [["--max-queue", "many"], ["--max-age", "1h:"], ["--min-free", ""],
                                   ["--format", "xml"], ["--max-queue"]])  # fmt: skip
def test_what_is_no_limit_is_a_mistake(behind, words):
    result = cli.run("--store", behind, "check", *words)
    assert result.status == 2 and result.out == "" and words[0] in result.err, result


# ---- the longest queue ---------------------------------------------------------------------------


def imported(source, folder, queues):
    """A store with these queues, client: ids of messages, made of what the export of another has."""
    like = {line["type"]: line for line in cli.run("--store", source, "export").lines}
    lines = [like["store"], *({**like["message"], "store_id": str(number)}
                              for number in sorted({n for ids in queues.values() for n in ids}))]  # fmt: skip
    for client, ids in queues.items():
        lines.append({**like["session"], "client_id": client})
        lines += [{**like["queued"], "client_id": client, "cmsg_id": str(place + 1),
                   "store_id": str(number)} for place, number in enumerate(ids)]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = cli.run("--store", folder, "import", "-", stdin=text)
    assert done.status == 0, done
    return folder


@pytest.mark.parametrize("queues, longest, client", [
    ({"a": 3, "b": 2, "c": 1}, 3, "a"),
    ({"a": 1, "b": 2, "c": 3}, 3, "c"),
    ({"a": 2, "b": 3, "c": 3}, 3, "b"),  # the first of those that are as long
    ({"a": 1, "b": 4, "c": 2}, 4, "b"),
    ({"a|b": 2}, 2, "a|b"),
])  # fmt: skip
def test_the_client_with_the_longest_queue_is_named(made, tmp_path, queues, longest, client):
    store = imported(made["busy"], tmp_path / "store", {c: [1] * n for c, n in queues.items()})
    text, found = check(store, "--max-queue", "1")
    assert text.status == WARNING and found["queued_messages"] == sum(queues.values())
    assert found["reasons"] == f"longest_queue_messages is {longest} ({client})"
    # In words a bar would begin the measurements.
    said = f"STORE WARNING - longest_queue_messages is {longest} ({client.replace('|', '/')}) | "
    assert text.out.startswith(said)


def made_at(time_s):
    """The id that a broker gives a message at that time."""
    return (time_s - 1637168273) << 23


@pytest.mark.parametrize("ids, age_s", [
    ([1], 0),  # of no broker's clock
    ([made_at(MADE_S - 60), made_at(MADE_S - 90)], 90),
    ([made_at(MADE_S - 90), made_at(MADE_S - 60), 1], 90),
    ([1, made_at(MADE_S - 60)], 60),
])  # fmt: skip
def test_the_age_is_that_of_the_oldest_message(made, tmp_path, ids, age_s):
    store = imported(made["busy"], tmp_path / "store", {"a": ids[:1], "b": ids[1:]})
    text, found = check(store, "--max-age", "1s")
    assert found["oldest_message_age_seconds"] == age_s
    assert text.status == (WARNING if age_s else OK)


# ---- what cannot be read -------------------------------------------------------------------------


def gauge(store, *options, env=None):
    return cli.run("--store", store, *options, "check", "--format", "prometheus", env=env)


def expect_failure(store, status, words, gauge_status, *, env=None, options=()):
    text, found = check(store, *options, env=env or cli.environment())
    assert text.status == status and words in text.out, text
    assert text.out == f"STORE {NAMES[status]} - {found['reasons']}\n"
    assert found.keys() == {"format", "status", "reasons"}
    result = gauge(store, "--read-only", *options, env=env)
    assert result.status == gauge_status and words in result.err and result.err.count("\n") == 1
    assert result.out.splitlines()[2:] == ["mosquitto_lmdb_up 0"], result


def test_no_store_is_unknown(tmp_path):
    expect_failure(tmp_path / "none", UNKNOWN, "there is no store", 1)


def test_a_store_whose_tables_are_none_is_critical(store):
    busy = store("busy")
    (busy / "data.mdb").write_bytes(b"x" * 100)
    expect_failure(busy, CRITICAL, "data.mdb", 3)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS])
def test_damage_that_ends_the_reader_is_critical(store, number):
    env = cli.environment(LD_PRELOAD=str(cli.FAIL_AT), FAIL_CALL="mdb_cursor_get", FAIL_AT="2",
                          FAIL_SIGNAL=str(int(number)))  # fmt: skip
    expect_failure(store("busy"), CRITICAL, f"ended with signal {int(number)} ", 3, env=env)


@pytest.mark.parametrize("call, error, words", [
    ("mdb_cursor_get", errno.EIO, "data.mdb"), ("statvfs", errno.EIO, "how much room"),
])  # fmt: skip
def test_what_fails_is_unknown_and_no_measurement(store, call, error, words):
    # LMDB asks for room of its own.
    env = cli.environment(LD_PRELOAD=str(cli.FAIL_AT), FAIL_CALL=call, FAIL_AT="1",
                          FAIL_ERRNO=str(error))  # fmt: skip
    expect_failure(store("busy"), UNKNOWN, words, 1, env=env)


def test_a_damaged_journal_is_critical(tmp_path):
    """Whatever the tables have: a broker does not start on it."""
    store = damaged_journal(tmp_path / "store")
    expect_failure(store, CRITICAL, "does not check, and later records say", 3)
    result = cli.run("--store", store, "check")
    assert result.status == CRITICAL and "does not check, and later records say" in result.out


def test_damage_of_a_value_is_critical_if_it_is_looked_for(store):
    busy = store("busy")
    path = busy / "data.mdb"
    data = path.read_bytes()
    assert data.count(b"closed") == 1
    path.write_bytes(data.replace(b"closed", b"cloned"))
    assert check(busy)[0].status == OK
    result = cli.run("--store", busy, "check", "--deep")
    assert result.status == CRITICAL and "checksum does not match" in result.out, result


def test_what_a_crash_left_is_folded_in_first(behind, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(behind, copy)
    copy.chmod(0o700)
    result = cli.run("--store", copy, "--json", "check")
    assert result.status == OK and result.err == "", result
    assert result.json["behind_records"] == 0 and result.json["sessions"] == 4
    assert result.json["retained_messages"] == 3

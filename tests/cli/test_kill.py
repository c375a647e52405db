# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Commands that change a store, killed before each of their calls that changes a file: what is left
is the store as it was, or as it was to be, and the command can be given again. And those that make
something, stopped by Ctrl-C there: nothing is left."""

import shutil
import signal

import pytest

import cli
from journal_damage import damaged_journal

AGAIN_LIMIT = 2000
POINTS = 40  # of those at which Ctrl-C comes


def contents(store):
    result = cli.run("--store", store, "--read-only", "export")
    assert result.status == 0, result
    return result.out.splitlines()[1:]


def each_kill(make, command):
    """Yields the store after each kill, and at last after the run that was not killed."""
    for number in range(1, AGAIN_LIMIT):
        store = make()
        result = cli.run("--store", store, *command, env=cli.environment(
            KILL_AT=str(number), LD_PRELOAD=str(cli.KILL_AT)))  # fmt: skip
        killed = result.status == 1 and "the reading process was killed" in result.err
        assert killed or result.status == 0, (number, result)
        yield number, store, killed
        if not killed:
            return
    raise AssertionError("it makes calls without end")


@pytest.fixture
def fresh(tmp_path):
    """fresh(store): a function that gives a new copy each time, always in the same place."""

    def of(store):
        def make():
            target = tmp_path / "copy"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(store, target)
            target.chmod(0o700)
            return target

        return make

    return of


def test_compact(store, fresh):
    busy = store("busy")
    assert cli.run("--store", busy, "retained", "rm", "#", "--yes").status == 0
    before, size = contents(busy), (busy / "data.mdb").stat().st_size
    sizes = set()
    for number, copy, killed in each_kill(fresh(busy), ["compact"]):
        sizes.add((killed, (copy / "data.mdb").stat().st_size < size))
        verify = cli.run("--store", copy, "verify")
        assert verify.status == 0, (number, verify)
        assert contents(copy) == before, number
        assert cli.run("--store", copy, "compact").status == 0, number
        assert contents(copy) == before, number
        assert not (copy / "compact.tmp").exists(), number
    # Both before and after the new file took its name it was killed.
    assert sizes == {(True, False), (True, True), (False, True)}


def test_removals(store, fresh):
    """What was to go may be gone in part, but what stays is whole."""
    busy, command = store("busy"), ["session", "rm", "beta", "--yes"]
    before = contents(busy)
    for number, copy, _ in each_kill(fresh(busy), command):
        verify = cli.run("--store", copy, "verify")
        assert verify.status == 0, (number, verify)
        assert set(contents(copy)) <= set(before), number
    assert len(contents(copy)) < len(before)


def test_truncating_the_journal(fresh, tmp_path):
    damaged = damaged_journal(tmp_path / "damaged")
    left = set()
    for number, copy, _ in each_kill(fresh(damaged), ["repair", "--truncate-journal", "--yes"]):
        again = cli.run("--store", copy, "repair", "--truncate-journal", "--yes")
        assert again.status == 0, (number, again)
        left.add(again.out.startswith("nothing to cut"))
        verify = cli.run("--store", copy, "verify")
        assert verify.status == 0, (number, verify)
        topics = [row["topic"] for row in cli.run("--store", copy, "--json", "retained", "ls").json[
            "retained"]]  # fmt: skip
        assert [topic for topic in topics if topic.startswith("added/")] == ["added/1"], number
    assert left == {True, False}


def test_restore(made, tmp_path):
    """A folder that is no store is refused as one; a broker never takes half of it for the whole."""
    assert cli.run("--store", made["busy"], "backup", tmp_path / "b").status == 0
    before, seen = contents(made["busy"]), set()

    def make():
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        return tmp_path / "new"

    command = ["restore", tmp_path / "b", tmp_path / "new"]
    for number, new, killed in each_kill(make, command):
        result = cli.run("--store", new, "export")
        seen.add((killed, result.status == 0))
        assert result.status == 0 or "is not a store" in result.err or "no store" in result.err, (
            number, result)  # fmt: skip
        assert result.out == "" or result.out.splitlines()[1:] == before, (number, result)
    assert {(True, False), (False, True)} <= seen


# What each makes in TMP.
MAKERS = [
    (["backup", "TMP/made"], "made"),
    (["restore", "TMP/backup", "TMP/made"], "made"),
    (["--store", "TMP/made", "import", "TMP/export.jsonl"], "made"),
    (["repair", "--output", "TMP/made"], "made"),
    (["session", "rm", "beta", "--yes"], None),
    (["compact"], None),
]


@pytest.mark.parametrize("command, name", MAKERS, ids=[" ".join(words) for words, _ in MAKERS])
def test_ctrl_c(made, fresh, tmp_path, command, name):
    work = tmp_path / "work"
    work.mkdir()
    (work / "export.jsonl").write_text(cli.run("--store", made["busy"], "export").out)
    assert cli.run("--store", made["busy"], "backup", work / "backup").status == 0
    given = {"export.jsonl", "backup"}
    before, make = contents(made["busy"]), fresh(made["busy"])
    words, stops = [word.replace("TMP", str(work)) for word in command], set()

    def run(at):
        return cli.run("--store", make(), *words, alone=True, env=cli.environment(
            INTERRUPT_AT=str(at), CALLS_TO=str(tmp_path / "calls"), LD_PRELOAD=str(cli.KILL_AT),
        ))  # fmt: skip

    assert run(0).status == 0
    calls = int((tmp_path / "calls").read_text())
    for at in range(1, calls + 1, 1 + calls // POINTS):
        if name:
            shutil.rmtree(work / name, ignore_errors=True)
            (work / name).unlink(missing_ok=True)
        result = run(at)
        stopped = result.status == -signal.SIGINT
        assert stopped or result.status == 0, (at, calls, result)
        assert {path.name for path in work.iterdir()} == (
            given | {name} if name and not stopped else given
        ), (at, calls, result)
        if stopped:
            assert contents(tmp_path / "copy") == before, (at, calls)
        stops.add(stopped)
    assert True in stops

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Every verb, in text and JSON, on every kind of store: command, output and exit status as they
stand in golden/. GOLDEN_UPDATE=1 rewrites that, for a look at `git diff`."""

import os

import pytest

import cli
from holder import Holder
from journal_damage import damaged_journal
from own_folder import let_others_enter

COMMANDS = {
    "status": ["status"],
    "export": ["export"],
    "export-redacted": ["export", "--redact"],
    "session-ls": ["session", "ls"],
    "session-ls-match": ["session", "ls", "--match", "*a", "--sort", "queue", "--limit", "1"],
    "session-ls-offline": ["session", "ls", "--offline"],
    "session-ls-idle": ["session", "ls", "--idle", "30d", "--queue-gt", "2"],
    "session-show": ["session", "show", "beta"],
    "session-show-users": ["session", "show", "alpha", "--users"],
    "session-show-unknown": ["session", "show", "nobody"],
    "queue-ls": ["queue", "ls"],
    "queue-ls-sorted": ["queue", "ls", "--sort", "bytes", "--limit", "2"],
    "queue-ls-one": ["queue", "ls", "beta"],
    "queue-ls-topic": ["queue", "ls", "beta", "--topic", "home/+/temperature"],
    "queue-peek": ["queue", "peek", "beta"],
    "queue-peek-newest": ["queue", "peek", "beta", "--from", "newest", "-n", "2"],
    "queue-peek-hex": ["queue", "peek", "beta", "-n", "1", "--payload", "hex"],
    "queue-peek-none": ["queue", "peek", "beta", "--payload", "none"],
    "queue-export": ["queue", "export", "beta"],
    "retained-ls": ["retained", "ls"],
    "retained-ls-payload": ["retained", "ls", "--payload", "auto"],
    "retained-ls-filter": ["retained", "ls", "home/+/temperature"],
    "retained-get": ["retained", "get", "home/kitchen/temperature"],
    "retained-get-raw": ["retained", "get", "home/door", "--payload", "raw"],
    "retained-get-unknown": ["retained", "get", "home"],
    "sub-ls": ["sub", "ls"],
    "sub-ls-one": ["sub", "ls", "beta"],
    "sub-ls-topic": ["sub", "ls", "--topic", "jobs/7"],
    "will-ls": ["will", "ls"],
    "will-ls-topic": ["will", "ls", "--topic", "home/gone"],
    "journal-ls": ["journal", "ls"],
    "dict-ls": ["dict", "ls"],
    "journal-dump": ["journal", "dump"],
    "journal-dump-users": ["journal", "dump", "--users", "--payload", "text", "--limit", "12"],
    "verify": ["verify"],
    "check": ["check"],
    "check-deep": ["check", "--deep"],
    "check-limits": ["check", "--max-queue", "3:10", "--max-bytes", "1G"],
    "check-warning": ["check", "--max-queue", "3", "--min-free", "1k"],
    "check-critical": ["check", "--max-queue", "1:3"],
    "check-prometheus": ["check", "--format", "prometheus"],
}


# Verbs that change a store or make a file. TMP is a folder of the test's, STORE the store; each finds
# what those before it have left.
CHANGES = [
    ["session", "rm", "nobody", "--yes"],
    ["session", "rm", "beta"],
    ["session", "rm", "beta", "--dry-run"],
    ["queue", "purge", "beta", "--keep", "1", "--dry-run"],
    ["queue", "purge", "beta", "--keep", "1", "--yes"],
    ["queue", "purge", "beta", "--keep", "1", "--yes"],
    ["session", "rm", "beta", "--yes"],
    ["retained", "rm", "home/+", "--dry-run"],
    ["retained", "rm", "home/+", "--yes"],
    ["compact"],
    ["backup", "--dry-run", "TMP/backup"],
    ["backup", "TMP/backup"],
    ["backup", "TMP/backup"],
    ["restore", "--dry-run", "TMP/backup", "TMP/restored"],
    ["restore", "TMP/backup", "TMP/restored"],
    ["restore", "TMP/backup", "TMP/restored"],
    ["restore", "TMP/nothing", "TMP/other"],
    ["import", "TMP/export.jsonl"],
    ["import", "--dry-run", "TMP/export.jsonl", "--store", "TMP/imported"],
    ["import", "TMP/export.jsonl", "--store", "TMP/imported"],
    ["repair"],
    ["repair", "--output", "TMP/repaired"],
    ["repair", "--truncate-journal", "--dry-run"],
    ["repair", "--truncate-journal", "--yes"],
    ["verify"],
]

# One of each verb, for stores of which there is not much to say.
EACH_VERB = [COMMANDS[name] for name in (
    "status", "export", "session-ls", "session-show", "queue-ls", "queue-ls-one", "queue-peek",
    "queue-export", "retained-ls", "retained-get", "sub-ls", "will-ls", "journal-ls",
    "journal-dump", "verify", "check", "check-deep", "check-prometheus",
)] + [
    ["session", "rm", "beta", "--yes"],
    ["queue", "purge", "beta", "--yes"],
    ["retained", "rm", "#", "--yes"],
    ["compact"],
    ["backup", "TMP/backup"],
    ["import", "TMP/export.jsonl"],
    ["repair", "--output", "TMP/repaired"],
    ["repair", "--truncate-journal", "--yes"],
]  # fmt: skip
# A removal would change what the others see.
BESIDE_A_HOLDER = [command for command in EACH_VERB if "--yes" not in command] + [
    ["session", "rm", "beta", "--dry-run"],
    ["session", "rm", "beta", "--yes"],
    ["queue", "purge", "beta", "--yes"],
    ["retained", "rm", "#", "--yes"],
    ["repair", "--truncate-journal", "--yes"],
]


def run_all(commands, store, folder, form, run=cli.run):
    """What a golden file holds of a run of commands."""
    seen = ""
    for command in commands:
        command = command + (["--json"] if form == "json" else [])
        words = [word.replace("TMP", str(folder)) for word in command]
        result = run("--store", store, *words)
        seen += cli.shown(command, result, store, folder)
    return seen


@pytest.mark.parametrize("kind", ["empty", "busy"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_reading(form, kind, made, tmp_path):
    cli.golden(f"{kind}-{form}", run_all(COMMANDS.values(), made[kind], tmp_path, form))


@pytest.fixture
def folder(made, tmp_path):
    """A folder with an export in it, and room for what is made."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "export.jsonl").write_text(cli.run("--store", made["busy"], "export").out)
    return path


@pytest.mark.parametrize("kind", ["empty", "busy", "crashed"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_changing(form, kind, store, folder):
    cli.golden(f"{kind}-changed-{form}", run_all(CHANGES, store(kind), folder, form))


def damaged(path):
    """The payload of one message is another."""
    cli.make_store("busy", path)
    tables = path / "data.mdb"
    tables.write_bytes(tables.read_bytes().replace(b"open\nwide", b"open\nwise"))


def foreign(path):
    path.mkdir(mode=0o700)
    (path / "thesis.txt").write_text("ten years of work")


def unreadable(path):
    cli.make_store("busy", path)
    if os.geteuid() == 0:
        for each in [path, *path.iterdir()]:
            os.chown(each, 4711, 4711)
        let_others_enter(path)
    else:
        path.chmod(0)


def as_somebody(*args):
    return cli.run_as(4712, *args) if os.geteuid() == 0 else cli.run(*args)


# How each is made, and how commands are run on it.
SPOILT = {
    "missing": (lambda path: None, cli.run),
    "foreign": (foreign, cli.run),
    "newer": (lambda path: cli.make_store("newer", path), cli.run),
    "unreadable": (unreadable, as_somebody),
    "damaged": (damaged, cli.run),
    "damaged-journal": (damaged_journal, cli.run),
}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("form", ["text", "json"])
def test_spoilt(form, kind, tmp_path, folder):
    make, run = SPOILT[kind]
    make(tmp_path / "store")
    folder.chmod(0o777)
    cli.golden(f"{kind}-{form}", run_all(EACH_VERB, tmp_path / "store", folder, form, run))


@pytest.mark.parametrize("form", ["text", "json"])
def test_held(form, store, folder):
    holder = Holder(store("busy"))
    try:
        cli.golden(f"held-{form}", run_all(BESIDE_A_HOLDER, holder.store, folder, form))
    finally:
        holder.kill()


# Verbs that print a JSON object a line; all others print one document.
LINES = {"export", "export-redacted", "queue-export", "journal-dump", "journal-dump-users"}


@pytest.mark.parametrize("kind", ["empty", "busy"])
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "check-prometheus"])
def test_json_is_versioned(name, kind, made):
    result = cli.run("--store", made[kind], "--json", *COMMANDS[name])
    if result.status and not name.startswith("check"):
        assert result.out == "" and result.err.count("\n") == 1
    elif name in LINES:
        assert all(line["type"] for line in result.lines)
    else:
        assert result.json["format"] == 1

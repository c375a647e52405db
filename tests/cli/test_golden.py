# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Every reading verb, in text and JSON, on an empty and on a busy store."""

import pytest

import cli

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
    "retained-ls-filter": ["retained", "ls", "home/+/temperature"],
    "retained-get": ["retained", "get", "home/kitchen/temperature"],
    "retained-get-raw": ["retained", "get", "home/door", "--payload", "raw"],
    "retained-get-unknown": ["retained", "get", "home"],
    "sub-ls": ["sub", "ls"],
    "sub-ls-one": ["sub", "ls", "beta"],
    "sub-ls-topic": ["sub", "ls", "--topic", "jobs/7"],
    "will-ls": ["will", "ls"],
    "journal-dump": ["journal", "dump"],
    "journal-dump-users": ["journal", "dump", "--users", "--payload", "text", "--limit", "12"],
    "verify": ["verify"],
    "check": ["check"],
    "check-limits": ["check", "--max-queue", "3:10", "--max-bytes", "1G"],
    "check-critical": ["check", "--max-queue", "1:3"],
    "check-prometheus": ["check", "--format", "prometheus"],
}


@pytest.mark.parametrize("kind", ["empty", "busy"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_prints(form, kind, made):
    seen = ""
    for command in COMMANDS.values():
        command = command + (["--json"] if form == "json" else [])
        seen += cli.shown(command, cli.run("--store", made[kind], *command), made[kind])
    cli.golden(f"{kind}-{form}", seen)


# Verbs that print a JSON object a line; all others print one document.
LINES = {"export", "export-redacted", "queue-export", "journal-dump", "journal-dump-users"}


@pytest.mark.parametrize("kind", ["empty", "busy"])
@pytest.mark.parametrize("name", [n for n in COMMANDS if not n.startswith("check")])
def test_json_is_versioned(name, kind, made):
    result = cli.run("--store", made[kind], "--json", *COMMANDS[name])
    if result.status:
        assert result.out == "" and result.err.count("\n") == 1
    elif name in LINES:
        assert all(line["type"] for line in result.lines)
    else:
        assert result.json["format"] == 1

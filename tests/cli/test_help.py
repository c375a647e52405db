# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The table of verbs explains itself, and says what is wrong with a command."""

import re
import subprocess

import pytest

import cli

PROGRAM_HELP = cli.run("--help").out
# "  session rm ID...   remove ..." -> ["session", "rm"]
COMMANDS = [
    [w for w in re.match(r"  (.{0,24}?)(?:  |$)", line).group(1).split() if w.isalpha() and w.islower()]
    for line in re.search(r"Commands:\n(.*?)\n\n", PROGRAM_HELP, re.S).group(1).splitlines()
    if re.match(r"  [a-z]", line)
]


def test_no_word_prints_help():
    result = cli.run()
    assert result.status == 0 and result.out == PROGRAM_HELP and result.err == ""


def test_help_is_a_word_too():
    assert cli.run("help").out == PROGRAM_HELP


def test_help_fits_a_terminal():
    for command in [[]] + COMMANDS:
        for line in cli.run(*command, "--help").out.splitlines():
            assert len(line) <= 80 or line.startswith("  mosquitto_lmdb"), line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_verb_explains_itself(command):
    result = cli.run(*command, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: mosquitto_lmdb {' '.join(command)}")
    assert "Exit status:" in result.out and "Global options:" in result.out


def test_a_noun_explains_its_verbs():
    result = cli.run("session", "--help")
    assert result.status == 0
    assert re.findall(r"^  session (\w+)", result.out, re.M) == ["ls", "show", "rm"]


@pytest.mark.parametrize(
    "args, sentence",
    [
        (["sesion"], 'unknown command "sesion"; did you mean session?'),
        (["session"], "session needs a verb: ls show rm"),
        (["session", "sl"], 'session cannot "sl"; it can: ls show rm'),
        (["session", "show"], "session show needs ID"),
        (["session", "ls", "x"], 'session ls does not know what to do with "x"'),
        (["session", "ls", "--limt", "3"], 'unknown option "--limt"; did you mean --limit?'),
        (["session", "ls", "--limit"], "--limit needs a value: N"),
        (["session", "ls", "--limit", "few"],
         '--limit cannot be "few"; it is a number such as 100, 10k or 2M'),
        (["session", "ls", "--idle", "long"],
         '--idle cannot be "long"; it is a time such as 90s, 10m, 2h or 30d'),
        (["session", "ls", "--sort=size"],
         '--sort cannot be "size"; it is one of: id queue bytes age'),
        (["status", "--yes"], "status takes no --yes"),
        (["status", "--json=1"], "--json takes no value"),
        (["check", "--max-queue", "5:3"],
         "--max-queue: the second limit, of CRITICAL, must be above the first"),
        (["check", "--min-free", "1G:2G"],
         "--min-free: the second limit, of CRITICAL, must be below the first"),
        (["--\x1b[2Jx"], 'unknown option "--\\x1b[2Jx"'),
    ],
)  # fmt: skip
def test_wrong_use(args, sentence):
    result = cli.run(*args)
    assert result.status == 2 and result.out == ""
    assert result.err.splitlines()[0] == f"mosquitto_lmdb: {sentence}"


def test_manual_page_names_every_verb():
    page = cli.run("help", "man").out
    shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-"], input=page, text=True,
                           capture_output=True, env=cli.environment(MANWIDTH="80"))  # fmt: skip
    assert shown.returncode == 0 and shown.stderr == ""
    for command in COMMANDS:
        assert re.search(rf"^ +{' '.join(command)}\b", shown.stdout, re.M), command


def complete(line):
    script = cli.run("help", "completion").out + f"""
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_mosquitto_lmdb; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-u"], input=script, text=True, capture_output=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    "line, expected",
    [
        ("mosquitto_lmdb ses", ["session"]),
        ("mosquitto_lmdb session s", ["show"]),
        ("mosquitto_lmdb --store /tmp queue p", ["peek", "purge"]),
        ("mosquitto_lmdb session ls --of", ["--offline"]),
        ("mosquitto_lmdb session ls --sort b", ["bytes"]),
        ("mosquitto_lmdb export --re", ["--read-only", "--redact"]),
    ],
)
def test_completes(line, expected):
    assert complete(line) == expected


def test_version():
    assert re.match(r"mosquitto_lmdb \d+\.\d+\.\d+ \(store format 1, lmdb ", cli.run("-V").out)

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What is different at a terminal: colours, widths, progress; and what must never get there."""

import cli


def test_a_table_fits_the_terminal(made):
    for command in (["session", "ls"], ["queue", "ls"], ["sub", "ls"], ["retained", "ls"],
                    ["will", "ls"], ["journal", "ls"], ["status"]):  # fmt: skip
        out = cli.run_at_terminal("--store", made["busy"], "--color", "never", *command).out
        for line in out.splitlines():
            assert len(line) <= 80, line


def test_colours(made):
    command = ["--store", made["busy"], "session", "ls"]
    assert "\x1b[1m" in cli.run_at_terminal(*command).out
    assert "\x1b" not in cli.run_at_terminal("--color", "never", *command).out
    assert "\x1b" not in cli.run(*command).out
    assert "\x1b[1m" in cli.run("--color", "always", *command).out
    quiet = cli.run("--color=auto", *command, env=cli.environment(NO_COLOR="1"))
    assert "\x1b" not in quiet.out


def test_control_characters_are_escaped(made):
    """One client has an escape sequence in its id, one message a zero byte in its payload."""
    name = "gamma €\x1b[31m"
    for command in (["session", "ls"], ["session", "show", name], ["queue", "ls"],
                    ["queue", "ls", name], ["queue", "peek", name], ["sub", "ls"],
                    ["journal", "dump", "--payload", "text"], ["export"]):  # fmt: skip
        out = cli.run("--store", made["busy"], *command).out
        assert not [c for c in out if ord(c) < 32 and c not in "\n\t" or ord(c) == 127], command
    assert "gamma €\\x1b[31m" in cli.run("--store", made["busy"], "session", "ls").out


def test_progress(made):
    command = ["--store", made["busy"], "export"]
    assert cli.run(*command).err == ""
    assert cli.run("--progress", *command).err == "exported entries: 23 of 23 (100 %)\n"

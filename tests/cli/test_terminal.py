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


def test_progress_of_long_work(store, tmp_path):
    """Each on standard error, and none of it without a terminal and without being asked."""
    busy = store("busy")
    for command, expected in (
        (["verify"], ["messages: 6 of 6 (100 %)", "references: 14 of 14 (100 %)"]),
        (["repair", "--output", str(tmp_path / "new")], ["salvaged entries: 25"]),
        (["backup", str(tmp_path / "b")], ["blocks written: "]),
        (["restore", str(tmp_path / "b"), str(tmp_path / "r")], ["blocks read: "]),
        (["compact"], ["blocks written: "]),
    ):  # fmt: skip
        err = cli.run("--store", busy, "--progress", *command).err
        for line in expected:
            assert line in err, (command, err)
    assert cli.run("--store", busy, "verify").err == ""


def test_what_a_table_cuts_is_marked(made):
    command = ["--store", made["busy"], "--color", "never", "queue", "ls", "beta"]
    out = cli.run_at_terminal(*command, columns=50).out
    assert "home/k…" in out and max(len(line) for line in out.splitlines()) <= 50
    assert "home/kitchen/temperature" in cli.run_at_terminal(*command, columns=80).out
    assert "…" not in cli.run(*command, env=cli.environment(COLUMNS="50")).out

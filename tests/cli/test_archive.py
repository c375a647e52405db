# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""backup, restore and compact."""

import os

import pytest

import cli


def contents(store):
    return cli.run("--store", store, "export").out.splitlines()[1:]


def test_backup_and_restore(made, tmp_path):
    file = tmp_path / "store.backup"
    result = cli.run("--store", made["busy"], "--json", "backup", file)
    assert result.status == 0 and result.json["done"] == "written"
    assert file.stat().st_mode & 0o077 == 0
    check = cli.run("--json", "restore", "--dry-run", file, tmp_path / "new")
    assert check.status == 0 and check.json["done"] == "sound"
    assert check.json["position"] == result.json["position"]
    assert not (tmp_path / "new").exists()
    assert cli.run("restore", file, tmp_path / "new").status == 0
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    assert contents(tmp_path / "new") == contents(made["busy"])
    assert {p.name for p in tmp_path.iterdir()} == {"store.backup", "new"}


def test_backup_has_what_a_crash_left(store, tmp_path):
    assert cli.run("--store", store("crashed"), "backup", tmp_path / "b").status == 0
    assert cli.run("restore", tmp_path / "b", tmp_path / "new").status == 0
    assert "delta" in cli.run("--store", tmp_path / "new", "session", "ls").out


def test_backup_through_a_pipe(made, tmp_path):
    done = cli.shell(
        f"set -o pipefail; '{cli.PROGRAM}' --store '{made['busy']}' backup - | gzip | gunzip | "
        f"'{cli.PROGRAM}' restore - '{tmp_path / 'new'}'"
    )
    assert done.status == 0
    assert contents(tmp_path / "new") == contents(made["busy"])


def test_backup_into_a_folder(made, tmp_path):
    assert cli.run("--store", made["busy"], "backup", tmp_path).status == 0
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("mosquitto-lmdb-") and file.suffix == ".backup"


def test_backup_changes_no_file(made, tmp_path):
    (tmp_path / "b").write_text("dear diary")
    result = cli.run("--store", made["busy"], "backup", tmp_path / "b")
    assert result.status == 1 and "exists; it was not changed" in result.err
    assert (tmp_path / "b").read_text() == "dear diary"


def test_backup_is_not_written_into_what_lies_in_wait(made, tmp_path):
    """In a folder where others may write, somebody could have made the file beforehand."""
    (tmp_path / "others").write_text("")
    (tmp_path / "others").chmod(0o666)
    os.link(tmp_path / "others", tmp_path / "b.part")
    with open(tmp_path / "b.part") as held:
        assert cli.run("--store", made["busy"], "backup", tmp_path / "b").status == 0
        assert held.read() == "" and (tmp_path / "others").read_text() == ""
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert cli.run("restore", "--dry-run", tmp_path / "b", tmp_path / "new").status == 0


def test_backup_does_not_follow_a_link(made, tmp_path):
    (tmp_path / "b.part").symlink_to(tmp_path / "elsewhere")
    assert cli.run("--store", made["busy"], "backup", tmp_path / "b").status == 0
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / "b").is_symlink()


def test_backup_says_written_when_it_is(made, tmp_path):
    """Killed at any point: what a script was told is so."""
    file, at, told, killed = tmp_path / "b", 0, 0, True
    while killed:
        at += 1
        result = cli.run("--store", made["busy"], "backup", file, alone=True,
                         env=cli.environment(LD_PRELOAD=str(cli.KILL_AT), KILL_AT=str(at)))  # fmt: skip
        killed = result.status != 0
        told += "written" in result.out
        assert file.exists() or "written" not in result.out, (at, result)
        for path in (file, tmp_path / "b.part"):
            path.unlink(missing_ok=True)
    assert at > 5 and told > 0


def test_two_backups_to_one_name(made, tmp_path):
    """One comes while another is at any point; and has written a part of its own when that ends."""
    file, at, refused = tmp_path / "b", 0, 0
    command = ["--store", made["busy"], "backup", file]
    stopped = True
    while stopped:
        at += 1
        for half_way in (False, True):
            first = cli.Stopped(at, *command)
            stopped = first.stopped
            second = cli.Stopped(3, *command) if half_way else cli.run(*command)
            result = first.go_on()
            if half_way:
                assert result.status != 0 or not second.stopped or file.exists()
                second.kill()
            else:
                assert (result.status == 0) != (second.status == 0), (at, result, second)
            assert result.status != 0 or file.exists(), (at, result)
            assert ("written" in result.out) == (result.status == 0), (at, result)
            refused += result.status != 0
            if file.exists():
                sound = cli.run("restore", "--dry-run", file, tmp_path / "new")
                assert sound.status == 0, (at, half_way, result, sound)
            for path in (file, tmp_path / "b.part"):
                path.unlink(missing_ok=True)
    assert at > 5 and refused > 2


def test_what_is_made_is_closed_to_others_whatever_the_umask(store, tmp_path):
    before = os.umask(0)
    try:
        busy = store("busy")
        lines = cli.run("--store", busy, "export").out
        assert cli.run("--store", busy, "backup", tmp_path / "b").status == 0
        assert cli.run("restore", tmp_path / "b", tmp_path / "restored").status == 0
        assert cli.run("--store", tmp_path / "imported", "import", "-", stdin=lines).status == 0
        assert cli.run("--store", busy, "repair", "--output", tmp_path / "repaired").status == 0
        assert cli.run("--store", busy, "compact").status == 0
    finally:
        os.umask(before)
    for made in (busy, *(tmp_path / name for name in ("restored", "imported", "repaired"))):
        assert made.stat().st_mode & 0o777 == 0o700, made
        assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o600}, made


def test_backup_dry_run(made, tmp_path):
    assert cli.run("--store", made["busy"], "backup", "--dry-run", tmp_path / "b").status == 0
    assert list(tmp_path.iterdir()) == []


def test_backup_is_not_for_a_terminal(made):
    result = cli.run_at_terminal("--store", made["busy"], "backup", "-")
    assert result.status == 2 and "a backup is not for a terminal" in result.out


def test_backup_on_a_full_disk(made):
    with open("/dev/full", "wb") as full:
        result = cli.run_to(full, "--store", made["busy"], "backup", "-")
    assert result.status == 1 and "No space left on device" in result.err


def test_every_cut_and_every_damaged_byte_is_noticed(made, tmp_path):
    data = cli.run("--store", made["busy"], "backup", "-", raw=True).out
    for at in range(0, len(data), 1009):
        damaged = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        for archive in (data[:at], damaged):
            result = cli.run("restore", "-", tmp_path / "new", stdin=archive)
            assert result.status in (1, 3) and result.err.count("\n") == 1, (at, result)
            assert not (tmp_path / "new").exists() or list((tmp_path / "new").iterdir()) == []


def test_what_is_no_archive_is_named(tmp_path):
    file = tmp_path / "no archive"
    file.write_bytes(bytes(100))
    for name, said, stdin in ((file, str(file), b""), ("-", "standard input", bytes(100))):
        for dry in ([], ["--dry-run"]):
            result = cli.run("restore", *dry, name, tmp_path / "new", stdin=stdin)
            assert result.status == 1 and result.err == (
                f"mosquitto_lmdb: {said}: this is not an archive that mosquitto_lmdb backup made\n"
            )
            assert not (tmp_path / "new").exists()


def test_restore_replaces_nothing(store, made, tmp_path):
    busy = store("busy")
    before = contents(busy)
    assert cli.run("--store", made["empty"], "backup", tmp_path / "b").status == 0
    result = cli.run("restore", tmp_path / "b", busy)
    assert result.status == 1 and "is not empty" in result.err
    assert contents(busy) == before


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_restore_into_a_folder_of_other_things(made, tmp_path, mode):
    """The sentence is about the folder, not about a store that nobody looks for in it."""
    folder = tmp_path / "srv"
    folder.mkdir(mode=0o700)
    (folder / "thesis.txt").write_text("ten years of work")
    folder.chmod(mode)
    assert cli.run("--store", made["empty"], "backup", tmp_path / "b").status == 0
    result = cli.run("restore", tmp_path / "b", folder)
    assert result.status == 1 and result.err.count("\n") == 1, result
    assert "there is no store" not in result.err, result
    assert str(folder) in result.err and "is not empty" in result.err, result
    assert folder.stat().st_mode & 0o777 == mode
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_compact(store):
    busy = store("busy")
    before = contents(busy)
    assert cli.run("--store", busy, "retained", "rm", "#", "-y").status == 0
    result = cli.run("--store", busy, "--json", "compact")
    assert result.status == 0 and result.json["after_bytes"] < result.json["before_bytes"]
    assert (busy / "data.mdb").stat().st_size == result.json["after_bytes"]
    assert [line for line in before if "retained" not in line and "closed" not in line]
    assert cli.run("--store", busy, "verify").status == 0

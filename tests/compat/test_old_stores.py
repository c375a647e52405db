# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Stores that older versions wrote: each opens, verifies clean, and holds what it held.

format-N.tar.xz is a store of `make_store crashed` as the first version of that format made it: a few
of everything in the tables, and a tail of the journal that no table has. format-N-dictionary.tar.xz
has messages that need a dictionary; the journal of format-1-reconnected.tar.xz, which a broker left that was
killed, tells of sessions that came back, one over another listener, without saying over which, as it
did before session_connected had that field. NAME.jsonl.xz is what that version exported. make_fixture.sh
writes the others, once, when a format is new; they are never made again."""

import json
import lzma
import platform
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))
import cli  # noqa: E402

HERE = Path(__file__).parent
FORMATS = sorted(path.name.removesuffix(".tar.xz") for path in HERE.glob("format-*.tar.xz"))
# LMDB's file, unlike what we keep in it, depends on word size and byte order.
SAME_LMDB = sys.byteorder == "little" and platform.architecture()[0] == "64bit"


@pytest.fixture(params=FORMATS)
def old(request, tmp_path):
    with tarfile.open(HERE / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path)
    store = tmp_path / "store"
    store.chmod(0o700)
    return store, lzma.open(HERE / f"{request.param}.jsonl.xz", "rt").read()


def parsed(text):
    """Its position moves with each opening."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k != "position"} for line in lines]


def test_there_is_one_of_each_format_and_this_machine_can_read_them():
    assert FORMATS[:3] == ["format-1", "format-1-dictionary", "format-1-reconnected"]
    assert SAME_LMDB, "run these tests on a little-endian machine of 64 bits"


def test_an_old_store_opens_and_holds_what_it_held(old):
    store, exported = old
    verified = cli.run("--store", store, "verify")
    assert verified.status == 0, verified
    result = cli.run("--store", store, "export")
    assert result.status == 0, result
    assert parsed(result.out) == parsed(exported)
    again = cli.run("--store", store, "verify")
    assert again.status == 0, again


def test_an_old_store_is_read_as_it_lies(old):
    """Read only, without its journal's tail."""
    store, exported = old
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    result = cli.run("--store", store, "--read-only", "export")
    assert result.status == 0, result
    lines = parsed(result.out)
    assert lines[0]["type"] == "store" and 1 < len(lines) <= len(parsed(exported))
    after = {path.name: path.read_bytes() for path in store.iterdir() if path.name != "lock.mdb"}
    assert after == {name: data for name, data in before.items() if name != "lock.mdb"}

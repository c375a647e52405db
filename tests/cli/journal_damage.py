# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A store as a bad disk leaves it: a record that was durable does not check any more."""

import shutil

import cli
from holder import Holder


def journal(store, word):
    """The segment that holds `word` last."""
    return max(store.glob("*.log"), key=lambda path: path.read_bytes().rfind(word))


def damaged_journal(store):
    """Four events that the tables do not have, added/1 to added/4; the second is damaged, and the
    fourth says that all before it were on the disk."""
    cli.make_store("busy", store)
    holder = Holder(store)
    old_tables = (store / "data.mdb").read_bytes()
    for _ in range(3):
        holder.tell("add")
    holder.tell("flush")
    holder.tell("add")
    holder.kill()
    (store / "data.mdb").write_bytes(old_tables)
    shutil.rmtree(store / "lock.mdb", ignore_errors=True)
    path = journal(store, b"added/2")
    data = path.read_bytes()
    assert data.count(b"added/2") == 1
    path.write_bytes(data.replace(b"added/2", b"added/x"))
    return store

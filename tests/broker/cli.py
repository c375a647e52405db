# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Reads a store through the command line, mosquitto_lmdb."""
import base64
import json
import subprocess

from broker import environment_folder

TOOL = "tools/mosquitto_lmdb"


def run(store, *arguments, status=0):
    """Runs the tool; returns its standard output. Its exit status must be `status`."""
    tool = environment_folder("BUILD_DIR", TOOL) / TOOL
    done = subprocess.run([str(tool), "--store", str(store), *arguments], capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == status, \
        f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def status(store):
    return json.loads(run(store, "--json", "status"))


def import_lines(broker, lines):
    """Gives the broker, which must not run, a new store with these objects."""
    broker.store = broker.folder / "imported"
    file = broker.folder / "imported.jsonl"
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    run(broker.store, "import", str(file))


class Export:
    """The lines of `export`, by type."""

    def __init__(self, store):
        self.lines = [json.loads(line) for line in run(store, "--json", "export").splitlines()]

    def of(self, kind, **members):
        """All objects of a type whose members have these values."""
        return [line for line in self.lines if line["type"] == kind
                and all(line[name] == value for name, value in members.items())]

    def one(self, kind, **members):
        found = self.of(kind, **members)
        assert len(found) == 1, f"{kind} {members}: {found}"
        return found[0]

    def message(self, store_id):
        return self.one("message", store_id=store_id)


def payload(message):
    return base64.b64decode(message["payload"])

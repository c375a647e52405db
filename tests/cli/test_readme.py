# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The pipelines of the README, each run as it stands there, on one store and in their order."""

import os
import re
import subprocess
from pathlib import Path

import cli

README = Path(__file__).parent.parent.parent / "README.md"


def pipelines():
    section = re.search(r"^### Pipelines\n(.*?)^##? ", README.read_text(), re.M | re.S).group(1)
    return re.findall(r"^    (.+)$", section, re.M)


def test_pipelines(store, tmp_path):
    where = tmp_path / "where"
    where.mkdir()
    env = cli.environment(MOSQUITTO_LMDB_STORE=str(store("busy")),
                          PATH=f"{cli.PROGRAM.parent}:{os.environ['PATH']}")  # fmt: skip
    seen, found = "", pipelines()
    assert len(found) >= 10
    for line in found:
        assert line.startswith(("mosquitto_lmdb ", "comm ")), line
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=where, text=True, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=cli.TIMEOUT_S)  # fmt: skip
        assert done.returncode == 0, (line, done)
        seen += cli.normal(f"$ {line}\n{done.stdout}"
                           + "".join(f"! {each}\n" for each in done.stderr.splitlines()) + "\n",
                           env["MOSQUITTO_LMDB_STORE"])  # fmt: skip
    made = sorted(path.name for path in where.iterdir())
    cli.golden("readme", seen + f"made: {' '.join(made)}\n")
    assert cli.run("--store", where / "copy", "verify").status == 0

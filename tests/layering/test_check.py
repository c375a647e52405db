# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The layering check must find each kind of breach, and nothing in sources that keep the rules."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("check.py")

SOUND = {
    "plugin/CMakeLists.txt": "plugin.c",
    "plugin/store/CMakeLists.txt": "os.c tables.c payload.c checksum.c",
    "tools/CMakeLists.txt": "main.c",
    "tests/CMakeLists.txt": "unit/test_os",
    "plugin/plugin.c": '#include <mosquitto.h>\n#include "store/store.h"\n',
    "plugin/store/os.c": "int f(void) { return fsync(open(p, O_CREAT)); }\n",
    "plugin/store/tables.c": '#include <lmdb.h>\n#include "os.h"\n',
    "plugin/store/payload.c": "#include <zstd.h>\n",
    "plugin/store/checksum.c": "#include <xxhash.h>\n",
    "plugin/store/os.h": "int os_fsync(int fd); // calls fsync(fd)\n/* write(2)\n pwrite() */\n",
    "tools/main.c": '#include "store/store.h"\n#include "mosquitto_db.h"\nvoid f(void) { fwrite("a", 1, 1, stdout); }\n',
    "tests/unit/test_os.c": "int main(void) { return 0; }\n",
}

BREACHES = [
    ("plugin/store/os.c", "#include <mosquitto.h>", "knows nothing of Mosquitto"),
    ("plugin/store/os.c", "#include <mosquitto/broker.h>", "knows nothing of Mosquitto"),
    ("plugin/store/os.h", "# include <mqtt_protocol.h>", "knows nothing of Mosquitto"),
    ("plugin/store/tables.c", '#include "../options.h"', "nothing from above"),
    ("plugin/store/tables.c", '#include "tools/output.h"', "nothing from above"),
    ("plugin/plugin.c", '#include "tools/output.h"', "nothing of the tools"),
    ("tools/main.c", "#include <mosquitto_plugin.h>", "know nothing of Mosquitto"),
    ("tools/main.c", '#include "plugin/options.h"', "nothing of the plugin"),
    ("tools/main.c", '#include "../plugin/store/store.h"', "nothing of the plugin"),
    ("plugin/store/os.c", "#include <lmdb.h>", "only the tables know LMDB"),
    ("tools/main.c", "#include <lmdb.h>", "only the tables know LMDB"),
    ("plugin/plugin.c", "#include <lmdb.h>", "only the tables know LMDB"),
    ("plugin/store/tables.c", "#include <zstd.h>", "only the payload codec"),
    ("tools/main.c", "#include <zdict.h>", "only the payload codec"),
    ("plugin/store/tables.c", "#include <xxhash.h>", "only the checksum"),
    ("plugin/store/tables.c", "int g(void) { return fdatasync(3); }", "only os.c changes"),
    ("plugin/store/tables.c", "long g(void) { return pwrite(3, b, 1, 0); }", "only os.c changes"),
    ("plugin/store/tables.c", "int g(void) { return renameat (a, b, c, d); }", "only os.c changes"),
    ("plugin/store/tables.c", "void *g(void) { return mmap(0, 1, 2, 3, 4, 5); }", "only os.c"),
    ("plugin/store/tables.c", "int g(void) { return open(p, O_RDWR | O_CREAT, 1); }", "only os.c"),
    ("plugin/store/tables.c", "int g(void) { /* a */ return ftruncate(1, 2); }", "only os.c"),
    ("plugin/store/tables.c", """int g(int c) { return c == '"' && sync(); } // \"""", "only os.c"),
    ("plugin/store/left.c", "int g(void);", "no CMakeLists.txt names it"),
    ("plugin/store/plugin.c", "int g(void);", "no CMakeLists.txt names it"),
    ("tests/broker/test_os.py", "", "no CMakeLists.txt names it"),
    ("tests/broker/test_left.py", "", "no CMakeLists.txt names it"),
]


def check(root):
    done = subprocess.run(
        [sys.executable, CHECK, root], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture(name="tree")
def make_tree(tmp_path):
    for name, text in SOUND.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_sources_that_keep_the_rules_pass(tree):
    assert check(tree) == (0, "")


@pytest.mark.parametrize("name,line,sentence", BREACHES)
def test_a_breach_is_found_and_named(tree, name, line, sentence):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    path.write_text(before + line + "\n")
    status, output = check(tree)
    assert status == 1
    assert output.startswith(name)
    assert sentence in output
    assert output.count("\n") == 1


def test_an_empty_tree_does_not_pass(tmp_path):
    (tmp_path / "plugin").mkdir()
    assert check(tmp_path)[0] == 1

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A folder of its own for each run of pytest, which others may enter as far as a test lets them. In
the usual place each run of pytest that begins closes the folder above to others, also under a test
in which another user is looking. A conftest.py takes the hooks from here."""

import shutil
import tempfile

import pytest

_own = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if not config.option.basetemp:
        config.stash[_own] = config.option.basetemp = tempfile.mkdtemp(prefix="mosquitto-lmdb-")


def pytest_unconfigure(config):
    """What a failed test left stays to be looked at."""
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    if _own in config.stash and not stats.get("failed") and not stats.get("error"):
        shutil.rmtree(config.stash[_own], ignore_errors=True)


def let_others_enter(path):
    """Opens the folders above `path` for a user who is in no group, up to where all are."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if mode & 0o055 == 0o055:
            return
        folder.chmod(mode | 0o055)

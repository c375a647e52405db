# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Tests that only root can run carry the mark as_root. For anybody else they are left out, which the
summary says. A conftest.py takes the hooks from here."""
import os

import pytest

as_root = pytest.mark.as_root

_left_out = pytest.StashKey[list]()


def pytest_collection_modifyitems(config, items):
    config.addinivalue_line("markers", "as_root: only root can run it")
    config.stash[_left_out] = []
    if os.geteuid() == 0:
        return
    config.stash[_left_out] = [item for item in items if item.get_closest_marker("as_root")]
    items[:] = [item for item in items if not item.get_closest_marker("as_root")]
    config.hook.pytest_deselected(items=config.stash[_left_out])


def pytest_terminal_summary(terminalreporter, config):
    left_out = len(config.stash.get(_left_out, []))
    if left_out:
        terminalreporter.write_line(f"{left_out} tests that only root can run were left out")


def pytest_sessionfinish(session, exitstatus):
    """A file of which nothing is left has not failed."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(_left_out, []):
        session.exitstatus = pytest.ExitCode.OK

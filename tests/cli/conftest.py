# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import shutil

import pytest

import cli
import end_to_end  # noqa: F401, first of these
from as_root import (  # noqa: F401, hooks
    pytest_collection_modifyitems, pytest_sessionfinish, pytest_terminal_summary,
)  # fmt: skip
from own_folder import pytest_configure, pytest_unconfigure  # noqa: F401, hooks


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """One store of each kind, made once; tests copy what they change."""
    folder = tmp_path_factory.mktemp("stores")
    kinds = ("empty", "busy", "crashed", "lived")
    return {kind: cli.make_store(kind, folder / kind) for kind in kinds}


@pytest.fixture
def store(made, tmp_path):
    """store("busy"): a copy that the test may change."""

    def copy(kind):
        target = tmp_path / kind
        shutil.copytree(made[kind], target)
        target.chmod(0o700)
        return target

    return copy

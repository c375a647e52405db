# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Fixtures of the end-to-end tests. README.md says how to run them."""
import os
import random
import sys

import pytest

import broker as brokers
from as_root import (pytest_collection_modifyitems, pytest_sessionfinish,  # noqa: F401, hooks
                     pytest_terminal_summary)
from rawmqtt import Client


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, help="how often a test with a seed does its work")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes a lot of time or memory")


def pytest_sessionstart(session):
    brokers.prefix()
    if brokers.plugin_name() != "none":
        brokers.plugin_path()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.session.failed_nodes = getattr(item.session, "failed_nodes", 0) + 1
        for stage in Stage.open_stages:
            report.sections += stage.logs()


class Stage:
    """What a test plays on: a folder, brokers and clients. All are gone when it is closed."""

    open_stages = []

    def __init__(self):
        self.folder = brokers.make_folder()
        self.brokers, self.clients = [], []
        Stage.open_stages.append(self)

    def new_broker(self, **settings):
        """Broker(**settings), not started."""
        folder = self.folder / f"broker{len(self.brokers) + 1}"
        self.brokers.append(brokers.Broker(folder, **settings))
        return self.brokers[-1]

    def client(self, broker, client_id, **settings):
        made = Client(broker.port, client_id, connect=False, **settings)
        self.clients.append(made)
        return made.connect()

    def publisher(self, broker, **settings):
        """A client that leaves nothing behind."""
        return self.client(broker, "publisher", clean=True, **settings)

    def logs(self):
        return [(f"log of {each.folder.name}, port {each.port}", each.whole_log())
                for each in self.brokers]

    def close(self, keep=False):
        for each in self.brokers + self.clients:
            each.close()
        Stage.open_stages.remove(self)
        if keep:
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            brokers.remove_folder(self.folder)


def staged(request):
    failed_before = getattr(request.session, "failed_nodes", 0)
    stage = Stage()
    try:
        yield stage
    finally:
        failed = getattr(request.session, "failed_nodes", 0) > failed_before
        stage.close(keep=failed and bool(os.environ.get("KEEP_FAILED")))


@pytest.fixture
def stage(request):
    """KEEP_FAILED=1 keeps its folder when the test failed."""
    yield from staged(request)


@pytest.fixture(scope="module")
def module_stage(request):
    """One for all tests of a file, which look at the same happening from many sides."""
    yield from staged(request)


@pytest.fixture
def folder(stage):
    return stage.folder


@pytest.fixture
def new_broker(stage):
    """Makes brokers: new_broker(conf=[...], options={...}); not started."""
    return stage.new_broker


@pytest.fixture
def broker(stage):
    """A running broker with default settings."""
    return stage.new_broker().start()


@pytest.fixture(params=["kill", "stop"])
def how(request):
    """How the broker ends before it is started again."""
    return request.param


@pytest.fixture
def client(stage):
    """Makes clients: client(broker, "id", clean=True ...)."""
    return stage.client


@pytest.fixture
def publisher(stage):
    """Makes clients that leave nothing behind: publisher(broker)."""
    return stage.publisher


@pytest.fixture
def rounds(request):
    """--rounds N, None: as many as the test has time for."""
    return request.config.getoption("--rounds")


@pytest.fixture
def seed():
    """SEED=N repeats a run; printed when the test fails."""
    number = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"SEED={number}")
    return number

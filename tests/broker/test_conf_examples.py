# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Every configuration in conf-examples is loaded as it stands, but for paths and ports."""
import pathlib
import re

import pytest

from broker import plugin_path
from helpers import expect_received, numbers, offline_session, publish_numbers

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "conf-examples"
EXAMPLES = sorted(FOLDER.glob("*.conf"))


class Example:
    """Puts our port, plugin and store into an example; all other lines stay."""

    def __init__(self, path, broker):
        self.broker = broker
        self.replaced = {}
        text = path.read_text()
        for pattern, line in (
                (r"^listener \d+( .*)?$", f"listener {broker.port} 127.0.0.1"),
                (r"^(?:global_)?plugin .*mosquitto_persist_lmdb\.so$", f"plugin {plugin_path()}"),
                (r"^plugin_opt_path .*$", f"plugin_opt_path {broker.store}")):
            text, self.replaced[pattern] = re.subn(pattern, line, text, flags=re.MULTILINE)
        broker.write_conf = lambda: broker.conf_file.write_text(
            f"user root\nlog_dest stderr\n{text}")


@pytest.fixture
def example(new_broker, request):
    return Example(request.param, new_broker())


def test_the_examples_of_the_readme_exist():
    assert {path.name for path in EXAMPLES} >= {"minimal.conf", "durable.conf", "sd-card.conf"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name, indirect=True)
def test_an_example_keeps_what_was_published(example, client, publisher, how):
    assert set(example.replaced.values()) == {1}, example.replaced
    broker = example.broker.start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 50)
    broker.restart(how)
    publish_numbers(publisher(broker), 51, 60)
    broker.restart(how)
    expect_received(session, numbers(1, 60))
    assert "rror" not in broker.whole_log()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_option_of_an_example_is_explained(path):
    """A comment or another option stands above it."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("#")
    for above, line in zip(lines, lines[1:]):
        if line.startswith("plugin_opt_"):
            assert above.startswith("#") or above.startswith("plugin"), line

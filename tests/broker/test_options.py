# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The plugin's options: what is wrong stops the broker, and the log says what and why."""
import pathlib
import re

import pytest

import cli
from broker import poll
from helpers import expect_received, numbers, offline_session, publish_numbers
from rawmqtt import Refused, payloads

BAD = [
    ("sync", "sometimes", ["always", "interval", "os"]),
    ("sync_interval_ms", "soon", ["1ms", "60s"]),
    ("sync_interval_ms", "0", ["1ms", "60s"]),
    ("sync_interval_ms", "-5", ["1ms", "60s"]),
    ("sync_interval_ms", "61s", ["1ms", "60s"]),
    ("sync_interval_ms", "10k", ["1ms", "60s"]),
    ("commit_interval_ms", "1.5s", ["1ms"]),
    ("journal_segment_bytes", "12Q", ["64k", "1G"]),
    ("journal_segment_bytes", "1", ["64k", "1G"]),
    ("journal_segment_bytes", "10s", ["64k", "1G"]),
    ("journal_max_bytes", "99999999999999999999999", ["256k", "1024G"]),
    ("compression", "lzma", ["zstd", "none"]),
    ("compression_level", "99", ["1", "19"]),
    ("on_failure", "ignore", ["refuse", "stop"]),
    ("check_at_start", "maybe", ["true", "false"]),
]


@pytest.mark.parametrize("key, value, allowed", BAD)
def test_a_bad_value_is_named_with_what_is_allowed(new_broker, key, value, allowed):
    broker = new_broker(options={key: value})
    log = broker.start_fails()
    line, = [line for line in log.splitlines() if f"plugin_opt_{key}" in line]
    assert value in line
    for each in allowed:
        assert each in line
    assert not broker.store.exists(), "a store was made for a broker that does not start"


@pytest.mark.parametrize("key, nearest", [
    ("synk", "sync"), ("sync_interval", "sync_interval_ms"), ("jurnal_max_byte",
                                                              "journal_max_bytes"),
    ("compresion", "compression"), ("paht", "path"), ("check_at_stat", "check_at_start"),
    ("SYNC", "sync")])
def test_an_unknown_option_is_named_with_the_nearest(new_broker, key, nearest):
    log = new_broker(options={key: "1"}).start_fails()
    line, = [line for line in log.splitlines() if f"plugin_opt_{key}" in line]
    assert f"plugin_opt_{nearest}" in line.replace(f"plugin_opt_{key}", "", 1)


def test_without_a_path_the_broker_does_not_start(new_broker):
    log = new_broker(options={"path": None}).start_fails()
    assert "plugin_opt_path" in log


def test_a_cap_below_four_segments_is_refused(new_broker):
    log = new_broker(options={"journal_max_bytes": "8M",
                              "journal_segment_bytes": "4M"}).start_fails()
    assert "plugin_opt_journal_max_bytes" in log and "plugin_opt_journal_segment_bytes" in log


GOOD = [
    {"sync": "always"}, {"sync": "os"}, {"sync": "interval", "sync_interval_ms": "20ms"},
    {"commit_interval_ms": "50"}, {"commit_interval_ms": "3600s"},
    {"journal_segment_bytes": "64k", "journal_max_bytes": "1M"},
    {"compression": "none"}, {"compression": "zstd", "compression_level": "19"},
    {"on_failure": "stop"}, {"check_at_start": "true"},
    {"journal_segment_bytes": "1M", "journal_max_bytes": "2G", "sync_interval_ms": "1 s"},
]


@pytest.mark.parametrize("options", GOOD, ids=lambda options: ",".join(
    f"{key}={value}" for key, value in options.items()))
def test_good_options_keep_what_was_published(new_broker, client, publisher, options):
    broker = new_broker(options=options, defaults=True).start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 30)
    broker.restart("kill")
    publish_numbers(publisher(broker), 31, 40)
    broker.restart("kill")
    expect_received(session, numbers(1, 40))


def test_a_small_journal_is_emptied_however_long_the_interval_is(new_broker, client):
    """A publisher that is too fast for LMDB is refused for a moment, not for the hour."""
    broker = new_broker(options={"journal_segment_bytes": "256k", "journal_max_bytes": "4M",
                                 "commit_interval_ms": "3600s"},
                        conf=["max_queued_messages 0"]).start()
    session = offline_session(broker, client)
    source = client(broker, "source", clean=True, version=5)

    def taken(payload):
        try:
            source.publish("t/1", payload)
            return True
        except Refused:
            return False

    for number in range(1, 1501):
        poll(lambda: taken(f"{number}:{'x' * 5000}"), 20, "no message is taken again")
    session.connect()
    assert [payload.split(":")[0] for payload in payloads(session.drain())] == numbers(1, 1500)


def test_a_store_may_be_opened_with_other_options(new_broker, client, publisher, how):
    broker = new_broker(options={"compression": "zstd", "journal_segment_bytes": "64k"}).start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 20)
    for life, options in enumerate([{"compression": "none"}, {"journal_segment_bytes": "4M"},
                                    {"sync": "always"}, {}]):
        broker.end(how)
        broker.options = options
        broker.start()
        publish_numbers(publisher(broker), life * 5 + 21, life * 5 + 25)
    expect_received(session, numbers(1, 40))


def test_a_reload_takes_what_can_change_and_says_what_cannot(new_broker, client, publisher):
    broker = new_broker(defaults=True)
    settings = broker.folder / "settings"
    broker.options["options_file"] = settings
    settings.write_text("# comment\nsync interval\nplugin_opt_journal_segment_bytes 1M\n")
    broker.start()
    session = offline_session(broker, client)
    settings.write_text("sync always\njournal_segment_bytes 2M\n")
    broker.hang_up()
    broker.wait_log("persist-lmdb: .*sync.* always")
    line = broker.wait_log("persist-lmdb: .*journal_segment_bytes.*").group()
    assert "restart" in line or "start" in line, line
    publish_numbers(publisher(broker), 1, 5)
    broker.restart("kill")
    expect_received(session, numbers(1, 5))


def test_what_a_reload_changes_takes_effect(new_broker, client, publisher):
    broker = new_broker()
    settings = broker.folder / "settings"
    broker.options["options_file"] = settings
    settings.write_text("commit_interval_ms 3600s\n")
    broker.start()
    offline_session(broker, client)
    source = publisher(broker)

    def stored(messages):
        """How many bytes so many messages take in the tables."""
        poll(lambda: cli.status(broker.store)["messages"] == messages, 20, "it is not folded")
        return cli.status(broker.store)["stored_bytes"]

    source.publish("t/1", "a" * 5000)
    assert stored(0) == 0, "it was not to be folded for an hour"
    settings.write_text("commit_interval_ms 20ms\n")
    broker.hang_up()
    compressed = stored(1)
    assert compressed < 500
    settings.write_text("commit_interval_ms 20ms\ncompression none\n")
    broker.hang_up()
    broker.wait_log("compression is now none")
    source.publish("t/1", "b" * 5000)
    assert stored(2) >= compressed + 5000


def test_a_reload_with_a_bad_option_changes_nothing_and_says_so(new_broker, client, publisher):
    broker = new_broker()
    settings = broker.folder / "settings"
    broker.options["options_file"] = settings
    settings.write_text("sync interval\n")
    broker.start()
    session = offline_session(broker, client)
    settings.write_text("sync always\nsync_interval_ms never\n")
    broker.hang_up()
    broker.wait_log("persist-lmdb: .*sync_interval_ms.*never")
    publish_numbers(publisher(broker), 1, 5)
    settings.write_text("sync interval\n")
    broker.restart("kill")
    expect_received(session, numbers(1, 5))


def test_a_bad_options_file_stops_the_start(new_broker):
    broker = new_broker()
    settings = broker.folder / "settings"
    broker.options["options_file"] = settings
    settings.write_text("sync interval\n\nsink always\n")
    log = broker.start_fails()
    assert "settings line 3" in log and "sink" in log and "plugin_opt_sync" in log


def test_a_missing_options_file_stops_the_start(new_broker):
    broker = new_broker()
    broker.options["options_file"] = broker.folder / "nowhere"
    assert str(broker.folder / "nowhere") in broker.start_fails()


def test_a_reload_without_a_change_disturbs_nobody(broker, client, publisher):
    session = client(broker, "sub")
    session.subscribe("t/#")
    source = publisher(broker)
    for number in range(1, 21):
        broker.hang_up()
        source.publish("t/1", str(number))
    broker.wait_log("Reloading config")
    assert [message.payload.decode() for message in session.drain()] == numbers(1, 20)
    session.disconnect()
    broker.restart("kill")
    expect_received(session, [])


ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_readme_lists_every_option_with_its_default():
    """As the plugin's own table has them."""
    listed = re.findall(r'X\(\w+, "(\w+)", \w+, \d+, \d+, "(\w*)"',
                        (ROOT / "plugin" / "options.h").read_text())
    section = (ROOT / "README.md").read_text().split("## Options")[1].split("\n## ")[0]
    table = re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)
    assert [name for name, _ in table] == [name for name, _ in listed]
    for (name, default), (_, real) in zip(table, listed):
        assert not real or default == f"`{real}`", name

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Bursts as fast as the broker takes them. While they last the tables are left behind, and the
journal alone has what was acknowledged: kill -9 in the middle of it loses nothing, and once the
broker has time the tables follow."""
import json
import subprocess

import pytest

import cli
from broker import environment_folder, poll

LOAD = "tests/bench/mqtt_load"
FOLLOW_LIMIT_S = 60


def command(broker, workload, **options):
    load = environment_folder("BUILD_DIR", LOAD) / LOAD
    arguments = [word for name, value in options.items()
                 for word in (f"--{name}", str(value))]
    return [str(load), workload, "--port", str(broker.port), "--publishers", "4", "--window", "50",
            *arguments]


def run(broker, workload, **options):
    done = subprocess.run(command(broker, workload, **options), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def acknowledged(listing):
    ranges = [line.split() for line in listing.read_text().splitlines()]
    return sum(int(last) - int(first) + 1 for _, first, last in ranges)


@pytest.fixture
def broker(new_broker):
    return new_broker(conf=["max_queued_messages 0", "max_inflight_messages 100"]).start()


def burst_until_killed(broker, listing, records):
    """Until the tables are so many records behind."""
    with subprocess.Popen(command(broker, "offline", count=10**8, **{"acked-file": listing}),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as load:
        poll(lambda: cli.status(broker.store)["behind_records"] >= records, FOLLOW_LIMIT_S,
             "there is no burst", lambda: cli.run(broker.store, "status"))
        broker.kill()
        load.wait(60)


# Within the first file of the journal, and across files of it.
@pytest.mark.parametrize("records", [5000, 60000])
def test_killed_in_a_burst(broker, tmp_path, records):
    listing = tmp_path / "acknowledged"
    burst_until_killed(broker, listing, records)
    behind = json.loads(cli.run(broker.store, "--json", "--read-only", "status"))["behind_records"]
    broker.start()
    seen = run(broker, "drain", **{"acked-file": listing})
    print(f"{acknowledged(listing)} acknowledged, {behind} records not in the tables at the kill")
    assert acknowledged(listing) > 1000 and behind > 0
    assert (seen["lost"], seen["missing"], seen["damaged"]) == (0, 0, 0)
    assert seen["received"] >= acknowledged(listing)


def test_the_tables_follow(broker):
    seen = run(broker, "offline", count=20000)
    assert seen["acknowledged"] == 80000
    poll(lambda: cli.status(broker.store)["behind_records"] == 0, FOLLOW_LIMIT_S,
         "the tables do not follow", lambda: cli.run(broker.store, "status"))
    assert cli.status(broker.store)["queued"] == 80000


def test_stopped_right_after_a_burst(broker):
    run(broker, "offline", count=20000)
    broker.stop()
    held = json.loads(cli.run(broker.store, "--json", "--read-only", "status"))
    assert (held["queued"], held["behind_records"]) == (80000, 0)
    broker.start()
    seen = run(broker, "drain", count=20000)
    assert (seen["received"], seen["missing"], seen["damaged"]) == (80000, 0, 0)

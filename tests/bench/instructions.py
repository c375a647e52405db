# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Counts instructions with callgrind: a figure that does not depend on the machine's mood.

Twice over: what the engine executes on the appending thread for one message of each kind of
traffic, and what the whole broker executes on its thread for one message, with each program.
"""

import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import bench
import report
from programs import PROGRAMS, Broker, Tools
from workloads import CLIENTS, Run

CALLGRIND = ["valgrind", "--tool=callgrind", "--quiet", "--separate-threads=yes"]
# Kinds of load and the options of mqtt_load for them.
LOADS = [("offline", "QoS 1, offline", {"qos": 1}), ("online", "QoS 1, online", {"qos": 1}),
         ("online", "QoS 2, online", {"qos": 2}), ("retained", "retained", {"topics": 250})]


def thread_instructions(folder):
    """Instructions by thread number, from the files that callgrind left."""
    found = {}
    for path in glob.glob(os.path.join(folder, "callgrind.out*")):
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read()
        thread = re.search(r"^thread: (\d+)$", content, re.MULTILINE)
        totals = re.findall(r"^(?:totals|summary): (\d+)", content, re.MULTILINE)
        if thread and totals:
            number = int(thread.group(1))
            found[number] = found.get(number, 0) + int(totals[-1])
    return found


def engine_one(tools, kind, count):
    with tempfile.TemporaryDirectory(prefix="mqtt-bench-", dir="/var/tmp") as folder:
        store = os.path.join(folder, "store")
        subprocess.run(CALLGRIND + [f"--callgrind-out-file={folder}/callgrind.out",
                                    "--collect-atstart=no", "--toggle-collect=measured",
                                    tools.store_events, kind, str(count), store],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        return sum(thread_instructions(folder).values()) / count


def engine_clock(tools, kind, count):
    with tempfile.TemporaryDirectory(prefix="mqtt-bench-", dir="/var/tmp") as folder:
        done = subprocess.run([tools.store_events, kind, str(count), os.path.join(folder, "store")],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)["ns_per_step"]


def engine_rows(tools, count):
    kinds = subprocess.run([tools.store_events, "--list"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, check=True, text=True).stdout
    rows = [["traffic", "instructions", "ns", "events"]]
    for line in kinds.splitlines():
        kind, events = line.split("\t")
        rows.append([kind, f"{engine_one(tools, kind, count):,.0f}",
                     f"{engine_clock(tools, kind, 10 * count):,.0f}", events])
    return rows


def broker_instructions(tools, program, kind, options, count):
    """Of the broker's main thread, from its start to its end."""
    folder = tempfile.mkdtemp(prefix="mqtt-bench-", dir="/var/tmp")
    prefix = CALLGRIND + [f"--callgrind-out-file={folder}/callgrind.out"]
    run = Run(tools, program, folder, False, Broker(program, tools, folder, prefix))
    try:
        run.start()
        run.load(kind, **CLIENTS, count=count, **options)
        run.broker.stop()
        return thread_instructions(folder)[1]
    finally:
        run.broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


def broker_rows(tools, programs, count):
    """The difference of a run of 2 * count and one of count: start and end cancel out."""
    rows = [["program"] + [title for _, title, _ in LOADS]]
    for program in programs:
        row = [program.title]
        for kind, _, options in LOADS:
            short, long = (broker_instructions(tools, program, kind, options, size)
                           for size in (count, 2 * count))
            row.append(f"{(long - short) / (count * CLIENTS['publishers']):,.0f}")
        rows.append(row)
        print("  ".join(row), file=sys.stderr, flush=True)
    return rows


def main(argv):
    parser = argparse.ArgumentParser(prog="instructions.sh", description=__doc__)
    parser.add_argument("--count", type=int, default=20000, help="steps of each kind of traffic")
    parser.add_argument("--programs", default="none,sqlite,lmdb", metavar="NAMES",
                        help="brokers to count, comma-separated; '' for none of them")
    parser.add_argument("--mosquitto-prefix", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--build-dir", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if not shutil.which("valgrind"):
        sys.exit("instructions.sh: valgrind is needed.")
    signal.signal(signal.SIGTERM, bench.on_terminate)
    tools = Tools(options.mosquitto_prefix, options.build_dir)
    if os.access(tools.store_events, os.X_OK):
        print("Instructions on the appending thread, and time without callgrind (system calls "
              "included), for one message\n")
        print(report.table(engine_rows(tools, options.count)), "\n")
    programs = [one for one in PROGRAMS
                if one.name in options.programs.split(",") and not one.missing(tools)]
    if programs:
        print("Instructions of the broker's thread for one message, system calls not included\n")
        print(report.table(broker_rows(tools, programs, options.count // 10)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

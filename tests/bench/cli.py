# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the verbs of mosquitto_lmdb cost over a large store, and what a backup costs the broker whose
store it copies."""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import proc
import report
from programs import PROGRAMS, Broker, Tools
from workloads import Run

LOOK_EVERY_S = 0.003
FILTERS = [
    ["session", "ls"],
    ["session", "ls", "--json"],
    ["session", "ls", "--limit", "20"],
    ["session", "ls", "--match", "*77*"],
    ["session", "ls", "--offline", "--idle", "30d", "--queue-gt", "9"],
    ["session", "ls", "--sort", "queue", "--limit", "20"],
    ["session", "ls", "--sort", "bytes", "--limit", "20"],
    ["session", "ls", "--sort", "bytes"],
    ["queue", "ls"],
    ["queue", "ls", "--sort", "age", "--limit", "20"],
    ["queue", "ls", "--topic", "site/+/sensor/3"],
    ["queue", "ls", "--older-than", "30d", "--queue-gt", "5"],
    ["sub", "ls"],
    ["sub", "ls", "--topic", "site/77/sensor/3"],
    ["retained", "ls"],
    ["will", "ls"],
    ["status"],
    ["check"],
]
ONE_CLIENT = [
    ["session", "show", "client-0000077"],
    ["queue", "ls", "client-0000077"],
    ["queue", "peek", "client-0000077", "--from", "newest"],
    ["queue", "export", "client-0000077"],
    ["session", "rm", "client-0000077", "--dry-run"],
    ["queue", "purge", "client-0000077", "--dry-run"],
]
WHOLE_STORE = [
    ["verify"],
    ["export"],
    ["backup", "WORK/backup"],
    ["restore", "--dry-run", "WORK/backup", "WORK/none"],
    ["restore", "WORK/backup", "WORK/restored"],
    ["--store", "WORK/imported", "import", "WORK/export.jsonl"],
    ["repair", "--output", "WORK/repaired"],
    ["--store", "WORK/restored", "compact"],
]


@dataclass
class Cost:
    seconds: float
    cpu_s: float
    memory_kib: int  # most anonymous memory seen; mapped pages of the store are the system's
    status: int


def run_watched(command, output):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, memory_kib = time.monotonic(), 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                          stderr=subprocess.PIPE, text=True) as popen:
        while popen.poll() is None:
            memory_kib = max(memory_kib, sum(proc.memory_kib(pid, "RssAnon") or 0
                                             for pid in proc.children(popen.pid)))
            time.sleep(LOOK_EVERY_S)
        seconds = time.monotonic() - began
        sentence = popen.stderr.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if popen.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {popen.returncode}: {sentence}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu_s, memory_kib, popen.returncode)


def verb_row(options, work, command, rounds):
    words = [word.replace("WORK", work) for word in command]
    program = [f"{options.build_dir}/tools/mosquitto_lmdb", "--store", f"{work}/store"]
    name = f"{work}/export.jsonl" if command == ["export"] else os.devnull
    costs = []
    for _ in range(rounds):
        with open(name, "wb") as output:
            costs.append(run_watched(program + words, output))
    row = [" ".join(command).replace("WORK/", ""), f"{min(cost.seconds for cost in costs):.2f}",
           f"{min(cost.cpu_s for cost in costs):.2f}",
           f"{max(cost.memory_kib for cost in costs) / 1024:.1f}"]
    print("  ".join(row), file=sys.stderr, flush=True)
    return row


def verbs(options, work):
    """each verb over a store with many sessions and messages"""
    subprocess.run([f"{options.build_dir}/tests/make_store", "large", f"{work}/store",
                    str(options.sessions), str(options.messages)], check=True)  # fmt: skip
    rows = [["verb", "seconds", "CPU, s", "memory, MiB"]]
    # Those over the whole store make something, which is there already the second time.
    for commands, rounds in ((FILTERS, options.rounds), (ONE_CLIENT, options.rounds),
                             (WHOLE_STORE, 1)):
        rows += [verb_row(options, work, command, rounds) for command in commands]
    print(f"{options.messages:,} queued messages, {options.sessions:,} sessions; best time of "
          f"{options.rounds} rounds (one for verbs that make something), most memory\n")
    print(report.table(rows))


class Backups:
    """One backup after the other, into nothing."""

    def __init__(self, options, store):
        self.script = (f"while :; do {options.build_dir}/tools/mosquitto_lmdb --store {store} "
                       "backup - >/dev/null 2>&1 || exit; echo; done")
        self.popen = None

    def __enter__(self):
        # pylint: disable-next=consider-using-with # it ends in __exit__
        self.popen = subprocess.Popen(["bash", "-c", self.script], stdout=subprocess.PIPE,
                                      start_new_session=True)  # fmt: skip
        return self

    def __exit__(self, *_):
        os.killpg(self.popen.pid, 15)
        self.made = len(self.popen.communicate()[0])


def backup(options, work):
    """publishes beside backups, as a ratio to publishes without"""
    tools = Tools(options.mosquitto_prefix, options.build_dir)
    program = next(one for one in PROGRAMS if one.name == "lmdb")
    broker = Broker(program, tools, f"{work}/broker")
    run = Run(tools, program, broker.folder, False, broker)
    load = {"publishers": 1, "window": 1, "count": options.publishes, "qos": 1}
    ratios, made = [], 0
    run.start()
    try:
        run.load("offline", publishers=4, window=50, count=options.filled // 4, client_name="fill")
        for number in range(options.rounds):
            without = run.load("offline", **load, broker_pid=broker.pid, client_name=f"a{number}")
            with Backups(options, program.store(broker.folder)) as backups:
                beside = run.load("offline", **load, broker_pid=broker.pid,
                                  client_name=f"b{number}")  # fmt: skip
            made += backups.made
            ratios.append([
                without["seconds"] / beside["seconds"],
                beside["ack"]["p50_us"] / without["ack"]["p50_us"],
                beside["ack"]["p99_us"] / without["ack"]["p99_us"],
                beside["broker"]["main_cpu_s"] / without["broker"]["main_cpu_s"],
            ])  # fmt: skip
    finally:
        broker.kill()
    if made == 0:
        raise SystemExit("no backup came to its end; more --publishes take longer")
    rows = [["beside backups / without", "median", "lowest", "highest"]]
    names = ["throughput", "p50", "p99", "CPU of the broker's thread"]
    for name, found in zip(names, zip(*ratios)):
        rows.append([name, f"{statistics.median(found):.2f}", f"{min(found):.2f}",
                     f"{max(found):.2f}"])  # fmt: skip
    print(f"{options.publishes:,} publishes of QoS 1, one after the other, into an offline queue, "
          f"{options.rounds} rounds; {made} backups of {options.filled:,} messages and more\n")
    print(report.table(rows))


def main(argv):
    parts = {"verbs": verbs, "backup": backup}
    parser = argparse.ArgumentParser(prog="cli.sh", description=__doc__)
    parser.add_argument("--part", action="append", choices=sorted(parts), default=[],
                        help="; ".join(f"{name}: {part.__doc__}" for name, part in parts.items()) +
                        " (default: both)")  # fmt: skip
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--publishes", type=int, default=500_000, help="of each measurement")
    parser.add_argument("--filled", type=int, default=200_000, help="messages that backups copy")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", help="folder for the stores (default: a new one)")
    parser.add_argument("--mosquitto-prefix", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--build-dir", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    for name in options.part or parts:
        work = tempfile.mkdtemp(dir=options.work, prefix="bench-cli-")
        print(f"The machine was busy to {proc.busy_share(1):.0%} before.")
        try:
            parts[name](options, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

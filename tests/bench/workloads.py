# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The workloads: how large, what is put on a broker, what is measured and what must hold."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field

import proc
from programs import Broker, BrokerFailed

# Long enough for a commit interval of a second and the sync after it.
SETTLE_S = 1.5
LOAD_MAX_S = 1800
CORES = len(os.sched_getaffinity(0))
CLIENTS = {"publishers": 4, "window": 50}


class CheckFailed(Exception):
    """A broker lost, repeated or damaged something it must not."""


def expect(found, wanted, what):
    if found != wanted:
        raise CheckFailed(f"{what}: {found} instead of {wanted}")


@dataclass
class Run:
    """One workload on one program in one round."""
    tools: object
    program: object
    folder: str
    thorough: bool  # also hold what a restarted broker gives back against what was sent
    broker: Broker = None
    result: dict = field(default_factory=dict)

    def load_command(self, kind, options):
        command = [self.tools.load, kind, "--port", str(self.broker.port)]
        for key, value in options.items():
            command += ["--" + key.replace("_", "-"), str(value)]
        return command

    def load(self, kind, **options):
        try:
            done = subprocess.run(self.load_command(kind, options), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=LOAD_MAX_S, check=False)
        except subprocess.TimeoutExpired as stuck:
            raise BrokerFailed(f"{kind} was not done after {LOAD_MAX_S} s") from stuck
        if done.returncode:
            self.broker.check_alive()
            raise BrokerFailed(f"{done.stderr.strip()} ({self.broker.log_end()})")
        return json.loads(done.stdout)

    def start(self):
        """Starts the broker and returns the seconds until it answered a CONNECT."""
        since_ns = self.broker.start()
        answer = self.load("wait", since_ns=since_ns, timeout=120)
        return answer["seconds"]

    def check_published(self, seen, count):
        expect(seen["refused"], 0, "refused publishes")
        expect(seen["acknowledged"] if seen["ack"]["count"] else seen["published"], count,
               "acknowledged messages")
        expect(seen["damaged"], 0, "damaged payloads")

    def check_drained(self, seen):
        expect(seen["lost"], 0, "messages lost over a restart")
        for what in ("missing", "damaged"):
            expect(seen[what], 0, f"{what} messages after a restart")

    def measure(self, kind, operations, **options):
        """Puts the load on, then looks at what the broker holds, at rest and stopped."""
        before = proc.io_counters(self.broker.pid)
        seen = self.load(kind, broker_pid=self.broker.pid, **options)
        time.sleep(SETTLE_S)
        usage = seen["broker"]
        self.result.update({
            "operations": operations,
            "seconds": seen["seconds"],
            "throughput": operations / seen["seconds"],
            "ack": seen["ack"],
            "delivery": seen["delivery"],
            "main_cpu_us": usage["main_cpu_s"] * 1e6 / operations,
            "cpu_us": usage["cpu_s"] * 1e6 / operations,
            "foreign_share": usage["foreign_cpu_s"] / seen["seconds"] / CORES,
            "reniced": proc.nice_of(self.broker.pid) - os.nice(0),
            "peak_mib": usage["rss_peak_kib"] / 1024,
            "anonymous_mib": proc.memory_kib(self.broker.pid, "RssAnon") / 1024,
            "disk_running": self.broker.store_use(),
        })
        if "seconds_series" in seen:
            self.result["seconds_series"] = seen["seconds_series"]
        self.stop(before, operations)
        return seen

    def stop(self, before, operations):
        self.broker.stop()
        use = self.broker.store_use()
        written = self.broker.written
        self.result.update({
            "stop_s": self.broker.stop_s,
            "disk_stopped": use,
            "disk_per_operation": use["blocks_bytes"] / operations,
            "written_per_operation":
                (written.get("write_bytes", 0) - before.get("write_bytes", 0)) / operations,
            "written_by_calls_per_operation":
                (written.get("wchar", 0) - before.get("wchar", 0)) / operations,
        })


# ---- the workloads; each gets a Run whose broker is not started, and a size


def offline(run, count, payload="json", **more):
    options = {**CLIENTS, "count": count, "payload": payload, **more}
    run.start()
    seen = run.measure("offline", count * 4, **options)
    run.check_published(seen, count * 4)
    if run.thorough and run.program.keeps:
        run.start()
        run.check_drained(run.load("drain", **options))


def online(run, count, qos):
    run.start()
    seen = run.measure("online", count * 4, **CLIENTS, count=count, qos=qos)
    run.check_published(seen, count * 4)
    expect(seen["received"], count * 4, "received messages")
    expect(seen["missing"] + seen["repeated"], 0, "messages out of order")


def online_1(run, count):
    online(run, count, 1)


def online_2(run, count):
    online(run, count, 2)


def retained(run, count):
    run.start()
    seen = run.measure("retained", count * 4, **CLIENTS, count=count, topics=2500)
    run.check_published(seen, count * 4)
    if run.program.retained_by_wildcard:
        expect(seen["retained"], min(count, 2500) * 4, "retained messages")


def fanout(run, count):
    sessions = 1000
    options = {"publishers": 4, "window": 5, "count": count}
    run.start()
    seen = run.measure("fanout", count * 4 * sessions, sessions=sessions, **options)
    run.check_published(seen, count * 4)
    if run.thorough and run.program.keeps:
        run.start()
        run.check_drained(run.load("drain", sessions=sessions, **options))


def sessions(run, count):
    run.start()
    seen = run.measure("sessions", count, sessions=count)
    expect(seen["acknowledged"], count, "sessions")


def large(run, count):
    options = {"publishers": 4, "window": 4, "payload": "image"}
    run.start()
    seen = run.measure("offline", count * 4, count=count, **options)
    run.check_published(seen, count * 4)
    if run.thorough and run.program.keeps:
        run.start()
        run.check_drained(run.load("drain", count=count, **options))


def drain(run, count):
    run.start()
    run.load("offline", **CLIENTS, count=count)
    time.sleep(SETTLE_S)
    run.check_drained(run.measure("drain", count * 4, **CLIENTS, count=count))


def restart(run, count):
    run.start()
    run.load("offline", **CLIENTS, count=count)
    time.sleep(SETTLE_S)
    run.broker.stop()
    disk = run.broker.store_use()
    seconds = run.start()
    pid = run.broker.pid
    run.result.update({
        "operations": count * 4,
        "restart_s": seconds,
        "stop_s": run.broker.stop_s,
        "disk_stopped": disk,
        "disk_per_operation": disk["blocks_bytes"] / (count * 4),
        "peak_mib": proc.memory_kib(pid, "VmHWM") / 1024,
        "anonymous_mib": proc.memory_kib(pid, "RssAnon") / 1024,
    })
    run.check_drained(run.load("drain", **CLIENTS, count=count))
    run.broker.stop()


def crash(run, milliseconds):
    """kill -9 in the middle of the load, then a restart: what had been acknowledged?"""
    acked = os.path.join(run.folder, "acknowledged")
    options = {**CLIENTS, "count": 10**8, "acked_file": acked}
    run.start()
    with subprocess.Popen(run.load_command("offline", options), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as publishers:
        time.sleep(milliseconds / 1000)
        run.broker.check_alive()
        run.broker.kill()
        try:
            publishers.wait(60)
        except subprocess.TimeoutExpired as stuck:
            publishers.kill()
            raise BrokerFailed("the load went on after its broker was killed") from stuck
    seconds = run.start()
    seen = run.load("drain", **options)
    run.broker.stop()
    with open(acked, encoding="ascii") as file:
        acknowledged = sum(int(last) - int(first) + 1
                           for _, first, last in (line.split() for line in file))
    run.result.update({"operations": acknowledged, "restart_s": seconds,
                       "lost": seen["lost"], "lost_share": seen["lost"] / max(1, acknowledged)})
    expect(seen["damaged"], 0, "damaged payloads")
    if run.program.safe:
        expect(seen["lost"], 0, "acknowledged messages lost by kill -9")
        expect(seen["missing"], 0, "messages missing from the middle")


def steady(run, seconds):
    """5,000 messages a second of each of 4 publishers; every second what the broker holds."""
    series = []
    done = threading.Event()

    def sample():
        while not done.wait(1.0):
            use = run.broker.store_use()
            series.append({"disk_bytes": use["blocks_bytes"],
                           "anonymous_kib": proc.memory_kib(run.broker.pid, "RssAnon")})

    run.start()
    sampler = threading.Thread(target=sample)
    with subprocess.Popen([run.tools.stall_watch], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as watch:
        sampler.start()
        try:
            seen = run.measure("steady", 20000 * seconds, publishers=4, window=1000, rate=5000,
                               seconds=seconds)
        finally:
            done.set()
            sampler.join()
            watch.terminate()
            stalls_us = [int(line) for line in watch.stdout]
    run.check_published(seen, 20000 * seconds)
    expect(seen["missing"] + seen["damaged"], 0, "missing or damaged messages")
    run.result["broker_series"] = series
    run.result["stall_series_ms"] = [us / 1000 for us in stalls_us]
    run.result["stall_max_ms"] = max(stalls_us) / 1000
    run.result["pause_max_ms"] = seen["ack"]["max_us"] / 1000


@dataclass
class Workload:
    """`quick` and `full` are the sizes; `only` names the programs if not all take part."""
    number: int
    name: str
    title: str
    function: object
    quick: int
    full: int
    unit: str = "messages/s"
    figure: str = "throughput"  # what is compared
    better: str = "higher"
    latency: str = "ack"
    rounds_max: int = 1000
    qos: int = 1
    needs_keeping: bool = False
    only: tuple = ()

    def size(self, quick, scale, program):
        full = self.quick if quick else self.full
        if self.function in (steady, crash):  # these are times
            return full
        return max(1, int(full * scale * program.scale))

    def excludes(self, program):
        """Why the program takes no part, or None."""
        if program.qos_max < self.qos:
            return f"no QoS {self.qos}"
        if self.needs_keeping and not program.keeps:
            return "keeps nothing"
        if self.only and program.name not in self.only:
            return "not in this workload"
        return None


WORKLOADS = [
    Workload(1, "offline", "QoS 1 into offline queues", offline, 25000, 250000),
    Workload(2, "online", "QoS 1 to connected subscribers", online_1, 25000, 100000,
             latency="delivery"),
    Workload(3, "online-2", "QoS 2 to connected subscribers", online_2, 12500, 50000, qos=2,
             latency="delivery"),
    Workload(4, "retained", "retained updates over 10,000 topics", retained, 25000, 100000),
    Workload(5, "fanout", "fan-out to 1,000 offline sessions", fanout, 25, 250,
             unit="queue entries/s"),
    Workload(6, "sessions", "sessions that connect, subscribe, leave", sessions, 5000, 100000,
             unit="sessions/s"),
    Workload(7, "large", "1 MB payloads into offline queues", large, 25, 125),
    Workload(8, "drain", "drain of queued messages", drain, 25000, 250000),
    Workload(9, "restart", "restart until the first CONNACK", restart, 25000, 250000, unit="s",
             figure="restart_s", better="lower", needs_keeping=True),
    Workload(10, "steady", "20,000 messages/s while queues fill and drain", steady, 20, 600,
             unit="ms longest pause", figure="pause_max_ms", better="lower", rounds_max=1,
             only=("none", "db", "sqlite", "lmdb")),
    Workload(11, "crash", "kill -9 under load", crash, 1000, 3000, unit="lost of acknowledged",
             figure="lost_share", better="lower", needs_keeping=True, rounds_max=5),
]

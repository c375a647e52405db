# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs over a range of sizes or payloads, on the programs that keep what they get."""

import shutil
import tempfile
import time

import proc
from programs import Broker
from workloads import CLIENTS, SETTLE_S, Run, expect

MIB = 2**20
QUEUED_SIZES = [10_000, 100_000, 1_000_000, 4_000_000]
SESSION_SIZES = [1_000, 10_000, 100_000]
DEFAULT_PROGRAMS = ("db", "sqlite", "lmdb")
PAYLOADS = {"json": {}, "sparkplug": {}, "number": {}, "image": {"image_bytes": 16384}}


def with_broker(tools, work, program, function):
    folder = tempfile.mkdtemp(dir=work, prefix=f"study-{program.name}-")
    run = Run(tools, program, folder, False, Broker(program, tools, folder))
    try:
        return function(run)
    finally:
        run.broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


def chosen(options, programs):
    return [one for one in programs
            if one.keeps and (options.programs or one.name in DEFAULT_PROGRAMS)]


def grow_one(kind, size):
    """Fills to a size, stops, starts again; what each step costs."""
    def function(run):
        run.start()
        if kind == "offline":
            seen = run.load(kind, **CLIENTS, count=size // 4)
            expect(seen["acknowledged"], size // 4 * 4, "acknowledged messages")
        else:
            seen = run.load(kind, sessions=size)
        time.sleep(SETTLE_S)
        anonymous_kib = proc.memory_kib(run.broker.pid, "RssAnon")
        run.broker.stop()
        use = run.broker.store_use()
        return {"size": size, "per_s": size / seen["seconds"], "restart_s": run.start(),
                "anonymous_mib": anonymous_kib / 1024,
                "disk_bytes_each": use["blocks_bytes"] / size}
    return function


GROWTH_FIGURES = [("per_s", "Throughput", "1/s"), ("restart_s", "Restart", "s"),
                  ("anonymous_mib", "Anonymous memory", "MiB"),
                  ("disk_bytes_each", "On disk", "bytes each")]


def growth(options, tools, work, programs):
    """how cost grows with queued messages and with sessions"""
    tables, panels, data = [], [], []
    for kind, title, sizes in (("offline", "queued messages", QUEUED_SIZES),
                               ("sessions", "sessions", SESSION_SIZES)):
        rows = [["program", title] + [f"{name}, {unit}" for _, name, unit in GROWTH_FIGURES]]
        found = {}
        for program in chosen(options, programs):
            for size in sizes:
                size = max(4, int(size * options.scale))
                point = with_broker(tools, work, program, grow_one(kind, size))
                found.setdefault(program.name, []).append(point)
                data.append({"kind": kind, "program": program.name, **point})
                rows.append([program.title, f"{size:,}"] +
                            [f"{point[key]:,.4g}" for key, _, _ in GROWTH_FIGURES])
                print("  ".join(rows[-1]), flush=True)
        tables.append({"title": title, "rows": rows})
        for key, name, unit in GROWTH_FIGURES:
            panels.append((f"{name} by number of {title}", unit,
                           [(program, program, [(point["size"], point[key]) for point in points])
                            for program, points in found.items()]))
    return {"tables": tables, "panels": panels, "data": data}


def payload_one(payload, count, more):
    def function(run):
        run.start()
        options = {"publishers": 4, "window": 50, "payload": payload, "count": count, **more}
        before = proc.io_counters(run.broker.pid)
        seen = run.load("offline", broker_pid=run.broker.pid, **options)
        time.sleep(SETTLE_S)
        operations = count * 4
        run.stop(before, operations)
        return {"payload": payload, "per_s": operations / seen["seconds"],
                "cpu_us": seen["broker"]["cpu_s"] * 1e6 / operations,
                "disk_bytes_each": run.result["disk_per_operation"],
                "written_bytes_each": run.result["written_per_operation"]}
    return function


def payloads(options, tools, work, programs):
    """what each kind of payload costs on disk and in time"""
    rows = [["program", "payload", "messages/s", "CPU us", "disk B each", "written B each"]]
    data = []
    for payload, more in PAYLOADS.items():
        count = int((5_000 if payload == "image" else 100_000) * options.scale)
        for program in chosen(options, programs):
            point = with_broker(tools, work, program, payload_one(payload, count, more))
            data.append({"program": program.name, **point})
            rows.append([program.title, payload, f"{point['per_s']:,.0f}",
                         f"{point['cpu_us']:.1f}", f"{point['disk_bytes_each']:,.0f}",
                         f"{point['written_bytes_each']:,.0f}"])
            print("  ".join(rows[-1]), flush=True)
    return {"tables": [{"title": "payloads into offline queues", "rows": rows}], "data": data}


STUDIES = {"growth": growth, "payloads": payloads}

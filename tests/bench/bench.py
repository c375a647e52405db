# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs workloads on programs in turn and writes the figures; run.sh calls it."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import proc
import report
from programs import PROGRAMS, Broker, BrokerFailed, Tools
from studies import STUDIES
from workloads import WORKLOADS, CheckFailed, Run


def arguments_parse(argv):
    parser = argparse.ArgumentParser(
        prog="run.sh", description="Compares brokers that keep sessions and messages. Each round "
        "starts every program afresh for every workload; medians and ratios are over rounds.")
    parser.add_argument("--quick", action="store_true",
                        help="workloads 1 to 4, small sizes, one round")
    parser.add_argument("--rounds", type=int, help="rounds (default 5; --quick: 1)")
    parser.add_argument("--workload", action="append", metavar="NAME",
                        help="a workload by name or number, or 'all'; may be repeated")
    parser.add_argument("--programs", metavar="NAMES", help="comma-separated")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for all sizes")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS",
                        help="on a shared machine: wait so long for quiet before each run, and "
                        "repeat it up to 3 times while others disturb it")
    parser.add_argument("--study", action="append", choices=sorted(STUDIES), default=[],
                        help="instead of workloads: " +
                        "; ".join(f"{name}: {study.__doc__}" for name, study in STUDIES.items()))
    parser.add_argument("--output", help="folder for what is written (default: bench-results in "
                        "the build folder)")
    parser.add_argument("--work", help="folder for the stores (default: a new one)")
    parser.add_argument("--report", metavar="FILE", action="append",
                        help="run nothing; write text and charts anew from a JSON file; may be "
                        "repeated, for workloads that were run by several commands")
    parser.add_argument("--list", action="store_true", help="list workloads and programs")
    parser.add_argument("--mosquitto-prefix", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--build-dir", required=True, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def list_print():
    for workload in WORKLOADS:
        print(f"{workload.number:3} {workload.name:12} {workload.title}")
    print()
    for program in PROGRAMS:
        print(f"    {program.name:12} {program.title}")


def chosen_workloads(options):
    wanted = options.workload or (["1", "2", "3", "4"] if options.quick else ["all"])
    chosen = [one for one in WORKLOADS
              if {"all", one.name, str(one.number)} & set(wanted)]
    known = {"all"} | {name for one in WORKLOADS for name in (one.name, str(one.number))}
    unknown = set(wanted) - known
    if unknown:
        sys.exit(f"run.sh: no such workload: {', '.join(sorted(unknown))}. Try --list.")
    return chosen


def chosen_programs(options, tools):
    """Those that are here, and those that are not with the reason."""
    wanted = options.programs.split(",") if options.programs else [one.name for one in PROGRAMS]
    unknown = set(wanted) - {one.name for one in PROGRAMS}
    if unknown:
        sys.exit(f"run.sh: no such program: {', '.join(sorted(unknown))}. Try --list.")
    present, skipped = [], []
    for program in PROGRAMS:
        if program.name not in wanted:
            continue
        reason = program.missing(tools)
        if reason:
            skipped.append({"program": program.name, "title": program.title, "reason": reason})
            print(f"Skipped: {program.title}: {reason}.", flush=True)
        else:
            present.append(program)
    return present, skipped


def rotated(items, by):
    """Each round begins with another program, so that none always follows the same one."""
    by %= max(1, len(items))
    return items[by:] + items[:by]


def run_one(tools, work, workload, program, size, thorough):
    folder = tempfile.mkdtemp(dir=work, prefix=f"{workload.name}-{program.name}-")
    run = Run(tools, program, folder, thorough, Broker(program, tools, folder))
    run.result = {"program": program.name, "workload": workload.name, "size": size}
    begin = time.monotonic()
    try:
        workload.function(run, size)
    except (BrokerFailed, CheckFailed) as failure:
        run.result["failure"] = str(failure)
    finally:
        run.broker.kill()
        shutil.rmtree(folder, ignore_errors=True)
    run.result["took_s"] = time.monotonic() - begin
    return run.result


def run_quietly(patience_s, *arguments):
    for _ in range(4 if patience_s else 1):
        proc.quiet_wait(report.FOREIGN_SHARE_MAX, patience_s)
        result = run_one(*arguments)
        if "failure" in result or result.get("foreign_share", 0) <= report.FOREIGN_SHARE_MAX:
            break
    return result


def workloads_run(options, tools, work, programs, document):
    """Fills document["runs"], and saves it after each round: a full run takes hours."""
    rounds = options.rounds or (1 if options.quick else 5)
    for turn in range(rounds):
        for workload in chosen_workloads(options):
            if turn >= workload.rounds_max:
                continue
            for program in rotated(programs, turn):
                if workload.excludes(program):
                    continue
                size = workload.size(options.quick, options.scale, program)
                result = run_quietly(options.patience, tools, work, workload, program, size,
                                     turn == 0)
                result["round"] = turn
                document["runs"].append(result)
                print(report.line(turn, workload, program, result), flush=True)
        report.save(document, options.output)


def disk_baseline(tools, work):
    path = os.path.join(work, "baseline")
    done = subprocess.run([tools.disk_baseline, path, "4000"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def report_read(path):
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError) as failure:
        sys.exit(f"run.sh: {path} cannot be read: {failure}.")
    if not isinstance(document, dict) or document.get("format") != 1:
        sys.exit(f"run.sh: {path} is no results.json of this benchmark.")
    return document


def on_terminate(*_):
    # timeout(1) sends the signal twice; the second must not interrupt the cleaning up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def main(argv):
    # So that a broker is ended and its folder removed when the benchmark is.
    signal.signal(signal.SIGTERM, on_terminate)
    options = arguments_parse(argv)
    if options.list:
        list_print()
        return 0
    options.output = options.output or os.path.join(options.build_dir, "bench-results")
    os.makedirs(options.output, exist_ok=True)
    if options.report:
        document = report.joined([report_read(path) for path in options.report])
        if not document:
            sys.exit("run.sh: these reports are of different machines; give those of one.")
        return report.write(document, options.output)
    tools = Tools(options.mosquitto_prefix, options.build_dir)
    programs, skipped = chosen_programs(options, tools)
    work = options.work or tempfile.mkdtemp(prefix="mqtt-bench-", dir="/var/tmp")
    os.makedirs(work, exist_ok=True)
    begin = time.monotonic()
    try:
        document = {
            "format": 1,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": proc.machine(work),
            "mosquitto": proc.version_of([tools.mosquitto, "-h"]),
            "disk_baseline": disk_baseline(tools, work),
            "quick": options.quick,
            "scale": options.scale,
            "programs": [{"name": one.name, "title": one.title} for one in programs],
            "skipped": skipped,
            "runs": [],
            "studies": {},
        }
        if options.study:
            for name in options.study:
                document["studies"][name] = STUDIES[name](options, tools, work, programs)
        else:
            workloads_run(options, tools, work, programs, document)
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    document["took_s"] = round(time.monotonic() - begin, 1)
    return report.write(document, options.output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

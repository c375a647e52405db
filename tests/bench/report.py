# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Medians, ratios and goals of a set of runs, as text and JSON."""

import json
import os
import statistics

import chart
from programs import PROGRAMS
from workloads import WORKLOADS

MIB = 2**20

# With more of the machine in other hands, throughput and latency say nothing.
FOREIGN_SHARE_MAX = 0.05
# A machine that itself stood still for longer cannot tell whether a broker did.
STALL_MAX_MS = 10

# Columns of the tables: heading, path into a run's result, factor, format.
COLUMNS = [
    ("p50 ms", ("{latency}", "p50_us"), 1e-3, "{:.2f}"),
    ("p99 ms", ("{latency}", "p99_us"), 1e-3, "{:.2f}"),
    ("p99.9", ("{latency}", "p999_us"), 1e-3, "{:.1f}"),
    ("machine ms", ("stall_max_ms",), 1, "{:.0f}"),
    ("CPU main us", ("main_cpu_us",), 1, "{:.2f}"),
    ("CPU all us", ("cpu_us",), 1, "{:.2f}"),
    ("peak MiB", ("peak_mib",), 1, "{:.0f}"),
    ("anon MiB", ("anonymous_mib",), 1, "{:.0f}"),
    ("written B", ("written_per_operation",), 1, "{:.0f}"),
    ("disk B", ("disk_per_operation",), 1, "{:.0f}"),
    ("disk MiB", ("disk_stopped", "blocks_bytes"), 1 / MIB, "{:.1f}"),
]

# What is to be reached: workload, figure, program, beside which program, at least or at most, goal.
GOALS = [
    ("offline", "throughput", "lmdb", "none", ">=", 0.95),
    ("online", "throughput", "lmdb", "none", ">=", 0.90),
    ("online-2", "throughput", "lmdb", "none", ">=", 0.90),
    ("retained", "throughput", "lmdb", "none", ">=", 0.90),
    ("fanout", "throughput", "lmdb", "none", ">=", 0.90),
    ("drain", "throughput", "lmdb", "none", ">=", 0.95),
    ("offline", "throughput", "lmdb", "sqlite", ">=", 2.3),
    ("online", "throughput", "lmdb", "sqlite", ">=", 2.5),
    ("online-2", "throughput", "lmdb", "sqlite", ">=", 2.5),
    ("retained", "throughput", "lmdb", "sqlite", ">=", 2.5),
    ("offline", "ack.p99_us", "lmdb", "none", "<=", 1.15),
    ("online", "delivery.p99_us", "lmdb", "none", "<=", 1.15),
    ("online-2", "delivery.p99_us", "lmdb", "none", "<=", 1.15),
    ("retained", "ack.p99_us", "lmdb", "none", "<=", 1.15),
    ("restart", "restart_s", "lmdb", "db", "<=", 1.0),
    ("offline", "disk_per_operation", "lmdb", "sqlite", "<=", 0.5),
    ("online", "written_per_operation", "lmdb", "sqlite-0", "<=", 0.25),
    ("retained", "written_per_operation", "lmdb", "sqlite-0", "<=", 0.25),
]


def value_at(result, path):
    for key in path:
        if not isinstance(result, dict) or key not in result:
            return None
        result = result[key]
    return result


def values(document, workload, program, path):
    """By round, of the runs that did not fail."""
    found = {}
    for run in document["runs"]:
        if (run["workload"], run["program"]) == (workload, program) and "failure" not in run:
            value = value_at(run, path)
            if value is not None:
                found[run["round"]] = value
    return found


def median(document, workload, program, path):
    found = values(document, workload, program, path)
    return statistics.median(found.values()) if found else None


def ratio(document, workload, program, base, path):
    """Median over rounds of the ratio within a round."""
    ours, theirs = (values(document, workload, one, path) for one in (program, base))
    ratios = [ours[turn] / theirs[turn] for turn in ours if theirs.get(turn)]
    return statistics.median(ratios) if ratios else None


def line(turn, workload, program, result):
    """One run, as it is over."""
    start = f"round {turn + 1}  {workload.name:9} {program.name:12}"
    if "failure" in result:
        return f"{start} FAILED: {result['failure']}"
    others = f", others had {result['foreign_share']:.0%}" if "foreign_share" in result else ""
    return (f"{start} {number(result.get(workload.figure)):>10} {workload.unit}"
            f"  ({result['took_s']:.1f} s{others})")


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def bases_of(workload):
    return ("db", "sqlite") if workload.needs_keeping else ("none", "sqlite")


def workload_rows(document, workload):
    """The table of a workload as lists of text, its heading first."""
    bases = bases_of(workload)
    columns = [(head, tuple(key.format(latency=workload.latency) for key in path), factor, form)
               for head, path, factor, form in COLUMNS]
    rows = [["program", workload.unit] + [f"/ {base}" for base in bases] +
            [head for head, _, _, _ in columns]]
    figure = (workload.figure,)
    for program in document["programs"]:
        name = program["name"]
        value = median(document, workload.name, name, figure)
        if value is None:
            continue
        row = [program["title"], number(value)]
        for base in bases:
            found = ratio(document, workload.name, name, base, figure)
            row.append("-" if found is None else f"{found:.2f}")
        for _, path, factor, form in columns:
            found = median(document, workload.name, name, path)
            row.append("-" if found is None else form.format(found * factor))
        rows.append(row)
    used = [i for i in range(len(rows[0]))
            if i < 2 or any(row[i] not in ("-", "0", "0.00", "0.0") for row in rows[1:])]
    return [[row[i] for i in used] for row in rows]


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width)
                                             for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def is_disturbed(run):
    return (run.get("foreign_share", 0) > FOREIGN_SHARE_MAX or run.get("reniced", 0) != 0
            or run.get("stall_max_ms", 0) > STALL_MAX_MS)


def disturbed(document):
    """What is said if others used the machine during the runs, or it stood still; else None."""
    shares = [run["foreign_share"] for run in document["runs"] if "foreign_share" in run]
    bad = [f"{run['workload']} on {run['program']}, round {run['round'] + 1}"
           for run in document["runs"] if run.get("foreign_share", 0) > FOREIGN_SHARE_MAX]
    reniced = sum(run.get("reniced", 0) != 0 for run in document["runs"])
    if reniced:
        return (f"NOT A FAIR MACHINE: in {reniced} runs somebody changed the broker's nice value. "
                "Throughput and latency are not to be trusted.")
    said = []
    if bad:
        said.append(f"NOT A QUIET MACHINE: in {len(bad)} of {len(shares)} runs other processes took more "
                    f"than {FOREIGN_SHARE_MAX:.0%} of it (median {statistics.median(shares):.0%}, most "
                    f"{max(shares):.0%}): {'; '.join(bad[:5])}{' …' if len(bad) > 5 else ''}. Their "
                    "throughput and latency are not to be trusted; CPU time, memory, bytes are.")
    stalls = [f"{run['program']} ({run['stall_max_ms']:.0f} ms)" for run in document["runs"]
              if run.get("stall_max_ms", 0) > STALL_MAX_MS]
    if stalls:
        said.append(f"THE MACHINE STOOD STILL during the long run of {', '.join(stalls)}: its longest "
                    "pause is not judged.")
    return "\n".join(said) or None


def steady_growth(document, program, key):
    """What the broker holds in the last quarter of the time beside what it held in the second."""
    series = next((run["broker_series"] for run in document["runs"]
                   if (run["workload"], run["program"]) == ("steady", program)
                   and "broker_series" in run), [])
    quarter = len(series) // 4
    if quarter < 5:
        return None
    second, last = (statistics.mean(point[key] for point in part)
                    for part in (series[quarter:2 * quarter], series[-quarter:]))
    return last / second


def goals(document):
    """What of GOALS can be told from these runs; `met` is None where others spoilt one of those compared."""
    found = []

    def judge(workload, figure, program, base, sign, goal, value, timed):
        met = value >= goal if sign == ">=" else value <= goal
        runs = [run for run in document["runs"]
                if run["workload"] == workload and run["program"] in (program, base)]
        found.append({"workload": workload, "figure": figure, "program": program, "base": base,
                      "sign": sign, "goal": goal, "value": value,
                      "met": None if timed and any(map(is_disturbed, runs)) else met})

    for workload, figure, program, base, sign, goal in GOALS:
        value = ratio(document, workload, program, base, tuple(figure.split(".")))
        if value is not None:
            timed = figure.endswith(("_us", "_s", "throughput"))
            judge(workload, figure, program, base, sign, goal, value, timed)
    always = median(document, "offline", "lmdb-always", ("throughput",))
    if always is not None:
        judge("offline", "throughput", "lmdb-always", "append + fdatasync", ">=", 0.9,
              always / document["disk_baseline"]["appends_per_s"], True)
    memory = [median(document, "offline", name, ("anonymous_mib",)) for name in ("lmdb", "none")]
    if None not in memory:
        judge("offline", "MiB of anonymous memory above", "lmdb", "none", "<=", 64,
              memory[0] - memory[1], False)
    pause = median(document, "steady", "lmdb", ("pause_max_ms",))
    if pause is not None:
        judge("steady", "longest pause in ms", "lmdb", "", "<=", 20, pause, True)
    for what, key in (("anonymous memory", "anonymous_kib"), ("store on disk", "disk_bytes")):
        growth = steady_growth(document, "lmdb", key)
        if growth is not None:
            judge("steady", f"{what}, last / second quarter", "lmdb", "", "<=", 1.05, growth, False)
    return found


def goals_table(found):
    rows = [["workload", "figure", "program", "beside", "goal", "reached", ""]]
    for goal in found:
        rows.append([goal["workload"], goal["figure"], goal["program"], goal["base"],
                     f"{goal['sign']} {goal['goal']:g}", f"{goal['value']:.2f}",
                     {True: "yes", False: "NO", None: "?"}[goal["met"]]])
    return table(rows)


def heading(document):
    machine = document["machine"]
    text = [f"{document['date']}, Mosquitto {document['mosquitto']}; {document.get('took_s', '?')} s",
            f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, "
            f"Linux {machine['kernel']}, {machine['filesystem']}; load before: "
            f"{machine['load_before']}; a system call takes {machine['system_call_us']} us",
            f"append of 300 bytes + fdatasync: {number(document['disk_baseline']['appends_per_s'])}"
            " a second on this disk"]
    if disturbed(document):
        text.append(disturbed(document))
    text += [f"Skipped: {one['title']}: {one['reason']}" for one in document["skipped"]]
    return "\n".join(text)


def failures(document):
    return [f"{run['workload']} on {run['program']}, round {run['round'] + 1}: {run['failure']}"
            for run in document["runs"] if "failure" in run]


def rounds_of(document, workload):
    rounds = len({run["round"] for run in document["runs"] if run["workload"] == workload.name})
    return f"{rounds} round" + ("s" if rounds != 1 else "")


def joined(documents):
    """Runs of several commands on one machine, as if they had been one; None if they cannot be."""
    first = documents[0]
    whole = {**first, "runs": [], "studies": {}, "skipped": [],
             "took_s": round(sum(one.get("took_s", 0) for one in documents), 1)}
    titles = {}
    for one in documents:
        if any(one["machine"][key] != first["machine"][key] for key in ("processor", "cores", "kernel")):
            return None
        titles.update((program["name"], program["title"]) for program in one["programs"])
        whole["runs"] += one["runs"]
        whole["studies"].update(one["studies"])
        whole["skipped"] += [skip for skip in one["skipped"] if skip not in whole["skipped"]]
    whole["programs"] = [{"name": program.name, "title": titles[program.name]}
                         for program in PROGRAMS if program.name in titles]
    return whole


def text_of(document):
    parts = [heading(document)]
    for workload in WORKLOADS:
        sizes = [run["size"] for run in document["runs"] if run["workload"] == workload.name]
        rows = workload_rows(document, workload) if sizes else []
        if len(rows) > 1:
            parts.append(f"({workload.number}) {workload.title}; {rounds_of(document, workload)}"
                         f"\n\n{table(rows)}")
    for name, study in document["studies"].items():
        parts += [f"Study: {name}, {part['title']}\n\n{table(part['rows'])}"
                  for part in study["tables"]]
    reached = goals(document)
    if reached:
        parts.append("Goals\n\n" + goals_table(reached))
    failed = failures(document)
    if failed:
        parts.append("FAILED\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"


def save(document, folder):
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def write(document, folder):
    """Writes results.json, results.txt and the charts; 1 if anything failed."""
    document["goals"] = goals(document)
    save(document, folder)
    text = text_of(document)
    with open(os.path.join(folder, "results.txt"), "w", encoding="utf-8") as file:
        file.write(text)
    print("\n" + text)
    written = ["results.txt", "results.json"]
    for name, svg in chart.charts_of(document).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(svg)
        written.append(name)
    print(f"Written to {folder}: {', '.join(written)}")
    return 1 if failures(document) else 0

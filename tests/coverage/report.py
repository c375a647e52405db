#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Prints how much of the code for format, recovery and verify the tests of a build by the preset
"coverage" have reached.

Usage: report.py BUILD_DIR; a table by file, then each function that was never called and each branch
of which an outcome was never seen. Those in unreached.txt, each with its reason, are allowed; with
anything else, or an entry of which the source line has gone, it ends with 1. What a process had counted that
a signal killed is lost.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNREACHED = Path(__file__).with_name("unreached.txt")

# The files, and why: what reads bytes that the disk, a bug or an enemy may have changed, and what
# decides about them. Writers are here only where they share a file with their reader.
FILES = {
    "plugin/store/bytes.h": "numbers out of bytes",
    "plugin/store/checksum.c": "what tells right bytes from wrong ones",
    "plugin/store/format.c": "format: head of a segment, frame of a record",
    "plugin/store/record.c": "format: body of a record",
    "plugin/store/value_bytes.h": "format: what values are made of",
    "plugin/store/value_bytes.c": "format: version and checksum of a value",
    "plugin/store/values.c": "format: values of the tables",
    "plugin/store/values_message.c": "format: messages, contents, dictionaries",
    "plugin/store/keys.c": "format: keys of the tables",
    "plugin/store/archive.c": "format: the archive of a backup",
    "plugin/store/properties_wire.c": "format: properties of messages and wills",
    "plugin/store/payload.c": "format: compressed contents",
    "plugin/store/segment.c": "recovery: files of the journal, and whether they are what they say",
    "plugin/store/journal_scan.c": "recovery: where the journal ends, and the verdict",
    "plugin/store/replay.c": "recovery: the journal into the tables; torn tails",
    "plugin/store/cut.c": "recovery: a journal cut where it is damaged",
    "plugin/store/restore.c": "recovery: a store out of an archive",
    "plugin/store/tables_meta.c": "recovery: what the tables say of themselves",
    "plugin/store/behind.c": "how far the tables are behind the journal",
    "plugin/store/store_stats.c": "what status, check and verify judge by",
    "plugin/store/left_alone.c": "whether what was read belongs together",
    "plugin/store/unseen.c": "the same where no writer can see who reads",
    "plugin/store/store_cursor.c": "reads the journal for verify and repair",
    "plugin/store/view.c": "reads and checks the tables for the broker, verify and repair",
    "plugin/store/view_ahead.c": "the same on two threads, for the broker's start",
    "tools/cmd_check.c": "check: what a monitor goes by",
    "tools/cmd_verify.c": "verify: its stages",
    "tools/verify_files.c": "verify: folder, files, journal",
    "tools/verify_tables.c": "verify: tables and references",
    "tools/findings.c": "verify, repair: what was found",
    "tools/cmd_repair.c": "repair: its stages",
    "tools/repair.c": "repair: references of the new store",
    "tools/salvage.c": "repair: reading what is damaged in a process of its own",
    "tools/truncate.c": "repair: the cut of a journal, by a person",
    "tools/cmd_restore.c": "restore, by a person",
}

# The objects that are measured: others of the same sources have seeded bugs in them.
OBJECTS = ("plugin/store/CMakeFiles/store.dir", "tools/CMakeFiles")


def measure(build):
    """By file: hits of each line, of each outcome of each branch, and of each function."""
    found = {name: (Counter(), Counter(), Counter()) for name in FILES}
    for notes in (path for folder in OBJECTS for path in (build / folder).rglob("*.gcno")):
        data = notes.with_suffix(".gcda")
        report = subprocess.run(
            ["gcov", "--json-format", "--stdout", "--branch-probabilities", data if data.exists() else notes],
            check=True, capture_output=True, cwd=build,
        ).stdout  # fmt: skip
        for entry in json.loads(report)["files"]:
            path = Path(entry["file"])
            name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else None
            if name not in found:
                continue
            lines, branches, functions = found[name]
            for function in entry["functions"]:
                functions[function["start_line"], function["name"]] += function["execution_count"]
            for line in entry["lines"]:
                number = line["line_number"]
                lines[number] += line["count"]
                for place, branch in enumerate(line["branches"]):
                    branches[number, line.get("function_name", ""), place] += branch["count"]
    return found


def allowed():
    """(file, function, source line): outcomes never seen; of a function never called, 0."""
    entries = {}
    for line in UNREACHED.read_text().splitlines():
        if line and not line.startswith("#") and not line.startswith(" "):
            name, function, outcomes, text = line.split(maxsplit=3)
            entries[name, function, text] = int(outcomes)
    return entries


def share(reached, total):
    return f"{reached:5}/{total:<5}{100 * reached / total:5.1f} %" if total else f"{'-':>18}"


def main():
    build, known = Path(sys.argv[1]).resolve(), allowed()
    left, expected, met, sums = [], [], set(), [0, 0, 0, 0, 0]
    print(f"{'':32}{'lines':>18}{'branches':>19}   allowed")
    for name, (lines, branches, functions) in measure(build).items():
        if not lines:
            sys.exit(f"report.py: nothing was measured of {name}")
        text = (ROOT / name).read_text().splitlines()
        missed = Counter(key[:2] for key, hits in branches.items() if not hits)
        missed.update({key: 0 for key, hits in functions.items() if not hits})
        excused = 0
        for (number, function), outcomes in sorted(missed.items()):
            source = text[number - 1].strip()
            what = f"{outcomes} outcome(s) never seen" if outcomes else "never called"
            if outcomes <= known.get((name, function, source), -1):
                met.add((name, function, source))
                excused += outcomes
                expected.append(f"{name}:{number}: {what}: {source}")
            else:
                left.append(f"{name}:{number}: {what}: {source}")
        row = [sum(map(bool, lines.values())), len(lines), sum(map(bool, branches.values())),
               len(branches), excused]  # fmt: skip
        sums = [a + b for a, b in zip(sums, row)]
        print(f"{name:32}{share(*row[:2])}{share(*row[2:4]):>19}{excused or '':>10}")
    print(f"{'all':32}{share(*sums[:2])}{share(*sums[2:4]):>19}{sums[4] or '':>10}")
    if expected:
        print(f"\nAllowed, with reasons in {UNREACHED.relative_to(ROOT)}:", *expected, sep="\n")
    for name, function, source in sorted(set(known) - met):
        if source in map(str.strip, (ROOT / name).read_text().splitlines()):
            print(f"Was reached this time, although allowed not to be: {name}: {function}: {source}")
        else:
            left.append(f"{name}: {UNREACHED.name} allows what is not there: {function}: {source}")
    print("\nLeft:" if left else "\nNothing is left.", *left, sep="\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())

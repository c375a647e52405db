#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Prints how much of some sources the tests of a build by the preset "coverage" have reached.

Usage: report.py BUILD_DIR SOURCE...; a table, then each line and branch that was not reached: the
line, and for branches how many of its outcomes were never seen. A child that a
signal kills is not counted. Ends with 1 if there is anything left.
"""

import json
import subprocess
import sys
from pathlib import Path


def measured(build, source):
    """Hits of each line and of each outcome of each branch, summed over the objects it is in."""
    lines, branches = {}, {}
    for notes in build.rglob(f"{source.name}.gcno"):
        data = notes.with_suffix(".gcda")
        report = subprocess.run(
            ["gcov", "--json-format", "--stdout", "--branch-probabilities", data if data.exists() else notes],
            check=True, capture_output=True, cwd=build,
        ).stdout  # fmt: skip
        for entry in json.loads(report)["files"]:
            if Path(entry["file"]).resolve() != source:
                continue
            for line in entry["lines"]:
                number = line["line_number"]
                lines[number] = lines.get(number, 0) + line["count"]
                for place, branch in enumerate(line["branches"]):
                    key = number, line.get("function_name", ""), place
                    branches[key] = branches.get(key, 0) + branch["count"]
    return lines, branches


def share(reached, all_of_them):
    return f"{100 * reached / all_of_them:6.1f} %" if all_of_them else "     - "


def main():
    build, root = Path(sys.argv[1]).resolve(), Path(__file__).resolve().parents[2]
    left, sums = [], [0, 0, 0, 0]
    print(f"{'':38}{'lines':>16}{'branches':>18}")
    for name in sys.argv[2:]:
        source = (root / name).resolve()
        lines, branches = measured(build, source)
        if not lines:
            sys.exit(f"report.py: nothing was measured of {name}")
        reached = [sum(map(bool, lines.values())), len(lines),
                   sum(map(bool, branches.values())), len(branches)]  # fmt: skip
        sums = [a + b for a, b in zip(sums, reached)]
        print(f"{name:38}{reached[0]:5}/{reached[1]:<4}{share(*reached[:2]):>8}"
              f"{reached[2]:5}/{reached[3]:<4}{share(*reached[2:]):>8}")  # fmt: skip
        text = source.read_text().splitlines()
        missed = {}
        for (number, _, _), hits in branches.items():
            if not hits:
                missed[number] = missed.get(number, 0) + 1
        for number in sorted({*missed, *(n for n, hits in lines.items() if not hits)}):
            what = "never reached" if not lines.get(number) else f"{missed[number]} outcome(s) never seen"
            left.append(f"{name}:{number}: {what}: {text[number - 1].strip()}")
    print(f"{'all':38}{sums[0]:5}/{sums[1]:<4}{share(*sums[:2]):>8}"
          f"{sums[2]:5}/{sums[3]:<4}{share(*sums[2:]):>8}\n")  # fmt: skip
    print("\n".join(left) if left else "nothing is left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())

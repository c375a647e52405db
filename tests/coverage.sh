#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Which lines and branches of the code for format, recovery and verify the tests reach. See --help.
set -euo pipefail

tests_dir=$(cd "$(dirname "$0")" && pwd)
project_dir=$(cd "$tests_dir/.." && pwd)
build=$project_dir/build/coverage

usage() {
    cat <<HELP
Usage: coverage.sh [--report] [--build DIR] [REGEX]

Builds with gcc's --coverage, runs the tests that are about these parts (or those
whose names match REGEX), and prints lines and branches reached, by file, and
below it each one that was not. Not in CI; MOSQUITTO_PREFIX=DIR as for run.sh.

  --report     only print what earlier runs have reached
  --build DIR  default build/coverage
HELP
}

format=(format segment record journal_scan replay values value_bytes keys archive tables_meta view)
sources=()
for name in "${format[@]}"; do
    sources+=("plugin/store/$name.c")
done
sources+=(tools/cmd_verify.c tools/verify_files.c tools/verify_tables.c
    tools/cmd_repair.c tools/repair.c tools/salvage.c)

regex='^(unit|property|crash|faults|damage)\.|^cli\.test_(archive|damage|golden|repair|stores|verify)'
run=yes
while [ $# -gt 0 ]; do
    case $1 in
    --report) run= ;;
    --build) build=$2 && shift ;;
    -h | --help) usage && exit 0 ;;
    -*) echo "coverage.sh: unknown option '$1'" >&2 && exit 2 ;;
    *) regex=$1 ;;
    esac
    shift
done

if [ -n "$run" ]; then
    cmake -S "$project_dir" --preset coverage -B "$build" \
        ${MOSQUITTO_PREFIX:+-DCMAKE_PREFIX_PATH="$MOSQUITTO_PREFIX"}
    cmake --build "$build"
    find "$build" -name '*.gcda' -delete
    # Slower without optimisation, and the random tests need not find anything here.
    BITS=1/5000 BLOCKS=500 DAMAGES=100 STATES=2000 RUNS=50 EVENTS=5000 ROUNDS=5 ctest --test-dir "$build" --output-on-failure --timeout 1800 \
        --parallel "$(nproc)" -R "$regex" -E '^crash.test_journal_kill$' || echo "coverage.sh: some tests failed" >&2
fi
exec "$tests_dir/coverage/report.py" "$build" "${sources[@]}"

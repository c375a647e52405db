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
each branch that was not. Ends with 1 if there is one left that
coverage/unreached.txt does not allow, with a reason.
Not in CI; MOSQUITTO_PREFIX=DIR as for run.sh.

  --report     only print what earlier runs have reached
  --build DIR  default build/coverage
HELP
}

# What looks at bytes, at damage and at calls that fail. The random tests need not find anything
# here, and the slowest, which only meet the same again, are left out.
regex='^unit\.test_(archive|beside|cursor|dictionary|findings|format|import_mosquitto_db|journal|journal_scan|keys|left_alone|maintain)$'
regex+='|^unit\.test_(payload|properties_wire|record|segment|store|tables.*|values|view.*)$'
regex+='|^property\.test_store_model$|^crash\.test_store_crash$|^damage\.'
regex+='|^faults\.test_(malloc_faults|os|read_faults|repair_faults|room|verify_faults)$'
regex+='|^cli\.test_(archive|check|damage|faults|golden|held|journal_damage|kill|read_only_mount|repair|stores|verify)$'
sizes=(BITS=1/5000 BLOCKS=500 DAMAGES=400 STATES=500 EVENTS=5000 ROUNDS=3)
targets=(check_programs mosquitto_lmdb make_store kill_at fail_at mosquitto_persist_lmdb stopped_clock)

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
    cmake --build "$build" --target "${targets[@]}"
    find "$build" -name '*.gcda' -delete
    # Another user may not write down what was counted, and says so where nothing is to be said.
    export PYTEST_ADDOPTS='-k "not unreadable and not test_another_users"'
    env "${sizes[@]}" ctest --test-dir "$build" --output-on-failure --timeout 1800 \
        --parallel "$(nproc)" -R "$regex" ||
        # Those that count calls of a process also meet the calls with which it writes down counts.
        echo "coverage.sh: not every test passed under gcc's counting" >&2
fi
exec "$tests_dir/coverage/report.py" "$build"

#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Runs the fuzzers. See --help.
set -euo pipefail

fuzz_dir=$(cd "$(dirname "$0")" && pwd)
project_dir=$(cd "$fuzz_dir/../.." && pwd)
build=$project_dir/build/fuzz
seconds=${FUZZ_SECONDS:-60}
merge=
targets=()

usage() {
    cat <<HELP
Usage: run.sh [--seconds N] [--build DIR] [--merge] [TARGET...]

Runs each fuzzer (record, journal, values, archive, import_jsonl,
import_mosquitto_db, import_sqlite, options; all if none is named) for N
seconds over tests/fuzz/corpus. An input that breaks something is kept in
DIR/findings, its name is printed, and the exit status is 1:
    DIR/tests/fuzz/fuzz_TARGET FILE         runs it again
Once the bug is fixed, the file goes into tests/fuzz/corpus/TARGET.

  --seconds N  for each of them (default \$FUZZ_SECONDS, or 60; tests/README.md
               says what a release wants)
  --build DIR  a build by the preset "fuzz" (default build/fuzz, which
               tests/run.sh makes; made with MOSQUITTO_PREFIX if it is missing)
  --merge      then take new inputs that reach new code into the corpus
HELP
}

while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2 && shift ;;
    --build) build=$2 && shift ;;
    --merge) merge=yes ;;
    -h | --help) usage && exit 0 ;;
    -*) echo "run.sh: unknown option '$1'" >&2 && exit 2 ;;
    *) targets+=("$1") ;;
    esac
    shift
done
if [ ${#targets[@]} -eq 0 ]; then
    targets=(record journal values archive import_jsonl import_mosquitto_db import_sqlite options)
fi

if [ ! -x "$build/tests/fuzz/fuzz_record" ]; then
    cmake -S "$project_dir" --preset fuzz -B "$build" \
        ${MOSQUITTO_PREFIX:+-DCMAKE_PREFIX_PATH="$MOSQUITTO_PREFIX"}
    cmake --build "$build" --target fuzzers
fi

export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
status=0
mkdir -p "$build/findings"
for target in "${targets[@]}"; do
    program=$build/tests/fuzz/fuzz_$target
    corpus=$fuzz_dir/corpus/$target
    if [ ! -x "$program" ] || [ ! -d "$corpus" ]; then
        echo "run.sh: there is no fuzzer '$target'" >&2
        exit 2
    fi
    work=$(mktemp -d)
    log=$work.log
    # The corpus itself first: what once broke something must not do so again.
    if "$program" -runs=0 -timeout=20 -artifact_prefix="$build/findings/$target-" "$corpus" \
        >"$log" 2>&1 &&
        "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
            -artifact_prefix="$build/findings/$target-" "$work" "$corpus" >>"$log" 2>&1; then
        printf '%-20s %s runs in %s s, nothing found\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)" "$seconds"
        if [ -n "$merge" ]; then
            "$program" -merge=1 "$corpus" "$work" 2>&1 | grep '^MERGE-OUTER' | tail -1
        fi
    else
        status=1
        tail -60 "$log"
        printf '%-20s found something, see above\n' "$target"
    fi
    rm -rf "$work" "$log"
done
exit $status

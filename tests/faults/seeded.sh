#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Takes out one protection after the other (plugin/store/seeded.h) and says which test notices.
# See --help.
set -uo pipefail

tests_dir=$(cd "$(dirname "$0")/.." && pwd)
project_dir=$(dirname "$tests_dir")
list=$project_dir/plugin/store/seeded.h
seeded_dir=$project_dir/build-seeded

usage() {
    cat <<HELP
Usage: seeded.sh [--only N[,N]... | --rotate K] [--seed S] [--jobs J] [--build-dir DIR] [--built]

Builds with -DSEEDED_BUILD, sees every test pass, then takes out one protection
after the other and runs the tests most apt to notice until one fails. Prints a
line for each: number, seconds, the test, what was taken out, what the test
said. Exit status 1 if one goes unnoticed. With --only and --rotate a test is
seen to pass before it is used.

  --only N[,N]     only these numbers of plugin/store/seeded.h
  --rotate K       only K of them, from a place that the day chooses
  --seed S         another place, and where the tests' chance begins
  --jobs J         at a time (default: as many as there are processors)
  --build-dir DIR  where to build (default: build-seeded)
  --built          it was built there already

MOSQUITTO_PREFIX=DIR takes the Mosquitto that is installed below DIR.
HELP
}

die() {
    echo "seeded.sh: $1" >&2
    exit 2
}

# name program environment: the program below the build's tests, cheap ones first. A bug for which
# `apt` knows nothing is tried on each in this order.
programs=(
    'scan unit/test_journal_scan'
    'journal unit/test_journal'
    'store unit/test_store'
    'values unit/test_values'
    'tables unit/test_tables'
    'tables_faults unit/test_tables_faults'
    'os faults/test_os'
    'maintain unit/test_maintain'
    'beside unit/test_beside'
    'kill crash/test_journal_kill'
    'crash crash/test_journal_crash ROUND=1'
    'forged crash/test_journal_crash WORKLOAD=forged STATES=150000'
    'meets faults/test_io_faults WORKLOAD=meets RUNS=80000'
    'io faults/test_io_faults'
    'commits crash/test_store_crash WORKLOAD=commit ROUND=1 FAULTS=0'
    'compact crash/test_store_crash WORKLOAD=compacted ROUND=1 FAULTS=0'
    'damage damage/test_journal_damage BITS=1/200'
)

# number:name: who is most apt to notice.
apt=(
    1:crash 2:crash 3:forged 3:io 4:forged 4:io 5:damage 6:kill 7:journal 8:io 9:damage 10:scan 11:scan 12:scan
    13:scan 14:crash 15:crash 16:crash 17:io 18:io 19:meets 20:journal 21:journal 22:journal 23:crash
    24:io 25:scan 26:scan 27:damage 28:scan 29:scan 30:scan 31:scan 32:scan 33:scan 34:crash
    35:crash 36:crash 37:crash 38:tables 39:journal 40:journal
    41:commits 42:commits 43:store 44:tables_faults 45:commits 46:compact 47:tables_faults 48:tables 49:values
    50:store 51:store 52:tables_faults 53:crash 54:maintain 55:beside 56:beside
)

only='' rotate='' seed='' built=false jobs=$(nproc)
while [ $# -gt 0 ]; do
    case $1 in
    --only | --rotate | --seed | --jobs | --build-dir)
        [ $# -gt 1 ] || die "$1 needs a value."
        case $1 in
        --only) only=${2//,/ } ;;
        --rotate) rotate=$2 ;;
        --seed) seed=$2 ;;
        --jobs) jobs=$2 ;;
        --build-dir) seeded_dir=$2 ;;
        esac
        shift
        ;;
    --built) built=true ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) die "unknown argument '$1'." ;;
    esac
    shift
done

# ---- the list --------------------------------------------------------------------------------

declare -A texts
while IFS='|' read -r number text; do
    texts[$number]=$text
done < <(sed -nE 's/^ *X\(([0-9]+), [A-Z_0-9]+, *"(.*)"\).*/\1|\2/p' "$list")
count=${#texts[@]}
[ -n "${texts[$count]:-}" ] || die "the numbers of $list have a gap, or a line there has another form."

for name in $(sed -nE 's/^ *X\([0-9]+, ([A-Z_0-9]+),.*/\1/p' "$list"); do
    grep -qr "SEEDED($name)" "$project_dir/plugin/store" || die "$name is in the list and nowhere in the code."
done

numbers=$(seq 1 "$count")
if [ -n "$rotate" ]; then
    [ -n "$seed" ] || seed=$(($(date +%s) / 86400))
    numbers=$(for i in $(seq 0 $((rotate - 1))); do echo $(((seed * rotate + i) % count + 1)); done)
    echo "$rotate of $count in rotation (again with --rotate $rotate --seed $seed)"
elif [ -n "$only" ]; then
    numbers=$only
fi
for number in $numbers; do
    [ -n "${texts[$number]:-}" ] || die "there is no number $number."
done
export SEED=${seed:-1} CK_TIMEOUT_MULTIPLIER=20

# ---- the build -------------------------------------------------------------------------------

if ! $built; then
    # shellcheck source-path=SCRIPTDIR source=../../conf-examples/lib/setup.sh
    (
        set -e
        . "$project_dir/conf-examples/lib/setup.sh"
        setup_machine tests
        # shellcheck disable=SC2154
        cmake -S "$project_dir" --preset seeded -B "$seeded_dir" \
            -DCMAKE_PREFIX_PATH="$mosquitto_prefix" >/dev/null
        cmake --build "$seeded_dir" --target seeded_programs
    ) || exit 2
fi

# ---- the runs --------------------------------------------------------------------------------

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# program_run NAME BUG FILE: its output goes to FILE.
program_run() {
    local entry words
    for entry in "${programs[@]}"; do
        read -ra words <<<"$entry"
        [ "${words[0]}" = "$1" ] || continue
        mkdir -p "$3.tmp"
        env "${words[@]:2}" SEEDED_BUG="$2" TMPDIR="$3.tmp" \
            timeout 400 "$seeded_dir/tests/${words[1]}" >"$3" 2>&1
        local status=$?
        rm -rf "$3.tmp"
        return $status
    done
    echo "seeded.sh: there is no program $1." >&2
    exit 2
}

# Sees the program pass without a bug, once.
program_is_sound() {
    (
        flock 9
        [ ! -e "$scratch/$1.sound" ] || exit 0
        if ! program_run "$1" 0 "$scratch/0.$1"; then
            cat "$scratch/0.$1"
            echo "$1 fails without a bug: nothing can be said."
            touch "$scratch/unsound"
            exit 1
        fi
        touch "$scratch/$1.sound"
    ) 9>"$scratch/$1.lock"
}

# What check says of the first test that failed: its name, and why. A test that was ended because it
# took too long, or a program that was, has noticed nothing.
verdict_read() {
    grep -E '^[^ ]+:[0-9]+:[FE]:' "$1" | grep -vi 'timeout expired' | head -n 1 |
        sed -E 's/^[^ ]+:[0-9]+:[FE]:([^:]*):([^:]*):[0-9]+: /\1.\2|/'
}

# Who is tried for a number, one name a line.
names_for() {
    local entry
    for entry in "${apt[@]}"; do
        [ "${entry%%:*}" != "$1" ] || echo "${entry#*:}"
    done
    for entry in "${programs[@]}"; do
        echo "${entry%% *}"
    done
}

bug_try() {
    local name verdict='' began=$SECONDS
    for name in $(names_for "$1" | awk '!seen[$0]++'); do
        program_is_sound "$name" || return
        program_run "$name" "$1" "$scratch/$1.$name" && continue
        verdict=$(verdict_read "$scratch/$1.$name")
        [ -z "$verdict" ] || break
    done
    if [ -n "$verdict" ]; then
        printf '%3d %4ds  %s\n            %s\n            %s\n' "$1" $((SECONDS - began)) \
            "${verdict%%|*}" "${texts[$1]}" "$(cut -c1-160 <<<"${verdict#*|}")"
    else
        printf '%3d %4ds  NOT NOTICED\n            %s\n' "$1" $((SECONDS - began)) "${texts[$1]}"
        touch "$scratch/failed"
    fi >"$scratch/$1.line"
    cat "$scratch/$1.line"
}


# Runs the function for each of the other arguments, as many at a time as there may be.
each_in_turn() {
    local function=$1 argument
    shift
    for argument in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
            wait -n
        done
        "$function" "$argument" &
    done
    wait
}

began=$SECONDS
if [ -z "$rotate$only" ]; then
    # shellcheck disable=SC2046
    each_in_turn program_is_sound $(for entry in "${programs[@]}"; do echo "${entry%% *}"; done)
    [ ! -e "$scratch/unsound" ] || exit 1
    echo "no bug: every test passes, $((SECONDS - began)) s"
fi
# shellcheck disable=SC2086
each_in_turn bug_try $numbers
[ ! -e "$scratch/failed" ] && [ ! -e "$scratch/unsound" ] || exit 1
echo "all $(wc -w <<<"$numbers") noticed, $((SECONDS - began)) s"

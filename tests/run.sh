#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Sets the machine up as quickstart.sh does, builds, and runs every test. See --help.
# shellcheck disable=SC2154
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../conf-examples/lib/setup.sh
. "$(dirname "$0")/../conf-examples/lib/setup.sh"

usage() {
    cat <<HELP
Usage: run.sh [--quick] [REGEX]

Installs what is missing, builds, and runs every test; ctest's summary closes.

  --quick  without the builds by clang and under the sanitizers, and without
           the tests that take minutes
  --help   this text
  REGEX    only the tests whose name matches (ctest -R)

MOSQUITTO_PREFIX=DIR takes the Mosquitto that is installed below DIR.
HELP
}

sanitizers=ON
regex=''
ctest_options=()
for argument in "$@"; do
    case $argument in
    --quick)
        sanitizers=OFF
        ctest_options+=(-LE slow)
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*) die_usage "unknown option '$argument'." ;;
    *)
        [ -z "$regex" ] || die_usage "one REGEX only, but '$argument' follows '$regex'."
        regex=$argument
        ctest_options+=(-R "$argument")
        ;;
    esac
done

setup_machine tests
[ "$(id -u)" -eq 0 ] ||
    note "Not root: the tests that change owners or mount disks are left out; root runs them all."
setup_configure -DBUILD_TESTING=ON -DSANITIZER_TESTS=$sanitizers
cmake --build "$build_dir"
exec ctest --test-dir "$build_dir" --output-on-failure --no-tests=error --parallel "$(nproc)" \
    --timeout 600 "${ctest_options[@]}" </dev/null

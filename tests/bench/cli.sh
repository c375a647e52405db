#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Measures the command line over a large store, and a backup beside a loaded broker. See README.md.
# shellcheck disable=SC2154
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../../conf-examples/lib/setup.sh
. "$(dirname "$0")/../../conf-examples/lib/setup.sh"

setup_machine tests >&2
setup_configure -DBUILD_TESTING=ON >/dev/null
cmake --build "$build_dir" --target mosquitto_persist_lmdb mosquitto_lmdb make_store bench_programs >&2
exec /usr/bin/python3 -B "$project_dir/tests/bench/cli.py" \
    --mosquitto-prefix "$mosquitto_prefix" --build-dir "$build_dir" "$@"

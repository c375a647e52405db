#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Keeps a store of today's format for the tests of all later versions: make_fixture.sh BUILD_DIR N.
# Run it once, before the first release that writes format N, and commit what it makes.
set -euo pipefail

build=$1
here=$(cd "$(dirname "$0")" && pwd)
name=$here/format-$2
if [ -e "$name.tar.xz" ]; then
    echo "make_fixture.sh: $name.tar.xz is there already; a released format does not change." >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# keep NAME: the store as it lies, and then what is exported from it
keep() {
    tar -C "$work" --owner=0 --group=0 -cJf "$1.tar.xz" store
    "$build/tools/mosquitto_lmdb" --store "$work/store" export | xz >"$1.jsonl.xz"
    rm -r "$work/store"
}

"$build/tests/make_store" crashed "$work/store"
keep "$name"
"$build/tests/make_store" busy "$work/store"
"$build/tests/make_store" readings "$work/store" 100 4000
"$build/tools/mosquitto_lmdb" --store "$work/store" dict ls --json | grep -q '"id":1'
keep "$name-dictionary"

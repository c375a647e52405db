#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Compiles every source of the product for other C libraries and word sizes, warnings as errors: the
# official broker image is Alpine, which has musl, and small boards have 32 bits. Nothing is linked:
# Debian has no libraries for musl. The headers of the libraries are the same everywhere.
#   compile.sh musl|m32 MOSQUITTO_PREFIX
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
kind=$1
prefix=$2
case $kind in
musl) compiler=(musl-gcc) ;;
m32) compiler=(gcc -m32 -isystem "/usr/include/$(gcc -print-multiarch)") ;; # serves both word sizes
*)
    echo "compile.sh: unknown kind '$kind'; musl and m32 are known." >&2
    exit 2
    ;;
esac

# Only these: a whole include folder would bring glibc's headers along.
headers=$(mktemp -d)
trap 'rm -rf "$headers"' EXIT
for header in lmdb.h zstd.h zstd_errors.h zdict.h xxhash.h sqlite3.h cjson/cJSON.h \
    libsmartcols/libsmartcols.h; do
    mkdir -p "$headers/$(dirname "$header")"
    ln -s "/usr/include/$header" "$headers/$header"
done
ln -s "$prefix/include/"* "$headers/"
# The one header that only a package for this word size has; it names functions to leave alone.
mkdir "$headers/gnu"
: >"$headers/gnu/stubs-32.h"

flags=(-std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 '-DPROJECT_VERSION="0"' '-DDEFAULT_STORE_DIR="/"'
    "-I$root/plugin" "-I$root/tools" -isystem "$headers"
    -isystem "$headers/cjson" -isystem "$headers/libsmartcols" -Wno-psabi
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror -fsyntax-only)
count=0
failed=0
for source in "$root"/plugin/*.c "$root"/plugin/store/*.c "$root"/tools/*.c; do
    "${compiler[@]}" "${flags[@]}" "$source" || failed=$((failed + 1))
    count=$((count + 1))
done
echo "$count sources compiled for $kind, $failed of them failed"
[ "$count" -gt 100 ] && [ "$failed" -eq 0 ]

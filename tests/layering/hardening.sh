#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# hardening.sh FILE [fortified]: what the linker and the compiler were asked for is in FILE.
# `fortified` also asks for the checked functions of the C library, which only an optimised build has.
set -eu

file=$1
what=${2:-}
missing=''

# want NAME CONDITION...: notes the name of what does not hold.
want() {
    name=$1
    shift
    "$@" || missing="$missing, $name"
}

headers=$(readelf -W -l "$file")
dynamic=$(readelf -W -d "$file")
symbols=$(readelf -W --dyn-syms "$file")
has() {
    printf '%s\n' "$1" | grep -Eq "$2"
}
has_not() {
    ! has "$@"
}

want 'read-only relocations (RELRO)' has "$headers" '^ *GNU_RELRO '
want 'binding at start (BIND_NOW)' has "$dynamic" 'BIND_NOW|FLAGS_1.* NOW'
want 'a stack without code' has "$headers" '^ *GNU_STACK .* RW +0x'
want 'no segment that is writable and executable' has_not "$headers" '^ *LOAD .* RWE '
want 'code that may lie anywhere' has "$headers" '^Elf file type is DYN'
want 'no relocations in code' has_not "$dynamic" 'TEXTREL'
want 'no search path of its own' has_not "$dynamic" 'RPATH|RUNPATH'
want 'a guarded stack' has "$symbols" ' __stack_chk_fail'
if has "$headers" '^ *INTERP '; then
    want 'a position-independent program (PIE)' has "$dynamic" 'FLAGS_1.* PIE'
fi
if [ "$what" = fortified ]; then
    want 'checked functions of the C library' has "$symbols" ' __(memcpy|snprintf|vsnprintf)_chk'
fi

if [ -n "$missing" ]; then
    printf '%s lacks: %s\n' "$file" "${missing#, }"
    exit 1
fi

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash
#
# What the scripts of this project share: how they speak, and where they keep things.

note() {
    printf '%s\n' "$*"
}

# One sentence on standard error, and out.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

die_usage() {
    printf '%s: %s Try --help.\n' "${0##*/}" "$*" >&2
    exit 2
}

# HOME is not set in every service or container.
home_dir() {
    printf '%s' "${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
}

cache_dir() {
    printf '%s' "${XDG_CACHE_HOME:-$(home_dir)/.cache}/mosquitto-persist-lmdb"
}

state_dir() {
    printf '%s' "${XDG_STATE_HOME:-$(home_dir)/.local/state}/mosquitto-persist-lmdb"
}

# version_at_least HAVE WANT
version_at_least() {
    printf '%s\n%s\n' "$2" "$1" | sort -V -C
}

# logged LOG COMMAND...: runs it with its output in LOG, whose end is shown if it fails.
logged() {
    local log=$1
    shift
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        return 1
    fi
}

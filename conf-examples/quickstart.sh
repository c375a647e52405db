#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# From a clean checkout to a running broker with a durable store. See --help.
# shellcheck disable=SC2154
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
. "$(dirname "$0")/lib/setup.sh"
# shellcheck source-path=SCRIPTDIR source=lib/broker.sh
. "$(dirname "$0")/lib/broker.sh"

usage() {
    cat <<HELP
Usage: quickstart.sh [--port N] [--store DIR] [--check]

Installs what is missing (Debian 12 or newer), takes an installed Mosquitto
$mosquitto_min_version or newer or builds one, builds the plugin and the command line, and
runs a broker on 127.0.0.1 in the foreground. Ctrl-C stops it; the store stays.

  --port N     listen on this port (default 1883)
  --store DIR  keep the store in this folder (default below
               \$XDG_STATE_HOME, or ~/.local/state)
  --check      publish to an offline session, kill the broker with -9, start it
               again, receive, say so and stop; on a free port and a temporary
               store if none are given. Ends with 0 if nothing was lost, else 1.
  --help       this text

MOSQUITTO_PREFIX=DIR takes the Mosquitto that is installed below DIR.
HELP
}

parse_arguments() {
    port='' store='' check=no
    while [ $# -gt 0 ]; do
        case $1 in
        --port | --store)
            [ -n "${2:-}" ] || die_usage "$1 needs a value."
            if [ "$1" = --port ]; then port=$2; else store=$2; fi
            shift
            ;;
        --check) check=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) die_usage "unknown argument '$1'." ;;
        esac
        shift
    done
    if [[ -n $port && ! ($port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535) ]]; then
        die_usage "--port takes a number from 1 to 65535, not '$port'."
    fi
    [ -z "$store" ] || store=$(realpath -m -- "$store")
}

build() {
    local log
    note "Building the plugin and the command line."
    log=$(mktemp)
    logged "$log" setup_configure || die "the build could not be configured (see above)."
    logged "$log" cmake --build "$build_dir" --target mosquitto_persist_lmdb mosquitto_lmdb ||
        die "the build failed (see above)."
    rm -f "$log"
}

# A client of the Mosquitto in use: client pub|sub ARGUMENTS...
client() {
    local name=$1
    shift
    "$mosquitto_prefix/bin/mosquitto_$name" -h 127.0.0.1 -p "$port" "$@"
}

serve() {
    local state config
    state=$(state_dir)
    : "${port:=1883}" "${store:=$state/store}"
    ! port_answers "$port" ||
        die "something already listens on 127.0.0.1:$port; stop it, or choose another port with --port."
    mkdir -p "$state" "$(dirname "$store")"
    config=$state/quickstart-$port.conf
    broker_write_config "$config" "$port" "$store"
    cat <<TEXT

Broker         127.0.0.1:$port (Ctrl-C stops it)
Store          $store
Configuration  $config
Plugin         $build_dir/plugin/mosquitto_persist_lmdb.so

Try, in another terminal:
  PATH=$(printf %q "$mosquitto_prefix/bin:$build_dir/tools"):\$PATH
  mosquitto_sub -p $port -c -q 1 -i me -t 'demo/#' -E          # a session that is kept
  mosquitto_pub -p $port -q 1 -t demo/hello -m 'still here?'
  mosquitto_lmdb --store $(printf %q "$store") status
Then kill the broker (kill -9), start this script again, and fetch the message:
  mosquitto_sub -p $port -c -q 1 -i me -t 'demo/#' -C 1

TEXT
    exec "$mosquitto_prefix/sbin/mosquitto" -c "$config"
}

check() {
    local dir id=quickstart-check message received
    dir=$(mktemp -d)
    broker_pid=
    # shellcheck disable=SC2064 # the folder is known now
    trap "[ -z \"\$broker_pid\" ] || broker_end KILL; rm -rf '$dir'" EXIT
    : "${port:=$(port_free)}" "${store:=$dir/store}"
    ! port_answers "$port" ||
        die "something already listens on 127.0.0.1:$port; choose another port with --port."
    mkdir -p "$(dirname "$store")"
    broker_write_config "$dir/broker.conf" "$port" "$store"

    broker_start "$dir/broker.conf" "$port" "$dir/log"
    client sub -i "$id" -t "$id" -E
    client sub -c -q 1 -i "$id" -t "$id" -E
    note "Publishing 100 messages to a session that is offline."
    # One client for each: with -l, mosquitto_pub may leave before all is acknowledged.
    for message in $(seq 100); do
        client pub -q 1 -t "$id" -m "$message"
    done
    note "Killing the broker with -9 and starting it again."
    broker_end KILL
    broker_start "$dir/broker.conf" "$port" "$dir/log"
    received=$(client sub -c -q 1 -i "$id" -t "$id" -C 100 -W 20) || true
    client sub -i "$id" -t "$id" -E
    broker_end TERM
    if [ "$received" != "$(seq 100)" ]; then
        cat "$dir/log" >&2
        die "of 100 messages $(printf '%s' "$received" | grep -c .) came back, or not in order; the broker's log is above."
    fi
    note "All 100 messages came back, in order."
}

parse_arguments "$@"
setup_machine build
build
if [ "$check" = yes ]; then
    check
else
    serve
fi

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# A broker on 127.0.0.1 with a store of its own: its configuration, its start and its end.
# Uses mosquitto_prefix and build_dir of setup.sh.

# port_answers PORT: does anything listen there?
port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port_free() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 10000))
        if ! port_answers "$port"; then
            printf '%s' "$port"
            return
        fi
    done
    die "no free port was found on 127.0.0.1."
}

# broker_write_config FILE PORT STORE. A broker that is started by root changes its user: to the one
# who owns the store, or will.
broker_write_config() {
    local owner
    owner=$(stat -c %U "$3" 2>/dev/null) || owner=$(id -un)
    cat >"$1" <<CONF
listener $2 127.0.0.1
allow_anonymous true
user $owner
log_dest stderr

plugin $build_dir/plugin/mosquitto_persist_lmdb.so
plugin_opt_path $3
CONF
}

# broker_start CONFIG PORT LOG: starts a broker in the background, sets broker_pid, and returns when it
# takes connections.
broker_start() {
    "$mosquitto_prefix/sbin/mosquitto" -c "$1" >>"$3" 2>&1 </dev/null &
    broker_pid=$!
    for _ in {1..300}; do
        kill -0 "$broker_pid" 2>/dev/null || break
        ! port_answers "$2" || return 0
        sleep 0.1
    done
    cat "$3" >&2
    die "the broker did not start; its log is above."
}

# broker_end SIGNAL: sends it and waits for the end.
broker_end() {
    kill "-$1" "$broker_pid" 2>/dev/null || true
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=
}

#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# exports.sh PLUGIN: the plugin may show the world Mosquitto's entry points and nothing else.
set -eu

found=$(nm -D --defined-only "$1" | awk '{print $3}' | sort | tr '\n' ' ')
wanted='mosquitto_plugin_cleanup mosquitto_plugin_init mosquitto_plugin_version '
if [ "$found" != "$wanted" ]; then
    printf '%s exports: %s\nbut should export: %s\n' "$1" "$found" "$wanted"
    exit 1
fi

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# The set-up that quickstart.sh and the tests share: packages, a Mosquitto, a configured build.

setup_lib=$(dirname "${BASH_SOURCE[0]}")
project_dir=$(cd "$setup_lib/../.." && pwd)
build_dir=$project_dir/build

# shellcheck source-path=SCRIPTDIR
. "$setup_lib/common.sh"
# shellcheck source-path=SCRIPTDIR
. "$setup_lib/packages.sh"
# shellcheck source-path=SCRIPTDIR
. "$setup_lib/mosquitto.sh"

# setup_machine build|tests: installs what is missing and sets mosquitto_prefix. The tests also want
# the broker's own tools and the stock persistence plugin.
setup_machine() {
    local lists=("$packages_for_build") files=(bin/mosquitto_pub bin/mosquitto_sub)
    if [ "$1" = tests ]; then
        lists+=("$packages_for_tests")
        files+=(bin/mosquitto_passwd lib/mosquitto_persist_sqlite.so)
    fi
    mosquitto_prefix=$(mosquitto_find "${files[@]}")
    [ -n "$mosquitto_prefix" ] || lists+=("$packages_for_mosquitto")
    packages_install "${lists[@]}"
    [ -n "$mosquitto_prefix" ] || mosquitto_build "${files[@]}"
}

# setup_configure OPTION...: configures the release build against mosquitto_prefix.
setup_configure() {
    cmake -S "$project_dir" --preset release -DCMAKE_PREFIX_PATH="$mosquitto_prefix" "$@"
}

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# The packages that building, Mosquitto's own build and the tests need. Each line names a Debian
# package and what proves that it need not be installed, so that a machine which has the things from
# elsewhere is left alone.

packages_for_build='
cmake           command cmake
ninja-build     command ninja
gcc             command cc
libc6-dev       header stdlib.h
pkgconf         command pkg-config
liblmdb-dev     module lmdb
libzstd-dev     module libzstd
libxxhash-dev   module libxxhash
libcjson-dev    module libcjson
libsmartcols-dev module smartcols
libsqlite3-dev  module sqlite3
'

packages_for_mosquitto='
g++             command c++
libssl-dev      module openssl
dpkg-dev        command dpkg-source
debian-archive-keyring file /usr/share/keyrings/debian-archive-keyring.gpg
'

packages_for_tests='
binutils        command nm
check           module check
clang           command clang
dpkg-dev        command dpkg-shlibdeps
e2fsprogs       file /usr/sbin/mkfs.ext4
file            command file
jq              command jq
libclang-rt-dev sanitizer fuzzer,address
man-db          command man
mount           command mount
musl-tools      command musl-gcc
openssl         command openssl
python3         command /usr/bin/python3
python3-pytest  python pytest
python3-paho-mqtt python paho.mqtt.client
strace          command strace
systemd         command systemd-analyze
'

# have KIND NAME
have() {
    case $1 in
    command) command -v "$2" ;;
    header) printf '#include <%s>\n' "$2" | cc -E - ;;
    module) pkg-config --exists "$2" ;;
    python) /usr/bin/python3 -c "import $2" ;;
    file) test -r "$2" ;;
    sanitizer)
        echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n; }' |
            clang -x c "-fsanitize=$2" -o /dev/null -
        ;;
    esac >/dev/null 2>&1
}

# packages_missing LIST...: prints the packages of the lists whose proof fails.
packages_missing() {
    local package kind name
    printf '%s\n' "$@" | while read -r package kind name; do
        if [ -n "$package" ] && ! have "$kind" "$name"; then
            printf '%s ' "$package"
        fi
    done
}

# Runs apt-get as root, without questions.
apt_as_root() {
    local run=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@")
    if [ "$(id -u)" -ne 0 ]; then
        run=(sudo "${run[@]}")
    fi
    "${run[@]}" </dev/null
}

# packages_install LIST...: installs what is missing, and says so.
packages_install() {
    local missing
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null ||
        die "these Debian packages, or what they hold, are needed: ${missing}(there is no apt-get here)."
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        die "packages are missing; as root run: apt-get install $missing"
    note "Installing: $missing"
    # A foreign source that cannot be read must not stop us: the installation tells.
    apt_as_root update || note "apt-get update did not succeed; going on with the lists as they are."
    # shellcheck disable=SC2086 # a list of words
    apt_as_root install --no-install-recommends $missing ||
        die "apt-get could not install: $missing"
    missing=$(packages_missing "$@")
    [ -z "$missing" ] || die "still missing after the installation: $missing"
}

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash
#
# Finds a Mosquitto that has the persistence interface, or builds one from Debian's source package
# into the user's cache, once. The system's own apt configuration is only read.

mosquitto_min_version=2.1.2

# The suites that may hold a source package new enough, the oldest first.
mosquitto_suites='forky duke sid'

# mosquitto_fits PREFIX FILE...: is there a broker of the right version, with its headers and FILEs?
mosquitto_fits() {
    local prefix=$1 file version
    shift
    for file in sbin/mosquitto include/mosquitto/broker.h "$@"; do
        [ -e "$prefix/$file" ] || return 1
    done
    version=$("$prefix/sbin/mosquitto" -h 2>/dev/null </dev/null |
        sed -n 's/^mosquitto version \([0-9.]*\).*/\1/p')
    [ -n "$version" ] && version_at_least "$version" "$mosquitto_min_version"
}

# mosquitto_find FILE...: prints the prefix of a Mosquitto with these files, nothing if there is none.
mosquitto_find() {
    local prefix
    if [ -n "${MOSQUITTO_PREFIX:-}" ]; then
        mosquitto_fits "$MOSQUITTO_PREFIX" "$@" ||
            die "MOSQUITTO_PREFIX=$MOSQUITTO_PREFIX does not hold Mosquitto $mosquitto_min_version or newer with its headers${*:+ and $*}."
        printf '%s' "$MOSQUITTO_PREFIX"
        return
    fi
    for prefix in /usr/local /usr "$(cache_dir)"/mosquitto-*; do
        if mosquitto_fits "$prefix" "$@"; then
            printf '%s' "$prefix"
            return
        fi
    done
}

# The archives of Debian that apt is configured with, in apt's own words. Without package lists apt
# cannot tell whose an archive is; then all are tried, and the keyring decides.
debian_sites() {
    local sites
    # shellcheck disable=SC2016 # apt's placeholder
    sites=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' 'Origin: Debian')
    # shellcheck disable=SC2016
    [ -n "$sites" ] || sites=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main')
    printf '%s\n' "$sites" | grep -v security | sort -u
}

# private_apt DIR COMMAND...: an apt command with its own sources and lists below DIR.
private_apt() {
    local dir=$1 command=$2 options=()
    shift 2
    options=(-q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache"
        -o Acquire::Languages=none -o APT::Get::Only-Source=true)
    # The folder is private, so apt's own unprivileged user could not work in it.
    [ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
    "$command" "${options[@]}" "$@"
}

# mosquitto_fetch DIR: leaves the source package's files in DIR and prints its version. apt checks the
# suite's signature, and by it the hash of each file.
mosquitto_fetch() {
    local dir=$1 log=$1/log site suite version
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    : >"$log"
    for suite in $mosquitto_suites; do
        for site in $(debian_sites); do
            printf 'deb-src [signed-by=%s] %s %s main\n' \
                /usr/share/keyrings/debian-archive-keyring.gpg "$site" "$suite" >"$dir/sources.list"
            private_apt "$dir" apt-get update >>"$log" 2>&1 </dev/null || continue
            version=$(private_apt "$dir" apt-cache showsrc mosquitto 2>>"$log" |
                sed -n 's/^Version: //p' | sort -V | tail -n 1)
            if [ -z "$version" ] || ! version_at_least "$version" "$mosquitto_min_version"; then
                continue
            fi
            (cd "$dir" && private_apt "$dir" apt-get source --download-only "mosquitto=$version") \
                >>"$log" 2>&1 </dev/null || continue
            printf '%s' "$version"
            return
        done
    done
    cat "$log" >&2
    return 1
}

# mosquitto_compile WORK SOURCE PREFIX: builds in WORK and moves the whole to PREFIX at the end, so
# that PREFIX is never half full.
mosquitto_compile() {
    local work=$1 source=$2 prefix=$3 log=$1/log
    logged "$log" cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
        -DCMAKE_INSTALL_RPATH="\$ORIGIN/../lib" -DWITH_BUNDLED_DEPS=ON \
        -DWITH_TLS=ON -DWITH_WEBSOCKETS=ON -DWITH_WEBSOCKETS_BUILTIN=ON \
        -DWITH_PLUGIN_PERSIST_SQLITE=ON -DWITH_TESTS=OFF -DWITH_DOCS=OFF -DWITH_HTTP_API=OFF \
        -DWITH_CTRL_SHELL=OFF || return
    logged "$log" cmake --build "$work/build" || return
    DESTDIR=$work/stage logged "$log" cmake --install "$work/build" || return
    rm -rf "$prefix"
    mv "$work/stage$prefix" "$prefix"
}

# Builds Mosquitto into the cache and sets mosquitto_prefix. Two calls at once build it only once.
mosquitto_build() {
    local cache work version
    cache=$(cache_dir)
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    mosquitto_prefix=$(mosquitto_find "$@")
    if [ -z "$mosquitto_prefix" ]; then
        note "Building Mosquitto from Debian's source package (once; it is kept in $cache)."
        rm -rf "$cache"/build.*
        work=$(mktemp -d "$cache/build.XXXXXX")
        version=$(mosquitto_fetch "$work") ||
            die "no source package of Mosquitto $mosquitto_min_version or newer could be fetched from the Debian archive that apt is configured with (suites tried: $mosquitto_suites)."
        logged "$work/log" dpkg-source -x "$work"/mosquitto_*.dsc "$work/source" ||
            die "the source package mosquitto $version could not be unpacked."
        mosquitto_prefix=$cache/mosquitto-$version
        mosquitto_compile "$work" "$work/source" "$mosquitto_prefix" ||
            die "Mosquitto $version could not be built; all that was said is in $work/log."
        rm -rf "$work"
        mosquitto_fits "$mosquitto_prefix" "$@" ||
            die "Mosquitto $version was built in $mosquitto_prefix, but lacks what is needed${*:+ ($*)}."
        note "Mosquitto $version is in $mosquitto_prefix."
    fi
    exec 9>&-
}

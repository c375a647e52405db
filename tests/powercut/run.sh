#!/usr/bin/env bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Cuts the power of a virtual machine that writes to a store. See --help and README.md.
# shellcheck disable=SC2154
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../conf-examples/lib/setup.sh
. "$here/../../conf-examples/lib/setup.sh"

usage() {
    cat <<HELP
Usage: run.sh [--states N] [--steps N] [--seed N] [--sync MODE] [--bug N] [FS...]

Runs a store's workload in a virtual machine whose disk logs every write, plays the
log up to any write onto images of ext4 and xfs (or of FS), mounts them, lets the
command line recover the store, and holds it against what had been promised.
Needs root (it mounts by loop) and installs QEMU and the like. Prints a table.

  --states N  power cuts of each file system (1000)
  --steps N   messages that are published (1500)
  --seed N    repeats the places of the cuts of a run (its log is another)
  --sync MODE always (the default) or interval
  --bug N     takes out a protection of plugin/store/seeded.h: must be noticed
HELP
}

packages_for_powercut='
busybox-static  command busybox
cpio            command cpio
e2fsprogs       command mkfs.ext4
mount           command mount
qemu-system-x86 command qemu-system-x86_64
xfsprogs        command mkfs.xfs
'

states=1000
steps=1500
seed=0
sync=always
bug=''
filesystems=()
while [ $# -gt 0 ]; do
    case $1 in
    --states | --steps | --seed | --sync | --bug)
        [ $# -gt 1 ] || die_usage "$1 needs a value."
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    ext4 | xfs) filesystems+=("$1") ;;
    *) die_usage "unknown argument '$1'." ;;
    esac
    shift
done
[[ $sync =~ ^(always|interval)$ ]] || die_usage "--sync is 'always' or 'interval', not '$sync'."
[ ${#filesystems[@]} -gt 0 ] || filesystems=(ext4 xfs)
[ "$(id -u)" -eq 0 ] || die "only root can mount images."

# The file system, and behind it the sector for the workload's promises.
fs_mib=64
end=$((fs_mib << 20))
work=$(mktemp -d -p /dev/shm powercut.XXXXXX)
trap 'rm -rf "$work"' EXIT

# kernel_fetch: Debian's kernel, unpacked below the cache, and its release.
kernel_fetch() {
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    [ -n "$package" ] || die "apt knows no linux-image-cloud-amd64."
    kernel=$(cache_dir)/$package
    release=${package#linux-image-}
    [ ! -e "$kernel/boot/vmlinuz-$release" ] || return 0
    note "Fetching $package."
    (cd "$work" && logged "$work/log" apt-get download "$package" && dpkg-deb -x "$package"_*.deb kernel)
    rm -rf "$kernel"
    mv "$work/kernel" "$kernel"
}

# guest_make PROGRAM: an initramfs with busybox, the program and its libraries, and a few modules.
guest_make() {
    local root=$work/guest library
    mkdir -p "$root"/{bin,proc,dev,mnt}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$1" "$root/bin/workload"
    for library in $(ldd "$1" | grep -o '/[^ ]*'); do
        install -D "$(readlink -f "$library")" "$root$library"
    done
    (cd "$kernel" && find lib/modules -name 'modules.*' -o -regex \
        '.*/\(virtio[^/]*\|xfs\|ext4\|jbd2\|mbcache\|crc16\|xor\|raid6_pq\|\(lib\)?crc32c[^/]*\)\.ko\(\.xz\)?' |
        cpio -pd --quiet "$root")
    busybox depmod -b "$root" "$release"
    cp "$here/init" "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"
}

# record FS: the disk before, and the log of all that the guest wrote to it.
record() {
    local image=$work/$1.disk options="console=ttyS0 quiet panic=-1 pc_fs=$1 pc_offset=$end pc_steps=$steps pc_sync=$sync pc_bug=${bug:-0}"
    truncate -s "$((fs_mib + 1))M" "$image"
    case $1 in
    ext4) mkfs.ext4 -q "$image" "${fs_mib}M" ;;
    xfs) mkfs.xfs -q --unsupported -d "size=${fs_mib}m" "$image" >/dev/null 2>&1 ;;
    esac
    cp --sparse=always "$image" "$work/$1.base"
    : >"$work/$1.log"
    timeout 1800 qemu-system-x86_64 -accel tcg -m 256 -nographic -no-reboot -nodefaults \
        -serial "file:$work/$1.console" -kernel "$kernel/boot/vmlinuz-$release" \
        -initrd "$work/initramfs" -append "$options" \
        -blockdev "driver=blklogwrites,node-name=disk,file.driver=file,file.filename=$image,log.driver=file,log.filename=$work/$1.log" \
        -device virtio-blk-pci,drive=disk </dev/null
    grep -q "workload: $steps messages" "$work/$1.console" || {
        cat "$work/$1.console" >&2
        die "the workload did not come to its end."
    }
    rm "$image"
}

setup_machine build
packages_install "$packages_for_powercut"
kernel_fetch
setup_configure -DBUILD_TESTING=ON >"$work/log"
program=powercut_workload${bug:+_seeded}
logged "$work/log" cmake --build "$build_dir" --target "$program" mosquitto_lmdb
guest_make "$build_dir/tests/powercut/$program"
# A build in the meantime must not change it.
cp "$build_dir/tools/mosquitto_lmdb" "$work"

printf '| file system | writes | flushes | promised | power cuts | wrong | each | seed |\n|---|---|---|---|---|---|---|---|\n'
for filesystem in "${filesystems[@]}"; do
    record "$filesystem"
    # In a mount namespace of its own: who copies the mounts of the machine would keep one of ours.
    unshare --mount --propagation private /usr/bin/python3 -B "$here/replay.py" --base "$work/$filesystem.base" --log "$work/$filesystem.log" \
        --tool "$work/mosquitto_lmdb" --fs "$filesystem" --end "$end" \
        --states "$states" --seed "$seed"
    rm "$work/$filesystem".*
done

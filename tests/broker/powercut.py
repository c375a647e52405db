# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What a power cut leaves of the store of a broker that ran with powercut_preload.c.

The preload keeps what is durable. All else may be lost, or be there: `cut` takes the durable image
alone, or lets any 512-byte granules, sizes and later names through, since a disk writes what it has
not been told to sync in any order it likes."""
import mmap
import pathlib
import struct

from broker import environment_folder, remove_folder

PRELOAD = "tests/libpowercut.so"
FILES, VERSIONS, SYNCS, GRANULE, PAGE = 255, 1024, 4096, 512, 4096
HEAD = struct.Struct("=5Q")
SYNC = struct.Struct("=2Q")
FILE = struct.Struct("=2Q48s")
NAMES_AT = HEAD.size + SYNCS * SYNC.size


class Disk:
    """`struct disk` of the preload: the folder's names, one version a change, and the syncs."""

    def __init__(self, image):
        with open(image / "disk", "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.newest, self.durable, self.folder_durable, self.files, self.syncs_begun = \
            HEAD.unpack_from(self.data)

    def names(self, version):
        """{name: (number of the file, its inode)}"""
        at = NAMES_AT + version % VERSIONS * FILES * FILE.size
        entries = (FILE.unpack_from(self.data, at + i * FILE.size) for i in range(FILES))
        return {name.rstrip(b"\0").decode(): (number, inode)
                for number, inode, name in entries if number}

    def syncs(self):
        """[(begin, end)] of the journal's syncs in seconds of the monotonic clock; end 0: under
        way."""
        assert self.syncs_begun <= SYNCS, "more syncs than the preload notes"
        return [tuple(ns / 1e9 for ns in SYNC.unpack_from(self.data, HEAD.size + i * SYNC.size))
                for i in range(self.syncs_begun)]


def mix(durable, newest, chance, share):
    """The bytes of a file of whose unsynced granules about a share came through."""
    size = chance.choice([len(durable), len(newest)]) if share else len(durable)
    mixed = bytearray(durable[:size].ljust(size, b"\0"))
    for page in range(0, min(size, len(newest)), PAGE):
        if mixed[page:page + PAGE] == newest[page:page + PAGE]:
            continue
        for at in range(page, min(page + PAGE, size, len(newest)), GRANULE):
            if chance.random() < share:
                mixed[at:at + GRANULE] = newest[at:min(at + GRANULE, size)]
    return bytes(mixed)


class PowerCut:
    """The disk below one broker's store."""

    def __init__(self, broker, sync_us):
        self.store = broker.store.resolve()
        self.image = broker.folder.resolve() / "image"
        self.image.mkdir()
        preload = environment_folder("BUILD_DIR", PRELOAD) / PRELOAD
        broker.environment.update(LD_PRELOAD=str(preload), POWERCUT_STORE=str(self.store),
                                  POWERCUT_IMAGE=str(self.image), POWERCUT_SYNC_US=str(sync_us))

    def disk(self):
        return Disk(self.image)

    def durable_bytes(self, number):
        path = self.image / str(number)
        return path.read_bytes() if path.exists() else b""

    def cut(self, chance, share):
        """After a kill: leaves the store as the power cut does. `share` of what had not been synced
        comes through, 0: nothing."""
        disk = self.disk()
        version = chance.randint(disk.durable, disk.newest) if share else disk.durable
        known = set(disk.names(disk.newest).values())
        newest = {}
        for path in self.store.iterdir():
            newest[path.stat().st_ino] = path
        left = {}
        for name, (number, inode) in disk.names(version).items():
            durable = self.durable_bytes(number)
            now = durable
            if (number, inode) in known and inode in newest:
                now = newest[inode].read_bytes()
            left[name] = mix(durable, now, chance, chance.choice([0, share, 1]) if share else 0)
        remove_folder(self.store)
        remove_folder(self.image)
        self.image.mkdir()
        if disk.folder_durable:
            write_folder(self.store, left)


def write_folder(folder, files):
    folder = pathlib.Path(folder)
    folder.mkdir(mode=0o700)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)

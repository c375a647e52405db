#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Cuts the power at any write of a block log, and looks at what the store recovers.

replay.py --base IMAGE --log LOG --tool MOSQUITTO_LMDB --fs ext4|xfs --end OFFSET --states N
[--seed N]: the log of QEMU's blklogwrites is played onto the image up to a place drawn by lot. All
that was written before the last flush is there; of what came after it nothing, all, or any writes
or 512-byte sectors. The image is mounted by loop, the command line recovers the store as a broker
would, and what it then holds must be what workload.c had promised by then. Writes to OFFSET are its
promises. Needs root. Ends with 1 at the first state that does not hold.
"""
import argparse
import base64
import json
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

LOG_MAGIC, LOG_HEAD = 0x6A736677736872, struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")
FLUSH, FUA, DISCARD = 1, 2, 4
SECTOR = 512
LAG, PAYLOAD_MAX = 200, 4000  # of workload.c


class Write:
    def __init__(self, sector, flags, data):
        self.at, self.flags, self.data = sector * SECTOR, flags, data


def log_read(path):
    """The writes of a log in their order."""
    with open(path, "rb") as file:
        magic, version, count, sector = LOG_HEAD.unpack(file.read(LOG_HEAD.size))
        if (magic, version, sector) != (LOG_MAGIC, 1, SECTOR):
            sys.exit(f"{path} is not a log of writes in sectors of {SECTOR} bytes")
        file.seek(SECTOR)
        writes = []
        for _ in range(count):
            at, sectors, flags, _ = ENTRY.unpack(file.read(SECTOR)[:ENTRY.size])
            data = b"" if flags & DISCARD else file.read(sectors * SECTOR)
            writes.append(Write(at, flags, data))
    return writes


def apply(file, write, keep=lambda: True):
    for at in range(0, len(write.data), SECTOR):
        if keep():
            file.seek(write.at + at)
            file.write(write.data[at:at + SECTOR])


def payload(number):
    length = number * 2654435761 % PAYLOAD_MAX
    letters = bytes(range(ord("a"), ord("a") + 23))
    first = number % 23
    return b"%d:" % number + (letters * (length // 23 + 2))[first:first + length]


class Cuts:
    """The disk at the places of power cuts, one after the other in the order of the log."""

    def __init__(self, base, writes, end, chance):
        self.base, self.writes, self.end, self.chance = base, writes, end, chance
        self.applied = 0  # of writes, to the base
        self.flushed = 0
        self.promised = 0

    def go_to(self, place):
        """All before `place` was issued, and all before the last flush is durable."""
        for i in range(self.applied, place):
            if self.writes[i].flags & FLUSH:
                self.flushed = i
        with open(self.base, "r+b") as file:
            while self.applied < self.flushed:
                apply(file, self.writes[self.applied])
                self.applied += 1
        for write in self.writes[max(0, self.applied - 1):place]:
            if write.at == self.end:
                self.promised = int(write.data.split()[1])

    def leave(self, image, place):
        """What the power cut leaves of the writes since the flush."""
        kind = self.chance.choice(["nothing", "all", "writes", "sectors", "sectors"])
        share = self.chance.random()
        shutil.copy(self.base, image)
        with open(image, "r+b") as file:
            for write in self.writes[self.applied:place]:
                if kind == "all" or write.flags & FUA:
                    apply(file, write)
                elif kind == "writes" and self.chance.random() < share:
                    apply(file, write)
                elif kind == "sectors":
                    apply(file, write, lambda: self.chance.random() < share)
        return kind


class Recovered(Exception):
    """Something that must not be."""


def run(*command):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True,
                          check=False, start_new_session=True)
    if done.returncode:
        raise Recovered(f"{' '.join(done.args)}: status {done.returncode}: "
                        f"{done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def check_contents(lines, promised):
    """A prefix of what was appended, with all that had been promised; no foreign byte."""
    entries = [json.loads(line) for line in lines.splitlines()]
    queued = [int(each["store_id"]) for each in entries if each["type"] == "queued"]
    messages = {int(each["store_id"]): base64.b64decode(each["payload"]) for each in entries
                if each["type"] == "message"}
    last = max(queued, default=0)
    if last < promised:
        raise Recovered(f"message {promised} had been promised, the last is {last}")
    # The power may go between the records of a step.
    first = max(1, last - LAG)
    if queued not in (list(range(first, last + 1)), list(range(first + 1, last + 1))):
        raise Recovered(f"queue of {len(queued)}: {queued[:3]} to {queued[-3:]}")
    extra = set(messages) - set(queued)
    if not set(queued) <= set(messages) or not extra <= {first, last + 1}:
        raise Recovered(f"messages {sorted(set(messages) ^ set(queued))} do not fit the queue")
    for number, content in messages.items():
        if content != payload(number):
            raise Recovered(f"message {number} is not what was published")


def check_state(image, folder, options, promised):
    mount = ["mount", "-o", "loop,nouuid" if options.fs == "xfs" else "loop", image, folder]
    run(*mount)
    try:
        tool = [options.tool, "--store", folder / "store"]
        contents = run(*tool, "export")
        check_contents(contents, promised)
        run(*tool, "verify")
        if run(*tool, "export").splitlines()[1:] != contents.splitlines()[1:]:
            raise Recovered("a second recovery gives something else")
    finally:
        run("umount", folder)


def first_promise(writes, end):
    return next(i for i, write in enumerate(writes) if write.at == end)


def main():
    parser = argparse.ArgumentParser()
    for name in ("base", "log", "tool", "fs"):
        parser.add_argument(f"--{name}", required=True)
    for name, default in (("end", 0), ("states", 100), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 1 << 32)
    chance, writes = random.Random(seed), log_read(options.log)
    places = sorted(chance.randint(first_promise(writes, options.end) + 1, len(writes))
                    for _ in range(options.states))
    began, done = time.monotonic(), 0
    # A run may be ended: the table then says how far it came.
    signal.signal(signal.SIGTERM, lambda *_: places.clear())
    with tempfile.TemporaryDirectory(dir=pathlib.Path(options.base).parent) as work:
        folder = pathlib.Path(work) / "mounted"
        folder.mkdir()
        cuts = Cuts(options.base, writes, options.end, chance)
        while places:
            place, image = places.pop(0), pathlib.Path(work) / f"image-{done}"
            cuts.go_to(place)
            kind = cuts.leave(image, place)
            try:
                check_state(image, folder, options, cuts.promised)
            except Recovered as error:
                print(f"{options.fs}, seed {seed}, after write {place} of {len(writes)}, "
                      f"{kind} of {place - cuts.applied} let through: {error}")
                sys.exit(1)
            image.unlink()
            done += 1
    ms = (time.monotonic() - began) * 1000 / max(done, 1)
    flushes = sum(1 for write in writes if write.flags & FLUSH)
    promises = sum(1 for write in writes if write.at == options.end)
    print(f"| {options.fs} | {len(writes)} | {flushes} | {promises} | {done} | 0 | "
          f"{ms:.0f} ms | {seed} |")


if __name__ == "__main__":
    main()

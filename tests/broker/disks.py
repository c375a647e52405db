# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Disks that are small, and disks that fail. All of it needs root.

Small ones are mounted in a mount namespace of this process and its brokers: they end with it,
however it ends. A failing one is the disk of a running broker whose system calls strace answers."""
import ctypes
import os
import re
import signal
import subprocess
import threading

from broker import before_exec, poll

CLONE_NEWNS = 0x00020000
ATTACH_LIMIT_S = 60
LET_GO_LIMIT_S = 10
_own_mounts = False


def own_mounts():
    global _own_mounts
    if _own_mounts:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    _own_mounts = True


class SmallDisk:
    """A file system of `size_mb` below `folder` on which nothing else lies."""

    def __init__(self, folder, kind="tmpfs", size_mb=12):
        own_mounts()
        self.path = folder / "disk"
        self.path.mkdir()
        if kind == "tmpfs":
            self._mount("-t", "tmpfs", "-o", f"size={size_mb}m,mode=0755", "tmpfs")
        else:
            image = folder / "disk.img"
            with open(image, "wb") as file:
                file.truncate(size_mb << 20)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
            self._mount("-o", "loop", str(image))

    def _mount(self, *arguments):
        subprocess.run(["mount", *arguments, str(self.path)], check=True)

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.path)], check=True)

    @property
    def free_bytes(self):
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, name="eaten", leave=0):
        """Another program takes every byte but so many."""
        with open(self.path / name, "ab", buffering=0) as file:
            for piece in (1 << 20, 1 << 16, 1 << 12, 1):
                try:
                    while self.free_bytes >= leave + piece or (piece == 1 and not leave):
                        file.write(b"\xff" * piece)
                        os.fsync(file.fileno())
                except OSError:
                    pass

    def free(self, name="eaten"):
        (self.path / name).unlink()


def small_disk(stage, kind="tmpfs", size_mb=12):
    """For a fixture: it is there while the brokers are."""
    disk = SmallDisk(stage.folder, kind, size_mb)
    try:
        yield disk
    finally:
        for broker in stage.brokers:
            broker.close()
        disk.unmount()


class Eater:
    """Another program that takes each byte as soon as it becomes free, while within."""

    def __init__(self, disk):
        self.disk, self.ended = disk, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        with open(self.disk.path / "eaten", "ab", buffering=0) as file:
            while not self.ended.is_set():
                try:
                    file.write(b"\xff" * 4096)
                except OSError:
                    self.ended.wait(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class FailingDisk:
    """While within, the broker's system calls fail: `calls` as strace names them, with `error`; with
    `files` only those on these files."""

    def __init__(self, broker, calls, *, error="EIO", files=()):
        self.broker = broker
        self.trace = broker.folder / "strace.out"
        self.said = broker.folder / "strace.err"
        self.command = ["strace", "-f", "-p", str(broker.process.pid), "-o", str(self.trace),
                        "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
        for file in files:
            self.command += ["-P", str(file)]

    def __enter__(self):
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=said,
                                            stderr=said, preexec_fn=before_exec)
        poll(lambda: re.search(r"attached", self.said.read_text()), ATTACH_LIMIT_S,
             "strace does not attach", self.said.read_text)
        return self

    def __exit__(self, *_):
        """strace lets go of the broker, unless it went with it."""
        if self.broker.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(LET_GO_LIMIT_S)
        except subprocess.TimeoutExpired:  # it waits for a broker that was about to end
            self.process.kill()
            self.process.wait()

    @property
    def failed_calls(self):
        return self.trace.read_text(errors="replace").count("(INJECTED)")

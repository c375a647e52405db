# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the system tells of a process, a folder, the machine."""

import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import time


def port_free():
    """A port below those that the kernel gives to clients: a client that tries again and again to
    reach a port of those ends up connected to itself."""
    for _ in range(1000):
        port = random.randrange(12000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise OSError("no free port on 127.0.0.1")


def children(pid):
    """The process and all below it."""
    found = [pid]
    for one in found:
        try:
            with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def io_counters(pid):
    """Bytes written so far; also of a process that has ended and was not yet waited for."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            pairs = (line.split(": ") for line in file)
            return {key: int(value) for key, value in pairs}
    except OSError:
        return {}


def nice_of(pid):
    return os.getpriority(os.PRIO_PROCESS, pid)


def memory_kib(pid, field):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def disk_use(folder):
    """Bytes of all files below: as the disk counts them (blocks) and by their length."""
    blocks = length = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                entry = os.lstat(os.path.join(path, name))
            except OSError:
                continue
            blocks += entry.st_blocks * 512
            length += entry.st_size
    return {"blocks_bytes": blocks, "length_bytes": length}


def end_and_count(popen, send, timeout_s):
    """Ends a process with a signal; returns what it had written in all, and the seconds it took.

    The process is looked at after its end and before it is waited for: what it wrote while it
    stopped counts too.
    """
    begin = time.monotonic()
    if popen.poll() is not None:
        return {}, 0.0
    below = children(popen.pid)[1:]
    popen.send_signal(send)
    while time.monotonic() - begin < timeout_s:
        if os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            break
        time.sleep(0.005)
    else:
        popen.kill()
    counters = io_counters(popen.pid)
    popen.wait()
    for pid in below:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    return counters, time.monotonic() - begin


def filesystem_type(folder):
    best, kind = "", "unknown"
    real = os.path.realpath(folder)
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, mount, name = line.split()[:3]
            inside = real == mount or real.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, name
    return kind


def machine(folder):
    """What a reader of the figures must know of the machine."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", file.read(), re.MULTILINE)
        if found:
            model = found.group(1)
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_gib = int(file.readline().split()[1]) / 2**20
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_gib, 1),
        "kernel": platform.release(),
        "filesystem": filesystem_type(folder),
        "load_before": round(os.getloadavg()[0], 2),
        "system_call_us": system_call_us(),
    }


def busy_share(over_s):
    """Share of all processors that was in use over the next `over_s` seconds."""
    def ticks():
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, idle, waiting, *rest = map(int, file.readline().split()[1:9])
        return user + nice + system + sum(rest), idle + waiting
    busy_before, idle_before = ticks()
    time.sleep(over_s)
    busy, idle = ticks()
    return (busy - busy_before) / max(1, busy - busy_before + idle - idle_before)


def quiet_wait(limit, patience_s):
    """Returns when others leave the machine alone, or when the patience ends."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until and busy_share(0.5) > limit:
        pass


def system_call_us():
    """The price of entering the kernel, which differs tenfold between real and virtual machines."""
    count = 200000
    begin = time.perf_counter()
    for _ in range(count):
        os.getppid()
    with_call = time.perf_counter() - begin
    begin = time.perf_counter()
    for _ in range(count):
        os.fspath("")
    return round(max(0.0, with_call - (time.perf_counter() - begin)) / count * 1e6, 2)


def version_of(command):
    """The version that a program says it has."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, text=True, timeout=60)
    found = re.search(r"version v?(\d+(?:\.\d+)+)", done.stdout)
    return found.group(1) if found else None

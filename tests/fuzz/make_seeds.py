#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Makes the first inputs of the fuzzers out of real data: a store of make_store, its export, files
of Mosquitto, options.

Usage: make_seeds.py BUILD_DIR CORPUS_DIR. What is there already stays; fuzzers add to it."""

import hashlib
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "cli"), str(TESTS / "broker")]

import mosquitto_db  # noqa: E402

SEGMENT_HEADER, FRAME_HEADER = 4096, 24
RECORD, LINK, BYTES, SKIP, SEGMENT, HEADER = range(6)  # steps of fuzz_journal.c
SESSION_CONNECTED = 4  # of the record types
SESSIONS, SUBSCRIPTIONS, MESSAGES, QUEUE, RETAINED, WILLS = range(1, 7)

SQLITE_SCHEMA = (
    "PRAGMA page_size=512",
    "CREATE TABLE version_info (component TEXT UNIQUE NOT NULL, major INTEGER NOT NULL, minor INTEGER "
    "NOT NULL, patch INTEGER NOT NULL)",
    "INSERT INTO version_info VALUES ('database_schema',1,1,0)",
)


def records(store):
    """Type and body of each record of a journal."""
    for path in sorted(store.glob("*.log")):
        data, at = path.read_bytes(), SEGMENT_HEADER
        while True:
            length, kind = struct.unpack_from("<IB", data, at)
            if length < FRAME_HEADER:
                break
            yield kind, data[at + FRAME_HEADER : at + length]
            at += (length + 7) & ~7


def journal_steps(some):
    written = bytes([0])
    for number, (kind, body) in enumerate(some):
        written += bytes([RECORD, kind, number % 3]) + struct.pack("<H", len(body)) + body
        if number % 7 == 6:
            written += bytes([SEGMENT, LINK])
    return written


def connected(port=b""):
    """A client that came back, with the field that may be missing and without it."""
    return struct.pack("<I", 6) + b"device" + struct.pack("<I", 4) + b"anna" + struct.pack("<QQ", 9, 0) + port


def s16(text):
    return struct.pack("<H", len(text)) + text


def values():
    """One of each table, as FORMAT.md lays them out, without checksum."""
    client, session = b"\x01device", struct.pack(">Q", 7)
    yield SESSIONS, client, (
        bytes([1, 1 | 2 | 4, 2]) + struct.pack("<HIIIQQQQ", 1883, 0, 3600, 5, 9, 0, 1, 7)
        + s16(b"user") + s16(b"method"))  # fmt: skip
    yield SUBSCRIPTIONS, session + b"\x01a/+/#", bytes([1, 1]) + struct.pack("<I", 5)
    yield MESSAGES, struct.pack(">Q", 99), (
        bytes([1, 1 | 4 | 16, 31]) + struct.pack("<HHQ", 1, 1883, 1 << 33) + s16(b"a/b/c")
        + s16(b"source") + s16(b"user") + struct.pack("<I", 7) + b"\x26\0\1k\0\1v"
        + struct.pack("<I", 5) + b"hello")  # fmt: skip
    yield QUEUE, session + b"\x01" + struct.pack(">Q", 1), (
        bytes([1 << 5 | 1 | 8 | 16, 3]) + struct.pack("<HQBI", 4, 99, 1, 6))
    yield RETAINED, b"\x01a/b/c", bytes([1]) + struct.pack("<Q", 99)
    yield WILLS, client, (
        bytes([1, 1 | 8 | 64]) + struct.pack("<H", 1883) + s16(b"gone") + struct.pack("<I", 3) + b"bye")
    long = b"\x01" + b"t" * 480 + b"h" * 16
    yield RETAINED, long, bytes([1]) + struct.pack("<Q", 99) + s16(b"t" * 500)


def mosquitto_files():
    for version in range(2, 7):
        for order in "<>":
            writer = mosquitto_db.Writer(version, order)
            writer.cfg(9)
            writer.message(1, "a/b", b"payload", qos=1, source_id="me", source_mid=7)
            yield writer.data
    yield (TESTS / "cli" / "fixtures" / "mosquitto-2.0.db").read_bytes()


def sqlite_file(folder):
    path = folder / "seed.sqlite3"
    connection = sqlite3.connect(path)
    for statement in SQLITE_SCHEMA:
        connection.execute(statement)
    connection.executescript((Path(__file__).parent / "persist_sqlite.sql").read_text())
    connection.commit()
    connection.close()
    return path.read_bytes()


def seeds(build):
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "store"
        subprocess.run([build / "tests" / "make_store", "busy", store], check=True)
        written = list(records(store))
        for kind, body in written:
            yield "record", bytes([kind]) + body
        for port in b"", struct.pack("<H", 1883):
            yield "record", bytes([SESSION_CONNECTED]) + connected(port)
            yield "journal", journal_steps([*written[:2], (SESSION_CONNECTED, connected(port))])
        yield "journal", journal_steps(written[:20])
        yield "journal", journal_steps(written[20:])
        yield "journal", bytes([0, SEGMENT, LINK, HEADER]) + bytes(8) + bytes([3, SKIP, 4])
        export = subprocess.run([build / "tools" / "mosquitto_lmdb", "--store", store, "export"],
                                check=True, capture_output=True).stdout  # fmt: skip
        yield "import_jsonl", export
        yield "import_sqlite", sqlite_file(Path(name))
    for table, key, value in values():
        yield "values", bytes([table]) + struct.pack("<H", len(key)) + key + value
    for data in mosquitto_files():
        yield "import_mosquitto_db", data
    yield "archive", bytes([1, 7, 0, 1]) + struct.pack("<Q", 5) + bytes([3]) + b"abc" + bytes([200]) + b"x" * 200
    yield "archive", bytes([0]) + b"MQLMDBA\n" + struct.pack("<II", 1, 1) + bytes(32)
    yield "options", b"# all\nsync always\nsync_interval_ms 2s\nplugin_opt_commit_interval_ms 250\n"
    yield "options", b"journal_segment_bytes 64k\njournal_max_bytes 1G\ncompression none\npath /a b\n"
    yield "options", b"compression_level 3\r\non_failure stop\ncheck_at_start true\noptions_file x\n"


def main():
    build, corpus = Path(sys.argv[1]), Path(sys.argv[2])
    for fuzzer, data in seeds(build):
        folder = corpus / fuzzer
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


if __name__ == "__main__":
    os.umask(0o022)
    main()

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A kill, and all the more a power cut, may leave the journal with any of its beginnings: whatever is
happening goes by several records. After each record, the store is sound, a broker starts on it, and a
retained message is the last one of which the records tell.

The journal is one that a broker wrote; its beginnings are made by cutting copies of it."""
import base64
import json
import shutil

import cli
from helpers import offline_session, retained_payloads
from rawmqtt import Will

# Nothing of it leaves the journal, and it is all in one file.
LAZY = {"commit_interval_ms": "3600s", "journal_segment_bytes": "1M"}


def records(store):
    dump = cli.run(store, "--json", "--read-only", "journal", "dump", "--payload", "base64")
    return [json.loads(line) for line in dump.splitlines()]


def beginning(store, position, copy):
    """A copy of the store whose journal ends in front of the record at `position`."""
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns("lock*"))
    copy.chmod(0o700)
    number, offset = position >> 32, position & 0xFFFFFFFF
    for path in copy.glob("*.log"):
        data = bytearray(path.read_bytes())
        if int(path.stem) == number:
            data[offset:] = bytes(len(data) - offset)
        elif int(path.stem) > number:
            data[4096:] = bytes(len(data) - 4096)
        path.write_bytes(data)
    return copy


def retained_of(some):
    """What is retained after these records, by topic."""
    payloads, retained = {}, {}
    for record in some:
        if record["type"] == "message_add":
            payloads[record["store_id"]] = base64.b64decode(record["payload"])
        elif record["type"] == "retained_set":
            retained[record["topic"]] = payloads[record["store_id"]]
        elif record["type"] == "retained_delete":
            retained.pop(record["topic"], None)
    return retained


def check_beginnings(broker, new_broker, client, folder):
    """Kills the broker and looks at each beginning of its journal. Returns the records."""
    broker.kill()
    found = records(broker.store)
    for count in range(1, len(found) + 1):
        some = found[:count]
        if count < len(found):
            store = beginning(broker.store, int(found[count]["position"]), folder / f"after-{count}")
        else:
            store = broker.store
        where = f"after {[record['type'] for record in some[-4:]]}"
        report = json.loads(cli.run(store, "--json", "--read-only", "verify"))
        assert all(each["severity"] == "note" for each in report["findings"]), (where, report)
        again = new_broker(store=store).start()
        assert retained_payloads(again, client) == retained_of(some), where
        # What the start has made of it is whole too.
        again.restart("kill")
        assert retained_payloads(again, client) == retained_of(some), where
        again.stop()
        cli.run(store, "verify")
        shutil.rmtree(store)
    return found


def test_retained_messages_that_are_replaced(new_broker, client, publisher, folder):
    broker = new_broker(options=LAZY).start()
    source = publisher(broker)
    for number in range(1, 4):
        source.publish("r/1", f"one {number}", qos=number % 3, retain=True)
        source.publish("r/2", f"two {number}", qos=1, retain=True)
    source.publish("r/2", "", retain=True)
    source.publish("r/2", "again", retain=True)
    source.settle()
    found = check_beginnings(broker, new_broker, client, folder)
    assert retained_of(found) == {"r/1": b"one 3", "r/2": b"again"}
    assert sum(record["type"] == "message_delete" for record in found) == 5


def test_sessions_and_queues(new_broker, client, publisher, folder):
    broker = new_broker(options=LAZY).start()
    offline_session(broker, client, "offline", qos=2)
    online = client(broker, "online", version=5, expiry=1000, will=Will("w"))
    online.subscribe("t/1", qos=2)
    source = client(broker, "source")
    for qos in (0, 1, 2):
        # A release that has begun is finished by the start, with all that belongs to it.
        source.publish("t/1", f"qos {qos}", qos=qos, retain=qos < 2)
    source.send_publish("t/1", "not released", qos=2)
    source.ping()
    online.drain()
    online.unsubscribe("t/1")
    client(broker, "offline", clean=True).disconnect()
    online.drop()
    source.ping()
    found = check_beginnings(broker, new_broker, client, folder)
    kinds = {record["type"] for record in found}
    assert {"session_delete", "subscription_delete", "queue_add", "queue_update", "queue_delete",
            "will_set", "message_delete"} <= kinds, kinds

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Fills a store until it takes no more, and keeps book of what was acknowledged."""
import random
import time

import pytest

from broker import poll
from rawmqtt import ConnectionLost, Refused
from wire import QUOTA_EXCEEDED

PAYLOAD = 40_000


def content(number, size=PAYLOAD):
    """Numbered, and not to be compressed."""
    return b"%d:" % number + random.Random(number).randbytes(size)


def number_of(payload):
    return int(payload.split(b":", 1)[0])


class Filler:
    """Publishes numbered messages; with `retain` each on a topic of its own."""

    def __init__(self, client, broker, version, *, topic="t/1", qos=1, retain=False,
                 size=PAYLOAD):
        self.client = client(broker, f"filler-{topic.replace('/', '-')}", clean=True,
                             version=version)
        self.version, self.topic, self.qos, self.retain = version, topic, qos, retain
        self.size, self.acknowledged, self.number = size, [], 0

    def publish(self):
        """True if it was acknowledged; False if it was refused in the way of this version."""
        self.number += 1
        if self.client.stream is None:
            self.client.connect()
        topic = f"{self.topic}/{self.number}" if self.retain else self.topic
        try:
            self.client.publish(topic, content(self.number, self.size), self.qos, self.retain)
        except Refused as refused:
            assert self.version == 5 and refused.reason == QUOTA_EXCEEDED
            return False
        except ConnectionLost:
            assert self.version == 4
            self.client.close()
            return False
        self.acknowledged.append(self.number)
        return True

    def publish_until(self, done):
        for _ in range(100_000):
            self.publish()
            if self.number % 50 == 0 and done():
                return
        raise AssertionError("the store takes it all")

    def fill(self):
        fill_all([self])

    def publish_again(self):
        poll(self.publish, 30, "no message is taken again")


def fill_all(fillers):
    """In turns, until nothing has been taken for a while: for an instant there may be room again."""
    refused = 0
    for _ in range(20_000):
        taken = [filler.publish() for filler in fillers]
        refused = 0 if any(taken) else refused + 1
        if refused >= 60:
            return
        if refused:
            time.sleep(0.02)
    raise AssertionError("the disk does not fill up")


def expect_numbers(session, expected):
    session.connect()
    assert session.session_present
    assert [number_of(message.payload) for message in session.drain()] == expected


def use_up(broker, client, **settings):
    """A client subscribes until not even its short record can be stored, and is sent away."""
    eater = client(broker, "e", **settings)
    with pytest.raises(ConnectionLost):
        for _ in range(100_000):
            eater.subscribe("f")
    eater.close()

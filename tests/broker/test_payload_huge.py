# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The largest message MQTT allows, once: it takes some seconds and some memory."""
import hashlib

import pytest

from helpers import offline_session

# The largest packet is 268,435,455 bytes after its fixed header: topic and packet id go off that.
LARGEST = 268_435_455 - 2 - len("t/1") - 2


@pytest.mark.slow
def test_the_largest_message_mqtt_allows_survives_a_kill(new_broker, client, publisher):
    broker = new_broker(conf=["max_packet_size 268435460"], defaults=True).start()
    session = offline_session(broker, client)
    block = hashlib.shake_256(b"seed").digest(1 << 20)
    payload = (block * 256)[:LARGEST]
    source = publisher(broker, timeout=120)
    source.publish("t/1", payload)
    source.publish("t/1", "after")
    broker.restart("kill")
    session.connect(timeout=120)
    assert session.session_present
    large, after = session.drain()
    assert len(large.payload) == LARGEST
    assert large.payload == payload
    assert after.payload == b"after"
    broker.restart("stop")
    session.connect()
    assert session.drain() == []

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A client library that people use, through kill -9 while it is connected."""
import threading
import time

import paho.mqtt.client as paho
import pytest

COUNT = 200


class Receiver:
    """A persistent paho client that reconnects by itself."""

    def __init__(self, port, protocol):
        self.got, self.subscribed = [], threading.Event()
        if protocol == paho.MQTTv5:
            self.client = paho.Client("paho-receiver", protocol=protocol)
            self.settings = {"clean_start": False, "properties": expiring()}
        else:
            self.client = paho.Client("paho-receiver", clean_session=False, protocol=protocol)
            self.settings = {}
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda *_: self.client.subscribe("paho/#", 2)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.got.append(
            (message.topic, int(message.payload)))
        self.client.connect("127.0.0.1", port, **self.settings)
        self.client.loop_start()
        assert self.subscribed.wait(10)


def expiring():
    properties = paho.Properties(paho.PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    return properties


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5], ids=["3.1.1", "5"])
def test_a_paho_client_gets_each_qos_2_message_once_through_three_kills(broker, protocol):
    receiver = Receiver(broker.port, protocol)
    sender = paho.Client("paho-sender", clean_session=False)
    sender.max_inflight_messages_set(10)
    sender.reconnect_delay_set(1, 1)
    sender.connect("127.0.0.1", broker.port)
    sender.loop_start()
    try:
        sent = []
        for number in range(COUNT):
            sent.append(sender.publish(f"paho/{number % 2 + 1}", number, 1 + number % 2))
            if number % 60 == 59:
                sent[number - 20].wait_for_publish(20)
                broker.restart("kill")
        for each in sent:
            each.wait_for_publish(20)
        limit = time.monotonic() + 20
        while len({number for _, number in receiver.got}) < COUNT and time.monotonic() < limit:
            time.sleep(0.02)
        for topic, qos in (("paho/1", 1), ("paho/2", 2)):
            got = [number for name, number in receiver.got if name == topic]
            assert list(dict.fromkeys(got)) == list(range(qos - 1, COUNT, 2))
            assert qos == 1 or len(got) == len(set(got)), "a QoS 2 message came twice"
    finally:
        for each in (receiver.client, sender):
            each.disconnect()
            each.loop_stop()

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A client library that people use, through kill -9 while it is connected."""
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import poll

COUNT = 200


def paho_client(client_id, **settings):
    """paho 2 wants to be told how to call back; ours take whatever comes."""
    if hasattr(paho, "CallbackAPIVersion"):
        settings["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
    return paho.Client(client_id=client_id, **settings)


class Receiver:
    """A persistent paho client that reconnects by itself."""

    def __init__(self, port, protocol):
        self.got, self.subscribed = [], threading.Event()
        if protocol == paho.MQTTv5:
            self.client = paho_client("paho-receiver", protocol=protocol)
            self.settings = {"clean_start": False, "properties": expiring()}
        else:
            self.client = paho_client("paho-receiver", clean_session=False, protocol=protocol)
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
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    return properties


class Sender:
    """A persistent paho client; `done`: how many messages have all their acknowledgements."""

    def __init__(self, port):
        self.done = 0
        self.client = paho_client("paho-sender", clean_session=False)
        self.client.max_inflight_messages_set(10)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_publish = self.count
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def count(self, *_):
        self.done += 1

    def wait(self, count):
        poll(lambda: self.done >= count, 20, f"{count} messages are not acknowledged")


@pytest.fixture
def broker(new_broker):
    """Without a limit of messages in flight: paho 1.6 ignores it when it reconnects, and Mosquitto
    2.1.2 acknowledges what is too much to an MQTT 3.1.1 client, and drops it."""
    return new_broker(conf=["max_inflight_messages 0"]).start()


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5], ids=["3.1.1", "5"])
def test_a_paho_client_gets_each_qos_2_message_once_through_three_kills(broker, protocol):
    receiver, sender = Receiver(broker.port, protocol), Sender(broker.port)
    try:
        for number in range(COUNT):
            sender.client.publish(f"paho/{number % 2 + 1}", number, 1 + number % 2)
            if number % 60 == 59:
                sender.wait(number - 20)
                broker.restart("kill")
        sender.wait(COUNT)
        poll(lambda: len({number for _, number in receiver.got}) >= COUNT, 20,
             "not everything has come", lambda: sorted(
                 set(range(COUNT)) - {number for _, number in receiver.got}))
        for topic, qos in (("paho/1", 1), ("paho/2", 2)):
            got = [number for name, number in receiver.got if name == topic]
            assert list(dict.fromkeys(got)) == list(range(qos - 1, COUNT, 2))
            assert qos == 1 or len(got) == len(set(got)), "a QoS 2 message came twice"
    finally:
        for each in (receiver.client, sender.client):
            each.disconnect()
            each.loop_stop()

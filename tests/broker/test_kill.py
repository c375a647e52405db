# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""kill -9 at random instants under QoS 1 and 2 load: nothing acknowledged is lost, nothing of QoS 2
comes twice, and each publisher's messages keep their order.

--rounds N (100) kills for each sync mode; SEED repeats the decisions of a run (the instant within
the broker's work is the machine's).
"""
import random
import threading
import time

import pytest

from crowd import Crowd, options_for


def kill_while_starting(broker, chance):
    """Recovery is interrupted too."""
    broker.launch()
    time.sleep(chance.random() * 0.08)
    broker.kill()


def one_round(broker, crowd, chance, mode):
    """The broker runs when it begins and when it ends, killed in between."""
    process = broker.process
    timer = threading.Timer(chance.uniform(0.02, 0.45), process.kill)
    timer.start()
    crowd.work(lambda: process.poll() is not None)
    timer.join()
    broker.kill()
    for _ in range(chance.choice([0, 0, 0, 0, 1, 2])):
        kill_while_starting(broker, chance)
    broker.options = options_for(mode, chance)
    broker.start()


@pytest.mark.parametrize("mode", ["always", "interval", "os"])
def test_kill_at_random_instants(new_broker, rounds, seed, mode):
    rounds = rounds or 100
    chance = random.Random(f"{seed} {mode}")
    broker = new_broker(conf=["max_queued_messages 0"], options={"sync": mode}).start()
    crowd = Crowd(broker.port, chance)
    crowd.introduce()
    crowd.survive(rounds, lambda: one_round(broker, crowd, chance, mode))
    total = sum(publisher.acknowledged for publisher in crowd.publishers)
    received = sum(subscriber.received for subscriber in crowd.subscribers)
    print(f"{mode}: {rounds} kills, {total} acknowledged, {received} received, 0 lost, 0 twice")
    assert total > rounds, "there was hardly any load"

# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""By chance: whatever clients do, a broker on our store that is killed and started again is to them one whose
connections broke. twins.py says how that is seen.

--rounds N (20) ends of the broker; SEED repeats a run.
"""
import random

import pytest

from twins import Twins

CONFIGURATIONS = {
    "unlimited": ["max_queued_messages 0"],
    "limited": ["max_queued_messages 12", "upgrade_outgoing_qos true"],
    "QoS 0 queued": ["max_queued_messages 50", "queue_qos0_messages true"],
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_killed_broker_is_like_one_that_lost_its_connections(new_broker, rounds, seed, name):
    chance = random.Random(f"{seed} {name}")
    conf = CONFIGURATIONS[name]
    kept, twin = new_broker(conf=conf).start(), new_broker(conf=conf, persist=False).start()
    # After a kill a will finds sessions that are away, whose queues take less than those of connections that
    # break soon, and messages of QoS 0 that these do not take.
    twins = Twins(kept, twin, chance, seed, wills=name == "unlimited")
    try:
        for _ in range(rounds or 20):
            for _ in range(chance.randrange(1, 40)):
                twins.step()
            twins.end(chance.choice(["kill", "kill", "stop"]))
    except BaseException:
        print("\n".join(twins.story[-400:]))
        raise
    finally:
        twins.close()
    print(f"{twins.ends} ends, {len(twins.story)} steps, {twins.received} messages")
    assert twins.received > twins.ends

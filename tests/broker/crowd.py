# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The load under which a broker is killed, and what must hold after it came back."""
import collections

from load import Loop, Publisher, Subscriber
from rawmqtt import Client


class Crowd:
    """Four publishers; subscribers that are always there, come and go, or come only to fetch."""

    def __init__(self, port, chance):
        self.chance = chance
        self.loop = Loop(port)
        self.publishers = [
            Publisher(self.loop, "a", 4, 1), Publisher(self.loop, "b", 5, 2),
            Publisher(self.loop, "c", 5, 1, window=6, size=5000, retain_topics=5),
            Publisher(self.loop, "d", 4, 2, window=20)]
        self.online = [Subscriber(self.loop, f"online-{version}", version) for version in (4, 5)]
        self.restless = [Subscriber(self.loop, f"restless-{version}", version)
                         for version in (4, 5)]
        self.offline = [Subscriber(self.loop, f"offline-{version}", version) for version in (4, 5)]
        self.subscribers = self.online + self.restless + self.offline
        self.counted = collections.Counter()

    def introduce(self):
        """Every session is known to the broker before anything counts. CONNACK comes before the
        broker tells the plugin of a new session, so a ping behind it must have come back."""
        for endpoint in self.publishers:
            endpoint.wanted = True
        self.loop.settle()
        for endpoint in self.loop.endpoints:
            endpoint.ping()
        self.loop.run_until(lambda: not any(each.pings for each in self.loop.endpoints), 20,
                            "pings do not come back")
        assert all(each.subscribed for each in self.subscribers)
        for endpoint in self.loop.endpoints:
            endpoint.known = True

    def work(self, done):
        """Load until `done()`, and then until every connection has ended."""
        for publisher in self.publishers:
            publisher.publishing = True
        for subscriber in self.offline:
            subscriber.leave(True)
        while not done():
            self.loop.connect_all()
            for publisher in self.publishers:
                publisher.refill()
            for subscriber in self.restless:
                if not subscriber.stream:
                    subscriber.wanted = self.chance.random() < 0.05
                elif not subscriber.wanted or self.chance.random() < 0.01:
                    subscriber.leave(self.chance.random() < 0.5)
            self.loop.step(0.005)
        self.loop.read_to_the_end()

    def check(self):
        """After settle: every subscriber has everything, once if it is of QoS 2, in order."""
        for subscriber in self.subscribers:
            for publisher in self.publishers:
                got = subscriber.got.pop(publisher.name, [])
                where = f"{subscriber.client_id} from {publisher.name}"
                checked = self.counted[publisher.name]
                wanted = range(checked + 1, publisher.last_number + 1)
                lost = sorted(set(wanted) - set(got))
                assert not lost, f"{where}: {len(lost)} lost, the first is {lost[0]}"
                if publisher.qos == 2:
                    twice = sorted(number for number, count in collections.Counter(got).items()
                                   if count > 1 or number <= checked)
                    assert not twice, f"{where}: {len(twice)} came twice, the first is {twice[0]}"
                first_time = [number for number in dict.fromkeys(got) if number > checked]
                assert first_time == list(wanted), f"{where}: out of order"
        for publisher in self.publishers:
            self.counted[publisher.name] = publisher.last_number

    def survive(self, rounds, one_round):
        """`one_round` so often, each of which ends with a running broker; after most of them, and
        after the last, everyone comes to rest and all is checked."""
        for number in range(1, rounds + 1):
            try:
                one_round()
                if number == rounds or self.chance.random() < 0.6:
                    self.loop.settle()
                    self.check()
                    self.check_retained()
            except Exception as error:
                raise AssertionError(f"round {number} of {rounds}: {error}") from error
        self.loop.close()

    def check_retained(self):
        publisher = self.publishers[2]
        probe = Client(self.loop.port, "probe", clean=True)
        probe.subscribe("load/#")
        found = {message.topic: int(message.payload.split(b":")[1]) for message in probe.drain()}
        probe.disconnect()
        expected = {}
        for number in range(max(1, publisher.last_number - 4), publisher.last_number + 1):
            expected[publisher.topic(number)] = number
        assert found == expected


def options_for(mode, chance):
    """Small segments and quick commits bring the rare moments of the store about often."""
    options = {"sync": mode,
               "journal_segment_bytes": chance.choice(["64k", "256k", "256k", "1M", "1M", "16M"])}
    if chance.random() < 0.6:
        options["commit_interval_ms"] = chance.choice(["5", "50", "300"])
    return options

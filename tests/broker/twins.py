# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The same clients on two brokers: one keeps what it has in our store, and is killed now and then; its twin
keeps nothing, and never ends. To a client both are one broker whose connections broke.

A step is taken on both sides, and is over when both have done it; then all that came must be the same.
"""
import collections
import hashlib
import itertools
import shutil

import cli
from rawmqtt import (Client, ConnectionLost, Refused, Will, NO_LOCAL, RETAIN_AS_PUBLISHED, RETAIN_IF_NEW,
                     RETAIN_NEVER)
from wire import DISCONNECT, PUBLISH, PUBREC

TOPICS = ["t/a", "t/b", "t/a/x", "u"]
FILTERS = TOPICS + ["t/+", "t/#", "+/a", "#", "$share/{id}/t/a", "$share/{id}/#"]
CLIENTS = [  # id, version, receive maximum, properties of CONNECT
    ("client", 4, None, []), ("Zähler 4", 4, None, []), ("c" * 300, 4, None, []), ("client5", 5, None, []),
    ("\U0001f321", 5, 1, []), ("client 5", 5, 3, [("maximum_packet_size", 3000)])]
SIZES = [0, 0, 0, 300, 5000, 100000]
WILL = b"will "
TIME_LEFT = "message_expiry"  # the broker counts it down


def through_backup(store, copy, file):
    cli.run(store, "backup", file)
    cli.run(store, "restore", file, copy)


def through_export(store, copy, file):
    file.write_text(cli.run(store, "export"), encoding="utf-8")
    cli.run(copy, "import", file)


# What an operator may do with the store of a broker that does not run: (store, its copy to be, another file).
OPERATIONS = {
    "compact": lambda store, copy, file: cli.run(store, "compact"),
    "verify": lambda store, copy, file: cli.run(store, "verify"),
    "backup, restore": through_backup,
    "export, import": through_export,
    "repair": lambda store, copy, file: cli.run(store, "repair", "--output", copy),
}


class Difference(AssertionError):
    """What a client of the store's broker sees is not what one of the twin sees."""


class Session:
    """One client id, on both sides."""

    def __init__(self, client_id, version, ports, seed, receive_maximum=None, properties=()):
        self.client_id, self.version, self.seed = client_id, version, seed
        self.sides = [Client(port, client_id, version=version, properties=properties, connect=False)
                      for port in ports]
        self.withheld = [[], []]               # packets that are not answered yet, by side
        self.received = collections.Counter()  # how often each message came
        self.publishing = {}                   # QoS 2: packet id → what was sent, and not yet released
        self.stored = False                    # whether the broker has a session to come back to
        # One for all its connections: on the twin a will may be in flight to a client whose connection breaks
        # a little later, and where a restart has queued it, it is in flight once the client is back.
        self.receive_maximum = receive_maximum
        self.will = None

    @property
    def connected(self):
        return self.sides[0].stream is not None

    def both(self, step):
        """Takes a step on each side; what it returns, or raises as a refusal, must be the same."""
        results = []
        for side in self.sides:
            try:
                results.append(step(side))
            except Refused as refused:
                results.append(f"refused with {refused.reason:#04x}")
        if results[0] != results[1]:
            raise Difference(f"{self.client_id}: {results[0]} instead of {results[1]}")
        return results[0]

    # ---- connections

    def connect(self, clean, expiry, will):
        self.lost()
        self.will = will

        def connect(side):
            side.connect(clean=clean, expiry=expiry, receive_maximum=self.receive_maximum, will=will)
            return side.session_present
        if not self.both(connect):
            self.received.clear()
            self.publishing.clear()
        self.stored = not clean or bool(expiry)

    def lost(self):
        for side in self.sides:
            side.close()
        self.withheld = [[], []]

    def disconnect(self, reason):
        for side in self.sides:
            side.disconnect(reason if self.version == 5 else 0)
        self.lost()

    def drop(self):
        for side in self.sides:
            side.drop()
        self.lost()

    # ---- what a client sends

    def subscribe(self, name, qos, options, identifier):
        if self.version != 5:
            options, identifier = 0, None
        self.both(lambda side: side.subscribe(name.format(id=self.client_id), qos=qos,
                                              options=options, identifier=identifier))

    def unsubscribe(self, name):
        self.both(lambda side: side.unsubscribe(name.format(id=self.client_id)))

    def publish(self, topic, payload, qos, retain, properties):
        def publish(side):
            answer = side.publish(topic, payload, qos, retain, properties)
            return answer and answer.reason
        self.both(publish)

    def publish_half(self, *message):
        """QoS 2 up to PUBREC."""
        def publish(side):
            topic, payload, retain, properties = message
            mid = side.send_publish(topic, payload, 2, retain, properties=properties)
            return mid, side.wait(PUBREC, mid).reason
        mid, reason = self.both(publish)
        if reason < 0x80:
            self.publishing[mid] = message

    def publish_again(self, mid):
        """As after a connection on which PUBREC did not come."""
        def publish(side):
            topic, payload, retain, properties = self.publishing[mid]
            side.send_publish(topic, payload, 2, retain, mid, True, properties)
            return side.wait(PUBREC, mid).reason
        self.both(publish)

    def release(self, mid):
        del self.publishing[mid]
        self.both(lambda side: side.release(mid).reason)

    # ---- what it receives

    def is_withheld(self, packet, times):
        """Whether a client does not answer this for now; by chance, and the same on both sides."""
        what = f"{self.seed} {self.client_id} {packet.type} {packet.payload} {times}"
        return hashlib.blake2s(what.encode()).digest()[0] < 40

    def seen(self, index, counts):
        """Answers what came on one side, or not yet; returns the messages by topic."""
        side, found = self.sides[index], collections.defaultdict(list)
        for packet in side.peek():
            if packet.type == DISCONNECT:
                raise ConnectionLost(f"{self.client_id}: DISCONNECT {packet.reason:#04x}")
            times = 0
            if packet.type == PUBLISH:
                times = counts[packet.payload] = counts[packet.payload] + 1
                properties = [name if name == TIME_LEFT else (name, value)
                              for name, value in packet.properties]
                if packet.qos < 2 or packet.mid not in side.unreleased:
                    found[packet.topic].append((packet.payload, packet.qos, packet.retain, properties))
            if self.is_withheld(packet, times):
                self.withheld[index].append(packet)
            else:
                side.handle(packet)
        return dict(found)

    def observe(self, say):
        """Both sides must have received the same; says what, and returns how many messages it was."""
        before = self.received.copy()
        kept = self.seen(0, self.received)
        twin = self.seen(1, before)
        if kept != twin:
            raise Difference(f"{self.client_id} received {kept}\n instead of {twin}")
        for topic, messages in kept.items():
            say(f"    {self.client_id} received {topic} {[message[0][:9] for message in messages]}")
        return sum(map(len, kept.values()))

    def answer(self):
        """Sends what it has withheld."""
        for side, packets in zip(self.sides, self.withheld):
            for packet in packets:
                side.handle(packet)
        self.withheld = [[], []]


class Twins:
    """`kept` and `twin` are running brokers; `chance` decides what happens."""

    def __init__(self, kept, twin, chance, seed, wills=True):
        self.wills = wills
        self.kept, self.twin, self.chance = kept, twin, chance
        ports = (kept.port, twin.port)
        self.sessions = [Session(client_id, version, ports, seed, receive_maximum, properties)
                         for client_id, version, receive_maximum, properties in CLIENTS]
        self.watcher = Session("watcher", 5, ports, seed)
        self.number = itertools.count(1)
        self.received = self.ends = 0
        self.story = []
        self.watch()

    def watch(self):
        """Sees everything that is sent on, and all retained messages; withholds nothing."""
        self.watcher.is_withheld = lambda *_: False
        self.watcher.connect(True, 0, None)
        self.watcher.subscribe("#", 2, RETAIN_AS_PUBLISHED, 7)

    def say(self, what):
        self.story.append(what)

    def close(self):
        for session in [*self.sessions, self.watcher]:
            session.lost()

    # ---- steps

    def message_properties(self, session):
        if session.version != 5:
            return []
        return [one for one in [
            ("payload_format", 1), (TIME_LEFT, 3600), ("content_type", "text/plain"),
            ("response_topic", "answers/here"), ("correlation_data", b"\0\1\2"),
            ("user_property", ("a", "1")), ("user_property", ("a", "2"))] if self.chance.random() < 0.25]

    def connect(self, session):
        chance = self.chance
        clean = chance.random() < 0.3
        # Mosquitto does not tell plugins of an interval or a will that a session brings back.
        expiry = 3600 if session.version == 5 and not (clean and chance.random() < 0.4) else 0
        will = None
        if self.wills and (clean or not session.stored):
            if session.version == 4 or expiry:
                will = chance.choice([None, Will(chance.choice(TOPICS), WILL + b"%d" % next(self.number),
                                                 chance.choice([1, 2]), chance.random() < 0.3)])
        self.say(f"connect {session.client_id} clean={clean} expiry={expiry} will={will}")
        session.connect(clean, expiry, will)

    def leave(self, session):
        reason = self.chance.choice([0, 0, 4])
        self.say(f"disconnect {session.client_id} reason={reason}")
        session.disconnect(reason)

    def drop(self, session):
        self.say(f"drop {session.client_id}")
        session.drop()

    def subscribe(self, session):
        chance = self.chance
        name, qos = chance.choice(FILTERS), chance.choice([0, 1, 2])
        options = chance.choice([0, 0, RETAIN_AS_PUBLISHED, RETAIN_IF_NEW, RETAIN_NEVER])
        # In which order the retained messages of several topics come is the broker's own affair, so all of
        # them must fit into what may be in flight.
        if session.receive_maximum:
            options = options & ~RETAIN_IF_NEW | RETAIN_NEVER
        self.answer(session)
        if not name.startswith("$share"):
            options |= chance.choice([0, 0, NO_LOCAL])
        identifier = chance.choice([None, None, 3, 200000])
        self.say(f"subscribe {session.client_id} {name} qos={qos} options={options:#x} id={identifier}")
        session.subscribe(name, qos, options, identifier)

    def unsubscribe(self, session):
        name = self.chance.choice(FILTERS)
        self.say(f"unsubscribe {session.client_id} {name}")
        session.unsubscribe(name)

    def message(self, session):
        chance = self.chance
        retain = chance.random() < 0.25
        payload = b"" if retain and chance.random() < 0.3 else \
            b"%d " % next(self.number) + b"x" * chance.choice(SIZES)
        return chance.choice(TOPICS), payload, retain, self.message_properties(session)

    def publish(self, session):
        topic, payload, retain, properties = self.message(session)
        qos = self.chance.choice([0, 1, 1, 2])
        self.say(f"publish {session.client_id} {topic} {payload[:9]} qos={qos} retain={retain} {properties}")
        session.publish(topic, payload, qos, retain, properties)

    def burst(self, session):
        """More than may be in flight to a client, and than may wait for one."""
        topic, qos = self.chance.choice(TOPICS), self.chance.choice([1, 2])
        self.say(f"publish {session.client_id} {topic} 40 times qos={qos}, from {self.number}")
        for _ in range(40):
            session.publish(topic, b"%d" % next(self.number), qos, False, ())

    def publish_half(self, session):
        if len(session.publishing) == 2:
            return self.publish_on(session)
        message = self.message(session)
        self.say(f"publish, not released, {session.client_id} {message[0]} {message[1][:9]} {message[2:]}")
        return session.publish_half(*message)

    def publish_on(self, session):
        if not session.publishing:
            return
        mid = self.chance.choice(sorted(session.publishing))
        if self.chance.random() < 0.3:
            self.say(f"publish again {session.client_id} {mid}")
            session.publish_again(mid)
        self.say(f"release {session.client_id} {mid}")
        session.release(mid)

    def answer(self, session):
        """Until nothing waits for an answer."""
        self.say(f"answer {session.client_id}")
        while session.withheld[0]:
            session.answer()
            self.received += session.observe(self.say)

    ONLINE = [(publish, 12), (burst, 0.4), (publish_half, 3), (publish_on, 3), (subscribe, 5), (unsubscribe, 1), (answer, 3),
              (leave, 1), (drop, 1), (connect, 0.3)]

    def step(self):
        session = self.chance.choice(self.sessions)
        if not session.connected:
            self.connect(session)
        else:
            steps, weights = zip(*self.ONLINE)
            self.chance.choices(steps, weights)[0](self, session)
        self.observe()

    def observe(self):
        for session in [self.watcher, *self.sessions]:
            if session.connected:
                self.received += session.observe(self.say)

    def operate(self):
        name = self.chance.choice([None] * len(OPERATIONS) + list(OPERATIONS))
        if not name:
            return
        self.say(name)
        store, copy, file = self.kept.store, self.kept.folder / "copy", self.kept.folder / "file"
        OPERATIONS[name](store, copy, file)
        if copy.exists():
            shutil.rmtree(store)
            copy.rename(store)
        file.unlink(missing_ok=True)

    def end(self, how):
        """The store's broker ends and comes back, which for the twin means that all connections break. After a kill
        wills are published in the order of client ids, when nobody is there."""
        self.say(how)
        everyone = [self.watcher, *self.sessions]
        for session in everyone:
            if session.connected:
                session.both(Client.ping)  # the last answers have been read
        with_will = [session for session in everyone if session.connected and session.will]
        if how == "stop":  # it would publish them in an order of its own
            for session in with_will:
                session.drop()
        self.kept.end(how)
        for session in sorted(everyone, key=lambda one: (one in with_will, one.client_id.encode())):
            if session.connected:
                session.sides[1].drop()
            session.lost()
        self.operate()
        self.kept.start()
        self.ends += 1
        self.watch()
        self.observe()

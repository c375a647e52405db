# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Writes a mosquitto.db of version 2 to 6, chunk by chunk, as Mosquitto's own code does
(mqtt3_db_backup of 1.1 to 1.4, persist__backup of 1.5, the structs of persist.h since 1.6).

`order` is the writing machine's byte order, '<' or '>'; `align` what its 64-bit numbers lie at a
multiple of within a struct (8; 4 on i386); `time_bytes` the size of its time_t.
"""

import struct

import end_to_end  # noqa: F401, first of these
import wire

MAGIC = b"\x00\xb5\x00mosquitto db"
CFG, MESSAGE, QUEUED, RETAINED, SUBSCRIPTION, SESSION = range(1, 7)
STATES = ["invalid", "publish_qos0", "publish_qos1", "wait_for_puback", "publish_qos2",
          "wait_for_pubrec", "resend_pubrel", "wait_for_pubrel", "resend_pubcomp",
          "wait_for_pubcomp", "send_pubrec", "queued"]  # fmt: skip


class Writer:
    def __init__(self, version, order="<", align=8, time_bytes=8):
        self.version, self.order, self.align, self.time_bytes = version, order, align, time_bytes
        self.data = MAGIC + struct.pack(">II", 0, version)

    @property
    def structs(self):
        return self.version >= 5

    def native(self, kind, value):
        return struct.pack(self.order + kind, value)

    def filled(self, fixed, align):
        """A struct's bytes with what the compiler adds at its end."""
        return fixed + bytes(-len(fixed) % align)

    @staticmethod
    def string(text):
        data = (text or "").encode()
        return struct.pack(">H", len(data)) + data

    def chunk(self, kind, *parts):
        body = b"".join(parts)
        self.data += struct.pack(">II" if self.structs else ">HI", kind, len(body)) + body
        return self

    def cfg(self, last_id, id_bytes=8):
        last = self.native("Q", last_id)
        if self.structs:
            return self.chunk(CFG, self.filled(last + bytes([1, id_bytes]), self.align))
        return self.chunk(CFG, bytes([1, id_bytes]), last)

    def message(self, number, topic, payload=b"", *, qos=0, retain=False, source_id="",
                username="", source_mid=0, port=0, expires=0, properties=()):  # fmt: skip
        if not self.structs:
            port_etc = self.string(username) + struct.pack(">H", port)
            return self.chunk(
                MESSAGE, self.native("Q", number), self.string(source_id),
                port_etc if self.version == 4 else b"", struct.pack(">HH", source_mid, 99),
                self.string(topic), bytes([qos, retain]), struct.pack(">I", len(payload)), payload,
            )  # fmt: skip
        strings = [text.encode() for text in (source_id, username, topic)]
        return self.chunk(
            MESSAGE, self.native("Q", number), self.native("q", expires),
            struct.pack(">IHHHHHBB", len(payload), source_mid, *map(len, strings), port, qos,
                        retain),
            *strings, payload, wire.properties_encode(properties) if properties else b"",
        )  # fmt: skip

    def session(self, client_id, *, last_mid=0, since=0, expires=0, interval=wire.NEVER, port=0,
                username=""):  # fmt: skip
        if not self.structs:
            time = self.native("iq"[self.time_bytes == 8], since) if self.version > 2 else b""
            return self.chunk(
                SESSION, self.string(client_id), struct.pack(">H", last_mid), time)  # fmt: skip
        strings = [client_id.encode(), username if isinstance(username, bytes) else
                   username.encode()]  # fmt: skip
        fixed = self.native("q", expires) + struct.pack(">IHH", interval, last_mid, len(strings[0]))
        if self.version == 5:
            return self.chunk(SESSION, fixed, strings[0])
        fixed += struct.pack(">HH", port, len(strings[1]))
        return self.chunk(SESSION, self.filled(fixed, self.align), *strings)

    def queued(self, client_id, number, *, mid=0, qos=0, retain=False, dup=False, direction="out",
               state="queued", identifier=0):  # fmt: skip
        client = client_id.encode()
        out, state = direction == "out", STATES.index(state) if isinstance(state, str) else state
        if not self.structs:
            return self.chunk(
                QUEUED, self.string(client_id), self.native("Q", number), struct.pack(">H", mid),
                bytes([qos, retain, out, state, dup]))  # fmt: skip
        properties = [("subscription_identifier", identifier)]
        return self.chunk(
            QUEUED, self.native("Q", number), struct.pack(">HH", mid, len(client)),
            bytes([qos, state, retain << 4 | dup, out]), client,
            wire.properties_encode(properties) if identifier else b"",
        )  # fmt: skip

    def subscription(self, client_id, topic_filter, *, qos=0, options=0, identifier=0):
        if not self.structs:
            return self.chunk(
                SUBSCRIPTION, self.string(client_id), self.string(topic_filter), bytes([qos])
            )
        client, filter_ = client_id.encode(), topic_filter.encode()
        fixed = struct.pack(">IHHBB", identifier, len(client), len(filter_), qos, options)
        return self.chunk(SUBSCRIPTION, self.filled(fixed, 4), client, filter_)

    def retained(self, number):
        return self.chunk(RETAINED, self.native("Q", number))

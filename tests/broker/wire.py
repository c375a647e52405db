# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""MQTT 3.1.1 and 5 packets as bytes: encoding what a client sends, decoding what a broker sends.

Properties are lists of (name, value), so that order and repetition can be tested.
"""
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT, AUTH = 12, 13, 14, 15
TYPE_NAMES = {value: name for name, value in list(globals().items())
              if name.isupper() and isinstance(value, int)}

NEVER = 0xFFFFFFFF  # a session expiry interval
QUOTA_EXCEEDED = 0x97

PROPERTIES = {
    "payload_format": (0x01, "u8"), "message_expiry": (0x02, "u32"),
    "content_type": (0x03, "str"), "response_topic": (0x08, "str"),
    "correlation_data": (0x09, "bin"), "subscription_identifier": (0x0B, "varint"),
    "session_expiry": (0x11, "u32"), "assigned_client_id": (0x12, "str"),
    "server_keep_alive": (0x13, "u16"), "auth_method": (0x15, "str"),
    "auth_data": (0x16, "bin"), "request_problem_info": (0x17, "u8"),
    "will_delay": (0x18, "u32"), "request_response_info": (0x19, "u8"),
    "response_info": (0x1A, "str"), "server_reference": (0x1C, "str"),
    "reason_string": (0x1F, "str"), "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"), "topic_alias": (0x23, "u16"),
    "maximum_qos": (0x24, "u8"), "retain_available": (0x25, "u8"),
    "user_property": (0x26, "pair"), "maximum_packet_size": (0x27, "u32"),
    "wildcard_available": (0x28, "u8"), "subscription_ids_available": (0x29, "u8"),
    "shared_available": (0x2A, "u8"),
}
PROPERTY_NAMES = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
FIXED = {"u8": ">B", "u16": ">H", "u32": ">I"}


class Malformed(Exception):
    """The broker sent something that is not MQTT."""


def raw(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def varint(value):
    out = bytearray()
    while True:
        value, digit = value >> 7, value & 0x7F
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def string(text):
    data = raw(text)
    return struct.pack(">H", len(data)) + data


def properties_encode(properties):
    body = b""
    for name, value in properties:
        number, kind = PROPERTIES[name]
        body += bytes([number])
        if kind in FIXED:
            body += struct.pack(FIXED[kind], value)
        elif kind == "varint":
            body += varint(value)
        elif kind == "pair":
            body += string(value[0]) + string(value[1])
        else:
            body += string(value)
    return varint(len(body)) + body


def packet(kind, flags, *parts):
    body = b"".join(parts)
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(client_id, version, clean, keepalive, properties, will, username, password):
    flags = (2 if clean else 0) | (0x80 if username is not None else 0)
    flags |= 0x40 if password is not None else 0
    tail = b""
    if will:
        flags |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
        if version == 5:
            tail += properties_encode(will.properties)
        tail += string(will.topic) + string(will.payload)
    for credential in (username, password):
        if credential is not None:
            tail += string(credential)
    head = string("MQTT") + struct.pack(">BBH", version, flags, keepalive)
    if version == 5:
        head += properties_encode(properties)
    return packet(CONNECT, 0, head, string(client_id), tail)


def publish(version, topic, payload, qos, retain, mid, dup=False, properties=()):
    flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(PUBLISH, flags, string(topic), struct.pack(">H", mid) if qos else b"",
                  properties_encode(properties) if version == 5 else b"", raw(payload))


def ack(kind, mid, reason=0):
    return packet(kind, 2 if kind == PUBREL else 0, struct.pack(">H", mid),
                  bytes([reason]) if reason else b"")


def subscribe(version, mid, filters, properties=()):
    """`filters`: list of (filter, options byte)."""
    return packet(SUBSCRIBE, 2, struct.pack(">H", mid),
                  properties_encode(properties) if version == 5 else b"",
                  *(string(name) + bytes([options]) for name, options in filters))


def unsubscribe(version, mid, filters):
    return packet(UNSUBSCRIBE, 2, struct.pack(">H", mid),
                  properties_encode(()) if version == 5 else b"", *map(string, filters))


def disconnect(version, reason=0, properties=()):
    if version != 5 or (not reason and not properties):
        return packet(DISCONNECT, 0)
    return packet(DISCONNECT, 0, bytes([reason]), properties_encode(properties))


class Reader:
    """Walks the bytes of one packet."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, kind):
        return struct.unpack(FIXED[kind], self.take(struct.calcsize(FIXED[kind])))[0]

    def varint(self):
        value = shift = 0
        while True:
            digit = self.number("u8")
            value |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return value

    def string(self):
        return self.take(self.number("u16")).decode()

    def rest(self):
        return self.take(len(self.data) - self.at)

    def left(self):
        return len(self.data) - self.at

    def properties(self):
        end = self.varint()
        end += self.at
        found = []
        while self.at < end:
            name, kind = PROPERTY_NAMES[self.number("u8")]
            if kind in FIXED:
                value = self.number(kind)
            elif kind == "varint":
                value = self.varint()
            elif kind == "pair":
                value = (self.string(), self.string())
            elif kind == "bin":
                value = self.take(self.number("u16"))
            else:
                value = self.string()
            found.append((name, value))
        return found


class Packet:
    """One packet from the broker. Members that its type does not have are None."""

    def __init__(self, kind, flags):
        self.type, self.flags = kind, flags
        self.mid = self.reason = self.topic = self.payload = self.codes = None
        self.session_present = None
        self.properties = []
        self.dup, self.qos, self.retain = bool(flags & 8), flags >> 1 & 3, bool(flags & 1)

    def __repr__(self):
        members = {key: value for key, value in vars(self).items()
                   if value is not None and key not in ("type", "flags")}
        if self.payload is not None and len(self.payload) > 60:
            members["payload"] = self.payload[:60] + b"..."
        return f"<{TYPE_NAMES.get(self.type, self.type)} {members}>"

    def all(self, name):
        return [value for key, value in self.properties if key == name]

    def one(self, name):
        values = self.all(name)
        return values[0] if values else None


def decode(version, head, body):
    found = Packet(head >> 4, head & 15)
    reader = Reader(body)
    if found.type == CONNACK:
        found.session_present = bool(reader.number("u8") & 1)
        found.reason = reader.number("u8")
        if version == 5 and reader.left():
            found.properties = reader.properties()
    elif found.type == PUBLISH:
        found.topic = reader.string()
        found.mid = reader.number("u16") if found.qos else None
        if version == 5:
            found.properties = reader.properties()
        found.payload = bytes(reader.rest())
    elif found.type in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        found.mid = reader.number("u16")
        found.reason = reader.number("u8") if reader.left() else 0
        if reader.left():
            found.properties = reader.properties()
    elif found.type in (SUBACK, UNSUBACK):
        found.mid = reader.number("u16")
        if version == 5:
            found.properties = reader.properties()
        found.codes = list(reader.rest())
    elif found.type == DISCONNECT:
        found.reason = reader.number("u8") if reader.left() else 0
        if reader.left():
            found.properties = reader.properties()
    elif found.type in (SUBSCRIBE, UNSUBSCRIBE):  # of a bridge
        found.mid = reader.number("u16")
    elif found.type not in (PINGRESP, CONNECT):
        raise Malformed(f"packet of type {found.type}")
    return found

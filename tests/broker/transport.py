# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Byte streams to a broker: plain TCP, TLS, and MQTT over WebSocket. All on 127.0.0.1."""
import base64
import os
import socket
import ssl
import struct


def tcp(port, timeout):
    stream = socket.create_connection(("127.0.0.1", port), timeout)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


class Tls:
    """A transport for Client: `Client(port, ..., transport=Tls(ca, cert, key))`."""

    def __init__(self, ca, cert=None, key=None):
        self.context = ssl.create_default_context(cafile=str(ca))
        if cert:
            self.context.load_cert_chain(str(cert), str(key))

    def __call__(self, port, timeout):
        return self.context.wrap_socket(tcp(port, timeout), server_hostname="localhost")


class WebSocket:
    """RFC 6455, as much as MQTT needs: binary frames, masked from the client."""

    def __init__(self, port, timeout):
        self.stream = tcp(port, timeout)
        self.plain = bytearray()
        self.raw = bytearray()
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall(
            f"GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.raw:
            data = self.stream.recv(4096)
            if not data:
                raise ConnectionError("closed during the WebSocket handshake")
            self.raw += data
        head, _, rest = bytes(self.raw).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"no WebSocket: {head[:80]!r}")
        self.raw = bytearray(rest)

    def sendall(self, data):
        mask = os.urandom(4)
        size = len(data)
        if size < 126:
            head = bytes([0x82, 0x80 | size])
        elif size < 65536:
            head = bytes([0x82, 0x80 | 126]) + struct.pack(">H", size)
        else:
            head = bytes([0x82, 0x80 | 127]) + struct.pack(">Q", size)
        pad = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")
        self.stream.sendall(head + mask + masked.to_bytes(size, "big"))

    def recv(self, count):
        while not self.plain:
            if not self._frame():
                data = self.stream.recv(65536)
                if not data:
                    return b""
                self.raw += data
        out = bytes(self.plain[:count])
        del self.plain[:count]
        return out

    def _frame(self):
        """Moves one whole frame from `raw` to `plain`; False if there is none yet."""
        if len(self.raw) < 2:
            return False
        kind, size, at = self.raw[0] & 15, self.raw[1] & 127, 2
        if size > 125:
            width, form = (2, ">H") if size == 126 else (8, ">Q")
            if len(self.raw) < 2 + width:
                return False
            size, at = struct.unpack(form, self.raw[2:2 + width])[0], 2 + width
        if len(self.raw) < at + size:
            return False
        if kind in (0, 2):
            self.plain += self.raw[at:at + size]
        del self.raw[:at + size]
        if kind == 8:
            raise ConnectionError("the broker closed the WebSocket")
        return True

    def settimeout(self, timeout):
        self.stream.settimeout(timeout)

    def shutdown(self, how):
        self.stream.shutdown(how)

    def close(self):
        self.stream.close()

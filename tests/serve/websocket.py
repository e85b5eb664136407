# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client and as much of MessagePack as openpi's protocol needs, with nothing but Python: it can also send
what no good client would."""
import base64
import os
import socket
import ssl
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Array:
    """What NumPy's array would be: a dtype, a shape and bytes."""

    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, tuple(shape), bytes(data)


def doubles(values):
    return Array("<f8", (len(values),), struct.pack(f"<{len(values)}d", *values))


# ---- MessagePack --------------------------------------------------------------------------------


def pack(value):
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    if isinstance(value, Array):
        value = {b"__ndarray__": True, b"data": value.data, b"dtype": value.dtype, b"shape": value.shape}
    return b"\xdf" + struct.pack(">I", len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())


def unpack(data):
    value, at = _unpack(data, 0)
    assert at == len(data)
    return value


def _members(data, at, n):
    pairs = {}
    for _ in range(n):
        key, at = _unpack(data, at)
        pairs[key], at = _unpack(data, at)
    if b"__ndarray__" in pairs:
        pairs = Array(pairs[b"dtype"], pairs[b"shape"], pairs[b"data"])
    return pairs, at


def _items(data, at, n):
    items = []
    for _ in range(n):
        item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _unpack(data, at):
    first, at = data[at], at + 1
    numbers = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
    numbers.update({0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"})
    lengths = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
    lengths.update({0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"})
    if first <= 0x7F:
        return first, at
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], at
    form = numbers.get(first) or lengths.get(first)
    n = first & (0x1F if first & 0xE0 == 0xA0 else 0x0F)
    if form:
        (n,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
    if first in numbers:
        return n, at
    if first <= 0x8F or first in (0xDE, 0xDF):
        return _members(data, at, n)
    if first <= 0x9F or first in (0xDC, 0xDD):
        return _items(data, at, n)
    part = data[at : at + n]
    return (part if 0xC4 <= first <= 0xC6 else part.decode()), at + n


# ---- WebSocket ----------------------------------------------------------------------------------


class Refused(Exception):
    """The server did not take the connection; the status is HTTP's."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class Closed(Exception):
    """A close frame came, with this code (0: the connection just ended)."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


def http(port, path="/", headers="", tls=None):
    """A request's socket, status and the text behind the headers so far."""
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        s = tls.wrap_socket(s, server_hostname="localhost")
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = s.recv(4096)
        if not more:
            break
        answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    return s, int(head.split()[1]) if head else 0, rest


def trust(certificate):
    return ssl.create_default_context(cafile=certificate)


class Client:
    def __init__(self, port, headers="", tls=None, greeted=True):
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        self.socket, status, self.rest = http(port, "/", upgrade + headers, tls)
        if status != 101:
            raise Refused(status, self.rest.decode())
        self.metadata = unpack(self.receive()[1]) if greeted else None

    def frame(self, kind, data, last=True, length=None):
        length = len(data) if length is None else length
        head = bytes([kind | (0x80 if last else 0)])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += b"\xfe" + struct.pack(">H", length)
        else:
            head += b"\xff" + struct.pack(">Q", length)
        mask = os.urandom(4)
        stream = mask * (len(data) // 4 + 1)
        n = len(data)
        masked = int.from_bytes(data, "little") ^ int.from_bytes(stream[:n], "little")
        return head + mask + masked.to_bytes(n, "little")

    def send(self, data, kind=BINARY, **how):
        self.socket.sendall(self.frame(kind, data, **how))

    def _bytes(self, n):
        while len(self.rest) < n:
            more = self.socket.recv(1 << 16)
            if not more:
                raise Closed(0)
            self.rest += more
        part, self.rest = self.rest[:n], self.rest[n:]
        return part

    def receive(self):
        kind, n = self._bytes(2)
        if n >= 126:
            (n,) = struct.unpack(">H" if n == 126 else ">Q", self._bytes(2 if n == 126 else 8))
        data = self._bytes(n)
        if kind & 15 == CLOSE:
            raise Closed(struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 0)
        return kind & 15, data

    def infer(self, observation):
        """The reply, or the text of an error."""
        self.send(pack(observation))
        kind, data = self.receive()
        return unpack(data) if kind == BINARY else data.decode()

    def vanish(self):
        """Ends the connection without a word, so that the server's next write fails."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

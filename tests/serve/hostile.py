# SPDX-License-Identifier: Apache-2.0
"""hostile.py PORT SESSIONS: what a server does with clients that are wrong, slow, greedy or gone; it must have been
started with --max_sessions=SESSIONS. Prints what is not as it should be."""
import sys
import time

import websocket
from observe import look
from websocket import BINARY, CLOSE, PING, PONG, TEXT, Client, Closed, Refused, http, pack, unpack

PORT, SESSIONS = int(sys.argv[1]), int(sys.argv[2])
failed = 0


def check(what, ok, seen=""):
    global failed
    if not ok:
        failed += 1
        print(f"FAILED: {what}: {seen}")


def closes(client, code, what):
    try:
        while True:
            kind, data = client.receive()
    except Closed as e:
        check(what, e.code == code, e)
    except ConnectionError as e:
        check(what, False, e)


def refuses(client, message, part):
    answer = client.infer(message) if isinstance(message, dict) else None
    if answer is None:
        client.send(message)
        kind, data = client.receive()
        answer = data.decode() if kind == TEXT else unpack(data)
    check(part, isinstance(answer, str) and part in answer, answer)


def connect():
    """Once those that have gone are gone for the server too."""
    for _ in range(200):
        try:
            return Client(PORT)
        except (Refused, Closed):
            time.sleep(0.05)
    return Client(PORT)


def plain_http():
    for path, status, text in (("/healthz", 200, b"OK\n"), ("/", 404, b"tact serves"), ("/../etc", 404, b"tact")):
        s, code, body = http(PORT, path)
        check(path, code == status and body.startswith(text), (code, body))
        s.close()
    try:
        Client(PORT, "Origin: http://evil.example\r\n")
        check("a page in a browser", False, "was let in")
    except Refused as e:
        check("a page in a browser", e.status == 403, e)


def wrong_messages(good):
    c = connect()
    first = c.infer(good)
    check("a good message", "actions" in first, first)
    refuses(c, b"garbage", "behind the message's end")
    refuses(c, {}, "in the observation; the policy wants")
    refuses(c, b"\x81\xa1k" * 100 + b"\xc0", "nested deeper than 16 levels")
    refuses(c, b"\x81\xa1k\xdd\x7f\xff\xff\xff\xc0", "2147483647 bytes follow")
    refuses(c, dict(good, **{k: None for k in good if "images" in k}), "is no array of NumPy's")
    camera = next(k for k in good if good[k].dtype == "|u1")
    image = good[camera]
    wrong = dict(good)
    wrong[camera] = websocket.Array("|u1", (8, 10, 3), bytes(240))
    refuses(c, wrong, "is 10x8; the policy wants")
    wrong[camera] = websocket.Array("<f4", image.shape, bytes(4 * len(image.data)))
    refuses(c, wrong, "images are uint8 of 0 to 255")
    del wrong[camera]
    refuses(c, wrong, "no image of camera")
    c.send(b"{}", TEXT)
    check("a text message", b"observations are binary" in c.receive()[1])
    refuses(c, bytes(6 << 20), "images are uint8 of the recorded size")
    again = c.infer(dict(good, reset=True))
    check("after all that", again["actions"].data == first["actions"].data, "other actions")
    c.send(b"x" * 100, length=1 << 30)
    closes(c, 1009, "1 GB")


def frames(good):
    c = connect()
    data = pack(good)
    wanted = c.infer(good)["actions"].data
    third = len(data) // 3
    c.send(data[:third], last=False)
    c.send(b"are you there", PING)
    kind, answer = c.receive()
    check("a ping within a message", (kind, answer) == (PONG, b"are you there"), (kind, answer))
    c.send(data[third : 2 * third], 0, last=False)
    c.send(data[2 * third :], 0)
    check("a message in three parts", unpack(c.receive()[1])["actions"].data == wanted, "other actions")
    c.socket.sendall(c.frame(BINARY, pack(dict(good, reset=True))) * 5)
    for i in range(5):
        kind, answer = c.receive()
        check(f"message {i} of five at once", kind == BINARY and unpack(answer)["actions"].data == wanted, answer[:80])
    c.send(b"\x03\xe8", CLOSE)
    closes(c, 1000, "a client that says goodbye")


def crowds(good):
    """Sessions that stall, vanish, or never read, and one that works among them."""
    good_client = connect()
    wanted = good_client.infer(good)["actions"].data
    for turn in range(4):
        crowd = []
        while len(crowd) < SESSIONS - 1:
            crowd.append(connect())
        try:
            Client(PORT)
            check("one session too many", False, "was let in")
        except Refused as e:
            check("one session too many", e.status == 503, e)
        for i, c in enumerate(crowd):
            if i % 3 == 0:
                c.send(pack(good)[: 50 * (i + 1)], length=100000)  # and no more
            if i % 3 == 1:
                c.send(b"garbage")
            if i % 3 == 2:
                c.send(pack(good))
        reply = good_client.infer(dict(good, reset=True))
        check("a good client among others", reply["actions"].data == wanted, "other actions")
        for i, c in enumerate(crowd):
            c.vanish() if (i + turn) % 2 else c.socket.close()
    flood = connect()
    flood.socket.settimeout(0.5)
    frame = flood.frame(BINARY, pack(good))
    sent = 0
    try:
        while sent < 400 << 20:  # never reads, so it is not read for ever either
            flood.socket.sendall(frame)
            sent += len(frame)
    except OSError:
        pass
    check("a flood is held up", sent < 400 << 20, sent)
    reply = good_client.infer(dict(good, reset=True))
    check("a good client beside a flood", reply["actions"].data == wanted, "other actions")
    flood.vanish()


def timed(step, *arguments):
    start = time.monotonic()
    step(*arguments)
    print(f"{step.__name__}: {time.monotonic() - start:.2f} s")


example = connect()
seen = look(example.metadata, 0)
example.vanish()
timed(plain_http)
timed(wrong_messages, seen)
timed(frames, seen)
timed(crowds, seen)
sys.exit(failed > 0)

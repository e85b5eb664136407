# SPDX-License-Identifier: Apache-2.0
"""crowd.py PORT CLIENTS OBSERVATIONS: how much slower a good client is among others that connect, send garbage, stall
and vanish, each some ten times a second, from another process. By hand; the server needs --max_sessions above CLIENTS.
"""
import multiprocessing
import random
import statistics
import sys
import time

from observe import look
from websocket import BINARY, TEXT, Client, Closed, Refused, pack

PORT, CLIENTS, OBSERVATIONS = map(int, sys.argv[1:4])


def misbehave(message, stop):
    crowd = [None] * CLIENTS
    acts = 0
    while not stop.value:
        i = random.randrange(CLIENTS)
        try:
            act = random.randrange(6)
            if crowd[i] is None:
                crowd[i] = Client(PORT)
            elif act == 0:
                crowd[i].send(random.randbytes(random.randrange(1, 2000)))
            elif act == 1:
                crowd[i].send(message[: random.randrange(len(message))], length=len(message))
            elif act == 2:
                crowd[i].send(b"hello", TEXT)
            elif act == 3:
                crowd[i].socket.sendall(random.randbytes(50))  # no frame at all
            else:
                crowd[i].vanish() if act == 4 else crowd[i].socket.close()
                crowd[i] = None
        except (OSError, Closed, Refused):
            crowd[i] = None
        acts += 1
        time.sleep(0.1 / CLIENTS)
    print(f"{acts} acts of the crowd")


def times(client, message):
    out = []
    frame = client.frame(BINARY, message)
    for _ in range(OBSERVATIONS):
        start = time.monotonic()
        client.socket.sendall(frame)
        kind, _ = client.receive()
        assert kind == BINARY
        out.append(1e3 * (time.monotonic() - start))
    return out


if __name__ == "__main__":
    good = Client(PORT)
    data = pack(look(good.metadata, 0))
    alone, among = [], []
    for _ in range(3):  # in turn
        alone += times(good, data)
        over = multiprocessing.Value("b", 0)
        crowd = multiprocessing.Process(target=misbehave, args=(data, over))
        crowd.start()
        time.sleep(0.5)
        among += times(good, data)
        over.value = 1
        crowd.join()
    for name, values in (("alone", alone), (f"among {CLIENTS}", among)):
        values.sort()
        print(f"{name}: median {statistics.median(values):.2f} ms, p99 {values[int(0.99 * len(values))]:.2f} ms")
    print(f"ratio of the medians {statistics.median(among) / statistics.median(alone):.2f}")

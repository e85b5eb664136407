# SPDX-License-Identifier: Apache-2.0
"""What a served policy costs beside one in the same process. For bench/serve; needs openpi-client, typing_extensions
and NumPy, libtact by TACT_LIBRARY and PYTHONPATH.

    serve_openpi.py --policy DIR --port PORT --observations N

In turn, for N observations of the policy's cameras: libtact in this process; openpi-client, whose time is told apart
into packing, sending (with masking), and what comes after the last byte; and a client that has its message ready, so that
only the way and the server are left. `added` is a round's time less the server's infer_ms, which is reading and
predicting.
"""
import argparse
import pathlib
import sys
import time

import libtact
import numpy as np
from openpi_client import msgpack_numpy, websocket_client_policy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "serve"))
import websocket  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--policy", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--observations", type=int, default=300)
parser.add_argument("--threads", type=int, default=0)
a = parser.parse_args()

client = websocket_client_policy.WebsocketClientPolicy("127.0.0.1", a.port)
ready = websocket.Client(a.port)
random = np.random.default_rng(0)
o = {name: random.integers(0, 256, f["shape"], dtype=np.uint8) if f["dtype"] == "uint8" else np.zeros(f["shape"])
     for name, f in client.get_server_metadata()["observation"].items()}
message = msgpack_numpy.packb(o)
frame = ready.frame(websocket.BINARY, message)
clock = time.perf_counter
rows = {name: [] for name in ("libtact in the process", "openpi-client", "  packing", "  sending", "  after the last byte, less infer_ms",
                              "  added", "message ready", "  added to it", "infer_ms")}


def add(name, seconds):
    rows[name].append(1e3 * seconds)


def by_client():  # what infer() does, step by step
    t0 = clock()
    data = client._packer.pack(o)
    t1 = clock()
    client._ws.send(data)
    t2 = clock()
    reply = msgpack_numpy.unpackb(client._ws.recv())
    t3 = clock()
    infer = 1e-3 * reply["server_timing"]["infer_ms"]
    for name, seconds in zip(rows, (None, t3 - t0, t1 - t0, t2 - t1, t3 - t2 - infer, t3 - t0 - infer)):
        if seconds is not None:
            add(name, seconds)
    add("infer_ms", infer)


def by_ready():
    t0 = clock()
    ready.socket.sendall(frame)
    kind, reply = ready.receive()
    t1 = clock()
    infer = 1e-3 * websocket.unpack(reply)["server_timing"]["infer_ms"]
    add("message ready", t1 - t0)
    add("  added to it", t1 - t0 - infer)


with libtact.Policy(a.policy, threads=a.threads, rate_check=False) as policy:
    for i in range(a.observations + 5):
        t = clock()
        policy.predict_action_chunk(o)
        add("libtact in the process", clock() - t)
        by_client()
        by_ready()
print(f"{len(message)} bytes an observation, {a.observations} observations; ms")
print(f"{'':38} {'median':>8} {'p99':>8}")
for name, values in rows.items():
    print(f"{name:38} {np.percentile(values[5:], 50):8.2f} {np.percentile(values[5:], 99):8.2f}")

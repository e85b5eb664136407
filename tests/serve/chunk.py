# SPDX-License-Identifier: Apache-2.0
"""chunk.py PORT STEPS: prints the chunk that a server gives after so many observations, as consumer.c prints it."""
import struct
import sys

import websocket
from observe import look

client = websocket.Client(int(sys.argv[1]))
steps = int(sys.argv[2])
for step in range(steps):
    reply = client.infer(dict(look(client.metadata, step), observe_only=step + 1 < steps, prompt="pick"))
    assert ("actions" in reply) == (step + 1 == steps), reply
    assert reply["server_timing"]["infer_ms"] > 0 and ("prev_total_ms" in reply["server_timing"]) == (step > 0)
actions = reply["actions"]
assert actions.dtype == "<f8" and actions.shape == (client.metadata["chunk_size"], client.metadata["action_size"])
values = struct.unpack(f"<{actions.shape[0] * actions.shape[1]}d", actions.data)
for row in range(actions.shape[0]):
    print(" ".join(f"{x:.17g}" for x in values[row * actions.shape[1] : (row + 1) * actions.shape[1]]))

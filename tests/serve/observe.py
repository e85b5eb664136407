# SPDX-License-Identifier: Apache-2.0
"""What the C program tests/runtime/consumer.c shows a policy at a step, for a server's metadata."""
from websocket import Array, doubles


def look(metadata, step):
    o = {}
    cameras = 0
    for name, feature in metadata["observation"].items():
        n = feature["shape"][0]
        if len(feature["shape"]) == 3:
            size = feature["shape"][0] * feature["shape"][1] * 3
            first = 31 * step + 17 * cameras
            data = bytes((7 * i + first) & 255 for i in range(256)) * (size // 256 + 1)
            # Every other step by another of the names that are taken.
            o["observation/" + name.split(".")[-1] if step % 2 else name] = Array("|u1", feature["shape"], data[:size])
            cameras += 1
        else:
            scale = 0.01 if name.endswith(".state") else 0.02
            o[name.split(".")[-1]] = doubles([scale * (step + 1) * (i + 1) for i in range(n)])
    return o

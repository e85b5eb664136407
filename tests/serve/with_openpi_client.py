# SPDX-License-Identifier: Apache-2.0
"""with_openpi_client.py PORT POLICY OBSERVATIONS: openpi-client as it comes from PyPI, against libtact in this process: the
same actions to the bit, through ActionChunkBroker too, and an error that is raised and survived."""
import sys

import libtact
import numpy as np
from openpi_client import action_chunk_broker, image_tools, websocket_client_policy

port, path, observations = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = websocket_client_policy.WebsocketClientPolicy("127.0.0.1", port)
metadata = client.get_server_metadata()
random = np.random.default_rng(1)


def look():
    o = {"prompt": "pick the strawberry"}
    for name, feature in metadata["observation"].items():
        short = name.replace("observation.images.", "observation/").replace("observation.state", "state")
        if feature["dtype"] == "uint8":
            o[short] = random.integers(0, 256, feature["shape"], dtype=np.uint8)
        else:
            o[short] = random.normal(size=feature["shape"])
    return o


def features(o):  # as libtact names them
    return {name: o[name.replace("observation.images.", "observation/").replace("observation.state", "state")]
            for name in metadata["observation"]}


with libtact.Policy(path, threads=1, rate_check=False) as policy:
    for i in range(observations):
        o = look()
        wanted = policy.predict_action_chunk(features(o))
        reply = client.infer(o)
        assert reply["actions"].dtype == np.float64 and reply["actions"].shape == wanted.shape
        assert np.array_equal(reply["actions"], wanted), f"observation {i}: other actions"
        assert reply["server_timing"]["infer_ms"] > 0
    floats = {k: v.astype(np.float32) / 255 if v.ndim == 3 else v for k, v in o.items() if k != "prompt"}
    try:
        client.infer(floats)
        sys.exit("floating-point images are taken")
    except RuntimeError as e:
        assert "images are uint8" in str(e), e
    # As the error said; and planes instead of pixels.
    again = {k: image_tools.convert_to_uint8(v).transpose(2, 0, 1) if v.ndim == 3 else v for k, v in floats.items()}
    wanted = policy.predict_action_chunk({k: v.transpose(1, 2, 0) if v.ndim == 3 else v
                                          for k, v in features(again).items()})
    assert np.array_equal(client.infer(again)["actions"], wanted), "planes: other actions"
    broker = action_chunk_broker.ActionChunkBroker(client, action_horizon=3)
    for i in range(7):
        if i % 3 == 0:
            o = look()
            wanted = policy.predict_action_chunk(features(o))
        assert np.array_equal(broker.infer(o)["actions"], wanted[i % 3]), f"action {i} of the broker"
print(f"{observations} observations of {[f['shape'] for f in metadata['observation'].values()]}: the same actions")

# SPDX-License-Identifier: Apache-2.0
"""The latency of one observation in ONNX Runtime: the model of act_torch.py, exported. Prints one JSON line.

    python act_onnx.py --image 240x320 --steps 20
"""
import argparse
import json
import os
import statistics
import tempfile
import time

import onnxruntime
import torch

import act_torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--horizon", type=int, default=2)
    parser.add_argument("--image", default="240x320")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    size = tuple(map(int, args.image.split("x")))
    torch.manual_seed(0)
    # Without the attention weights that LeRobot's form computes and drops: the faster of the two.
    act_torch.Attention.lean = True
    model = act_torch.TemporalACT(act_torch.DIM, act_torch.DIM, args.horizon, args.cameras, act_torch.CHUNK, size)
    model.eval()
    state = torch.randn(1, args.horizon, act_torch.DIM)
    images = [torch.randn(1, args.horizon, 3, *size) for _ in range(args.cameras)]

    class Deployed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, state, *images):
            return self.model(state, list(images))[0]

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = os.path.join(folder, "act.onnx")
        torch.onnx.export(Deployed().eval(), (state, *images), path, opset_version=17, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads or os.cpu_count()
        start = time.perf_counter()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        load = 1e3 * (time.perf_counter() - start)
    feed = dict(zip([i.name for i in session.get_inputs()], [x.numpy() for x in (state, *images)]))
    want = model(state, images)[0].detach().numpy()
    error = float(abs(session.run(None, feed)[0] - want).max())
    times = []
    for i in range(-args.warmup, args.steps):
        start = time.perf_counter()
        session.run(None, feed)
        if i >= 0:
            times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"peer": f"onnxruntime {onnxruntime.__version__}", "precision": "float32",
                      "threads": options.intra_op_num_threads, "image": args.image, "cameras": args.cameras,
                      "obs_state_horizon": args.horizon, "steps": args.steps, "load_ms": load,
                      "difference_from_torch": error, "latency_ms": statistics.median(times),
                      "latency_p10_ms": act_torch.quantile(times, 0.1),
                      "latency_p90_ms": act_torch.quantile(times, 0.9)}))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The latency of one observation in ONNX Runtime: the model of act_torch.py, exported. Prints one JSON line.

    python act_onnx.py --image 240x320 --steps 20 [--precision FORM]

FORM: float32; int8 (static: convolutions and matrix products between quantizers whose ranges come from random
observations, weights by channel); int8-dense (static, matrix products only); int8-dynamic (matrix products, the ranges
of what they read found as they run). On x86 its CPU provider computes nothing in bfloat16 or float16. --provider
OpenVINOExecutionProvider takes the package onnxruntime-openvino, with --precision float32 or bfloat16.
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


class Observations:
    """Random observations for the calibration of ranges."""

    def __init__(self, shapes, count=4):
        generator = torch.Generator().manual_seed(1)
        self.feeds = iter([{name: torch.randn(shape, generator=generator).numpy() for name, shape in shapes.items()}
                           for _ in range(count)])

    def get_next(self):
        return next(self.feeds, None)


def quantized(path, form, shapes):
    """The model at `path` in an int8 form, as ONNX Runtime's own tools make it: the path of the new file."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, made = path + ".prepared.onnx", path + ".int8.onnx"
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    types = ["MatMul", "Gemm"] if form in ("int8-dense", "int8-dynamic") else ["MatMul", "Gemm", "Conv", "Add", "MaxPool"]
    if form == "int8-dynamic":
        quantization.quantize_dynamic(prepared, made, op_types_to_quantize=types, per_channel=True)
    else:
        quantization.quantize_static(prepared, made, Observations(shapes), op_types_to_quantize=types, per_channel=True,
                                     quant_format=quantization.QuantFormat.QDQ,
                                     activation_type=quantization.QuantType.QUInt8,
                                     weight_type=quantization.QuantType.QInt8)
    return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--horizon", type=int, default=2)
    parser.add_argument("--image", default="240x320")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", default="float32",
                        choices=["float32", "bfloat16", "int8", "int8-dense", "int8-dynamic"])
    parser.add_argument("--provider", default="CPUExecutionProvider")
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
        torch.onnx.export(Deployed().eval(), (state, *images), path, opset_version=17, dynamo=False,
                          input_names=["state", *(f"image{i}" for i in range(args.cameras))])
        feed = {"state": state, **{f"image{i}": image for i, image in enumerate(images)}}
        if args.precision.startswith("int8"):
            path = quantized(path, args.precision, {name: x.shape for name, x in feed.items()})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads or os.cpu_count()
        start = time.perf_counter()
        provider = args.provider
        if provider.startswith("OpenVINO"):
            hints = {"INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[args.precision],
                     "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": options.intra_op_num_threads}
            provider = (provider, {"device_type": "CPU", "load_config": json.dumps({"CPU": hints})})
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
        load = 1e3 * (time.perf_counter() - start)
    feed = {name: x.numpy() for name, x in feed.items()}
    want = model(state, images)[0].detach().numpy()
    error = float(abs(session.run(None, feed)[0] - want).max())
    times = []
    for i in range(-args.warmup, args.steps):
        start = time.perf_counter()
        session.run(None, feed)
        if i >= 0:
            times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"peer": f"onnxruntime {onnxruntime.__version__}", "precision": args.precision,
                      "provider": session.get_providers()[0], "threads": options.intra_op_num_threads, "image": args.image, "cameras": args.cameras,
                      "obs_state_horizon": args.horizon, "steps": args.steps, "load_ms": load,
                      "difference_from_torch": error, "largest": float(abs(want).max()), "latency_ms": statistics.median(times),
                      "latency_p10_ms": act_torch.quantile(times, 0.1),
                      "latency_p90_ms": act_torch.quantile(times, 0.9)}))


if __name__ == "__main__":
    main()

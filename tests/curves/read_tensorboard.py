# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard's own readers, that of its library and that of its server, make of a run: read_tensorboard.py
OUTPUT_DIR. Prints "skipped: ..." where it is not
installed."""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
try:
    from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
    from tensorboard.util.tensor_util import make_ndarray
except ImportError as e:
    print(f"skipped: no TensorBoard for {sys.executable} (pip install tensorboard): {e}")
    sys.exit()

output = sys.argv[1]
everything = {name: 0 for name in (event_accumulator.SCALARS, event_accumulator.TENSORS, event_accumulator.IMAGES)}
server = plugin_event_accumulator.EventAccumulator(f"{output}/tensorboard", size_guidance={"tensors": 0})
server.Reload()
reader = event_accumulator.EventAccumulator(f"{output}/tensorboard", size_guidance=everything)
reader.Reload()
seen = {}
for tag in reader.Tags()["scalars"]:
    seen[tag] = [(event.step, event.value) for event in reader.Scalars(tag)]
wanted = {}
with open(f"{output}/metrics.jsonl", encoding="utf-8") as lines:
    for line in map(json.loads, lines):
        group = "train" if "loss" in line else "eval"
        for name, value in line.items():
            if name != "step":
                wanted.setdefault(f"{group}/{name}", []).append((line["step"], value))
assert wanted, "nothing was logged"
assert seen.keys() == wanted.keys(), (seen.keys(), wanted.keys())
for tag, points in wanted.items():
    assert [step for step, _ in seen[tag]] == [step for step, _ in points], (tag, seen[tag], points)
    assert all(abs(a - b) <= 1e-6 * abs(b) for (_, a), (_, b) in zip(seen[tag], points)), (tag, seen[tag], points)
    served = [(event.step, float(make_ndarray(event.tensor_proto))) for event in server.Tensors(tag)]
    assert served == seen[tag], (tag, served, seen[tag])
settings = reader.Tensors("settings")
assert b"| batch\\_size | 2 |" in settings[-1].tensor_proto.string_val[0]
print(f"{len(wanted)} curves")

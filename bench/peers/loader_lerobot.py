#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames a second that LeRobot's own LeRobotDataset and a PyTorch DataLoader give, as its trainer sets
them up: beside `tact bench --loader`. Prints one JSON line.

The clock starts when the first batch is there, so that the start of the worker processes does not count,
and what they have prepared by then does.
"""
import argparse
import json
import time

import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata

parser = argparse.ArgumentParser()
parser.add_argument("--root", required=True)
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--batch_size", type=int, default=8)
parser.add_argument("--num_workers", type=int, default=2)
parser.add_argument("--horizon", type=int, default=2)
parser.add_argument("--chunk_size", type=int, default=100)
parser.add_argument("--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
parser.add_argument("--transforms", action="store_true", help="LeRobot's augmentation, its defaults")
parser.add_argument("--video_backend", default=None, help="torchcodec or pyav; left out: LeRobot's choice")
a = parser.parse_args()

name = "local/dataset"
meta = LeRobotDatasetMetadata(name, root=a.root)
past = [-k / meta.fps for k in range(a.horizon - 1, -1, -1)]
deltas = {key: past for key in meta.camera_keys}
deltas["observation.state"] = past
deltas["action"] = [k / meta.fps for k in range(a.chunk_size)]

steps = []
if a.transforms:
    from lerobot.transforms import ImageTransforms, ImageTransformsConfig

    steps.append(ImageTransforms(ImageTransformsConfig(enable=True)))
if a.resize:
    from torchvision.transforms import v2

    steps.append(v2.Resize(a.resize, antialias=True))
image_transforms = torch.nn.Sequential(*steps) if steps else None

options = {"video_backend": a.video_backend} if a.video_backend else {}
dataset = LeRobotDataset(name, root=a.root, delta_timestamps=deltas, image_transforms=image_transforms,
                         return_uint8=True, **options)
loader = torch.utils.data.DataLoader(
    dataset, batch_size=a.batch_size, shuffle=True, num_workers=a.num_workers, drop_last=False,
    prefetch_factor=2 if a.num_workers else None)


def batches():
    while True:
        yield from loader


started = time.perf_counter()
stream = batches()
first = next(stream)
begin = time.perf_counter()
frames = 0
for _ in range(a.steps):
    batch = next(stream)
    for key in meta.camera_keys:
        assert batch[key].dtype == torch.uint8 and batch[key].shape[1] == a.horizon
        frames += batch[key].shape[0] * a.horizon
seconds = time.perf_counter() - begin

import lerobot

print(json.dumps({
    "frames_per_s": frames / seconds, "batches_per_s": a.steps / seconds, "seconds": seconds,
    "first_batch_s": begin - started, "shape": list(first[meta.camera_keys[0]].shape),
    "video_backend": a.video_backend or "default", "lerobot": lerobot.__version__,
    "torch": torch.__version__}), flush=True)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes, beside itself, umi_replay_buffer.zarr.zip, a small recording of one arm as UMI keeps it, and
umi_windows.safetensors, this recording and one of two arms, and what UMI's own UmiDataset makes of them
(observations of two steps three frames apart, 16 actions every third frame, relative poses). Nothing of UMI is
in this repository; the script imports it from a checkout:

    git clone https://github.com/real-stanford/universal_manipulation_interface UMI
    VENV/bin/python tests/dataset/make_umi_windows.py UMI

Made with commit d095ba9 of it, zarr 2.18.7, numcodecs 0.15.2, imagecodecs 2026.10.10, scipy 1.18.1, numpy 2.2.6 and
torch 2.11.0.

For one arm and for two: NAME.poses (rows, 7 an arm) and NAME.ends as recorded; for action_padding true (repeat) and
false (drop) NAME.PADDING.rows, the rows that a window is made of; for those of the former NAME.state and NAME.action,
and NAME.frames, the rows of its images. NAME.before is 1 where repeat_frame_prob may repeat the newest frame, and
NAME.repeated.* are the windows with a probability of 1.
"""
import os
import shutil
import sys
import tempfile

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, sys.argv[1])
import zarr  # noqa: E402
from diffusion_policy.dataset.umi_dataset import UmiDataset  # noqa: E402

LENGTHS, HORIZON, STRIDE, ACTIONS, HEIGHT, WIDTH = (58, 7), 2, 3, 16, 32, 48
HERE = os.path.dirname(os.path.abspath(__file__))


def recording(arms: int) -> np.ndarray:
    """Smooth poses and a gripper that closes below 0.08 and opens again: (rows, 7 arms), float32."""
    rng, episodes = np.random.default_rng(20 + arms), []
    for length in LENGTHS:
        t = np.linspace(0, 1, length)[:, None]
        columns = []
        for _ in range(arms):
            phase, height = rng.uniform(0, 6, (3, 6)), rng.uniform(0.05, 0.3, (3, 6))
            pose = sum(h * np.sin(p + 3 * (k + 1) * t) for k, (p, h) in enumerate(zip(phase, height)))
            pose[:, 3:] = 2.2 * pose[:, 3:] + rng.uniform(-0.8, 0.8, 3)
            width = 0.082 + 0.01 * np.cos(5 * t + rng.uniform(0, 1))
            columns += [pose, width]
        episodes.append(np.concatenate(columns, 1))
    return np.concatenate(episodes).astype(np.float32)


def write_zarr(path: str, poses: np.ndarray, arms: int) -> None:
    """A replay buffer whose images hold the number of their row."""
    with zarr.ZipStore(path, mode="w") as store:
        data, meta = zarr.group(store).create_group("data"), zarr.group(store).create_group("meta")
        for k in range(arms):
            arm = poses[:, 7 * k : 7 * k + 7]
            data.array(f"robot{k}_eef_pos", arm[:, :3])
            data.array(f"robot{k}_eef_rot_axis_angle", arm[:, 3:6])
            data.array(f"robot{k}_gripper_width", arm[:, 6:])
        rows = np.arange(len(poses), dtype=np.uint8)[:, None, None, None]
        images = np.broadcast_to(rows, (len(poses), HEIGHT, WIDTH, 3)).copy()
        data.array("camera0_rgb", images, chunks=(1, HEIGHT, WIDTH, 3))
        meta.array("episode_ends", np.cumsum(LENGTHS))


def shape_meta(arms: int) -> dict:
    seen = {"horizon": HORIZON, "latency_steps": 0, "down_sample_steps": STRIDE}
    obs = {"camera0_rgb": {"type": "rgb", "shape": [3, HEIGHT, WIDTH], **seen}}
    for k in range(arms):
        for key, size in (("eef_pos", 3), ("eef_rot_axis_angle", 6), ("gripper_width", 1)):
            obs[f"robot{k}_{key}"] = {"type": "low_dim", "shape": [size], **seen}
    action = {"horizon": ACTIONS, "latency_steps": 0, "down_sample_steps": STRIDE, "shape": [10 * arms]}
    return {"obs": obs, "action": action}


def open_dataset(path: str, arms: int, **options) -> UmiDataset:
    relative = {"obs_pose_repr": "relative", "action_pose_repr": "relative"}
    return UmiDataset(shape_meta(arms), path, pose_repr=relative, **options)


def windows(dataset: UmiDataset, arms: int) -> dict[str, np.ndarray]:
    out = {"state": [], "action": [], "frames": []}
    for i in range(len(dataset)):
        sample = dataset[i]
        keys = [f"robot{k}_{key}" for k in range(arms) for key in ("eef_pos", "eef_rot_axis_angle", "gripper_width")]
        out["state"].append(np.concatenate([sample["obs"][key].numpy() for key in keys], -1))
        out["action"].append(sample["action"].numpy())
        out["frames"].append(np.rint(255 * sample["obs"]["camera0_rgb"].numpy()[:, 0, 0, 0]))
    return {key: np.stack(value).astype(np.float32) for key, value in out.items()}


def rows_of(dataset: UmiDataset) -> np.ndarray:
    return np.array([index[0] for index in dataset.sampler.indices], np.int64)


def some(rows: np.ndarray) -> np.ndarray:
    """Places of the windows that are kept: both ends of both episodes, and some between."""
    kept = {0, 1, 2, 3, 20, 33, 55, 57, 58, 59, 64}
    return np.array([i for i, row in enumerate(rows) if row in kept])


def main() -> None:
    out = {}
    for name, arms in (("one", 1), ("two", 2)):
        poses = recording(arms)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "replay_buffer.zarr.zip")
            write_zarr(path, poses, arms)
            if arms == 1:
                shutil.copy(path, os.path.join(HERE, "umi_replay_buffer.zarr.zip"))
            repeat = open_dataset(path, arms, action_padding=True)
            drop = open_dataset(path, arms, action_padding=False)
            always = open_dataset(path, arms, action_padding=True, repeat_frame_prob=1.0)
        out[f"{name}.poses"], out[f"{name}.ends"] = poses, np.cumsum(LENGTHS)
        out[f"{name}.repeat.rows"], out[f"{name}.drop.rows"] = rows_of(repeat), rows_of(drop)
        out[f"{name}.before"] = np.array([index[3] for index in repeat.sampler.indices], np.uint8)
        kept = some(rows_of(repeat))
        out[f"{name}.rows"] = rows_of(repeat)[kept]
        for prefix, dataset in (("", repeat), ("repeated.", always)):
            for key, value in windows(dataset, arms).items():
                if key != "action" or not prefix:
                    out[f"{name}.{prefix}{key}"] = value[kept]
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()},
              os.path.join(HERE, "umi_windows.safetensors"))


main()

# SPDX-License-Identifier: Apache-2.0
"""A small clean recording, made up: an arm that picks something up, seen by two cameras, written by LeRobot itself.

`episodes(kind)` gives its rows and what moves in its pictures, `write(root, kind, list)` makes LeRobot's dataset of
it, `encode` one video. What is broken in it is made_broken.py's.
"""
import logging
import os
import warnings
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("SVT_LOG", "1")
warnings.filterwarnings("ignore")

FPS, H, W = 30, 96, 128
EPISODES = 16
CAMERAS = ("front", "wrist")
TASK = "Pick up the cube and place it in the bin."
JOINTS = [f"{name}.pos" for name in ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")]
POSE = ["x", "y", "z", "rx", "ry", "rz", "gripper"]
NAMES = {"joints": JOINTS, "pose": POSE}


@dataclass
class Recorded:
    """One episode: rows of state and action [n, D], and what the cameras see [n, 6], in shares of their range."""

    state: np.ndarray
    action: np.ndarray
    seen: np.ndarray
    cube: np.ndarray
    task: str = TASK
    edits: dict = field(default_factory=dict)  # camera -> function over its frames [n, H, W, 3]


def smooth(t, start, end):
    """From 0 to 1 between two times, with a slow start and end."""
    u = np.clip((t - start) / (end - start), 0, 1)
    return u**3 * (10 + u * (6 * u - 15))


def path(rng, n):
    """[n, 6] in -1..1: over the thing, down, closed, up, away, opened. The hand wavers a little, as people's do."""
    t = (np.arange(n) + 0.5) / n
    away = rng.uniform(-0.5, 0.5, 5)
    ways = [np.array([-0.5, -0.4, 0.3, -0.2, 0.1]) + rng.normal(0, 0.03, 5), away, away + [0.05, 0.5, -0.4, 0.2, 0.1],
            away * 0.5 + [0.2, -0.3, 0.2, 0.1, -0.2], np.array([0.6, 0.3, -0.2, 0.3, -0.3]) + rng.normal(0, 0.03, 5)]
    edges = [0.02, 0.28, 0.48, 0.72, 0.98]
    arm = np.repeat(ways[0][None], n, 0)
    for k in range(4):
        arm += smooth(t, edges[k], edges[k + 1])[:, None] * (ways[k + 1] - ways[k])
    for d in range(5):
        arm[:, d] += 0.02 * np.sin(2 * np.pi * (t * rng.uniform(1.5, 3) + rng.uniform()))
    grip = 0.8 - 1.4 * smooth(t, 0.42, 0.52) + 1.4 * smooth(t, 0.9, 0.98) + 0.01 * np.sin(2 * np.pi * (t * 4 + rng.uniform()))
    return np.column_stack([arm, grip]), away[:2]


def values(kind, p):
    """The path in a robot's values: joints in degrees and a gripper of 0 to 100, or a pose in metres and radians."""
    if kind == "joints":
        return p * [70, 60, 60, 50, 80, 45] + [0, -20, 30, 10, 0, 50]
    pose = p[:, [0, 1, 2, 3, 4, 2, 5]] * [0.25, 0.2, 0.15, 0.4, 0.5, 0.3, 0.035] + [0.4, 0, 0.2, 0.3, 0.2, -0.1, 0.045]
    return pose


def episode(kind, rng, n, lag=3):
    p, cube = path(rng, n + lag)
    v = values(kind, p)
    spread = v.max(0) - v.min(0)
    state = v[:n] + rng.normal(0, 4e-4, (n, v.shape[1])) * spread
    return Recorded(state.astype(np.float32), v[lag:].astype(np.float32), p[:n], cube)


def episodes(kind="joints", count=EPISODES, seed=3):
    rng = np.random.default_rng(seed)
    return [episode(kind, rng, int(rng.integers(150, 180))) for _ in range(count)]


def texture(seed, h, w, base, rough=1.2):
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.normal(0, 1, (h, w, 3)), axes=(0, 1))
    fy, fx = np.fft.fftfreq(h)[:, None, None], np.fft.rfftfreq(w)[None, :, None]
    picture = np.fft.irfft2(spectrum / (0.01 + np.hypot(fy, fx)) ** rough, (h, w), axes=(0, 1))
    return np.clip(np.array(base) + 35 * picture / picture.std(), 12, 235)


SHADE = np.linspace(-30, 30, H)[:, None, None]
TABLE = np.clip(texture(1, H, W, (120, 100, 80)) + SHADE, 12, 235)
FLOOR = texture(2, 3 * H, 3 * W, (90, 120, 140), 1.0)
GRID_Y, GRID_X = np.mgrid[0:H, 0:W]


def frame(camera, seen, cube, rng):
    if camera == "front":
        picture = TABLE.copy()
        cx, cy = 64 + 50 * cube[0], 60 + 40 * cube[1]
        if seen[5] < 0 and seen[1] > -0.9:
            cx, cy = 64 + 50 * seen[0], 52 + 34 * seen[1] + 8
        picture[(abs(GRID_X - cx) < 7) & (abs(GRID_Y - cy) < 7)] = (210, 70, 40)
        hx, hy = 64 + 50 * seen[0], 44 + 34 * seen[1]
        arm = (abs(GRID_X - hx) < 9 + 3 * seen[5]) & (GRID_Y < hy) & ((GRID_Y // 4 + GRID_X // 5) % 2 > 0)
        picture[arm] = (40, 45, 55)
        picture[(abs(GRID_X - hx) < 12 + 4 * seen[5]) & (abs(GRID_Y - hy) < 4)] = (225, 225, 215)
    else:
        top, left = int(H + 0.9 * H * np.clip(seen[1], -1, 1)), int(W + 0.9 * W * np.clip(seen[0], -1, 1))
        picture = FLOOR[top : top + H, left : left + W].copy()
        jaw = 20 + 12 * seen[5]
        picture[(abs(abs(GRID_X - W / 2) - jaw) < 6) & (GRID_Y > 55)] = (30, 30, 34)
        picture[:14, :] = picture[:14, :] * 0.4 + 20
    return np.clip(picture + rng.normal(0, 1.0, picture.shape), 0, 255).astype(np.uint8)


def frames(e, camera, seed=0):
    """[n, H, W, 3] of an episode, with what was done to it."""
    rng = np.random.default_rng(seed)
    pictures = np.stack([frame(camera, seen, e.cube, rng) for seen in e.seen])
    return e.edits[camera](pictures) if camera in e.edits else pictures


def write(root, kind, recorded, camera_names=CAMERAS, robot=None):
    """LeRobot's own dataset of these episodes. Deletes nothing: root must not exist."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    logging.disable(logging.WARNING)
    names = NAMES[kind]
    vector = {"dtype": "float32", "shape": (len(names),), "names": names}
    features = {"observation.state": vector, "action": dict(vector)}
    for camera in camera_names:
        features[f"observation.images.{camera}"] = {"dtype": "video", "shape": (H, W, 3), "names": ["height", "width", "channels"]}
    ds = LeRobotDataset.create("made/up", FPS, features, root=root, robot_type=robot or ("so101_follower" if kind == "joints" else "umi"),
                               use_videos=True, streaming_encoding=True, encoder_threads=2, encoder_queue_maxsize=400)
    for number, e in enumerate(recorded):
        pictures = {camera: frames(e, camera, 100 * number + i) for i, camera in enumerate(camera_names)}
        for i in range(len(e.state)):
            row = {"observation.state": e.state[i], "action": e.action[i], "task": e.task}
            ds.add_frame(row | {f"observation.images.{camera}": pictures[camera][i] for camera in camera_names})
        ds.save_episode()
    ds.finalize()


def encode(file, pictures, codec="libsvtav1", fps=FPS):
    """A video of frames [n, H, W, 3], with LeRobot's settings."""
    import av

    file.parent.mkdir(parents=True, exist_ok=True)
    options = {"g": "2", "crf": "30"} | ({"preset": "12"} if codec == "libsvtav1" else {})
    with av.open(str(file), "w") as out:
        stream = out.add_stream(codec, rate=Fraction(fps), options=options if codec != "mpeg4" else {})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for i, picture in enumerate(pictures):
            f = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            f.pts, f.time_base = i, Fraction(1) / Fraction(fps)
            out.mux(stream.encode(f))
        out.mux(stream.encode())


def decode(file):
    import av

    with av.open(str(file)) as f:
        return np.stack([p.to_ndarray(format="rgb24") for p in f.decode(video=0)])

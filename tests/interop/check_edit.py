# SPDX-License-Identifier: Apache-2.0
"""What `tact edit` makes of a dataset that LeRobot recorded, opened by LeRobot's own dataset: all features have the
rows that they had, and every frame is the same to the bit, as videos are not encoded anew."""

import json
import shutil
from pathlib import Path

import numpy as np
from common import Report, run
from lerobot.datasets.lerobot_dataset import LeRobotDataset

FPS, LENGTHS = 10, (17, 24, 9, 31, 12)
COUNTERS = ("index", "episode_index", "frame_index", "timestamp", "task_index")


def features(video: bool) -> dict:
    camera = {"dtype": "video" if video else "image", "shape": (64, 96, 3), "names": ["height", "width", "channels"]}
    return {
        "observation.state": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
        "action": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
        "observation.images.front": camera,
        "observation.images.wrist": dict(camera),
        "observation.tactile": {"dtype": "float32", "shape": (2, 3), "names": None},
        "next.reward": {"dtype": "float64", "shape": (1,), "names": None},
        "next.done": {"dtype": "bool", "shape": (1,), "names": None},
        "mode": {"dtype": "int64", "shape": (1,), "names": None},
        "comment": {"dtype": "string", "shape": (1,), "names": None},
    }


def add_episode(ds: LeRobotDataset, rng: np.random.Generator, seed: int, e: int, length: int) -> None:
    for k in range(length):
        picture = np.full((64, 96, 3), 40 * e + 5 * k % 80, np.uint8)
        picture[:, (7 * k) % 90: (7 * k) % 90 + 6] = rng.integers(0, 255, 3, np.uint8)
        ds.add_frame({
            "observation.state": rng.normal(size=4).astype(np.float32),
            "action": rng.normal(size=4).astype(np.float32),
            "observation.images.front": picture, "observation.images.wrist": picture[::-1].copy(),
            "observation.tactile": rng.normal(size=(2, 3)).astype(np.float32),
            "next.reward": rng.normal(size=1), "next.done": np.array([k + 1 == length]),
            "mode": np.array([seed * 1000 + k]), "comment": f"é {seed} {e} {k}",
            "task": "lift" if k < length // 2 and e % 2 else "lower the cube"})
    ds.save_episode()


def record(root: Path, seed: int, video: bool = True) -> LeRobotDataset:
    rng = np.random.default_rng(seed)
    ds = LeRobotDataset.create("local/recorded", fps=FPS, features=features(video), root=root, robot_type="arm",
                               use_videos=video)
    for e, length in enumerate(LENGTHS):
        add_episode(ds, rng, seed, e, length)
    ds.finalize()
    return LeRobotDataset("local/recorded", root=root, video_backend="pyav")


def opened(root: Path) -> LeRobotDataset:
    return LeRobotDataset("local/edited", root=root, video_backend="pyav")


def same(a, b) -> bool:
    if isinstance(a, str):
        return a == b
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)


def holds_rows(report: Report, name: str, ds: LeRobotDataset, wanted: list, renamed: dict | None = None) -> None:
    """wanted: (dataset, row) for each row of ds, or None between episodes."""
    rows, at, wrong = [r for r in wanted if r], 0, set()
    report.hold(f"{name}: {len(rows)} rows", len(ds) == len(rows), str(len(ds)))
    episode = frame = 0
    for row in wanted:
        if row is None:
            episode, frame = episode + 1, 0
            continue
        old, new = row[0][row[1]], ds[at]
        wrong |= {k for k in old if k not in COUNTERS and not same(old[k], new[(renamed or {}).get(k, k)])}
        counted = (int(new["index"]), int(new["episode_index"]), int(new["frame_index"]))
        if counted != (at, episode, frame) or abs(float(new["timestamp"]) - frame / FPS) > 1e-6:
            wrong.add("counters")
        at, frame = at + 1, frame + 1
    report.hold(f"{name}: values, texts, tasks and frames are the old ones to the bit", not wrong, ", ".join(sorted(wrong)))
    report.hold(f"{name}: statistics", not stale(ds), ", ".join(stale(ds)))


def stale(ds: LeRobotDataset) -> list[str]:
    """Features whose statistics in meta/ are not those of the rows."""
    wrong = []
    for name in ("observation.state", "action", "observation.tactile", "next.reward"):
        if name not in ds.features:
            continue
        values = np.array(ds.hf_dataset.data.column(name).to_pylist(), np.float64)
        values = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values  # over all axes but the last
        for stat, number in (("mean", values.mean(0)), ("std", values.std(0)), ("min", values.min(0)), ("max", values.max(0))):
            if not np.allclose(np.squeeze(ds.meta.stats[name][stat]), number, atol=1e-6):
                wrong.append(f"{name} {stat}")
    return wrong


def span(ds: LeRobotDataset, episode: int, head: int = 0, tail: int = 0) -> list:
    first = sum(LENGTHS[:episode])
    return [(ds, first + k) for k in range(head, LENGTHS[episode] - tail)] + [None]


def goes_on(report: Report, name: str, root: Path) -> None:
    """A recording that LeRobot resumes: its episodes' statistics have to lie in the same columns."""
    before, copy = opened(root), root.with_name(root.name + "_resumed")
    shutil.copytree(root, copy)
    ds = LeRobotDataset.resume("local/edited", root=copy)
    add_episode(ds, np.random.default_rng(4), 4, 0, 6)
    ds.finalize()
    after = opened(copy)
    report.hold(f"{name}: LeRobot goes on recording", len(after) == len(before) + 6 and
                same(after[0]["observation.images.front"], before[0]["observation.images.front"]))


def check(report: Report, work: Path) -> None:
    a, b = record(work / "a", 1), record(work / "b", 2)
    run("build/tact", "edit", work / "a", f"--root={work / 'dropped'}", "--drop=[1,4]")
    holds_rows(report, "drop", opened(work / "dropped"), [r for e in (0, 2, 3) for r in span(a, e)])
    goes_on(report, "drop", work / "dropped")
    run("build/tact", "edit", work / "a", f"--root={work / 'trimmed'}", "--keep=[1,3]", "--trim=0.3,0.5")
    holds_rows(report, "trim", opened(work / "trimmed"), [r for e in (1, 3) for r in span(a, e, 3, 5)])
    goes_on(report, "trim", work / "trimmed")
    run("build/tact", "edit", work / "trimmed", work / "trimmed", f"--root={work / 'twice'}")
    holds_rows(report, "an edited one twice", opened(work / "twice"),
               2 * [r for e in (1, 3) for r in span(a, e, 3, 5)])
    run("build/tact", "edit", work / "a", work / "b", f"--root={work / 'merged'}")
    holds_rows(report, "merge", opened(work / "merged"), [r for ds in (a, b) for e in range(5) for r in span(ds, e)])
    run("build/tact", "edit", work / "merged", f"--root={work / 'parts'}", '--splits={"train": 0.8, "val": 0.2}')
    holds_rows(report, "split", opened(work / "parts" / "val"), [r for e in (3, 4) for r in span(b, e)])
    renamed = {"observation.images.front": "observation.images.top"}
    run("build/tact", "edit", work / "a", f"--root={work / 'renamed'}", f"--rename_map={json.dumps(renamed)}")
    holds_rows(report, "rename", opened(work / "renamed"), [r for e in range(5) for r in span(a, e)], renamed)
    run("build/tact", "edit", work / "a", f"--root={work / 'removed'}", "--remove_features=observation.images.wrist,comment")
    kept = opened(work / "removed")
    report.hold("remove", {"observation.images.wrist", "comment"}.isdisjoint(kept.features) and len(kept) == len(a))
    images = record(work / "images", 3, video=False)
    run("build/tact", "edit", work / "images", f"--root={work / 'few_images'}", "--drop=0:2", "--trim=0,0.2")
    holds_rows(report, "images", opened(work / "few_images"), [r for e in (2, 3, 4) for r in span(images, e, 0, 2)])
    goes_on(report, "images", work / "few_images")

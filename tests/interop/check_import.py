# SPDX-License-Identifier: Apache-2.0
"""What `tact import` makes of UMI's, ACT's and robomimic's files, opened by LeRobot's own dataset: rows, episodes,
tasks and frames are those that zarr, h5py and OpenCV read (tests/import/data)."""

import json
import zipfile
from pathlib import Path

import numpy as np
from common import TREE, Report, run
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from safetensors.numpy import load_file

DATA = TREE / "tests" / "import" / "data"
NTSC = 60000 / 1001


def imported(source: Path, root: Path, *flags: str) -> tuple[dict, LeRobotDataset]:
    run("build/tact", "import", source, f"--root={root}", *flags)
    said = json.loads(run("build/tact", "info", source, "--json").stdout)
    return said, LeRobotDataset("local/imported", root=root, video_backend="pyav")


def order(said: dict) -> list[int]:
    """The source's episodes in the dataset's order: those of a split lie together."""
    splits = [e["split"] for e in said["episodes"]]
    names = list(dict.fromkeys(s for s in splits if s))
    names.sort(key=lambda name: name != "train")
    return [i for name in [*names, None] for i, s in enumerate(splits) if s == name]


def column(ds: LeRobotDataset, name: str) -> np.ndarray:
    """As stored: LeRobot's items make float32 of float64."""
    values = np.array(ds.hf_dataset.data.column(name).to_pylist(), np.float64)
    return values.reshape(len(values), -1)


def compare(report: Report, name: str, said: dict, ds: LeRobotDataset, vectors: dict, frames: dict) -> None:
    """vectors, frames: for each name of the source a list with an array an episode, in the source's order."""
    which = order(said)
    features: dict[str, list] = {}
    for v in said["vectors"]:
        features.setdefault(v["feature"], []).append(v["name"])
    if said["action_is_state"]:
        features["action"] = features["observation.state"]
    wrong = [f for f, parts in features.items()
             if not np.array_equal(column(ds, f), np.concatenate(
                 [np.concatenate([vectors[p][e] for p in parts], 1) for e in which]))]
    report.hold(f"{name}: {len(features)} vectors are the source's to the bit", not wrong, ", ".join(wrong))
    lengths = [said["episodes"][e]["length"] for e in which]
    report.hold(f"{name}: episodes", ds.meta.total_episodes == len(which) and
                [int(e["length"]) for e in ds.meta.episodes] == lengths)
    starts = np.concatenate([np.arange(n) for n in lengths]) / ds.fps
    report.hold(f"{name}: times", bool(np.abs(column(ds, "timestamp")[:, 0] - starts).max() < 1e-4))
    items = [ds[i] for i in range(len(ds))]
    for camera in said["cameras"]:
        want = np.concatenate([frames[camera["name"]][e] for e in which])
        got = np.stack([np.rint(i[camera["feature"]].numpy() * 255).astype(np.uint8).transpose(1, 2, 0) for i in items])
        error = np.abs(got.astype(int) - want).mean((1, 2, 3)).max()
        lossy = "JPEG" in camera["codec"]  # whose decoders differ in the last bits
        most = 5 if camera["feature"] in ds.meta.video_keys else 2 if lossy else 0
        report.hold(f"{name}: frames of {camera['name']}", bool(error <= most),
                    f"mean difference at most {error:.2f} of 255" if most else "")


def parts(array: np.ndarray, ends) -> list[np.ndarray]:
    return np.split(array if array.ndim == 4 else array.reshape(len(array), -1), ends[:-1])


def zarr_source(report: Report, work: Path, name: str, *flags: str) -> None:
    want = load_file(DATA / f"{name}.safetensors")
    ends = want["meta/episode_ends"].astype(int)
    by_name = {key.removeprefix("data/"): value for key, value in want.items()}
    said, ds = imported(DATA / f"{name}.zarr.zip", work / name, "--images=png", *flags)
    vectors = {v["name"]: parts(by_name[v["name"]], ends) for v in said["vectors"]}
    frames = {c["name"]: np.split(by_name[c["name"]], ends[:-1]) for c in said["cameras"]}
    compare(report, name, said, ds, vectors, frames)
    report.hold(f"{name}: task", ds[0]["task"] == "fold")


def hdf5_source(report: Report, work: Path, files: Path, name: str, *flags: str) -> None:
    want = load_file(files / f"{name}.safetensors")
    path = files / name
    said, ds = imported(path if path.is_dir() else path.with_suffix(".hdf5"), work / name, "--images=png", *flags)
    n = range(len(said["episodes"]))
    vectors = {v["name"]: [want[f"{e}/{v['name']}"] for e in n] for v in said["vectors"]}
    frames = {c["name"]: [want[f"{e}/{c['name']}"] for e in n] for c in said["cameras"]}
    compare(report, name, said, ds, vectors, frames)
    tasks = [said["episodes"][e]["task"] or "fold" for e in order(said)]
    report.hold(f"{name}: tasks", [e["tasks"] for e in ds.meta.episodes] == [[t] for t in tasks])


def write_zarr(root: Path, arrays: dict[str, np.ndarray]) -> None:
    """Version 2, without compression, one row a chunk of frames."""
    for path, array in arrays.items():
        folder = root / path
        folder.mkdir(parents=True)
        chunk = (1, *array.shape[1:]) if array.ndim == 4 else array.shape
        header = {"zarr_format": 2, "shape": array.shape, "chunks": chunk, "dtype": array.dtype.str, "compressor": None,
                  "fill_value": 0, "order": "C", "filters": None}
        (folder / ".zarray").write_text(json.dumps(header))
        tail = ".0" * (array.ndim - 1)
        for k in range(len(array) // chunk[0]):
            (folder / f"{k}{tail}").write_bytes(array[k * chunk[0]: (k + 1) * chunk[0]].tobytes())
    for group in (root, root / "data", root / "meta"):
        (group / ".zgroup").write_text('{"zarr_format": 2}')


def video(report: Report, work: Path) -> None:
    """Three episodes at GoPro's rate, as AV1: LeRobot finds each row's frame by its time."""
    ends, rows, rng = [50, 53, 120], 120, np.random.default_rng(6)
    y, x = np.mgrid[0:64, 0:96]
    frames = np.stack([np.stack([100 + 80 * np.sin((x + 6 * k) / 12), y * 2 + 40, np.where(y < 24, (k >> (x // 12) & 1) * 200 + 20, 90)], 2)
                       for k in range(rows)]).astype(np.uint8)
    arrays = {"data/camera0_rgb": frames, "meta/episode_ends": np.array(ends, np.int64)}
    for name, width in (("eef_pos", 3), ("eef_rot_axis_angle", 3), ("gripper_width", 1)):
        arrays[f"data/robot0_{name}"] = rng.normal(0, 0.1, (rows, width)).astype(np.float32)
    write_zarr(work / "replay_buffer.zarr", arrays)
    by_name = {key.removeprefix("data/"): parts(value, ends) for key, value in arrays.items() if "data/" in key}
    by_name["camera0_rgb"] = np.split(frames, ends[:-1])
    said, ds = imported(work / "replay_buffer.zarr", work / "video", "--fps=59.94")
    report.hold("video: the rate", ds.fps == NTSC)
    compare(report, "video", said, ds, by_name, by_name)
    beside = np.abs(frames[1:].astype(int) - frames[:-1]).mean((1, 2, 3)).min()
    report.hold("video: another row's frame would be seen", bool(beside > 10), f"differs by {beside:.1f}")


def check(report: Report, work: Path) -> None:
    video(report, work)
    for name, rate in (("umi", "59.94"), ("two_arms", "60000/1001"), ("pusht", "10")):
        zarr_source(report, work, name, f"--fps={rate}", "--task=fold")
    files = work / "hdf5"
    with zipfile.ZipFile(DATA / "hdf5.zip") as z:
        z.extractall(files)
    for name, *flags in (("raw", "--fps=50"), ("jpeg", "--fps=50"), ("filters", "--fps=50"), ("other",), ("robomimic",),
                         ("libero", "--fps=20"), ("two_robots", "--fps=20")):
        hdf5_source(report, work, files, name, "--task=fold", *flags)

# SPDX-License-Identifier: Apache-2.0
"""Makes a large dataset of LeRobot's form, to see how time and memory grow with it. Run by hand:

    python make_growth.py FOLDER --version=v3.0 --episodes=10000 --frames=1000 --tasks=1000 --files=10000

It has no videos: observation.state and action with 7 values, observation.environment_state with 3. --files is how
many data files v3.0 has; in v2.1 each episode has its own. It needs pyarrow and numpy.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTHS = {"observation.state": 7, "observation.environment_state": 3, "action": 7}


def vectors(rng, rows, width):
    values = rng.standard_normal(rows * width, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), width)


def rows_of(rng, first_episode, episodes, frames, tasks):
    n = episodes * frames
    episode = np.repeat(np.arange(first_episode, first_episode + episodes), frames)
    frame = np.tile(np.arange(frames), episodes)
    columns = {name: vectors(rng, n, width) for name, width in WIDTHS.items()}
    columns["timestamp"] = pa.array((frame / 30).astype(np.float32))
    columns["frame_index"] = pa.array(frame)
    columns["episode_index"] = pa.array(episode)
    columns["index"] = pa.array(np.arange(n) + first_episode * frames)
    columns["task_index"] = pa.array(episode % tasks)
    return pa.table(columns)


def write_v30(root, a, rng):
    files = min(a.files, a.episodes)
    ends = [a.episodes * (i + 1) // files for i in range(files)]
    file_of, first = np.zeros(a.episodes, np.int64), 0
    for i, end in enumerate(ends):
        path = root / f"data/chunk-{i // 1000:03d}/file-{i % 1000:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows_of(rng, first, end - first, a.frames, a.tasks), path)
        file_of[first:end] = i
        first = end
    number = np.arange(a.episodes)
    table = {"episode_index": number, "length": np.full(a.episodes, a.frames), "dataset_from_index": number * a.frames,
             "dataset_to_index": (number + 1) * a.frames, "data/chunk_index": file_of // 1000,
             "data/file_index": file_of % 1000,
             "tasks": pa.array([[f"task {i % a.tasks}"] for i in range(a.episodes)])}
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(table), path)
    tasks = {"task_index": np.arange(a.tasks), "task": [f"task {i}" for i in range(a.tasks)]}
    pq.write_table(pa.table(tasks), root / "meta/tasks.parquet")


def write_v21(root, a, rng):
    (root / "meta").mkdir(parents=True, exist_ok=True)
    with (root / "meta/episodes.jsonl").open("w") as out, (root / "meta/episodes_stats.jsonl").open("w") as stats:
        for i in range(a.episodes):
            path = root / f"data/chunk-{i // 1000:03d}/episode_{i:06d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows_of(rng, i, 1, a.frames, a.tasks), path)
            out.write(json.dumps({"episode_index": i, "tasks": [f"task {i % a.tasks}"], "length": a.frames}) + "\n")
            one = {name: {"min": [-5.0] * width, "max": [5.0] * width, "mean": [0.0] * width, "std": [1.0] * width,
                          "count": [a.frames]} for name, width in WIDTHS.items()}
            stats.write(json.dumps({"episode_index": i, "stats": one}) + "\n")
    with (root / "meta/tasks.jsonl").open("w") as out:
        for i in range(a.tasks):
            out.write(json.dumps({"task_index": i, "task": f"task {i}"}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", choices=["v3.0", "v2.1"], default="v3.0")
    for name, usual in [("episodes", 1000), ("frames", 100), ("tasks", 1), ("files", 1)]:
        parser.add_argument(f"--{name}", type=int, default=usual)
    a = parser.parse_args()
    rng = np.random.default_rng(0)
    a.folder.mkdir(parents=True)
    (write_v30 if a.version == "v3.0" else write_v21)(a.folder, a, rng)
    features = {name: {"dtype": "float32", "shape": [width], "names": None} for name, width in WIDTHS.items()}
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for name in ["frame_index", "episode_index", "index", "task_index"]:
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    data = ("data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet" if a.version == "v3.0"
            else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet")
    info = {"codebase_version": a.version, "robot_type": None, "fps": 30, "total_episodes": a.episodes,
            "total_frames": a.episodes * a.frames, "total_tasks": a.tasks, "chunks_size": 1000, "data_path": data,
            "video_path": None, "splits": {"train": f"0:{a.episodes}"}, "features": features}
    (a.folder / "meta/info.json").write_text(json.dumps(info, indent=4))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""A dataset of scene.py in memory, episode by episode, so that one thing of it can be changed and the rest be right:
lengths, indices, times, statistics and videos follow what the rows and frames are. Written as v3.0 or v2.1.
"""
import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import scene
from scene import CAMERAS, FPS

DATA, META, TASKS, STATS, INFO = ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet",
                                  "meta/tasks.parquet", "meta/stats.json", "meta/info.json")


def key(camera):
    return f"observation.images.{camera}"


def video(camera):
    return f"videos/{key(camera)}/chunk-000/file-000.mp4"


def statistics(values, axis=0, keepdims=None):
    """LeRobot's statistics of an episode, [n, D] or [n]."""
    from lerobot.datasets.compute_stats import DEFAULT_QUANTILES, get_feature_stats

    keepdims = values.ndim == 1 if keepdims is None else keepdims
    out = get_feature_stats(values, axis=axis, keepdims=keepdims, quantile_list=DEFAULT_QUANTILES)
    return {k: np.asarray(v).tolist() for k, v in out.items()}


def picture_statistics(pictures):
    some = pictures[:: max(1, len(pictures) // 100)].transpose(0, 3, 1, 2)
    out = statistics(some, axis=(0, 2, 3), keepdims=True)
    return {k: v if k == "count" else (np.array(v)[0] / 255).tolist() for k, v in out.items()}


class Episode:
    """Rows (name -> array of as many), packets of its videos, and the row of meta/episodes."""

    def __init__(self, rows, meta, recorded, number):
        self.rows, self.meta, self.recorded, self.number = rows, meta, recorded, number
        self.packets = {}  # camera -> (bytes, is keyframe), one a frame
        self.touched = True

    def __len__(self):
        return len(self.rows["frame_index"])

    def view(self, camera):
        """Its pictures, drawn anew as the base has them."""
        return scene.frames(self.recorded, camera, 100 * self.number + CAMERAS.index(camera))

    def keep(self, rows):
        """Only these rows, pictures too: an array of indices."""
        self.rows = {name: column[rows] for name, column in self.rows.items()}
        n = len(rows)
        self.rows["frame_index"] = np.arange(n)
        self.rows["timestamp"] = (np.arange(n) / FPS).astype(np.float32)
        self.touched = True


class Set:
    """The whole of it. `show(episode, camera, frames)` gives an episode other pictures."""

    def __init__(self, base, kind, recorded):
        self.base, self.kind = Path(base), kind
        self.info = json.loads((self.base / INFO).read_text())
        self.tasks = [scene.TASK]
        self.shown = {}
        table = pq.read_table(self.base / DATA)
        metas = pq.read_table(self.base / META)
        self.data_schema, self.meta_schema = table.schema, metas.schema
        self.episodes = []
        for number, meta in enumerate(metas.to_pylist()):
            part = table.slice(meta["dataset_from_index"], meta["length"])
            rows = {n: np.stack(part[n].to_numpy(zero_copy_only=False)) if "." in n or n == "action" else part[n].to_numpy()
                    for n in part.column_names}
            self.episodes.append(Episode({n: c.copy() for n, c in rows.items()}, meta, recorded[number], number))
            self.episodes[-1].touched = False
        self.global_stats = json.loads((self.base / STATS).read_text())

    def show(self, episode, camera, pictures):
        self.shown[(id(episode), camera)] = pictures
        for k, v in picture_statistics(pictures).items():
            episode.meta[f"stats/{key(camera)}/{k}"] = v

    # ---- what follows from the rows ----

    def settle(self):
        start = 0
        for number, e in enumerate(self.episodes):
            n = len(e)
            moved = e.meta["episode_index"] != number or e.meta["dataset_from_index"] != start
            e.rows["index"] = np.arange(start, start + n)
            e.rows["episode_index"] = np.full(n, number)
            e.meta |= {"episode_index": number, "length": n, "dataset_from_index": start, "dataset_to_index": start + n,
                       "tasks": [self.tasks[int(e.rows["task_index"][0])]] if int(e.rows["task_index"][0]) < len(self.tasks)
                       else [""]}
            for camera in CAMERAS:
                e.meta |= {f"videos/{key(camera)}/from_timestamp": start / FPS,
                           f"videos/{key(camera)}/to_timestamp": (start + n) / FPS}
            if e.touched or moved:
                for name, column in e.rows.items():
                    with np.errstate(all="ignore"):
                        for k, v in statistics(column).items():
                            e.meta[f"stats/{name}/{k}"] = v
            start += n
        self.info |= {"total_episodes": len(self.episodes), "total_frames": start, "total_tasks": len(self.tasks),
                      "splits": {"train": f"0:{len(self.episodes)}"}}
        if any(e.touched for e in self.episodes) or self.shown or len(self.episodes) != scene.EPISODES:
            self.gather()

    def gather(self):
        from lerobot.datasets.compute_stats import aggregate_stats

        parts = []
        for e in self.episodes:
            one = {}
            for name, value in e.meta.items():
                if name.startswith("stats/"):
                    _, feature, k = name.split("/")
                    one.setdefault(feature, {})[k] = np.array(value)
            parts.append(one)
        out = aggregate_stats(parts)
        self.global_stats = {f: {k: np.asarray(v).tolist() for k, v in s.items()} for f, s in out.items()}

    # ---- videos ----

    def read_packets(self, camera):
        with av.open(str(self.base / video(camera))) as file:
            packets = [(bytes(p), p.is_keyframe) for p in file.demux(video=0) if p.size]
        for e in self.episodes:
            first = sum(scene_length for scene_length in self.base_lengths()[: e.number])
            e.packets[camera] = packets[first : first + self.base_lengths()[e.number]]

    def base_lengths(self):
        if not hasattr(self, "_lengths"):
            self._lengths = pq.read_table(self.base / META, columns=["length"])["length"].to_pylist()
        return self._lengths

    def packets_of(self, e, camera, scratch):
        pictures = self.shown.get((id(e), camera))
        if pictures is None:
            if not e.packets.get(camera):
                self.read_packets(camera)
            return e.packets[camera]
        scene.encode(scratch / "one.mp4", pictures)
        with av.open(str(scratch / "one.mp4")) as file:
            return [(bytes(p), p.is_keyframe) for p in file.demux(video=0) if p.size]

    def mux(self, file, camera, packets):
        file.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(self.base / video(camera))) as like, av.open(str(file), "w") as out:
            stream = out.add_stream_from_template(like.streams.video[0], opaque=True)
            stream.time_base = Fraction(1, 90 * FPS)
            for i, (data, is_key) in enumerate(packets):
                p = av.Packet(data)
                p.stream, p.time_base, p.pts, p.dts, p.duration = stream, Fraction(1, FPS), i, i, 1
                p.is_keyframe = is_key
                out.mux(p)

    def table(self, rows):
        columns = []
        for f in self.data_schema:
            value = rows[f.name]
            if pa.types.is_fixed_size_list(f.type):
                columns.append(pa.array(list(value), type=f.type))
            else:
                columns.append(pa.array(value, type=f.type))
        return pa.Table.from_arrays(columns, schema=self.data_schema)

    # ---- v3.0 ----

    def write(self, root):
        self.settle()
        root = Path(root)
        for name in (DATA, META):
            (root / name).parent.mkdir(parents=True)
        pq.write_table(pa.concat_tables(self.table(e.rows) for e in self.episodes), root / DATA)
        pq.write_table(pa.Table.from_pylist([e.meta for e in self.episodes], schema=self.meta_schema), root / META)
        self.write_tasks(root)
        (root / STATS).write_text(json.dumps(self.global_stats, indent=4))
        (root / INFO).write_text(json.dumps(self.info, indent=4))
        same = [e.number for e in self.episodes] == list(range(scene.EPISODES))
        same = same and [len(e) for e in self.episodes] == self.base_lengths()
        for camera in CAMERAS:
            if same and not any(c == camera for _, c in self.shown):
                (root / video(camera)).parent.mkdir(parents=True)
                os.link(self.base / video(camera), root / video(camera))
            else:
                scratch = root / "scratch"
                packets = [p for e in self.episodes for p in self.packets_of(e, camera, scratch)]
                self.mux(root / video(camera), camera, packets)
                shutil.rmtree(scratch, ignore_errors=True)

    def write_tasks(self, root):
        import pandas as pd

        pd.DataFrame({"task_index": range(len(self.tasks))}, index=pd.Index(self.tasks, name="task")).to_parquet(root / TASKS)

    # ---- v2.1 ----

    def write21(self, root):
        self.settle()
        root = Path(root)
        (root / "meta").mkdir(parents=True)
        (root / "data/chunk-000").mkdir(parents=True)
        n = len(self.episodes)
        info = {k: v for k, v in self.info.items() if not k.endswith("size_in_mb")}
        info |= {"codebase_version": "v2.1", "total_chunks": 1, "total_videos": n * len(CAMERAS),
                 "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
                 "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"}
        lines, stats = [], []
        for i, e in enumerate(self.episodes):
            pq.write_table(self.table(e.rows), root / f"data/chunk-000/episode_{i:06d}.parquet")
            lines.append({"episode_index": i, "tasks": e.meta["tasks"], "length": len(e)})
            one = {}
            for name, value in e.meta.items():
                if name.startswith("stats/") and name.split("/")[2][0] != "q":
                    one.setdefault(name.split("/")[1], {})[name.split("/")[2]] = value
            stats.append({"episode_index": i, "stats": one})
            for camera in CAMERAS:
                self.mux(root / f"videos/chunk-000/{key(camera)}/episode_{i:06d}.mp4", camera,
                         self.packets_of(e, camera, root / "scratch"))
                shutil.rmtree(root / "scratch", ignore_errors=True)
        for name, what in (("episodes", lines), ("episodes_stats", stats),
                           ("tasks", [{"task_index": i, "task": t} for i, t in enumerate(self.tasks)])):
            (root / f"meta/{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in what))
        (root / INFO).write_text(json.dumps(info, indent=4))

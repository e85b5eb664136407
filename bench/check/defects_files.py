# SPDX-License-Identifier: Apache-2.0
"""Defects of make_broken.py in tables, statistics, times and files. What was recorded is right."""
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from make_broken import AT, defect
from model import CAMERAS, DATA, FPS, INFO, META, STATS, TASKS, key, video
from scene import encode

FRONT = key("front")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{:064x}\nsize {}\n"


def table(name, function):
    """What is done to a table's rows (a list of dicts) once the set is written; its schema stays."""

    def after(root):
        t = pq.read_table(root / name)
        rows = function(t.to_pylist())
        pq.write_table(pa.Table.from_pylist(rows, schema=t.schema), root / name)

    return after


def one(name, episode=AT, **values):
    """One row of a table gets other values; a function of the old one may stand for a value."""

    def change(rows):
        for k, v in values.items():
            k = k.replace("__", "/")
            rows[episode][k] = v(rows[episode][k]) if callable(v) else v
        return rows

    return table(name, change)


def text(name, function):
    """What is done to a JSON file; the file anew, not through a link."""

    def after(root):
        j = json.loads((root / name).read_text())
        function(j)
        (root / name).write_text(json.dumps(j, indent=4))

    return after


def times(s, function):
    e = s.episodes[AT]
    e.touched = True
    t = e.rows["timestamp"].astype(np.float64)
    e.rows["timestamp"] = function(t).astype(np.float32)


# ---- times ----


@defect("a gap of 0.2 s in an episode's times, no row is missing", "lerobot-doctor (temporal); robovet (TIME-202)")
def time_gap(s):
    times(s, lambda t: t + 0.2 * (np.arange(len(t)) >= 70))


@defect("three rows of an episode have the time of the row before", "lerobot-doctor (temporal); kalanos (repeated timestamps)")
def time_repeats(s):
    times(s, lambda t: np.where((np.arange(len(t)) >= 70) & (np.arange(len(t)) < 73), t[69], t))


@defect("time goes back within an episode", "lerobot-doctor (temporal); robovet (TIME-201)")
def time_back(s):
    times(s, lambda t: t - 1.0 * (np.arange(len(t)) >= 70))


@defect("the times of an episode are off by up to 4 ms", "robovet (demo); kalanos (jitter)")
def time_jitter(s):
    noise = np.random.default_rng(4)
    times(s, lambda t: t + np.where(np.arange(len(t)) > 0, noise.uniform(-0.004, 0.004, len(t)), 0))


@defect("an episode's times start at 0.5 s", "robovet (demo)")
def time_offset(s):
    times(s, lambda t: t + 0.5)


@defect("an episode's clock runs 2 % fast", "robovet (TIME-204); kalanos (clock drift)")
def time_drift(s):
    times(s, lambda t: t * 1.02)


@defect("fps says 25 where 30 was recorded", "lerobot-doctor (temporal); lerobot-lint (FPS_MISMATCH)")
def fps_wrong(s):
    s.info["fps"] = 25


# ---- indices and counts ----


@defect("frame_index starts at 1 in an episode", "lerobot-doctor (temporal); robovet (DATA-105)")
def frame_index_off(s):
    def change(rows):
        for r in rows:
            r["frame_index"] += r["episode_index"] == AT
        return rows

    return table(DATA, change)


@defect("`index` starts at 0 again in every episode", "robovet (DATA-105)")
def index_restarts(s):
    def change(rows):
        for r in rows:
            r["index"] = r["frame_index"]
        return rows

    return table(DATA, change)


@defect("rows of one episode carry another's number", "robovet (DATA-105); lerobot-doctor (temporal)")
def episode_index_wrong(s):
    def change(rows):
        for r in rows:
            r["episode_index"] += r["episode_index"] == AT and r["frame_index"] >= 100
        return rows

    return table(DATA, change)


@defect("an episode's length in meta/ is 12 too many", "robovet (demo)")
def length_wrong(s):
    return one(META, length=lambda n: n + 12)


@defect("from and to of an episode in meta/ are those of another", "robovet (META-501)")
def ledger_wrong(s):
    return one(META, dataset_from_index=lambda n: n + 40, dataset_to_index=lambda n: n + 40)


@defect("total_frames is 37 too few", "robovet (demo); lerobot-doctor (metadata)")
def total_frames_wrong(s):
    return text(INFO, lambda j: j.update(total_frames=j["total_frames"] - 37))


@defect("total_episodes is 2 too many", "robovet (STRUCT-007); lerobot-doctor (metadata)")
def total_episodes_wrong(s):
    return text(INFO, lambda j: j.update(total_episodes=j["total_episodes"] + 2))


@defect("a task number that no task has", "robovet (DATA-109)")
def task_index_unknown(s):
    def change(rows):
        for r in rows:
            r["task_index"] = 7 if r["episode_index"] == AT else r["task_index"]
        return rows

    return table(DATA, change)


@defect("total_tasks is not the number of tasks", "lerobot-doctor (metadata)")
def total_tasks_wrong(s):
    return text(INFO, lambda j: j.update(total_tasks=4))


@defect("no table of tasks", "lerobot-doctor (metadata); robovet (STRUCT-005)")
def tasks_missing(s):
    return lambda root: (root / TASKS).unlink()


# ---- statistics ----


@defect("mean and spread of an episode's action in meta/ are wrong", "robovet (demo)")
def stats_episode_wrong(s):
    return one(META, stats__action__mean=lambda m: [3 * x + 0.5 for x in m],
               stats__action__std=lambda m: [0.1 * x + 1e-3 for x in m])


@defect("stats.json is that of another recording", "robovet (STATS-303); lerobot-doctor (statistics)")
def stats_wrong(s):
    def change(j):
        j["observation.state"]["mean"] = [x + 40 for x in j["observation.state"]["mean"]]
        j["observation.state"]["std"] = [x * 0.4 for x in j["observation.state"]["std"]]

    return text(STATS, change)


@defect("q01 and q99 are exchanged in stats.json", "robovet (demo)")
def quantiles_swapped(s):
    def change(j):
        f = j["observation.state"]
        f["q01"], f["q99"] = f["q99"], f["q01"]

    return text(STATS, change)


@defect("least and largest value in stats.json are those of other rows", "project")
def stats_range_wrong(s):
    def change(j):
        for k in ("min", "max"):
            j["observation.state"][k] = [0.5 * x for x in j["observation.state"][k]]

    return text(STATS, change)


@defect("no stats.json", "robovet (STATS-301); lerobot-doctor (training)")
def stats_missing(s):
    return lambda root: (root / STATS).unlink()


@defect("a spread of 0 in stats.json where the value moves", "lerobot-doctor (training)")
def stats_zero(s):
    return text(STATS, lambda j: j["action"]["std"].__setitem__(2, 0.0))


@defect("a NaN in stats.json", "lerobot-doctor (gate)")
def stats_nan(s):
    return text(STATS, lambda j: j["action"]["mean"].__setitem__(2, float("nan")))


# ---- what info.json says ----


@defect("info.json declares a feature that no table has", "robovet (DATA-102); lerobot-doctor (metadata)")
def feature_missing(s):
    force = {"dtype": "float32", "shape": [6], "names": None}
    return text(INFO, lambda j: j["features"].update({"observation.effort": force}))


@defect("info.json gives the state 7 values where there are 6", "robovet (DATA-103)")
def feature_shape_wrong(s):
    return text(INFO, lambda j: j["features"]["observation.state"].update(shape=[7]))


@defect("info.json gives a camera another size", "lerobot-doctor (videos)")
def camera_shape_wrong(s):
    return text(INFO, lambda j: j["features"][FRONT].update(shape=[480, 640, 3]))


@defect("info.json has no fps", "lerobot-doctor (metadata); robovet (STRUCT-002)")
def fps_missing(s):
    return text(INFO, lambda j: j.pop("fps"))


@defect("a codebase_version that does not exist", "robovet (STRUCT-003); lerobot-doctor (metadata)")
def version_unknown(s):
    return text(INFO, lambda j: j.update(codebase_version="v9.1"))


@defect("data_path is an absolute path", "lerobot-doctor (portability)")
def path_absolute(s):
    return lambda root: text(INFO, lambda j: j.update(data_path=str(root.resolve() / j["data_path"])))(root)


@defect("info.json is cut off", "project")
def info_cut(s):
    return lambda root: cut(root / INFO)


# ---- files ----


def cut(file, share=0.5):
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[: int(len(data) * share)])


@defect("a data file is cut off: a download or a recorder that stopped", "robovet (DATA-101); project")
def data_cut(s):
    return lambda root: cut(root / DATA, 0.7)


@defect("the data file is missing", "robovet (STRUCT-006); lerobot-doctor (metadata)")
def data_missing(s):
    return lambda root: (root / DATA).unlink()


@defect("a data file that no episode names", "robovet (STRUCT-008)")
def data_orphan(s):
    return lambda root: shutil.copy(root / DATA, root / DATA.replace("file-000", "file-001"))


@defect("the data file is a Git LFS pointer", "project")
def data_pointer(s):
    def after(root):
        size = (root / DATA).stat().st_size
        (root / DATA).write_text(POINTER.format(12345, size))

    return after


@defect("the table of episodes names data files that do not hold the rows", "project")
def file_index_stale(s):
    def change(rows):
        for r in rows:
            r["data/file_index"] = 0 if r["episode_index"] < 12 else 1
        return rows

    def after(root):
        t = pq.read_table(root / DATA)
        split = pq.read_table(root / META)["dataset_from_index"].to_pylist()[9]
        pq.write_table(t.slice(0, split), root / DATA)
        pq.write_table(t.slice(split), root / DATA.replace("file-000", "file-001"))
        table(META, change)(root)

    return after


@defect("a row is there twice in the data file", "project; robovet (DATA-104)")
def row_twice(s):
    def change(rows):
        at = next(i for i, r in enumerate(rows) if r["episode_index"] == AT) + 70
        return rows[: at + 1] + rows[at:]

    return table(DATA, change)


@defect("a row is missing in the data file", "project; robovet (DATA-104)")
def row_missing(s):
    def change(rows):
        at = next(i for i, r in enumerate(rows) if r["episode_index"] == AT) + 70
        return rows[:at] + rows[at + 1 :]

    return table(DATA, change)


@defect("null in the place of a number", "kalanos (nulls)")
def null_value(s):
    def change(rows):
        at = next(i for i, r in enumerate(rows) if r["episode_index"] == AT) + 70
        rows[at]["observation.state"] = None
        return rows

    return table(DATA, change)


# ---- videos ----


def own(file):
    """A video that is a link to the base's becomes a file of its own."""
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data)


@defect("a video is missing", "lerobot-doctor (videos); robovet (VIDEO-401)")
def video_missing(s):
    return lambda root: (root / video("front")).unlink()


@defect("a video is cut off", "lerobot-doctor (videos)")
def video_cut(s):
    return lambda root: cut(root / video("front"), 0.6)


@defect("bytes in the middle of a video are others", "project")
def video_damaged(s):
    def after(root):
        file = root / video("front")
        own(file)
        data = bytearray(file.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 20000] = np.random.default_rng(6).bytes(20000)
        file.write_bytes(data)

    return after


@defect("a video is a Git LFS pointer", "project")
def video_pointer(s):
    def after(root):
        file = root / video("wrist")
        size = file.stat().st_size
        file.unlink()
        file.write_text(POINTER.format(12345, size))

    return after


@defect("the last 4 frames of a video are missing", "robovet (demo)")
def video_short(s):
    def after(root):
        packets = [p for e in s.episodes for p in s.packets_of(e, "front", root / "scratch")]
        (root / video("front")).unlink()
        s.mux(root / video("front"), "front", packets[:-4])

    return after


@defect("an episode's place in a video is 4 ms off", "robovet (demo)")
def video_window_off(s):
    name = f"videos/{FRONT}/from_timestamp"
    return table(META, lambda rows: [r | ({name: r[name] + 0.004} if i == AT else {}) for i, r in enumerate(rows)])


@defect("an episode's place in a video is half a second off", "robovet (META-504)")
def video_window_shifted(s):
    names = [f"videos/{FRONT}/{k}_timestamp" for k in ("from", "to")]
    return table(META, lambda rows: [r | ({k: r[k] - 0.5 for k in names} if i == AT else {}) for i, r in enumerate(rows)])


def episode_video(camera, number=AT):
    return f"videos/chunk-000/{key(camera)}/episode_{number:06d}.mp4"


@defect("a video has 5 frames fewer than its episode has rows", "robovet (demo); lerobot-doctor (videos)", version="v2.1")
def video_short_v21(s):
    e = s.episodes[AT]
    return lambda root: encode(root / episode_video("wrist"), e.view("wrist")[:-5])


@defect("a video has 15 frames a second where fps is 30", "robovet (VIDEO-404); lerobot-doctor (videos)", version="v2.1")
def video_rate_v21(s):
    def after(root):
        for i, e in enumerate(s.episodes):
            encode(root / episode_video("front", i), e.view("front")[::2], fps=15)

    return after


@defect("one camera's videos are MPEG-4 part 2, which browsers do not play", "robovet (demo)", version="v2.1")
def video_codec_v21(s):
    def after(root):
        for i, e in enumerate(s.episodes):
            encode(root / episode_video("wrist", i), e.view("wrist"), codec="mpeg4")
        text(INFO, lambda j: j["features"][key("wrist")]["info"].update({"video.codec": "mpeg4"}))(root)

    return after


@defect("one episode's pictures have another size", "kalanos (video format); lerobot-doctor (videos)", version="v2.1")
def video_size_v21(s):
    e = s.episodes[AT]
    return lambda root: encode(root / episode_video("front"), e.view("front").repeat(2, 1).repeat(2, 2))


@defect("an episode's table is missing", "robovet (STRUCT-006)", version="v2.1")
def data_missing_v21(s):
    return lambda root: (root / f"data/chunk-000/episode_{AT:06d}.parquet").unlink()


@defect("an episode's table has no column of actions", "lerobot-doctor (consistency)", version="v2.1")
def column_missing_v21(s):
    def after(root):
        file = root / f"data/chunk-000/episode_{AT:06d}.parquet"
        pq.write_table(pq.read_table(file).drop_columns(["action"]), file)

    return after


@defect("an episode's statistics in meta/ are wrong", "robovet (demo)", version="v2.1")
def stats_wrong_v21(s):
    def after(root):
        file = root / "meta/episodes_stats.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        one = lines[AT]["stats"]["action"]
        one["mean"], one["std"] = [3 * x + 0.5 for x in one["mean"]], [0.1 * x + 1e-3 for x in one["std"]]
        file.write_text("".join(json.dumps(x) + "\n" for x in lines))

    return after


@defect("an episode's length in meta/ is 12 too many", "robovet (demo)", version="v2.1")
def length_wrong_v21(s):
    def after(root):
        file = root / "meta/episodes.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        lines[AT]["length"] += 12
        file.write_text("".join(json.dumps(x) + "\n" for x in lines))

    return after

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/import/data/hdf5.zip: HDF5 files and, beside each, what h5py and OpenCV read of it.

    python3 -m venv VENV && VENV/bin/pip install h5py hdf5plugin numpy opencv-python-headless
    VENV/bin/python tests/import/make_hdf5.py [FILE.zip]

NAME.safetensors has, under EPISODE/ARRAY, the vectors as float64 and under EPISODE/CAMERA the frames as uint8; JPEG and
PNG as cv2.imdecode gives them, whose order of colours ACT's own reader takes for RGB. bad/ has what must be refused.
test_hdf5.c unpacks it and compares.
"""

import json
import os
import struct
import sys
import tempfile
import zipfile

import cv2
import h5py
import hdf5plugin
import numpy as np

OLD = dict(libver=("earliest", "v110"))  # what every libhdf5 from 1.10 on reads
NEW = dict(libver=("v110", "v110"))  # the smaller form of it, which recorders seldom write
STATE = ["robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos"]


def safetensors(path, arrays):
    """Eight bytes of the header's length, the header, the numbers."""
    names = {np.dtype("<f8"): "F64", np.dtype("u1"): "U8"}
    header, blobs, at = {}, [], 0
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        blob = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": names[array.dtype], "shape": array.shape, "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def pictures(rows, height, width, seed):
    """Smooth ones with a moving red square on blue, so that exchanged colours are seen."""
    y, x = np.mgrid[0:height, 0:width]
    out = np.empty((rows, height, width, 3), np.uint8)
    for row in range(rows):
        out[row, :, :, 0] = (x * 3 + seed * 7 + row * 5) % 64
        out[row, :, :, 1] = (y * 4 + row * 11) % 128
        out[row, :, :, 2] = 150 + (x + y + seed) % 60
        top, left = row % (height - 4), (3 * row + seed) % (width - 4)
        out[row, top : top + 4, left : left + 4] = (250, 30, 20)
    return out


def soft_pictures(rows, height, width, seed):
    """A blurred red spot on blue: what a JPEG with chroma of half the size can hold."""
    y, x = np.mgrid[0:height, 0:width]
    out = np.empty((rows, height, width, 3))
    for row in range(rows):
        spot = np.exp(-((y - height / 2 - row) ** 2 + (x - width / 3 - seed % 5) ** 2) / (2 * (height / 3) ** 2))
        for c, (on, off) in enumerate(((230, 30), (60, 60 + 3 * seed % 40), (40, 180))):
            out[row, :, :, c] = off + (on - off) * spot
    return out.astype(np.uint8)


def values(rows, dim, seed):
    """Not representable in float32, so that a reader that loses bits is seen."""
    return np.random.default_rng(seed).normal(0, 1, (rows, dim))


def encoded(images, extension=".jpg"):
    """As ALOHA's recorder does: RGB given to a function that takes BGR."""
    quality = [int(cv2.IMWRITE_JPEG_QUALITY), 50] if extension == ".jpg" else []
    return [cv2.imencode(extension, image, quality)[1] for image in images]


def padded(files):
    out = np.zeros((len(files), max(len(f) for f in files)), np.uint8)
    for row, file in enumerate(files):
        out[row, : len(file)] = file
    return out


def frames_of(array):
    if array.ndim == 4:
        return array[()]
    rows = (np.frombuffer(row, np.uint8) if isinstance(row, bytes) else row for row in array[()])
    return np.stack([cv2.imdecode(row, cv2.IMREAD_COLOR) for row in rows])


def write_aloha(path, rows, seed, images, dim=14, order="<", dtype="f4", more=(), sim=None, form=OLD, **options):
    """One episode. images: {camera: array} or {camera: list of files}; those go as they are."""
    with h5py.File(path, "w", **form) as root:
        if sim is not None:
            root.attrs["sim"] = sim
        observations = root.create_group("observations")
        cameras = observations.create_group("images")
        for camera, array in images.items():
            if array.ndim == 4:
                cameras.create_dataset(camera, data=array, chunks=(1, *array.shape[1:]), **options)
            else:
                cameras.create_dataset(camera, data=array)
        put = lambda group, name, n, k: group.create_dataset(name, data=values(rows, n, seed + k).astype(order + dtype))
        put(observations, "qpos", dim, 0)
        put(root, "action", dim, 1)
        for k, name in enumerate(("qvel", "effort")):
            if name in more:
                put(observations, name, dim, 2 + k)
        if "base_action" in more:
            put(root, "base_action", 2, 4)


def read_aloha(folder):
    arrays, files = {}, os.listdir(folder)
    for number, file in enumerate(sorted(files, key=lambda f: int(f.split("_")[1].split(".")[0]))):
        with h5py.File(os.path.join(folder, file)) as root:
            for name in ("observations/qpos", "observations/qvel", "observations/effort", "action", "base_action"):
                if name in root:
                    arrays[f"{number}/{name}"] = root[name][()].astype("<f8")
            for camera, array in root["observations/images"].items():
                if "depth" not in camera:
                    arrays[f"{number}/{camera}"] = frames_of(array)
    return arrays


def raw(folder):
    """ACT's simulated episodes: chunks of a frame, numbers in float32; one file in other layouts."""
    cameras = lambda rows, seed: {"top": pictures(rows, 12, 16, seed), "angle": pictures(rows, 8, 10, seed + 1)}
    depth = lambda rows: {"top_depth": np.arange(rows * 12 * 16, dtype=np.uint16).reshape(rows, 12, 16)}
    for number, rows in ((0, 4), (1, 3), (10, 2)):
        file = f"{folder}/episode_{number}.hdf5"
        write_aloha(file, rows, 10 * number, cameras(rows, number) | depth(rows), more=("qvel",), sim=True)
    write_aloha(f"{folder}/episode_2.hdf5", 5, 20, cameras(5, 2) | depth(5), more=("qvel",), order=">", dtype="f8",
                sim=True, compression="gzip", shuffle=True)


def jpeg(folder):
    """A mobile robot's episodes as its recorder writes them; cam_low is recorded before cam_left_wrist."""
    cameras = "cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist"
    for number, rows in ((0, 3), (1, 2)):
        path = f"{folder}/episode_{number}.hdf5"
        files = {c: encoded(soft_pictures(rows, 24, 32, 5 * k + number)) for k, c in enumerate(cameras)}
        size = max(len(f) for camera in files.values() for f in camera)
        images = {c: np.stack([np.pad(f, (0, size - len(f))) for f in camera]) for c, camera in files.items()}
        write_aloha(path, rows, 40 + number, images, more=("qvel", "effort", "base_action"), dtype="f4", sim=False)
        with h5py.File(path, "a", **OLD) as root:
            root.attrs["compress"] = True
            lengths = np.array([[len(f) for f in files[c]] for c in cameras])
            root.create_dataset("compress_len", data=lengths.astype("f4"))


def other(folder):
    """Seven values an arm, and image files in the ways of other recorders."""
    images = {
        "bytes": np.array([bytes(f) for f in encoded(soft_pictures(3, 24, 32, 1))]),
        "png": padded(encoded(pictures(3, 10, 12, 2), ".png")),
    }
    path = f"{folder}/episode_000007.hdf5"
    write_aloha(path, 3, 50, images, dim=7, dtype="f8")
    with h5py.File(path, "a", **OLD) as root:
        root.attrs["fps"] = 20
        root.attrs["task"] = "pick up the cup"
        pieces = root["observations/images"].create_dataset("pieces", (3,), h5py.vlen_dtype(np.uint8))
        for row, file in enumerate(encoded(soft_pictures(3, 24, 36, 3))):
            pieces[row] = file


def filters(folder):
    """Compressors that libhdf5 does not bring, on chunks of several rows; repetitions of any length for lzf."""
    path = f"{folder}/episode_0.hdf5"
    write_aloha(path, 24, 60, {}, dim=3)
    smooth = np.round(np.cumsum(values(24, 3, 61), 0), 1)
    blosc = hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.SHUFFLE)
    with h5py.File(path, "a", **OLD) as root:
        for name in ("observations/qpos", "action"):
            del root[name]
        root.create_dataset("observations/qpos", data=smooth, chunks=(16, 2), compression="lzf", shuffle=True)
        root.create_dataset("action", data=smooth + 1, chunks=(9, 3), **blosc)
        root.create_dataset("observations/qvel", data=smooth + 2, chunks=(9, 3), **hdf5plugin.Zstd())
        images = root["observations/images"]
        images.create_dataset("lzf", data=np.repeat(pictures(12, 8, 8, 3), 2, 0), chunks=(7, 8, 8, 3), compression="lzf")
        images.create_dataset("blosc", data=pictures(24, 8, 8, 4), chunks=(1, 8, 8, 3), **hdf5plugin.Blosc(cname="zstd"))


def add_demo(data, name, rows, seed, observations, actions=7, **options):
    demo = data.create_group(name)
    demo.create_dataset("actions", data=values(rows, actions, seed))
    demo.create_dataset("states", data=values(rows, 5, seed + 1))
    demo.create_dataset("dones", data=np.zeros(rows, np.int64))
    for key, array in observations.items():
        demo.create_dataset(f"obs/{key}", data=array, **(options if array.ndim == 4 else {}))
    demo.create_dataset("next_obs/robot0_eef_pos", data=values(rows, 3, seed + 2))
    demo.attrs["num_samples"] = rows
    return demo


def robot(rows, number, seed):
    return {
        f"robot{number}_eef_pos": values(rows, 3, seed),
        f"robot{number}_eef_quat": values(rows, 4, seed + 1),
        f"robot{number}_gripper_qpos": values(rows, 2, seed + 2),
        f"robot{number}_joint_pos": values(rows, 7, seed + 3).astype("f4"),
    }


def read_robomimic(path, skip=()):
    arrays = {}
    with h5py.File(path) as root:
        for number, demo in enumerate(sorted(root["data"], key=lambda name: int(name.split("_")[1]))):
            group = root["data"][demo]
            arrays[f"{number}/actions"] = group["actions"][()].astype("<f8")
            for key, array in group["obs"].items():
                if array.ndim == 4 and array.dtype == np.uint8:
                    arrays[f"{number}/{key}"] = array[()]
                elif key not in skip:
                    arrays[f"{number}/obs/{key}"] = array[()].reshape(array.shape[0], -1).astype("<f8")
    return arrays


def robomimic(path):
    with h5py.File(path, "w", **OLD) as root:
        data = root.create_group("data")
        for number, rows in ((0, 4), (1, 3), (2, 5), (10, 2)):
            seed = 100 * number
            images = {c: pictures(rows, 12, 14, number + k) for k, c in enumerate(("agentview_image", "robot0_eye_in_hand_image"))}
            observations = robot(rows, 0, seed) | images | {
                "object": values(rows, 10, seed + 9),
                "touching": np.arange(rows) % 2 == 0,  # one value a row, a truth value
                "count": np.arange(rows, dtype=np.int32).reshape(rows, 1),
                "agentview_depth": np.ones((rows, 12, 14, 1), "f4"),
            }
            options = dict(compression="gzip") if number else {}
            add_demo(data, f"demo_{number}", rows, seed + 20, observations, **options)
        data.attrs["total"] = 14
        data.attrs["env_args"] = json.dumps(
            {"env_name": "PickPlaceCan", "env_type": 1, "env_kwargs": {"control_freq": 20, "robots": ["Panda"]}}, indent=4
        )
        root.create_dataset("mask/train", data=np.array([b"demo_0", b"demo_10", b"demo_2"]))
        root.create_dataset("mask/valid", data=["demo_1"])  # of variable length
        root.create_dataset("mask/20_percent", data=np.array([b"demo_1"]))


def two_robots(path, form=OLD):
    with h5py.File(path, "w", **form) as root:
        data = root.create_group("data")
        observations = {key: array.astype(">f4") for key, array in (robot(3, 1, 7) | robot(3, 0, 3)).items()}
        add_demo(data, "demo_0", 3, 30, observations, actions=14)


def names(path):
    """Cameras whose short names are others' names, and two objects."""
    with h5py.File(path, "w", **OLD) as root:
        cameras = ("wrist", "wrist_image", "side_image", "side_rgb", "front_rgb")
        observations = robot(2, 0, 3) | {c: pictures(2, 8, 8, k) for k, c in enumerate(cameras)}
        observations |= {"object": values(2, 3, 1), "object-state": values(2, 5, 2)}
        add_demo(root.create_group("data"), "demo_0", 2, 5, observations)


def libero(path):
    with h5py.File(path, "w", **OLD) as root:
        data = root.create_group("data")
        observations = {"ee_states": values(2, 6, 1), "gripper_states": values(2, 2, 2), "agentview_rgb": pictures(2, 8, 8, 1)}
        add_demo(data, "demo_0", 2, 5, observations).attrs["ep_meta"] = json.dumps({"lang": "open the drawer"})
        add_demo(data, "demo_1", 2, 6, observations)
        data.attrs["problem_info"] = json.dumps({"language_instruction": "close the drawer"})


def bad(folder):
    """Each with one fault, which its name says."""
    path = lambda name: f"{folder}/{name}.hdf5"
    images = {"top": pictures(3, 8, 8, 1)}

    def edit(name, how, base=None):
        (base or (lambda file: write_aloha(file, 3, 1, images, dim=2, more=("qvel",), form=NEW)))(path(name))
        with h5py.File(path(name), "a", **NEW) as root:
            how(root)

    def replace(name, array, **options):
        def change(root):
            del root[name]
            root.create_dataset(name, data=array, **options)

        return change

    def holed(name, array, how):
        out = array.copy()
        out[how[0]] = how[1]
        return replace(name, out)

    def several_pieces(root):
        array = root["observations/images"].create_dataset("more", (3, 4), h5py.vlen_dtype(np.uint8))
        for at in np.ndindex(3, 4):
            array[at] = np.arange(10, dtype=np.uint8)

    qpos = values(3, 2, 1)
    edit("no_action", lambda root: root.pop("action"))
    edit("no_qpos", lambda root: root["observations"].pop("qpos"))
    edit("action_group", lambda root: (root.pop("action"), root.create_group("action")))
    edit("short_action", replace("action", values(2, 2, 1)))
    edit("short_camera", replace("observations/images/top", pictures(2, 8, 8, 1)))
    edit("nan", holed("observations/qpos", qpos, ((2, 1), np.nan)))
    edit("infinite", holed("action", qpos, ((0, 0), np.inf)))
    largest = (1 << 53) - 1  # of the whole numbers that a double holds, its neighbour too
    edit("whole", replace("action", np.array([[largest, -largest], [0, -largest - 2], [0, 0]])))
    edit("whole_unsigned", replace("observations/qpos", np.array([[largest, 0], [0, 1], [(1 << 63) + 1, 0]], np.uint64)))
    edit("text", replace("action", np.array([b"a", b"b", b"c"])))
    edit("cube", replace("action", np.zeros((3, 2, 2))))
    edit("wide", replace("action", np.zeros((3, 4097), np.uint8)))
    edit("flat", replace("action", np.zeros((3, 0))))
    edit("single", replace("action", np.float64(1)))
    edit("empty", replace("observations/qpos", np.zeros((0, 2))))
    edit("grey", replace("observations/images/top", np.zeros((3, 8, 8), np.uint8)))
    edit("float_image", replace("observations/images/top", np.zeros((3, 8, 8, 3), "f4")))
    edit("many_pieces", several_pieces)
    edit("no_image", replace("observations/images/top", np.zeros((3, 40), np.uint8)))
    short = padded(encoded(pictures(3, 16, 16, 1)))
    cut = short.copy()
    cut[1, 100:] = 0
    edit("cut_jpeg", replace("observations/images/top", cut))
    sizes = padded(encoded(pictures(2, 16, 16, 1)) + encoded(pictures(1, 16, 24, 1)))
    edit("two_sizes", replace("observations/images/top", sizes))
    edit("never_written", lambda root: (root.pop("action"), root.create_dataset("action", (3, 2), "f4")))

    def half(root):
        del root["action"]
        action = root.create_dataset("action", (1000, 2), "f4", chunks=(10, 2))
        action[:500] = 1

    edit("half_written", half)
    edit("huge", lambda root: (root.pop("action"), root.create_dataset("action", (1 << 40, 2), "f4", chunks=(1 << 20, 2), compression="gzip")))
    edit("lz4", replace("action", np.zeros((3, 2)), chunks=(3, 2), **hdf5plugin.LZ4()))
    edit("other_files", lambda root: (root.pop("action"), root.create_dataset("action", (3, 2), "f8", external=[("elsewhere.raw", 0, 48)])))

    edit("odd_task", lambda root: root.attrs.create("task", np.bytes_(b"pick \xff up")))

    start = lambda file: two_robots(file, NEW)
    demo = "data/demo_0/"
    edit("no_demo", lambda root: (root["data"].pop("demo_0"), root["data"].attrs.create("env_args", "{}")), start)
    edit("no_obs", lambda root: root[demo].pop("obs"), start)
    edit("no_actions", lambda root: root[demo].pop("actions"), start)
    edit("empty_demo", replace(demo + "actions", np.zeros((0, 14))), start)
    edit("samples", lambda root: root[demo].attrs.modify("num_samples", 4), start)
    edit("short_obs", replace(demo + "obs/robot0_eef_pos", values(2, 3, 1)), start)
    edit("another_demo", lambda root: add_demo(root["data"], "demo_1", 2, 5, robot(2, 0, 3), actions=14), start)
    edit("another_width", lambda root: root.copy("data/demo_0", "data/demo_1") or replace("data/demo_1/actions", values(3, 7, 1))(root), start)
    edit("mask", lambda root: root.create_dataset("mask/train", data=[1, 2]), start)
    edit("neither", lambda root: (root.pop("data"), root.create_dataset("numbers", data=[1, 2])), start)

    for name, change in (("camera", lambda image: {"side": image}), ("size", lambda image: {"top": image[:, :, :6]}),
                         ("files", lambda image: {"top": padded(encoded(image))})):
        os.makedirs(f"{folder}/{name}")
        write_aloha(f"{folder}/{name}/episode_0.hdf5", 3, 1, images, dim=2, form=NEW)
        write_aloha(f"{folder}/{name}/episode_1.hdf5", 3, 1, change(images["top"]), dim=2, form=NEW)
    os.makedirs(f"{folder}/width")
    write_aloha(f"{folder}/width/episode_0.hdf5", 3, 1, {}, dim=2, form=NEW)
    write_aloha(f"{folder}/width/episode_1.hdf5", 3, 1, {}, dim=3, form=NEW)


def make(folder):
    for name, fill in (("raw", raw), ("jpeg", jpeg), ("other", other), ("filters", filters)):
        os.makedirs(f"{folder}/{name}")
        fill(f"{folder}/{name}")
        safetensors(f"{folder}/{name}.safetensors", read_aloha(f"{folder}/{name}"))
    for name, fill in (("robomimic", robomimic), ("two_robots", two_robots), ("libero", libero)):
        fill(f"{folder}/{name}.hdf5")
        safetensors(f"{folder}/{name}.safetensors", read_robomimic(f"{folder}/{name}.hdf5", skip=("agentview_depth",)))
    names(f"{folder}/names.hdf5")
    os.makedirs(f"{folder}/bad")
    bad(f"{folder}/bad")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "data", "hdf5.zip")
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zip:
            for place, _, names in sorted(os.walk(folder)):
                for name in sorted(names):
                    # Always the same date, so that the same files are the same zip.
                    entry = zipfile.ZipInfo(os.path.relpath(os.path.join(place, name), folder))
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    with open(os.path.join(place, name), "rb") as file:
                        zip.writestr(entry, file.read())


if __name__ == "__main__":
    main()

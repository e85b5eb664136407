#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the replay buffers in tests/import/data/ and, beside each, what zarr itself reads of it.

    python3 -m venv VENV && VENV/bin/pip install 'zarr<3' 'numcodecs<0.16' imagecodecs numpy
    VENV/bin/python tests/import/make_umi.py [FOLDER]

NAME.zarr.zip is the source, NAME.safetensors has every array of its data/ and meta/episode_ends as
zarr and imagecodecs decode them (vectors as float64, frames as uint8); of the cameras of codecs.zarr.zip
with the same frames only the first is there, gzip_rgb. test_umi.c compares.
"""

import json
import os
import shutil
import struct
import sys
import tempfile
import zipfile

import numcodecs
import numpy as np
import zarr
from imagecodecs.numcodecs import Jpeg, Jpegxl, Png, Webp, register_codecs

register_codecs(verbose=False)
Blosc = numcodecs.Blosc
LEFT_OUT = "depth", "calibration", "name"  # arrays that nothing is made of


def frames(rows, height, width, seed):
    """Smooth pictures with a moving square, so that lossy codecs have something to lose."""
    y, x = np.mgrid[0:height, 0:width]
    out = np.empty((rows, height, width, 3), np.uint8)
    for row in range(rows):
        for c in range(3):
            out[row, :, :, c] = (x * (5 + c) + y * (3 + seed) + 17 * row) % 256 // 2 + 40 * c
        top, left = row % (height - 4), (2 * row) % (width - 4)
        out[row, top : top + 4, left : left + 4] = (250, 20 + seed, 60)
    return out


def poses(rows, seed):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(0, 0.01, (rows, 3)), 0), np.cumsum(rng.normal(0, 0.05, (rows, 3)), 0)


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


def put(group, name, array, chunks, **more):
    made = group.create_dataset(name, shape=array.shape, chunks=chunks, dtype=array.dtype, **more)
    made[:] = array


def expected(path):
    """What zarr reads: from the zip file, or, where that has no group at its top, from the folder in it."""
    with tempfile.TemporaryDirectory() as scratch:
        store = zarr.ZipStore(path, mode="r")
        if ".zgroup" not in store:
            zipfile.ZipFile(path).extractall(scratch)
            store = zarr.DirectoryStore(os.path.join(scratch, os.listdir(scratch)[0]))
        root = zarr.open_group(store, mode="r")
        arrays = {"meta/episode_ends": root["meta/episode_ends"][:].astype("<f8")}
        for name, array in sorted(root["data"].arrays(), key=lambda item: (item[0] != "gzip_rgb", item[0])):
            if name in LEFT_OUT:
                continue
            is_frames = array.ndim == 4 and array.shape[3] == 3
            numbers = array[:].astype("u1" if is_frames else "<f8")
            if not np.array_equal(arrays.get("data/gzip_rgb"), numbers):
                arrays["data/" + name] = numbers
        return arrays


def group_at(store, ends, **how):
    root = zarr.group(store, overwrite=True)
    put(root.create_group("meta"), "episode_ends", np.array(ends, np.int64), (len(ends),), **how)
    return root.create_group("data")


def umi(path):
    """One arm and one camera, as UMI's scripts write them."""
    rows, plain = 12, dict(compressor=Blosc("zstd", 5, Blosc.BITSHUFFLE))
    store = zarr.ZipStore(path, mode="w")
    data = group_at(store, [7, 12], **plain)
    position, rotation = poses(rows, 1)
    put(data, "robot0_eef_pos", position.astype(np.float32), (rows, 3), **plain)
    put(data, "robot0_eef_rot_axis_angle", rotation.astype(np.float32), (rows, 3), **plain)
    put(data, "robot0_gripper_width", np.linspace(0.08, 0.01, rows, dtype=np.float32)[:, None], (rows, 1), **plain)
    for which, row in (("start", 0), ("end", 6)):
        pose = np.repeat(np.concatenate([position[row], rotation[row]])[None], rows, 0)
        put(data, f"robot0_demo_{which}_pose", pose, (rows, 6), **plain)
    jpegxl = Jpegxl(level=99, lossless=False, numthreads=1)
    put(data, "camera0_rgb", frames(rows, 16, 24, 0), (1, 16, 24, 3), compressor=jpegxl)
    store.close()


def two_arms(path):
    """Two arms, three cameras in other orders than their names', odd chunks, both byte orders, fill
    values, "/" in the names of chunks; the folder was packed as a whole and deflated."""
    rows, made = 9, path + ".folder"
    folder = os.path.join(made, "replay_buffer.zarr")
    data = group_at(zarr.NestedDirectoryStore(folder), [1, 5, 9], compressor=numcodecs.GZip(3))
    for arm in (1, 0):
        position, rotation = poses(rows, 5 + arm)
        put(data, f"robot{arm}_eef_pos", position.astype(">f4"), (4, 2), compressor=numcodecs.Zlib(6))
        put(data, f"robot{arm}_eef_rot_axis_angle", rotation.astype("<f8"), (2, 3), compressor=numcodecs.LZ4())
        width = np.linspace(0.09, 0, rows).astype("<f2")[:, None]
        put(data, f"robot{arm}_gripper_width", width, (5, 1), compressor=None)
    for camera, chunk in ((10, (4, 5, 16, 2)), (2, (1, 12, 16, 3)), (0, (9, 12, 16, 1))):
        put(data, f"camera{camera}_rgb", frames(rows, 12, 16, camera), chunk, compressor=numcodecs.Zstd(3))
    left_away = data.create_dataset("quality", shape=(rows, 2), chunks=(4, 2), dtype="f4", fill_value=-1.5)
    left_away[0:2] = 3
    put(data, "depth", np.zeros((rows, 24, 32), np.uint16), (rows, 24, 32))
    put(data, "calibration", np.eye(3), (3, 3))
    put(data, "name", np.array([b"cup"] * rows), (rows,))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for at, _, names in sorted(os.walk(made)):
            for name in sorted(names):
                file = os.path.join(at, name)
                out.write(file, os.path.relpath(file, made))
    shutil.rmtree(made)


def all_codecs():
    ways = {
        "none": None,
        "zlib": numcodecs.Zlib(1),
        "gzip": numcodecs.GZip(9),
        "zstd": numcodecs.Zstd(1),
        "lz4": numcodecs.LZ4(),
        "jpegxl_lossless": Jpegxl(lossless=True, numthreads=1),
        "jpegxl_lossy": Jpegxl(distance=1.0, lossless=False, numthreads=1),
        "jpeg": Jpeg(level=95, subsampling="444"),
        "png": Png(),
        "webp": Webp(lossless=True),
    }
    for name, shuffle in (("blosclz", 0), ("lz4", 1), ("lz4hc", 2), ("zlib", 1), ("zstd", 2)):
        ways["blosc_" + name] = Blosc(name, 5, shuffle)
    return ways


def codecs(path):
    """A camera for each codec, and a vector for each type of number."""
    rows, shape = 5, (5, 12, 16, 3)
    store = zarr.ZipStore(path, mode="w", compression=zipfile.ZIP_DEFLATED)
    data = group_at(store, [2, 5], compressor=None)
    ways = all_codecs()
    pictures = frames(rows, 12, 16, 3)
    for name, compressor in ways.items():
        chunk = (1,) + shape[1:] if "g" in name or name == "png" else (2, 7, 16, 3)
        put(data, f"{name}_rgb", pictures, chunk, compressor=compressor)
    rng = np.random.default_rng(2)
    for order in "<>":
        for kind in ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8"):
            numbers = rng.integers(0, 60000, (rows, 3)) if kind[0] == "u" else rng.normal(0, 100, (rows, 3))
            if kind[0] == "f":
                numbers[0] = 6e-8, -0.0, 2e-5  # of halves the smallest, and one of few digits
            numbers = numbers.astype(kind)
            name = ("little_" if order == "<" else "big_") + kind
            put(data, name, numbers.astype(order + kind), (2, 2), compressor=Blosc("lz4"))
    put(data, "byte_i1", rng.integers(-128, 128, (rows, 2)).astype("i1"), (rows, 2))
    put(data, "byte_u1", rng.integers(0, 256, (rows,)).astype("u1"), (3,))
    put(data, "byte_b1", rng.integers(0, 2, (rows, 2)).astype(bool), (rows, 1))
    put(data, "action", rng.normal(0, 1, (rows, 2)), (rows, 2))
    store.close()


def pusht(path):
    """Diffusion policy's form: pictures as float32, actions beside the state."""
    rows = 7
    store = zarr.ZipStore(path, mode="w")
    data = group_at(store, [4, 7])
    rng = np.random.default_rng(4)
    put(data, "img", frames(rows, 8, 10, 1).astype(np.float32), (3, 8, 10, 3))
    put(data, "state", rng.uniform(0, 512, (rows, 5)).astype(np.float32), (rows, 5))
    put(data, "action", rng.uniform(0, 512, (rows, 2)).astype(np.float32), (rows, 2))
    put(data, "keypoint", rng.uniform(0, 512, (rows, 9, 2)).astype(np.float32), (2, 9, 1))
    put(data, "n_contacts", rng.integers(0, 3, (rows, 1)).astype(np.float32), (rows, 1))
    put(data, "timestamp", np.arange(rows) / 10, (rows,))
    store.close()


def seeds(folder):
    """Small recordings as the fuzz targets have folders (tests/fuzz/driver.h); one as a zip file."""
    os.makedirs(folder, exist_ok=True)
    for name, compressor in all_codecs().items():
        if name in ("jpeg", "webp"):  # which the target does not decode
            continue
        store = zarr.MemoryStore()
        data = group_at(store, [1, 2])
        put(data, "robot0_eef_pos", np.ones((2, 3), "<f4"), (2, 3), compressor=Blosc("lz4"))
        put(data, "robot0_eef_rot_axis_angle", np.ones((2, 3), ">f8"), (1, 2), compressor=numcodecs.Zstd(1))
        put(data, "robot0_gripper_width", np.ones((2, 1), "<f2"), (2, 1))
        put(data, "camera0_rgb", frames(2, 5, 5, 1), (1, 5, 5, 3), compressor=compressor)
        with open(os.path.join(folder, name), "wb") as f:
            # Frames last: the fuzzer cuts ends off, and what is before them stays whole.
            for key in sorted(store.keys(), key=lambda key: ("camera" in key, key)):
                value = bytes(store[key])
                f.write(b"@@ " + key.encode() + b"\n" + value + b"\n")
        if name == "zlib":
            with zipfile.ZipFile(os.path.join(folder, "zip"), "w", zipfile.ZIP_DEFLATED) as out:
                for key in sorted(store.keys()):
                    out.writestr(key, bytes(store[key]))


def main():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
    folder = sys.argv[1] if len(sys.argv) > 1 else here
    os.makedirs(folder, exist_ok=True)
    seeds(os.path.join(folder, "..", "..", "fuzz", "seeds", "zarr"))
    for make in (umi, two_arms, codecs, pusht):
        path = os.path.join(folder, make.__name__ + ".zarr.zip")
        if os.path.exists(path):
            os.remove(path)
        make(path)
        safetensors(path.replace(".zarr.zip", ".safetensors"), expected(path))


if __name__ == "__main__":
    main()

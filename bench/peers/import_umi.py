#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A replay buffer as UMI's scripts write it, made up; and two Python programs that turn it into AV1, beside
`tact import`: a loop over zarr, imagecodecs and PyAV, and LeRobot's own writer of datasets.

    import_umi.py make FILE --frames=N       zarr in a zip file, 224x224, JPEG XL of level 99 as UMI's codec
                                             writes it (not lossless, effort 3; imagecodecs alone is lossless)
    import_umi.py convert FILE --out=MP4     the loop; prints one JSON line
    import_umi.py lerobot FILE --out=DIR     LeRobot's writer; prints one JSON line

The loop opens what it needs before the clock starts, and does nothing but read a frame, decode it and
give it to the encoder, which has LeRobot's settings (libsvtav1, GOP 2, crf 30, preset 12) and as many
threads as it likes. Neither rows nor statistics are made. LeRobot's writer makes what `tact import` makes,
a dataset; it encodes while it is given frames (streaming_encoding), which is its fastest way.
"""
import argparse
import json
import time
import zipfile
from fractions import Fraction

import numpy as np
import zarr
from imagecodecs.numcodecs import Jpegxl, register_codecs

SIDE = 224
register_codecs(verbose=False)


def frames(n):
    """A textured table that moves under the camera, a hand before it, and the little noise that a scaled-down picture has."""
    rng = np.random.default_rng(1)
    table = rng.normal(0, 1, (1024, 1024, 3))
    spectrum = np.fft.rfft2(table, axes=(0, 1))
    fy, fx = np.fft.fftfreq(1024)[:, None, None], np.fft.rfftfreq(1024)[None, :, None]
    table = np.fft.irfft2(spectrum / (0.002 + np.hypot(fy, fx)) ** 1.3, axes=(0, 1))
    table = 120 + 45 * table / table.std()
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    for k in range(n):
        top, left = int(380 + 300 * np.sin(k / 90)), int(380 + 300 * np.cos(k / 70))
        picture = table[top : top + SIDE, left : left + SIDE].copy()
        hand = np.abs(x - 112 - 20 * np.sin(k / 15)) < 18 + (y > 120) * 20
        picture[hand & (y > 90)] = (70, 60, 50)
        yield np.clip(picture + rng.normal(0, 0.7, picture.shape), 0, 255).astype(np.uint8)


def make(path, n, episode):
    store = zarr.ZipStore(path, mode="w")
    data = zarr.group(store).create_group("data")
    meta = zarr.open_group(store, path="meta", mode="a")
    ends = np.array([*range(episode, n, episode), n], np.int64)
    meta.create_dataset("episode_ends", data=ends, compressor=None)
    rng = np.random.default_rng(2)
    for name, width in (("eef_pos", 3), ("eef_rot_axis_angle", 3), ("gripper_width", 1)):
        values = np.cumsum(rng.normal(0, 1e-3, (n, width)), 0).astype(np.float32)
        data.create_dataset(f"robot0_{name}", data=values, chunks=values.shape, compressor=None)
    camera = data.create_dataset("camera0_rgb", shape=(n, SIDE, SIDE, 3), chunks=(1, SIDE, SIDE, 3), dtype=np.uint8,
                                 compressor=Jpegxl(level=99, effort=3, lossless=False, numthreads=1))
    for k, picture in enumerate(frames(n)):
        camera[k] = picture
    store.close()


def convert(path, out):
    import av

    camera = zarr.open_group(zarr.ZipStore(path, mode="r"), mode="r")["data/camera0_rgb"]
    rate = Fraction(60000, 1001)
    start = time.perf_counter()
    with av.open(out, "w") as container:
        stream = container.add_stream("libsvtav1", rate, options={"g": "2", "crf": "30", "preset": "12"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for k in range(camera.shape[0]):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(camera[k], format="rgb24")))
        container.mux(stream.encode())
    report(camera.shape[0], time.perf_counter() - start)


def convert_with_lerobot(path, out):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    source = zarr.open_group(zarr.ZipStore(path, mode="r"), mode="r")
    names = ("eef_pos", "eef_rot_axis_angle", "gripper_width")
    state = np.concatenate([source[f"data/robot0_{name}"][:] for name in names], 1)
    camera, ends = source["data/camera0_rgb"], source["meta/episode_ends"][:]
    vector = {"dtype": "float32", "shape": (state.shape[1],), "names": None}
    video = {"dtype": "video", "shape": (SIDE, SIDE, 3), "names": ["height", "width", "channels"]}
    features = {"observation.state": vector, "action": vector, "observation.images.camera0": video}
    start = time.perf_counter()
    dataset = LeRobotDataset.create("tact/umi", 60, features, root=out, streaming_encoding=True)
    for first, end in zip([0, *ends], ends):
        for row in range(first, end):
            frame = {"observation.state": state[row], "action": state[row], "task": "umi"}
            dataset.add_frame(frame | {"observation.images.camera0": camera[row]})
        dataset.save_episode()
    dataset.finalize()
    report(camera.shape[0], time.perf_counter() - start)


def report(frames, seconds):
    print(json.dumps({"frames": frames, "seconds": seconds, "frames_per_s": frames / seconds}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("make", "convert", "lerobot"))
    parser.add_argument("path")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--episode", type=int, default=600)
    parser.add_argument("--out")
    a = parser.parse_args()
    if a.what == "make":
        make(a.path, a.frames, a.episode)
        with zipfile.ZipFile(a.path) as z:
            print(f"{a.path}: {a.frames} frames, {sum(i.file_size for i in z.infolist()) / a.frames / 1000:.1f} kB each")
    elif a.what == "convert":
        convert(a.path, a.out)
    else:
        convert_with_lerobot(a.path, a.out)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A replay buffer as UMI's scripts write it, made up; and the loop over zarr, imagecodecs and PyAV that
turns its frames into AV1: beside `tact import`.

    import_umi.py make FILE --frames=N       zarr in a zip file, 224x224, JPEG XL of level 99
    import_umi.py convert FILE --out=MP4     prints one JSON line

The loop opens what it needs before the clock starts, and does nothing but read a frame, decode it and
give it to the encoder, which has LeRobot's settings (libsvtav1, GOP 2, crf 30, preset 12) and as many
threads as it likes. Neither rows nor statistics are made.
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
                                 compressor=Jpegxl(level=99, numthreads=1))
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
    seconds = time.perf_counter() - start
    print(json.dumps({"frames": camera.shape[0], "seconds": seconds, "frames_per_s": camera.shape[0] / seconds}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("make", "convert"))
    parser.add_argument("path")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--episode", type=int, default=600)
    parser.add_argument("--out")
    a = parser.parse_args()
    if a.what == "make":
        make(a.path, a.frames, a.episode)
        with zipfile.ZipFile(a.path) as z:
            print(f"{a.path}: {a.frames} frames, {sum(i.file_size for i in z.infolist()) / a.frames / 1000:.1f} kB each")
    else:
        convert(a.path, a.out)


if __name__ == "__main__":
    main()

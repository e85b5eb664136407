#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/loader/transforms.safetensors: what torchvision's v2 functions, which LeRobot's
augmentation calls, make of a small uint8 image. Made with torch 2.11.0 and torchvision 0.26.0:

    VENV/bin/python tests/loader/make_transforms.py
"""
import os

import torch
from safetensors.torch import save_file
from torchvision.transforms.v2 import functional as F

HEIGHT, WIDTH = 30, 44


def image() -> torch.Tensor:
    """Smooth colours, noise, greys, black, white: (3, H, W)."""
    g = torch.Generator().manual_seed(7)
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    rgb = torch.stack([255 * x, 255 * y, 255 * (1 - x * y)]).to(torch.uint8)
    rgb[:, :, 14:22] = torch.randint(0, 256, (3, HEIGHT, 8), generator=g, dtype=torch.uint8)
    rgb[:, :, 22:26] = torch.randint(0, 256, (1, HEIGHT, 4), generator=g, dtype=torch.uint8)
    rgb[:, :6, 26:30] = 0
    rgb[:, 6:12, 26:30] = 255
    rgb[0, 12:, 26:30] = 255
    return rgb


CASES = {
    "brightness": (F.adjust_brightness, [0.0, 0.8, 0.93, 1.0, 1.2, 2.5]),
    "contrast": (F.adjust_contrast, [0.0, 0.8, 1.0, 1.17, 1.2, 3.0]),
    "saturation": (F.adjust_saturation, [0.0, 0.5, 1.0, 1.23, 1.5]),
    "hue": (F.adjust_hue, [-0.5, -0.05, -0.013, 0.0, 0.05, 0.31, 0.5]),
    "sharpness": (F.adjust_sharpness, [0.0, 0.5, 1.0, 1.5, 4.0]),
}
AFFINE = [(0.0, 0, 0), (3.7, 0, 0), (-5.0, 2, -1), (4.99, -2, 1), (0.0, 2, 0), (33.0, 5, -7)]


def main() -> None:
    source = image()
    out = {"image": source.permute(1, 2, 0).contiguous()}
    for name, (function, values) in CASES.items():
        out[f"{name}.factors"] = torch.tensor(values, dtype=torch.float64)
        out[name] = torch.stack([function(source, v).permute(1, 2, 0) for v in values]).contiguous()
    out["affine.factors"] = torch.tensor(AFFINE, dtype=torch.float64)
    out["affine"] = torch.stack([
        F.affine(source, angle=a, translate=[dx, dy], scale=1.0, shear=[0.0, 0.0]).permute(1, 2, 0)
        for a, dx, dy in AFFINE]).contiguous()
    save_file(out, os.path.join(os.path.dirname(__file__), "transforms.safetensors"))


main()

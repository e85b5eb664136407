# SPDX-License-Identifier: Apache-2.0
"""Frames as tact makes them of recorded ones (src/image/image.h): resized per axis, bilinear between pixel centres
where it grows, and where it shrinks by averaging over boxes (area) or, as torchvision does it, over triangles twice
as wide (bilinear); and of that a part."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def axis_weights(size: int, wanted: int, filter: str = "area") -> Tensor:
    """(wanted, size); every row adds up to 1."""
    out, scale = torch.arange(wanted, dtype=torch.float64), size / wanted
    at = torch.arange(size, dtype=torch.float64)
    if wanted <= size and filter == "bilinear":
        away = (at + 0.5 - (out * scale + scale / 2)[:, None]).abs()
        w = (1 - away / scale).clamp_min(0)
        return w / w.sum(1, keepdim=True)
    if wanted <= size:
        low, high = (out * scale)[:, None], ((out + 1) * scale)[:, None]
        w = (torch.minimum(at + 1, high) - torch.maximum(at, low)).clamp_min(0)
        return w / w.sum(1, keepdim=True)
    centre = ((out + 0.5) * scale - 0.5).clamp(0, size - 1)
    return (1 - (at - centre[:, None]).abs()).clamp_min(0)


def resize(images: Tensor, height: int, width: int, filter: str = "area") -> Tensor:
    """(..., h, w) -> (..., height, width). Images of that size already come back as they are."""
    h, w = images.shape[-2:]
    if (h, w) == (height, width):
        return images
    return axis_weights(h, height, filter).to(images) @ images @ axis_weights(w, width, filter).to(images).T


def center_start(whole: int, part: int) -> int:
    """Where the middle begins; half a pixel goes to the even side, as in torchvision's center_crop."""
    half, odd = divmod(whole - part, 2)
    return half + half % 2 if odd else half


def center_crop(images: Tensor, height: int, width: int) -> Tensor:
    """The middle of (..., h, w)."""
    top, left = center_start(images.shape[-2], height), center_start(images.shape[-1], width)
    return images[..., top: top + height, left: left + width]


def random_crop(images: Tensor, height: int, width: int) -> Tensor:
    """(B, ..., h, w) -> (B, ..., height, width): of every sample a part at a random place, of all its frames alike."""
    B, rest_h, rest_w = images.shape[0], images.shape[-2] - height, images.shape[-1] - width
    tops, lefts = torch.randint(rest_h + 1, (B,)).tolist(), torch.randint(rest_w + 1, (B,)).tolist()
    return torch.stack([image[..., top: top + height, left: left + width]
                        for image, top, left in zip(images, tops, lefts, strict=True)])

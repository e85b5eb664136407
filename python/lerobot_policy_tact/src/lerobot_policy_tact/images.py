# SPDX-License-Identifier: Apache-2.0
"""Resizing as tact does it (src/image/image.h): per axis, averaging over boxes where it shrinks and
bilinear between pixel centres where it grows."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def axis_weights(size: int, wanted: int) -> Tensor:
    """(wanted, size); every row adds up to 1."""
    out, scale = torch.arange(wanted, dtype=torch.float64), size / wanted
    at = torch.arange(size, dtype=torch.float64)
    if wanted <= size:
        low, high = (out * scale)[:, None], ((out + 1) * scale)[:, None]
        w = (torch.minimum(at + 1, high) - torch.maximum(at, low)).clamp_min(0)
        return w / w.sum(1, keepdim=True)
    centre = ((out + 0.5) * scale - 0.5).clamp(0, size - 1)
    return (1 - (at - centre[:, None]).abs()).clamp_min(0)


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """(..., h, w) -> (..., height, width). Images of that size already come back as they are."""
    h, w = images.shape[-2:]
    if (h, w) == (height, width):
        return images
    return axis_weights(h, height).to(images) @ images @ axis_weights(w, width).to(images).T

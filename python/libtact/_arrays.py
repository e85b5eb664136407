# SPDX-License-Identifier: Apache-2.0
"""What observations are given as, made into what the library takes."""
from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ObservationError

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


def as_array(value: Any) -> Array:
    """value as NumPy has it. Float types that NumPy has not (bfloat16 and narrower ones) become float32, which
    holds each of their values."""
    if hasattr(value, "detach"):  # a PyTorch tensor, which may need its gradient or its GPU left behind
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")).startswith(("torch.bfloat16", "torch.float8")):
            value = value.float()
        value = value.numpy()
    a: Array = np.asarray(value)
    if a.dtype.name.startswith(("bfloat16", "float8")):  # of ml_dtypes, as JAX gives them
        a = a.astype(np.float32)
    return a


def as_vector(key: str, value: Any) -> Doubles:
    """float64 (n,)"""
    a = as_array(value)
    if a.ndim == 2 and a.shape[0] == 1:
        a = a[0]
    if a.ndim != 1 or a.dtype.kind not in "fiu":
        raise ObservationError(f"{key}: numbers of shape (n,) or (1, n) are wanted, not {a.dtype} {a.shape}")
    return np.ascontiguousarray(a, np.float64)


def _levels(key: str, a: Array) -> Bytes:
    """uint8 of floats in 0 .. 1."""
    levels = np.rint(a * a.dtype.type(255))
    if not ((levels >= 0) & (levels <= 255)).all():  # False for NaN
        raise ObservationError(f"{key}: a float image is in 0 .. 1, not {a.min():g} .. {a.max():g}")
    whole: Bytes = levels.astype(np.uint8)
    return whole


def as_pixels(key: str, value: Any) -> tuple[Bytes, int]:
    """uint8 (H, W, 3) with every row's pixels together, not copied where that can be; the rows' stride."""
    a = as_array(value)
    if a.ndim == 4 and a.shape[0] == 1:
        a = a[0]
    if a.ndim != 3 or 3 not in (a.shape[0], a.shape[2]):
        raise ObservationError(f"{key}: one image of shape (H, W, 3) or (3, H, W) is wanted, not {a.shape}")
    if a.shape[2] != 3:
        a = a.transpose(1, 2, 0)
    if a.dtype.kind == "f":
        a = _levels(key, a)
    if a.dtype != np.uint8:
        raise ObservationError(f"{key}: an image is uint8, or float from 0 to 1, not {a.dtype}")
    if a.strides[1:] == (3, 1) and a.strides[0] >= 3 * a.shape[1]:
        return a, a.strides[0]
    return np.ascontiguousarray(a), 0


def is_picture(value: Any) -> bool:
    """Whether the value has an image's shape; it is not converted."""
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    return len(shape) == 3 and 3 in (shape[0], shape[2])


def pointer(a: Doubles) -> Any:
    return a.ctypes.data_as(ctypes.POINTER(ctypes.c_double))

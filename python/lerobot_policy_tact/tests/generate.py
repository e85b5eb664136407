# SPDX-License-Identifier: Apache-2.0
"""The generator of tests/golden: values made from names, as docs/testing.md says."""

import numpy as np


def fnv1a(name: str) -> int:
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def unit(name: str, salt: int, count: int) -> np.ndarray:
    """float64 in [-1, 1)."""
    start = np.uint64((fnv1a(name) + (salt << 32)) & 0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):
        x = start + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1


def parameter(name: str, salt: int, shape: tuple[int, ...]) -> np.ndarray:
    u = unit(name, salt, int(np.prod(shape))).reshape(shape)
    last = name.rsplit(".", 1)[-1]
    if last == "running_var":
        u = 1 + 0.25 * u
    elif last in ("running_mean", "bias", "in_proj_bias"):
        u = 0.1 * u
    elif len(shape) == 1:
        u = 1 + 0.1 * u
    elif "embed" in name:
        u = 0.5 * u
    elif len(shape) == 4:
        u = u * np.sqrt(3 / np.prod(shape[1:]))
    else:
        u = u * np.sqrt(3 / shape[1])
    return u.astype(np.float32)


def inputs(name: str, salt: int, shape) -> np.ndarray:
    return unit(name, salt, int(np.prod(shape))).reshape(shape).astype(np.float32)

# SPDX-License-Identifier: Apache-2.0
"""Runs temporal ACT policies on a robot: libtact (include/tact.h) for Python, over ctypes and NumPy.

    import libtact

    with libtact.Policy.from_pretrained("outputs/train/hist2") as policy:
        policy.reset()                                    # an episode begins
        while running:                                    # policy.fps times a second
            action = policy.select_action({
                "observation.state": state,               # (state_size,), absolute poses, as recorded
                "observation.images.front": pixels,       # (H, W, 3) uint8 RGB, as recorded
            })                                            # -> float64 (action_size,)
            move_robot(action)

Keys are LeRobot's; of cameras "observation.images." may be left out. Keys that the policy does not use are
ignored. Give every frame once, by itself: the policy keeps the history. Values are NumPy arrays, or what
NumPy can make one of (lists, PyTorch tensors, of a GPU and bfloat16 too), of one observation: without a batch
axis, or with one of length 1.

Images are uint8 in 0 .. 255 or floats in 0 .. 1, and (H, W, 3), or (3, H, W) as LeRobot has them. The
policy sees 256 levels: floats are multiplied by 255 and rounded to the nearest whole number (halves to
even), which gives back exactly the bytes that LeRobot made its floats of, from float16 and bfloat16 too;
what rounds to less than 0 or more than 255 is refused. uint8 (H, W, 3) arrays are not copied as long as each
row's pixels lie together (crops and padded rows do); others are, once.

The library is looked for in $TACT_LIBRARY (the file), inside this package (a wheel), in the build folder of the
tree that the package lies in, in the place that `cmake --install` gives it, and by the system's loader.
"""
from ._interface import VERSION as __version__
from ._library import version
from .errors import (ArgumentError, DeviceError, NothingSeenError, ObservationError, OutOfMemoryError, PolicyError,
                     PredictionError, TactError)
from .policy import AsyncCounts, Camera, Command, LimitCounts, Policy

__all__ = ["ArgumentError", "AsyncCounts", "Camera", "Command", "DeviceError", "LimitCounts",
           "NothingSeenError", "ObservationError", "OutOfMemoryError", "Policy", "PolicyError", "PredictionError", "TactError",
           "__version__", "version"]

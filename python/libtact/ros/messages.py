# SPDX-License-Identifier: Apache-2.0
"""From ROS messages to features and back. Messages are only looked at by the names of their fields."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .contract import Stream

Doubles = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_JOINTS = "sensor_msgs/msg/JointState"
# Channels of a pixel, and which of them are red, green and blue.
_ENCODINGS = {"rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0)),
              "mono8": (1, (0, 0, 0))}


class MessageError(ValueError):
    """A message that the contract does not fit, or that is damaged."""


def stamp_of(message: Any) -> float:
    """Seconds of the header's stamp; NaN: the message has none."""
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    return float("nan") if stamp is None else float(stamp.sec) + float(stamp.nanosec) * 1e-9


# ---- rotations

def rotation_vector(x: float, y: float, z: float, w: float) -> Doubles:
    """Of a quaternion of any length but zero: the axis times the angle, at most pi. With v = (x, y, z) and w >= 0
    (q and -q are one rotation) the angle is 2 atan2(|v|, w)."""
    v = np.array([x, y, z], np.float64)
    length = float(np.linalg.norm(v))
    if not np.isfinite(length + abs(w)) or length + abs(w) < 1e-6:
        raise MessageError(f"({x:g}, {y:g}, {z:g}, {w:g}) is no rotation")
    if w < 0:
        v, w = -v, -w
    if length < 1e-12 * w:
        return 2 * v / w
    rotated: Doubles = v * (2 * np.arctan2(length, w) / length)
    return rotated


def quaternion(vector: Doubles) -> Doubles:
    """x y z w of a rotation vector: axis times sin(angle / 2), and cos(angle / 2)."""
    angle = float(np.linalg.norm(vector))
    half = 0.5 * np.sinc(angle / (2 * np.pi))  # sin(angle / 2) / angle
    return np.array([*(half * vector), np.cos(angle / 2)])


# ---- from a message

def decode(message: Any, stream: Stream) -> Any:
    """The feature's value: uint8 (H, W, 3) of an image, float64 (n,) else."""
    try:
        if stream.type == IMAGE:
            return _image(message)
        if stream.type == COMPRESSED:
            return _decompress(bytes(message.data))
        if not stream.select and stream.type == _JOINTS:
            raise MessageError("which joints, and in which order? give select")
        paths = stream.select or ("",)
        parts = [_joint(message, p) if stream.type == _JOINTS else _numbers(_follow(message, p)) for p in paths]
    except MessageError as e:
        raise MessageError(f"{stream.topic}: {e}") from None
    values = np.concatenate(parts)
    for name, numbers in stream.apply:
        values = _step(name, numbers, values)
    return values


def _step(name: str, numbers: tuple[float, ...], v: Doubles) -> Doubles:
    if name == "clamp":
        return np.clip(v, numbers[0], numbers[1])
    if name == "offset":
        return v + numbers[0]
    factor: float = numbers[0] if name == "scale" else np.rad2deg(1.0) if name == "rad2deg" else np.deg2rad(1.0)
    return v * factor


def _image(message: Any) -> Pixels:
    if message.encoding not in _ENCODINGS:
        raise MessageError(f"an image of encoding {message.encoding!r} is none of {', '.join(_ENCODINGS)}")
    channels, order = _ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if height < 1 or step < width * channels or data.size < step * height:
        raise MessageError(f"an image of {width} x {height} in {data.size} bytes, {step} a row, is damaged")
    rows = data[:step * height].reshape(height, step)[:, :width * channels].reshape(height, width, channels)
    return rows if order == (0, 1, 2) and channels == 3 else np.ascontiguousarray(rows[:, :, order])


def _decompress(data: bytes) -> Pixels:
    try:
        import cv2  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return _decompress_with_pillow(data)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # of no bytes, or of a header that claims too much
        picture = None
    if picture is None:
        raise MessageError(f"a compressed image of {len(data)} bytes cannot be decoded")
    return np.ascontiguousarray(picture[:, :, ::-1])


def _decompress_with_pillow(data: bytes) -> Pixels:
    import io
    try:
        from PIL import Image  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise MessageError("compressed images need OpenCV or Pillow: pip install pillow") from None
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise MessageError(f"a compressed image of {len(data)} bytes cannot be decoded: {e}") from None


def _joint(message: Any, path: str) -> Doubles:
    """One number of a JointState: position, velocity or effort of a joint by its name."""
    what, _, joint = path.partition(".")
    if what not in ("position", "velocity", "effort") or not joint:
        raise MessageError(f"{path}: position.JOINT, velocity.JOINT or effort.JOINT is wanted")
    names, values = list(message.name), getattr(message, what)
    if joint not in names:
        raise MessageError(f"there is no joint {joint}; the message has {', '.join(names) or 'none'}")
    at = names.index(joint)
    if at >= len(values):
        raise MessageError(f"the message has no {what} of joint {joint}")
    return np.array([values[at]], np.float64)


def _follow(value: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        try:
            value = value[int(name)] if name.isdigit() else getattr(value, name)
        except (AttributeError, IndexError, TypeError):
            raise MessageError(f"{path}: {type(value).__name__} has no {name}") from None
    return value


def _inner(value: Any) -> Any:
    """What a message without select stands for: its pose, or its list of numbers."""
    for name in ("pose", "data"):
        if hasattr(value, name):
            return _inner(getattr(value, name))
    return value


def _numbers(value: Any) -> Doubles:
    value = _inner(value)
    if hasattr(value, "position") and hasattr(value, "orientation"):
        q = value.orientation
        return np.concatenate([_numbers(value.position), rotation_vector(q.x, q.y, q.z, q.w)])
    if all(hasattr(value, axis) for axis in "xyz"):
        if hasattr(value, "w"):
            raise MessageError("a quaternion alone is no rotation vector: select the pose it is part of, or x, y, z, w")
        return np.array([value.x, value.y, value.z], np.float64)
    try:
        numbers = np.atleast_1d(np.asarray(value, np.float64))
    except (TypeError, ValueError):
        raise MessageError(f"{type(value).__name__} holds no numbers; give select") from None
    if numbers.ndim != 1:
        raise MessageError(f"numbers of shape (n,) are wanted, not {numbers.shape}")
    return numbers


# ---- into a message

def encode(stream: Stream, make: Any, values: Doubles, stamp: Any) -> tuple[Any, int]:
    """A message of the class `make` with the first of `values`, and how many those are. stamp: for its header."""
    message = make()
    if hasattr(message, "header"):
        message.header.stamp = stamp
    try:
        if stream.type == _JOINTS:
            taken = _set_joints(message, stream, values)
        elif not stream.select:
            taken = _set_whole(message, stream, values)
        else:
            taken = 0
            for path in stream.select:
                taken += _set(message, path, _undo(stream, values[taken:]))
    except MessageError as e:
        raise MessageError(f"{stream.topic}: {e}") from None
    return message, taken


def _undo(stream: Stream, values: Doubles) -> Doubles:
    """From the feature's unit to the message's: the steps backwards, each undone; a clamp holds either way."""
    for name, numbers in reversed(stream.apply):
        if name == "clamp":
            values = np.clip(values, numbers[0], numbers[1])
        elif name == "offset":
            values = values - numbers[0]
        else:
            values = values / _step(name, numbers, np.ones(1))[0]
    return values


def _take(values: Doubles, n: int) -> Doubles:
    if values.size < n:
        raise MessageError(f"the policy's action is {n - values.size} values too short for it")
    return values[:n]


def _set_joints(message: Any, stream: Stream, values: Doubles) -> int:
    if not stream.select:
        raise MessageError("which joints, and in which order? give select")
    values = _undo(stream, _take(values, len(stream.select)))
    lists: dict[str, dict[str, float]] = {}
    for path, value in zip(stream.select, values):
        what, _, joint = path.partition(".")
        if what not in ("position", "velocity", "effort") or not joint:
            raise MessageError(f"{path}: position.JOINT, velocity.JOINT or effort.JOINT is wanted")
        lists.setdefault(what, {})[joint] = float(value)
    names = list(next(iter(lists.values())))
    for what, of in lists.items():
        if list(of) != names:
            raise MessageError(f"select has other joints for {what} than for {next(iter(lists))}")
        setattr(message, what, list(of.values()))
    message.name = names
    return len(stream.select)


def _set_whole(message: Any, stream: Stream, values: Doubles) -> int:
    if hasattr(message, "data") and not isinstance(message.data, (str, bytes)):
        values = _undo(stream, values)
        one = isinstance(message.data, (int, float))
        message.data = float(_take(values, 1)[0]) if one else [float(x) for x in values]
        return 1 if one else int(values.size)
    return _set(message, "pose" if hasattr(message, "pose") else "", _undo(stream, values))


def _set(message: Any, path: str, values: Doubles) -> int:
    """Sets the number, vector or pose that a path leads to; how many values that took."""
    leaf = _follow(message, path)
    if hasattr(leaf, "position") and hasattr(leaf, "orientation"):
        values = _take(values, 6)
        for axis, value in zip("xyz", values[:3]):
            setattr(leaf.position, axis, float(value))
        for axis, value in zip("xyzw", quaternion(values[3:])):
            setattr(leaf.orientation, axis, float(value))
        return 6
    if all(hasattr(leaf, axis) for axis in "xyz") and not hasattr(leaf, "w"):
        for axis, value in zip("xyz", _take(values, 3)):
            setattr(leaf, axis, float(value))
        return 3
    if not path or not isinstance(leaf, (int, float)):
        raise MessageError(f"{path or type(message).__name__}: holds no number that could be set; give select")
    parent, _, name = path.rpartition(".")
    owner = _follow(message, parent)
    if name.isdigit():
        owner[int(name)] = float(_take(values, 1)[0])
    else:
        setattr(owner, name, float(_take(values, 1)[0]))
    return 1

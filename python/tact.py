# SPDX-License-Identifier: Apache-2.0
"""Runs temporal ACT policies on a robot: libtact (include/tact.h) for Python, over ctypes and NumPy.

    import tact

    with tact.Policy.from_pretrained("outputs/train/hist2") as policy:
        policy.reset()                                    # an episode begins
        while running:                                    # policy.fps times a second
            action = policy.select_action({
                "observation.state": state,               # (state_size,), absolute poses, as recorded
                "observation.images.front": pixels,       # (H, W, 3) uint8 RGB, as recorded
            })                                            # -> float64 (action_size,)
            move_robot(action)

Keys are LeRobot's; of cameras "observation.images." may be left out. Keys that the policy does not use are
ignored. Give every frame once, by itself: the policy keeps the history. Values are NumPy arrays, or what
NumPy can make one of (lists, PyTorch tensors, also of a GPU), of one observation: without a batch axis, or
with one of length 1.

Images are uint8 in 0 .. 255 or floats in 0 .. 1, and (H, W, 3), or (3, H, W) as LeRobot has them. The
policy sees 256 levels: floats are multiplied by 255 and rounded to the nearest whole number (halves to
even), which gives back exactly the bytes that LeRobot made its floats of; what rounds to less than 0 or
more than 255 is refused. uint8 (H, W, 3) arrays are not copied as long as each row's pixels lie together
(crops and padded rows do); others are, once.

The library is looked for in $TACT_LIBRARY (the file), beside this file, in ../build, in the place that
`cmake --install` gives it, and by the system's loader.
"""
from __future__ import annotations

import ctypes
import functools
import os
import threading
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_ubyte, c_void_p
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

__version__ = "0.2.0"  # of the library that the structs below are of
_PREFIX = "observation.images."


# ---- errors ---------------------------------------------------------------------------------------------


class TactError(Exception):
    """What the library says, in one line. status: the tact_status."""

    status = 0


class ArgumentError(TactError, ValueError):
    """The call itself: a setting that cannot be."""

    status = 1


class PolicyError(TactError):
    """The checkpoint is missing, damaged, or not for this version."""

    status = 2


class DeviceError(TactError):
    """The device is not there, or failed."""

    status = 3


class ObservationError(TactError, ValueError):
    """A missing camera, a wrong size, a value that is not finite."""

    status = 4


class NothingSeenError(TactError):
    """An action is asked for before the first observation."""

    status = 5


class PredictionError(TactError):
    """The policy's output is not finite."""

    status = 6


class OutOfMemoryError(TactError, MemoryError):
    """The machine, or the device, has too little memory."""

    status = 7


_ERRORS = {e.status: e for e in TactError.__subclasses__()}


# ---- include/tact.h -------------------------------------------------------------------------------------


_WARNING = 2  # a tact_log_level
_Log = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class _Options(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("device", c_char_p), ("dtype", c_char_p), ("threads", c_int),
                ("dataset", c_char_p), ("n_action_steps", c_int), ("temporal_ensemble_coeff", c_double),
                ("frame_cache", c_int), ("workspace_min", c_double * 3), ("workspace_max", c_double * 3),
                ("max_translation", c_double), ("max_rotation", c_double), ("asynchronous", c_int),
                ("rate_check", c_int), ("chunk_size_threshold", c_double), ("log", _Log), ("log_user", c_void_p)]


class _Camera(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("height", c_int), ("width", c_int)]


class _Image(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("camera", c_char_p), ("rgb", c_void_p), ("height", c_int),
                ("width", c_int), ("stride", c_size_t)]


class _Observation(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("state", POINTER(c_double)), ("state_size", c_size_t),
                ("env", POINTER(c_double)), ("env_size", c_size_t), ("images", POINTER(_Image)),
                ("n_images", c_size_t)]


class _LimitCounts(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("workspace", c_int64), ("translation", c_int64), ("rotation", c_int64)]


class _AsyncCounts(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("predictions", c_int64), ("stalls", c_int64), ("delay", c_int),
                ("longest_delay", c_int)]


_Handle = c_void_p
_Doubles = POINTER(c_double)
_FUNCTIONS = {  # name without tact_: (result, arguments)
    "options_default": (None, [POINTER(_Options), c_size_t]),
    "open": (c_int, [c_char_p, POINTER(_Options), POINTER(_Handle)]),
    "close": (None, [POINTER(_Handle)]),
    "message": (c_char_p, [_Handle]),
    "version": (c_char_p, []),
    "state_size": (c_size_t, [_Handle]),
    "env_size": (c_size_t, [_Handle]),
    "action_size": (c_size_t, [_Handle]),
    "camera_count": (c_int, [_Handle]),
    "camera_at": (None, [_Handle, c_int, POINTER(_Camera)]),
    "fps": (c_double, [_Handle]),
    "chunk_size": (c_int, [_Handle]),
    "n_action_steps": (c_int, [_Handle]),
    "horizon": (c_int, [_Handle]),
    "reset": (c_int, [_Handle]),
    "step": (c_int, [_Handle, POINTER(_Observation), _Doubles]),
    "observe": (c_int, [_Handle, POINTER(_Observation)]),
    "act": (c_int, [_Handle, _Doubles]),
    "predict_chunk": (c_int, [_Handle, _Doubles]),
    "limits": (None, [_Handle, POINTER(_LimitCounts)]),
    "async": (None, [_Handle, POINTER(_AsyncCounts)]),
    "step_rate": (c_double, [_Handle]),
}


def _candidates() -> list[str]:
    if "TACT_LIBRARY" in os.environ:
        return [os.environ["TACT_LIBRARY"]]
    here = Path(__file__).resolve().parent
    prefix = here.parents[2] if len(here.parents) > 2 else here  # PREFIX/share/tact/python
    installed = sorted(prefix.glob("lib*")) + sorted(prefix.glob("lib/*-linux-*"))
    places = [here, here.parent / "build", *installed]
    found = [str(p / "libtact.so.0.2") for p in places if (p / "libtact.so.0.2").exists()]
    return found + ["libtact.so.0.2"]


@functools.lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    name = _candidates()[0]
    try:
        lib = ctypes.CDLL(name)
        for function, (result, arguments) in _FUNCTIONS.items():
            f = getattr(lib, "tact_" + function)
            f.restype, f.argtypes = result, arguments
    except (OSError, AttributeError) as e:
        raise ImportError(f"libtact: {e}; build it (scripts/build), or name it in TACT_LIBRARY") from None
    if lib.tact_version().decode() != __version__:
        raise ImportError(f"{name}: tact {lib.tact_version().decode()}; {__file__} is for {__version__}")
    return lib


def version() -> str:
    """The library's version."""
    return _library().tact_version().decode()


# ---- arrays ---------------------------------------------------------------------------------------------


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a PyTorch tensor, which may need its gradient or its GPU left behind
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _vector(key: str, value: Any) -> np.ndarray:
    a = _array(value)
    if a.ndim == 2 and a.shape[0] == 1:
        a = a[0]
    if a.ndim != 1 or a.dtype.kind not in "fiu":
        raise ObservationError(f"{key}: numbers of shape (n,) or (1, n) are wanted, not {a.dtype} {a.shape}")
    return np.ascontiguousarray(a, np.float64)


def _levels(key: str, a: np.ndarray) -> np.ndarray:
    """uint8 of floats in 0 .. 1."""
    levels = np.rint(a * a.dtype.type(255))
    if not ((levels >= 0) & (levels <= 255)).all():  # False for NaN
        raise ObservationError(f"{key}: a float image is in 0 .. 1, not {a.min():g} .. {a.max():g}")
    return levels.astype(np.uint8)


def _pixels(key: str, value: Any) -> tuple[np.ndarray, int]:
    """uint8 (H, W, 3) with every row's pixels together, not copied where that can be; the rows' stride."""
    a = _array(value)
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


def _is_picture(value: Any) -> bool:
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    return len(shape) == 3 and 3 in (shape[0], shape[2])


def _pointer(a: Optional[np.ndarray]):
    return None if a is None else a.ctypes.data_as(_Doubles)


def _text(value: Optional[os.PathLike | str]) -> Optional[bytes]:
    return None if value is None else os.fsencode(value)


def _corner(values: Optional[Sequence[float]]):
    return None if values is None else (c_double * 3)(*values)


# ---- the policy -----------------------------------------------------------------------------------------


class Camera(NamedTuple):
    """name: "observation.images.front"; height, width: of its frames as recorded."""

    name: str
    height: int
    width: int


class LimitCounts(NamedTuple):
    """Actions that the limits have changed, since the policy was opened."""

    workspace: int
    translation: int
    rotation: int


class AsyncCounts(NamedTuple):
    """How the asynchronous mode keeps up: chunks that took over, repeated actions; actions left out of the newest
    chunk because they were past when it came, and the most of any."""

    predictions: int
    stalls: int
    delay: int
    longest_delay: int


class Policy:
    """A trained policy. Several are independent; calls of one from several threads wait for each other."""

    def __init__(self, path: os.PathLike | str, *, device: Optional[str] = None, dtype: Optional[str] = None,
                 threads: int = 0, n_action_steps: Optional[int] = None,
                 temporal_ensemble_coeff: Optional[float] = None, frame_cache: bool = True,
                 dataset: Optional[os.PathLike | str] = None,
                 workspace_min: Optional[Sequence[float]] = None,
                 workspace_max: Optional[Sequence[float]] = None,
                 max_translation: Optional[float] = None, max_rotation: Optional[float] = None,
                 asynchronous: bool = False, rate_check: bool = True,
                 chunk_size_threshold: Optional[float] = None,
                 log: Optional[Callable[[bool, str], None]] = None):
        """path: a training run, a checkpoint, or a pretrained_model directory, of tact or of LeRobot's ACT.
        The settings are those of tact_options in include/tact.h; None: its default. log: takes what the library
        has to say beside errors, as log(is_warning, line); None: it goes to stderr."""
        self._handle, self._lib, self._lock = _Handle(), _library(), threading.RLock()
        o = _Options()
        self._lib.tact_options_default(byref(o), ctypes.sizeof(o))
        o.threads, o.frame_cache = threads, int(frame_cache)
        o.asynchronous, o.rate_check = int(asynchronous), int(rate_check)
        given = {"device": _text(device), "dtype": _text(dtype), "dataset": _text(dataset),
                 "n_action_steps": n_action_steps, "temporal_ensemble_coeff": temporal_ensemble_coeff,
                 "workspace_min": _corner(workspace_min), "workspace_max": _corner(workspace_max),
                 "max_translation": max_translation, "max_rotation": max_rotation,
                 "chunk_size_threshold": chunk_size_threshold}
        for name, value in given.items():
            if value is not None:
                setattr(o, name, value)
        if log is not None:
            self._log = _Log(lambda _, level, line: log(level == _WARNING, line.decode(errors="replace")))
            o.log = self._log  # lives as long as the policy
        self._check(self._lib.tact_open(os.fsencode(path), byref(o), byref(self._handle)))
        at = [self._fill("camera_at", _Camera, i) for i in range(self._get("camera_count"))]
        self._cameras = tuple(Camera(c.name.decode(), c.height, c.width) for c in at)

    @classmethod
    def from_pretrained(cls, path: os.PathLike | str, **settings: Any) -> Policy:
        """Policy(path, **settings), under LeRobot's name."""
        return cls(path, **settings)

    def close(self) -> None:
        """Frees everything; the policy cannot be used any more. Twice is once."""
        with self._lock:
            self._lib.tact_close(byref(self._handle))

    def __enter__(self) -> Policy:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    # ---- an episode

    def reset(self) -> None:
        """An episode begins: forgets history, queue, ensemble, and the limits' last action."""
        self._call("reset")

    def select_action(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Takes the newest observation; returns the action for it, float64 (action_size,)."""
        action = np.empty(self.action_size)
        self._call("step", *self._observation(observation), _pointer(action))
        return action

    def observe(self, observation: Mapping[str, Any]) -> None:
        """Takes the newest observation. One that is refused leaves everything as it was."""
        self._call("observe", *self._observation(observation))

    def act(self) -> np.ndarray:
        """The next action, float64 (action_size,)."""
        action = np.empty(self.action_size)
        self._call("act", _pointer(action))
        return action

    def predict_action_chunk(self, observation: Optional[Mapping[str, Any]] = None) -> np.ndarray:
        """Takes the newest observation, unless it is None; returns a whole new prediction, float64
        (chunk_size, action_size), neither averaged nor limited. What select_action gives is not changed."""
        if observation is not None:
            self.observe(observation)
        actions = np.empty((self.chunk_size, self.action_size))
        self._call("predict_chunk", _pointer(actions))
        return actions

    # ---- what it wants and gives

    cameras = property(lambda self: self._cameras, doc="Its cameras, in its order.")
    state_size = property(lambda self: self._get("state_size"), doc="Values of observation.state; 0: not used.")
    env_size = property(lambda self: self._get("env_size"), doc="Values of observation.environment_state.")
    action_size = property(lambda self: self._get("action_size"), doc="Values of an action.")
    fps = property(lambda self: self._get("fps"), doc="Steps a second in training; 0: unknown.")
    chunk_size = property(lambda self: self._get("chunk_size"), doc="Actions of one prediction.")
    n_action_steps = property(lambda self: self._get("n_action_steps"), doc="How many of them are given out.")
    horizon = property(lambda self: self._get("horizon"), doc="Observations the policy looks at.")

    @property
    def limit_counts(self) -> LimitCounts:
        n = self._fill("limits", _LimitCounts)
        return LimitCounts(n.workspace, n.translation, n.rotation)

    @property
    def async_counts(self) -> AsyncCounts:
        n = self._fill("async", _AsyncCounts)
        return AsyncCounts(n.predictions, n.stalls, n.delay, n.longest_delay)

    step_rate = property(lambda self: self._get("step_rate"), doc="Observations a second, as they come; 0: too few.")

    # ---- private

    def _check(self, status: int) -> None:
        if status:
            text = self._lib.tact_message(self._handle).decode(errors="replace")
            raise _ERRORS.get(status, TactError)(text)

    def _get(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            if not self._handle:
                raise ValueError("the policy is closed")
            return getattr(self._lib, "tact_" + name)(self._handle, *arguments)

    def _fill(self, name: str, struct: type, *arguments: Any) -> Any:
        """The struct that a function writes its answer into."""
        out = struct(size=ctypes.sizeof(struct))
        self._get(name, *arguments, byref(out))
        return out

    def _call(self, name: str, *arguments: Any) -> None:
        with self._lock:
            if not self._handle:
                raise ValueError("the policy is closed")
            self._check(getattr(self._lib, "tact_" + name)(self._handle, *arguments))

    def _observation(self, given: Mapping[str, Any]) -> tuple:
        """A tact_observation, as arguments of a call."""
        o = _Observation(size=ctypes.sizeof(_Observation))
        images, keep = [], []
        for field, size, key in (("state", self.state_size, "observation.state"),
                                 ("env", self.env_size, "observation.environment_state")):
            if size and given.get(key) is not None:
                vector = _vector(key, given[key])
                keep.append(vector)
                setattr(o, field, _pointer(vector))
                setattr(o, field + "_size", vector.size)
        known = [name for camera in self._cameras for name in (camera.name, camera.name.removeprefix(_PREFIX))]
        for name, value in given.items():
            # Pictures under other names too: the checkpoint may rename them. A float array may be a depth map.
            named = name.startswith("observation.image") or str(getattr(value, "dtype", "")).endswith("uint8")
            renamed = named and _is_picture(value)
            if value is not None and (name in known or renamed):
                a, stride = _pixels(name, value)
                keep.append(a)
                images.append(_Image(ctypes.sizeof(_Image), name.encode(), a.ctypes.data, a.shape[0], a.shape[1],
                                     stride))
        o.images, o.n_images = (_Image * len(images))(*images), len(images)
        o.keep = keep  # the arrays live as long as what points to them
        return (byref(o),)

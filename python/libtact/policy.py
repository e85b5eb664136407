# SPDX-License-Identifier: Apache-2.0
"""A trained policy: observations in, actions out."""
from __future__ import annotations

import ctypes
import os
import threading
import time as clock
from collections.abc import Callable, Mapping, Sequence
from ctypes import byref, c_double
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Optional, Type, TypeVar, Union

import numpy as np

from . import _checkpoint, _interface
from ._arrays import Doubles, as_pixels, as_vector, is_picture, pointer
from ._library import library
from .errors import ArgumentError, NothingSeenError, error_of

_PREFIX = "observation.images."
_Path = Union[str, "os.PathLike[str]"]
_Struct = TypeVar("_Struct", bound=ctypes.Structure)


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


class Command(NamedTuple):
    """What to command between two actions; holding: the last known action is reached and held."""

    action: Doubles
    holding: bool


class Policy:
    """A trained policy. Several are independent; calls of one from several threads wait for each other, but for
    at(), which waits for none but its like."""

    def __init__(self, path: _Path, *, device: Optional[str] = None, dtype: Optional[str] = None,
                 threads: int = 0, n_action_steps: Optional[int] = None,
                 temporal_ensemble_coeff: Optional[float] = None, frame_cache: bool = True,
                 dataset: Optional[_Path] = None,
                 workspace_min: Optional[Sequence[float]] = None,
                 workspace_max: Optional[Sequence[float]] = None,
                 max_translation: Optional[float] = None, max_rotation: Optional[float] = None,
                 asynchronous: bool = False, rate_check: bool = True,
                 chunk_size_threshold: Optional[float] = None, blend_steps: int = 0,
                 camera_obs_latency: float = 0.0, robot_obs_latency: float = 0.0, gripper_obs_latency: float = 0.0,
                 robot_action_latency: float = 0.0, gripper_action_latency: float = 0.0,
                 max_action_prefix: Optional[int] = None,
                 log: Optional[Callable[[bool, str], None]] = None) -> None:
        """path: a training run, a checkpoint, or a pretrained_model directory, of tact or of LeRobot's ACT; or the
        name on the Hub, "OWNER/NAME", of one that `hf download` has brought to this machine (nothing is downloaded).
        The settings are those of tact_options in include/tact.h; None: its default. log: takes what the library
        has to say beside errors, as log(is_warning, line); None: it goes to stderr."""
        self._handle, self._lib, self._lock = _interface.Handle(), library(), threading.RLock()
        self._at_lock = threading.Lock()
        o = _interface.Options()
        self._lib.tact_options_default(byref(o), ctypes.sizeof(o))
        o.threads, o.frame_cache = threads, int(frame_cache)
        o.blend_steps = blend_steps
        o.camera_obs_latency, o.robot_obs_latency = camera_obs_latency, robot_obs_latency
        o.gripper_obs_latency = gripper_obs_latency
        o.robot_action_latency, o.gripper_action_latency = robot_action_latency, gripper_action_latency
        o.asynchronous, o.rate_check = int(asynchronous), int(rate_check)
        given = {"device": _text(device), "dtype": _text(dtype), "dataset": _text(dataset),
                 "n_action_steps": n_action_steps, "temporal_ensemble_coeff": temporal_ensemble_coeff,
                 "workspace_min": _corner(workspace_min), "workspace_max": _corner(workspace_max),
                 "max_translation": max_translation, "max_rotation": max_rotation,
                 "chunk_size_threshold": chunk_size_threshold, "max_action_prefix": max_action_prefix}
        for name, value in given.items():
            if value is not None:
                setattr(o, name, value)
        if log is not None:
            self._log = _log_function(log)
            o.log = self._log  # lives as long as the policy
        self._check(self._lib.tact_open(os.fsencode(path), byref(o), byref(self._handle)))
        at = [self._fill("camera_at", _interface.CameraStruct, i) for i in range(self._get("camera_count"))]
        self._cameras = tuple(Camera(c.name.decode(errors="surrogateescape"), c.height, c.width) for c in at)
        self._device = device or "cpu"
        self._path = Path(os.fsdecode(self._get("path")))
        self._type, self._step = _checkpoint.policy_type(self._path), _checkpoint.training_step(self._path)
        self._horizon = int(self._get("horizon"))
        self._action_size = int(self._get("action_size"))

    @classmethod
    def from_pretrained(cls, path: _Path, **settings: Any) -> Policy:
        """Policy(path, **settings), under LeRobot's name."""
        return cls(path, **settings)

    def close(self) -> None:
        """Frees everything; the policy cannot be used any more. Twice is once."""
        with self._lock, self._at_lock:
            self._lib.tact_close(byref(self._handle))

    def __enter__(self) -> Policy:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    def __repr__(self) -> str:
        cameras = ", ".join(f"{c.name.removeprefix(_PREFIX)} {c.width}x{c.height}" for c in self._cameras)
        parts = [repr(str(self._path)), f"type={self._type!r}", f"step={self._step}", f"cameras=[{cameras}]",
                 f"horizon={self._horizon}", f"device={self._device!r}"]
        return f"libtact.Policy({', '.join(parts)}{'' if self._handle else ', closed'})"

    # ---- an episode

    def reset(self) -> None:
        """An episode begins: forgets history, queue, ensemble, and the limits' last action."""
        self._call("reset")

    def select_action(self, observation: Mapping[str, Any], *, time: Optional[float] = None,
                      state_time: Optional[float] = None) -> Doubles:
        """Takes the newest observation; returns the action for it, float64 (action_size,). time: when its images were
        captured (with camera_obs_latency: came), in seconds of time.monotonic(); None: now. state_time: the same of
        observation.state; None: as time."""
        action = np.empty(self.action_size)
        self._call("step", byref(self._observation(observation, time, state_time)), pointer(action))
        return action

    def observe(self, observation: Mapping[str, Any], *, time: Optional[float] = None,
                state_time: Optional[float] = None) -> None:
        """Takes the newest observation. One that is refused leaves everything as it was."""
        self._call("observe", byref(self._observation(observation, time, state_time)))

    def act(self) -> Doubles:
        """The next action, float64 (action_size,)."""
        action = np.empty(self.action_size)
        self._call("act", pointer(action))
        return action

    def at(self, time: Optional[float] = None) -> Command:
        """Between the actions, for a controller that runs faster in a thread of its own: what to command at a time, in
        seconds of time.monotonic() (None: now). Waits for no prediction."""
        with self._at_lock:
            if not self._handle:
                raise ValueError("the policy is closed")
            action = np.empty(self._action_size)
            status = self._lib.tact_at(self._handle, clock.monotonic() if time is None else time, pointer(action))
        if status not in (0, _interface.HOLDING):
            raise error_of(status, "no action yet; observe and act before asking for what lies between actions"
                           if status == NothingSeenError.status else f"at({time}): the time is not finite")
        return Command(action, status == _interface.HOLDING)

    def predict_action_chunk(self, observation: Optional[Mapping[str, Any]] = None) -> Doubles:
        """Takes the newest observation, unless it is None; returns a whole new prediction, float64
        (chunk_size, action_size), neither averaged nor limited. What select_action gives is not changed."""
        if observation is not None:
            self.observe(observation)
        actions = np.empty((self.chunk_size, self.action_size))
        self._call("predict_chunk", pointer(actions))
        return actions

    # ---- what it is, wants and gives

    @property
    def path(self) -> Path:
        """The pretrained_model directory that was found."""
        return self._path

    @property
    def type(self) -> str:
        """What its config.json says: "tact" or "act"."""
        return self._type

    @property
    def step(self) -> Optional[int]:
        """Training steps behind it; None: its directory does not say."""
        return self._step

    @property
    def device(self) -> str:
        """Where it computes, as it was asked for: "cpu", "cuda:1"."""
        return self._device

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Its cameras, in its order."""
        return self._cameras

    @property
    def state_size(self) -> int:
        """Values of observation.state; 0: not used."""
        return int(self._get("state_size"))

    @property
    def env_size(self) -> int:
        """Values of observation.environment_state; 0: not used."""
        return int(self._get("env_size"))

    @property
    def action_size(self) -> int:
        """Values of an action."""
        return self._action_size

    @property
    def fps(self) -> float:
        """Steps a second in training; 0: unknown."""
        return float(self._get("fps"))

    @property
    def chunk_size(self) -> int:
        """Actions of one prediction."""
        return int(self._get("chunk_size"))

    @property
    def n_action_steps(self) -> int:
        """How many of them are given out."""
        return int(self._get("n_action_steps"))

    @property
    def horizon(self) -> int:
        """Observations the policy looks at."""
        return int(self._get("horizon"))

    @property
    def step_rate(self) -> float:
        """Observations a second, as they come; 0: too few."""
        return float(self._get("step_rate"))

    @property
    def limit_counts(self) -> LimitCounts:
        """How many actions the limits have changed."""
        n = self._fill("limits", _interface.LimitCountsStruct)
        return LimitCounts(n.workspace, n.translation, n.rotation)

    @property
    def async_counts(self) -> AsyncCounts:
        """How the asynchronous mode keeps up; all zero without it."""
        n = self._fill("async", _interface.AsyncCountsStruct)
        return AsyncCounts(n.predictions, n.stalls, n.delay, n.longest_delay)

    # ---- private

    def _check(self, status: int) -> None:
        if status:
            raise error_of(status, self._lib.tact_message(self._handle).decode(errors="replace"))

    def _get(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            if not self._handle:
                raise ValueError("the policy is closed")
            return getattr(self._lib, "tact_" + name)(self._handle, *arguments)

    def _fill(self, name: str, struct: Type[_Struct], *arguments: Any) -> _Struct:
        """The struct that a function writes its answer into."""
        out = struct(size=ctypes.sizeof(struct))
        self._get(name, *arguments, byref(out))
        return out

    def _call(self, name: str, *arguments: Any) -> None:
        with self._lock:
            if not self._handle:
                raise ValueError("the policy is closed")
            self._check(getattr(self._lib, "tact_" + name)(self._handle, *arguments))

    def _observation(self, given: Mapping[str, Any], time: Optional[float] = None,
                     state_time: Optional[float] = None) -> _interface.Observation:
        o = _interface.Observation(size=ctypes.sizeof(_interface.Observation), time=time or 0.0,
                                   state_time=state_time or 0.0)
        images: list[_interface.Image] = []
        o.keep = []
        for field, size, key in (("state", self.state_size, "observation.state"),
                                 ("env", self.env_size, "observation.environment_state")):
            if size and given.get(key) is not None:
                vector = as_vector(key, given[key])
                o.keep.append(vector)
                setattr(o, field, pointer(vector))
                setattr(o, field + "_size", vector.size)
        known = [name for camera in self._cameras for name in (camera.name, camera.name.removeprefix(_PREFIX))]
        for name, value in given.items():
            # Pictures under other names too: the checkpoint may rename them. A float array may be a depth map.
            named = name.startswith("observation.image") or str(getattr(value, "dtype", "")).endswith("uint8")
            renamed = named and is_picture(value)
            if value is not None and (name in known or renamed):
                a, stride = as_pixels(name, value)
                o.keep.append(a)
                spelled = name.encode(errors="surrogateescape")
                images.append(_interface.Image(ctypes.sizeof(_interface.Image), spelled, a.ctypes.data,
                                               a.shape[0], a.shape[1], stride))
        o.images, o.n_images = (_interface.Image * len(images))(*images), len(images)
        return o


def _text(value: Optional[_Path]) -> Optional[bytes]:
    return None if value is None else os.fsencode(value)


def _corner(values: Optional[Sequence[float]]) -> Optional[ctypes.Array[c_double]]:
    if values is None:
        return None
    if len(values) != 3:  # ctypes would take 0 for those that are missing
        raise ArgumentError(f"workspace_min and workspace_max: three numbers in metres are wanted, not {len(values)}")
    return (c_double * 3)(*values)


def _log_function(log: Callable[[bool, str], None]) -> Any:
    def line_to(_: Optional[int], level: int, line: bytes) -> None:
        log(level == _interface.WARNING, line.decode(errors="replace"))

    return _interface.Log(line_to)

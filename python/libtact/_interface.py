# SPDX-License-Identifier: Apache-2.0
"""include/tact.h for ctypes: its structs, member by member, and its functions."""
from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_size_t, c_void_p
from typing import Any

VERSION = "0.2.0"  # of the library that the structs below are of
WARNING = 2  # a tact_log_level
HOLDING = 8  # of tact_at
Log = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)
Handle = c_void_p


class Options(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("device", c_char_p), ("dtype", c_char_p), ("threads", c_int),
                ("dataset", c_char_p), ("n_action_steps", c_int), ("temporal_ensemble_coeff", c_double),
                ("frame_cache", c_int), ("workspace_min", c_double * 3), ("workspace_max", c_double * 3),
                ("max_translation", c_double), ("max_rotation", c_double), ("asynchronous", c_int),
                ("rate_check", c_int), ("chunk_size_threshold", c_double), ("log", Log), ("log_user", c_void_p), ("blend_steps", c_int64),
                ("camera_obs_latency", c_double), ("robot_obs_latency", c_double), ("gripper_obs_latency", c_double),
                ("robot_action_latency", c_double), ("gripper_action_latency", c_double),
                ("max_action_prefix", c_int64)]


class CameraStruct(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("height", c_int), ("width", c_int)]


class Image(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("camera", c_char_p), ("rgb", c_void_p), ("height", c_int),
                ("width", c_int), ("stride", c_size_t)]


class Observation(ctypes.Structure):
    keep: list[Any]  # the arrays that the pointers lead to

    _fields_ = [("size", c_size_t), ("state", POINTER(c_double)), ("state_size", c_size_t),
                ("env", POINTER(c_double)), ("env_size", c_size_t), ("images", POINTER(Image)),
                ("n_images", c_size_t), ("time", c_double), ("state_time", c_double)]


class LimitCountsStruct(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("workspace", c_int64), ("translation", c_int64), ("rotation", c_int64)]


class AsyncCountsStruct(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("predictions", c_int64), ("stalls", c_int64), ("delay", c_int),
                ("longest_delay", c_int)]


_Doubles = POINTER(c_double)
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {  # name without tact_: (result, arguments)
    "options_default": (None, [POINTER(Options), c_size_t]),
    "open": (c_int, [c_char_p, POINTER(Options), POINTER(Handle)]),
    "close": (None, [POINTER(Handle)]),
    "message": (c_char_p, [Handle]),
    "version": (c_char_p, []),
    "state_size": (c_size_t, [Handle]),
    "env_size": (c_size_t, [Handle]),
    "action_size": (c_size_t, [Handle]),
    "camera_count": (c_int, [Handle]),
    "camera_at": (None, [Handle, c_int, POINTER(CameraStruct)]),
    "fps": (c_double, [Handle]),
    "chunk_size": (c_int, [Handle]),
    "n_action_steps": (c_int, [Handle]),
    "horizon": (c_int, [Handle]),
    "path": (c_char_p, [Handle]),
    "reset": (c_int, [Handle]),
    "step": (c_int, [Handle, POINTER(Observation), _Doubles]),
    "observe": (c_int, [Handle, POINTER(Observation)]),
    "act": (c_int, [Handle, _Doubles]),
    "predict_chunk": (c_int, [Handle, _Doubles]),
    "limits": (None, [Handle, POINTER(LimitCountsStruct)]),
    "async": (None, [Handle, POINTER(AsyncCountsStruct)]),
    "step_rate": (c_double, [Handle]),
    "at": (c_int, [Handle, c_double, _Doubles]),
}


def declare(library: ctypes.CDLL) -> None:
    """Tells ctypes what the functions take and give. AttributeError: the library has one of them not."""
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, "tact_" + name)
        function.restype, function.argtypes = result, arguments

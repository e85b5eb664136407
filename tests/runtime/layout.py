# SPDX-License-Identifier: Apache-2.0
"""Prints what layout.c prints, of the structs in python/libtact."""
import ctypes

from libtact import _interface

STRUCTS = {"options": _interface.Options, "camera": _interface.CameraStruct, "image": _interface.Image,
           "observation": _interface.Observation, "limit_counts": _interface.LimitCountsStruct,
           "async_counts": _interface.AsyncCountsStruct}
for name, struct in STRUCTS.items():
    print(f"tact_{name} {ctypes.sizeof(struct)}")
    for field, *_ in struct._fields_:
        print(f"tact_{name}.{field} {getattr(struct, field).offset}")

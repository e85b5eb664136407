# SPDX-License-Identifier: Apache-2.0
"""Prints what layout.c prints, of the structs in python/tact.py."""
import ctypes

import tact

STRUCTS = {"options": tact._Options, "camera": tact._Camera, "image": tact._Image,
           "observation": tact._Observation, "limit_counts": tact._LimitCounts,
           "async_counts": tact._AsyncCounts}
for name, struct in STRUCTS.items():
    print(f"tact_{name} {ctypes.sizeof(struct)}")
    for field, *_ in struct._fields_:
        print(f"tact_{name}.{field} {getattr(struct, field).offset}")

# SPDX-License-Identifier: Apache-2.0
"""consumer.py POLICY STEPS FORM: consumer.c through python/libtact, the images given in one of its forms."""
import sys

import numpy as np
import libtact
from libtact._arrays import as_pixels


class Tensor:
    """What of a PyTorch tensor is used."""

    def __init__(self, a):
        self.a = a

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.a


class Bfloat16(Tensor):
    """One of a type that NumPy has not."""

    dtype = "torch.bfloat16"

    def float(self):
        return Tensor(self.a)

    def numpy(self):
        raise TypeError("Got unsupported ScalarType BFloat16")


def crop(a):  # rows with other pixels between them
    wide = np.full((a.shape[0] + 2, a.shape[1] + 5, 3), 255, np.uint8)
    view = wide[1:-1, 2:-3]
    view[:] = a
    assert np.shares_memory(as_pixels("", view)[0], wide), "a crop is not copied"
    return view


def lerobot(a):  # as its datasets give frames
    return (a.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)


FORMS = {
    "bytes": lambda a: a,
    "crop": crop,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "channels_first": lambda a: a.transpose(2, 0, 1).copy(),
    "lerobot": lerobot,
    "batch": lambda a: lerobot(a)[None].copy(),
    "tensor": lambda a: Tensor(lerobot(a)),
    "bfloat16": lambda a: Bfloat16(lerobot(a)),
    "half": lambda a: lerobot(a).astype(np.float16),
    "double": lambda a: a / 255,
}


def show(rows):
    for row in np.atleast_2d(rows):
        print(" ".join(f"{x:.17g}" for x in row))


def look(policy, step, form):
    short = step % 2  # names are good without "observation.images." too
    o = {"task": "pick", "observation.images.unknown": None}
    o["observation.state"] = 0.01 * (step + 1) * np.arange(1, policy.state_size + 1)
    o["observation.environment_state"] = [0.02 * (step + 1) * (i + 1) for i in range(policy.env_size)]
    if form in ("tensor", "bfloat16"):
        o["observation.state"] = (Tensor if form == "tensor" else Bfloat16)(o["observation.state"][None])
    for c, camera in enumerate(policy.cameras):
        i = np.arange(camera.height * camera.width * 3)
        a = (7 * i + 31 * step + 17 * c).astype(np.uint8).reshape(camera.height, camera.width, 3)
        o[camera.name.replace("observation.images.", "") if short else camera.name] = FORMS[form](a)
    return o


with libtact.Policy.from_pretrained(sys.argv[1]) as policy:
    policy.reset()
    for step in range(int(sys.argv[2])):
        show(policy.select_action(look(policy, step, sys.argv[3])))
    show(policy.predict_action_chunk())

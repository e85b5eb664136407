# SPDX-License-Identifier: Apache-2.0
"""Between what LeRobot's policies see and give, which is normalised, and what libtact takes and gives, which is
not. libtact normalises with the checkpoint's numbers, so undoing just that gives its network the very values that
PyTorch's network would see, whatever the preprocessor did to make them."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .images import resize
from .statistics import RowNormalizer, read_stats, require

STATE, ENV, ACTION = "observation.state", "observation.environment_state", "action"
# How far from a whole grey level a pixel may lie once its normalisation is undone. float32 brings about 1e-4; an
# image that was filtered or resized as floats is not on grey levels at all.
GREY_TOLERANCE = 0.01


class Unservable(Exception):
    """Why libtact cannot take this policy, or this observation."""


class Vector:
    """A vector's normalisation as libtact does it: y = x * scale + offset, and its inverse."""

    def __init__(self, name: str, mode: str, stats, width: int):
        rows = RowNormalizer(name, mode, stats, width)
        self.scale, self.offset = rows.scale.numpy(), rows.offset.numpy()
        self.inverse_scale, self.inverse_offset = rows.inverse_scale.numpy(), rows.inverse_offset.numpy()
        self.varies = self.inverse_scale != 0  # a value that never varied is given out as the constant it was

    def raw(self, normalised: Tensor) -> np.ndarray:
        """What libtact makes `normalised` of."""
        return (normalised.detach().double().cpu().numpy() - self.offset) / self.scale

    def normalised(self, raw: np.ndarray) -> np.ndarray:
        """What a network had to give for libtact to make `raw` of it; 0 where it makes the constant of anything."""
        safe = np.where(self.varies, self.inverse_scale, 1.0)
        return np.where(self.varies, (raw - self.inverse_offset) / safe, 0.0)


class Camera:
    """From a camera's normalised floats back to its bytes."""

    def __init__(self, name: str, mode: str, stats):
        require(stats, name, mode)
        one, zero = torch.ones(3).double(), torch.zeros(3).double()
        self.name, gain, base = name, one, zero
        if mode == "MEAN_STD":
            gain, base = self._of(stats, "std") + 1e-8, self._of(stats, "mean")
        elif mode == "MIN_MAX":
            low, high = self._of(stats, "min"), self._of(stats, "max")
            gain, base = (high - low) / 2, (high + low) / 2
        elif mode != "IDENTITY":
            raise Unservable(f"{name} is normalised by {mode}, which libtact does not have")
        # Half a level more, so that cutting off the fraction rounds.
        self.gain = (gain * 255).float()[:, None, None]
        self.base = (base * 255 + 0.5).float()[:, None, None]

    def _of(self, stats, kind: str) -> Tensor:
        value = torch.as_tensor(stats[self.name][kind]).double().flatten()
        if value.numel() != 3:
            raise Unservable(f"{self.name}: its {kind} has {value.numel()} values, not one a colour")
        return value

    def levels(self, image: Tensor) -> np.ndarray:
        """(3, H, W), normalised -> (H, W, 3) uint8."""
        shifted = torch.addcmul(self.base, image.detach().cpu().float(), self.gain)
        level = shifted.clamp(0, 255.5).to(torch.uint8)
        least, most = shifted.sub_(level).aminmax()
        if not (0.5 - GREY_TOLERANCE <= least and most <= 0.5 + GREY_TOLERANCE):  # also of NaN
            raise Unservable(f"{self.name} is not made of the 256 grey levels that libtact takes: a pixel lies "
                             f"{max(0.5 - least.item(), most.item() - 0.5):.2g} of a level beside one")
        return level.permute(1, 2, 0).contiguous().numpy()


    def normalised(self, level: Tensor) -> Tensor:
        return (level.float() + 0.5 - self.base) / self.gain


def _steps(directory: Path) -> list[dict]:
    file = directory / "policy_preprocessor.json"
    return json.loads(file.read_text())["steps"] if file.is_file() else []


class Units:
    """All of one checkpoint's. own_rows: the policy takes and gives states and actions as the robot has them."""

    def __init__(self, directory: Path, config, own_rows: bool):
        for step in _steps(directory):
            if step.get("registry_name") == "relative_actions_processor" and step["config"].get("enabled"):
                raise Unservable("its relative_actions_processor works outside of the policy, and inside of libtact")
            if step.get("registry_name") == "image_crop_resize_processor":
                raise Unservable("its image_crop_resize_processor has changed the frames, which libtact wants as "
                                 "recorded")
        modes = {str(getattr(k, "value", k)): str(getattr(v, "value", v))
                 for k, v in config.normalization_mapping.items()}
        stats = read_stats(directory)

        def vector(key: str, feature) -> Vector | None:
            mode = modes.get(feature.type.value, "IDENTITY") if feature is not None else "IDENTITY"
            return Vector(key, mode, stats, feature.shape[0]) if feature is not None else None

        self.own_rows = own_rows
        self.cameras = {key: Camera(key, modes.get("VISUAL", "IDENTITY"), stats) for key in config.image_features}
        self.env = vector(ENV, config.env_state_feature)
        self.state = None if own_rows else vector(STATE, config.robot_state_feature)
        self.action = None if own_rows else vector(ACTION, config.action_feature)

    def observation(self, frame: dict[str, Tensor], row: int) -> dict[str, np.ndarray]:
        """One row of a batch's frame (B, ...), as libtact takes it."""
        out = {key: camera.levels(frame[key][row]) for key, camera in self.cameras.items()}
        if self.own_rows:
            out[STATE] = frame[STATE][row].detach().double().cpu().numpy()
        elif self.state:
            out[STATE] = self.state.raw(frame[STATE][row])
        if self.env:
            out[ENV] = self.env.raw(frame[ENV][row])
        return out

    def resized(self, frame: dict[str, Tensor], config) -> dict[str, Tensor]:
        """A frame whose images are resized as libtact and tact's training do it, to whole grey levels (halves up);
        the policy by itself resizes what is normalised, and does not round."""
        out = dict(frame)
        for key, camera in self.cameras.items():
            size = config.resized_to(key)
            if size:
                levels = np.stack([camera.levels(image) for image in frame[key]])
                wanted = resize(torch.from_numpy(levels).permute(0, 3, 1, 2).double(), *size, config.resize_filter)
                out[key] = camera.normalised((wanted + 0.5 + 1e-9).floor())
        return out

    def chunk(self, actions: np.ndarray) -> np.ndarray:
        """(S, A) of libtact's, as the policy gives it."""
        return _shortest(actions) if self.own_rows else self.action.normalised(actions)

    def varying(self, difference: Tensor) -> Tensor:
        """The columns (..., A) that can differ: of a value that never varied the robot gets the constant anyway."""
        return difference if self.own_rows else difference[..., torch.from_numpy(self.action.varies)]


def _shortest(actions: np.ndarray) -> np.ndarray:
    """Poses (S, 7 arms) with rotation vectors of at most pi, as the policy's own; libtact gives the one of the two
    that is nearer to the action before."""
    out = actions.copy().reshape(len(actions), -1, 7)
    vector = out[..., 3:6]
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    vector *= np.where(angle > np.pi, 1 - 2 * np.pi / np.maximum(angle, 1), 1)
    return out.reshape(actions.shape)

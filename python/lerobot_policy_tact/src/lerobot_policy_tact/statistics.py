# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint's vectors are normalised with, and the normalisation of relative rows."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STATS_FILE = "stats.safetensors"
EPS = 1e-8

Stats = dict[str, dict[str, Tensor]]


def _nested(flat: dict[str, Tensor]) -> Stats:
    out: Stats = {}
    for name, value in flat.items():
        feature, kind = name.rsplit(".", 1)
        out.setdefault(feature, {})[kind] = value
    return out


def _processor_state(directory: Path) -> Path | None:
    description = directory / "policy_preprocessor.json"
    if not description.is_file():
        return None
    for step in json.loads(description.read_text())["steps"]:
        if step.get("registry_name") == "normalizer_processor" and "state_file" in step:
            return directory / step["state_file"]
    return None


def read_stats(directory: str | Path) -> Stats | None:
    """A checkpoint's statistics, None where it has none. What stats.safetensors has goes before the
    processor files: LeRobot's trainer puts the dataset's own numbers into those, and of poses these are
    the absolute ones."""
    directory, out = Path(directory), {}
    for path in (_processor_state(directory), directory / STATS_FILE):
        if path is not None and path.is_file():
            out.update(_nested(load_file(path)))
    return out or None


def write_stats(directory: str | Path, stats: Stats) -> None:
    flat = {f"{feature}.{kind}": torch.as_tensor(value).double().cpu().contiguous()
            for feature, kinds in stats.items() for kind, value in kinds.items()}
    save_file(flat, Path(directory) / STATS_FILE)


KINDS = {"MIN_MAX": ("min", "max"), "MEAN_STD": ("mean", "std")}


def require(stats: Stats | None, feature: str, mode: str) -> None:
    """LeRobot's normalizer passes what it has no statistics of through as it is, without a word."""
    for kind in KINDS.get(mode, ()):
        if (stats or {}).get(feature, {}).get(kind) is None:
            raise ValueError(f"{feature}: its statistics have no {kind}; {mode} normalization needs it")


class RowNormalizer(nn.Module):
    """y = x * scale + offset over the last dimension, as src/normalize/normalize.h: a value that never
    varied has scale 1, so that a robot that leaves it does not blow up, and its inverse is the constant."""

    def __init__(self, feature: str, mode: str, stats: Stats | None, width: int):
        super().__init__()
        scale, offset = torch.ones(width).double(), torch.zeros(width).double()
        inverse_scale, inverse_offset = scale.clone(), offset.clone()
        if mode != "IDENTITY":
            low, high = self._pair(feature, mode, stats, width)
            if mode == "MIN_MAX":
                constant, half = high == low, (high - low) / 2
                scale = torch.where(constant, scale, 1 / half)
                offset = -1 - low * scale
                inverse_scale, inverse_offset = half, low + half
            else:
                constant = high < EPS
                scale = torch.where(constant, scale, 1 / (high + EPS))
                offset = -low * scale
                inverse_scale, inverse_offset = torch.where(constant, offset * 0, high), low
        for name, value in (("scale", scale), ("offset", offset), ("inverse_scale", inverse_scale),
                            ("inverse_offset", inverse_offset)):
            # Not persistent: the checkpoint has them in a file of their own.
            self.register_buffer(name, value, persistent=False)

    @staticmethod
    def _pair(feature: str, mode: str, stats: Stats | None, width: int) -> tuple[Tensor, Tensor]:
        if mode not in KINDS:
            raise ValueError(f"{feature}: normalization {mode} is not one that tact has")
        require(stats, feature, mode)
        out = []
        for kind in KINDS[mode]:
            value = torch.as_tensor(stats[feature][kind]).double().flatten()
            if value.numel() != width:
                raise ValueError(f"{feature}: its {kind} has {value.numel()} values, the policy's rows "
                                 f"have {width}")
            if not value.isfinite().all():
                raise ValueError(f"{feature}: its {kind} is not finite")
            out.append(value)
        return out[0], out[1]

    def _apply(self, fn, *args, **kwargs):
        """A policy moved to half precision keeps its statistics in float64; only the device follows."""
        saved = dict(self._buffers)
        super()._apply(fn, *args, **kwargs)
        for name, value in saved.items():
            moved = self._buffers[name]
            if moved.dtype != value.dtype:
                self._buffers[name] = value.to(moved.device)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.offset

    def invert(self, y: Tensor) -> Tensor:
        return y.double() * self.inverse_scale + self.inverse_offset

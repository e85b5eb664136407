# SPDX-License-Identifier: Apache-2.0
"""The file that says which topic is which feature."""
from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

ALIGN = ("hold", "asof", "drop")
TIMELINE = ("header", "receive")
SAFETY = ("none", "hold", "zeros")
STEPS = {"rad2deg": 0, "deg2rad": 0, "scale": 1, "offset": 1, "clamp": 2}  # and how many numbers each takes

# Of rosetta's files: what is for recording, and not for running a policy.
_NOT_OURS = ("robot_interface", "adjunct", "teleop", "tasks", "rewards", "signals", "recording", "max_duration_s",
             "version")


class ContractError(ValueError):
    """The contract cannot be used; the text names the place in it."""


@dataclass(frozen=True)
class Stream:
    """One topic, and what of it is (part of) a feature."""

    feature: str  # "observation.images.front", "observation.state", "action"
    topic: str
    type: str  # "sensor_msgs/msg/JointState"
    select: tuple[str, ...] = ()  # fields, in the feature's order; (): all
    apply: tuple[tuple[str, tuple[float, ...]], ...] = ()  # from the message's unit to the feature's
    align: str = "hold"
    timeline: str = "header"
    tolerance_s: float = 0.0  # of asof
    safety: str = "none"  # of an action: what is published when the policy stops
    qos: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contract:
    """fps: steps a second. Streams in the order of the file: those of one feature are put together in it."""

    fps: float
    observations: tuple[Stream, ...]
    actions: tuple[Stream, ...]
    robot_type: str = ""

    @classmethod
    def from_file(cls, path: Union[str, "os.PathLike[str]"]) -> Contract:
        """Reads YAML (needs PyYAML), or JSON where the name ends so."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise ContractError(f"{path}: {e}") from None
        try:
            data = json.loads(text) if path.suffix == ".json" else _yaml(text)
        except ValueError as e:
            raise ContractError(f"{path}: {e}") from None
        return cls.from_dict(data, str(path))

    @classmethod
    def from_dict(cls, data: Any, where: str = "contract") -> Contract:
        """data: what is in the file; where: how messages name it."""
        if not isinstance(data, Mapping):
            raise ContractError(f"{where}: names with values are wanted, not {type(data).__name__}")
        _known(data, ("robot_type", "name", "fps", "rate_hz", "observations", "actions") + _NOT_OURS, where)
        fps = data.get("fps", data.get("rate_hz"))
        if not _is_number(fps) or not 0 < fps <= 10000:
            raise ContractError(f"{where}: fps: steps a second are wanted, not {fps!r}")
        made = cls(float(fps), _streams(data, "observations", float(fps), where),
                   _streams(data, "actions", float(fps), where), str(data.get("robot_type", "")))
        for kind, streams in (("observations", made.observations), ("actions", made.actions)):
            if not streams:
                raise ContractError(f"{where}: {kind}: there are none")
        return made

    def of(self, feature: str) -> tuple[Stream, ...]:
        """The streams that make a feature."""
        return tuple(s for s in self.observations + self.actions if s.feature == feature)


def _yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        raise ValueError("reading YAML needs PyYAML: pip install pyyaml, or write the contract as .json") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise ValueError(" ".join(str(e).split())) from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _known(given: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    names = list(names)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, 1)
            raise ContractError(f"{where}: {name}: there is no such setting" + (f"; {near[0]}?" if near else ""))


def _one_of(value: Any, choices: tuple[str, ...], where: str) -> str:
    if value not in choices:
        raise ContractError(f"{where}: {value!r} is none of {', '.join(choices)}")
    return str(value)


def _streams(data: Mapping[str, Any], kind: str, fps: float, where: str) -> tuple[Stream, ...]:
    given = data.get(kind)
    where = f"{where}: {kind}"
    if isinstance(given, Mapping):
        pairs = [(str(k), one) for k, v in given.items() for one in (v if isinstance(v, list) else [v])]
    elif isinstance(given, list) and all(isinstance(one, Mapping) and "key" in one for one in given):
        pairs = [(str(one["key"]), {k: v for k, v in one.items() if k != "key"}) for one in given]
    else:
        raise ContractError(f"{where}: features with their topics are wanted")
    return tuple(_stream(feature, one, kind, fps, f"{where}: {feature}") for feature, one in pairs)


def _stream(feature: str, given: Any, kind: str, fps: float, where: str) -> Stream:
    if not isinstance(given, Mapping):
        raise ContractError(f"{where}: a channel with topic and type is wanted, not {given!r}")
    flat = dict(given)
    for inner in ("channel", "publish"):  # a stream's topic lies in one of them, or beside the rest
        if isinstance(flat.get(inner), Mapping):
            flat.update(flat.pop(inner))
    if isinstance(flat.get("selector"), Mapping):
        flat["select"] = flat.pop("selector").get("names")
    flat.setdefault("safety", flat.pop("safety_behavior", "none"))
    _known(flat, ("topic", "type", "qos", "safety", "select", "apply", "align", "dtype", "strategy", "image",
                  "from_tensor", "unit_conversion"), where)
    for name in ("topic", "type"):
        if not isinstance(flat.get(name), str) or not flat[name]:
            raise ContractError(f"{where}: {name}: is missing")
    for name in ("image", "from_tensor", "unit_conversion"):
        if flat.get(name):
            raise ContractError(f"{where}: {name}: is not understood here; apply has rad2deg, deg2rad, scale, offset "
                                "and clamp, and frames must come in the size that they were recorded in")
    align, timeline, tolerance = _alignment(flat.get("align"), fps, where)
    return Stream(feature, flat["topic"], flat["type"], _select(flat.get("select"), where),
                  _apply(flat.get("apply"), where), align, timeline, tolerance,
                  _one_of(flat["safety"], SAFETY, f"{where}: safety"), dict(flat.get("qos") or {}))


def _alignment(given: Any, fps: float, where: str) -> tuple[str, str, float]:
    where = f"{where}: align"
    if given is None:
        given = {}
    if isinstance(given, str):
        given = {"strategy": given}
    if not isinstance(given, Mapping):
        raise ContractError(f"{where}: one of {', '.join(ALIGN)} is wanted, not {given!r}")
    _known(given, ("strategy", "timeline", "stamp", "tol_ms"), where)
    tolerance: Any = given.get("tol_ms", 1000 / fps)
    if not _is_number(tolerance) or not tolerance >= 0:
        raise ContractError(f"{where}: tol_ms: milliseconds are wanted, not {tolerance!r}")
    return (_one_of(given.get("strategy", "hold"), ALIGN, where),
            _one_of(given.get("timeline", given.get("stamp", "header")), TIMELINE, f"{where}: timeline"),
            float(tolerance) / 1000)


def _select(given: Any, where: str) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not given or not all(isinstance(name, str) and name for name in given):
        raise ContractError(f"{where}: select: a list of fields is wanted, not {given!r}")
    return tuple(given)


def _apply(given: Any, where: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    where = f"{where}: apply"
    if given is None:
        return ()
    if not isinstance(given, list):
        raise ContractError(f"{where}: a list is wanted, not {given!r}")
    out = []
    for one in given:
        name, value = next(iter(one.items())) if isinstance(one, Mapping) and len(one) == 1 else (one, [])
        numbers = value if isinstance(value, list) else [value]
        if name == "resize":
            raise ContractError(f"{where}: resize: is not done here; frames must come in the size that they were "
                                "recorded in")
        _one_of(name, tuple(STEPS), where)
        if len(numbers) != STEPS[name] or not all(_is_number(x) for x in numbers):
            raise ContractError(f"{where}: {name}: {STEPS[name]} numbers are wanted, not {value!r}")
        if name == "scale" and not numbers[0] or name == "clamp" and not numbers[0] <= numbers[1]:
            raise ContractError(f"{where}: {name}: {value!r} cannot be")
        out.append((str(name), tuple(float(x) for x in numbers)))
    return tuple(out)

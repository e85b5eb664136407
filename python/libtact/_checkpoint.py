# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint's files say of it beside what the library gives."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def policy_type(pretrained: Path) -> str:
    """"tact" or "act", of a pretrained_model directory."""
    return str(_read(pretrained / "config.json").get("type", "act"))


def training_step(pretrained: Path) -> Optional[int]:
    """Training steps behind the weights; None where the directory does not say, as of a download."""
    step = _read(pretrained.parent / "training_state" / "training_step.json").get("step")
    if isinstance(step, int):
        return step
    name = pretrained.resolve().parent.name  # .../checkpoints/000500/pretrained_model
    return int(name) if name.isdecimal() else None

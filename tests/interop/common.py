# SPDX-License-Identifier: Apache-2.0
"""What the checks share: running tact, making observations, comparing, counting."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

TREE = Path(__file__).parents[2]
TOLERANCE = 1e-5  # relative, L2: float32 against float32
TINY = {"dim_model": 32, "n_heads": 4, "dim_feedforward": 64, "n_encoder_layers": 2,
        "n_vae_encoder_layers": 1, "latent_dim": 8, "chunk_size": 8, "n_action_steps": 8}


@dataclass
class Report:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    lines: list[str] = field(default_factory=list)

    def hold(self, name: str, ok: bool, detail: str = "") -> None:
        self.passed += ok
        self.failed += not ok
        print(f"{'ok    ' if ok else 'FAILED'} {name}{': ' if detail else ''}{detail}", flush=True)

    def close(self, name: str, got, wanted, tolerance: float = TOLERANCE) -> None:
        """Relative L2 distance of chunks (N, S, A); NaN and another shape fail. So do chunks that hardly
        depend on the observation: their agreement would say nothing about the inputs."""
        got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
        if got.shape != wanted.shape:
            return self.hold(name, False, f"shapes {got.shape} and {wanted.shape}")
        size = np.linalg.norm(wanted)
        error = np.linalg.norm(got - wanted) / size
        spread = np.linalg.norm(wanted - wanted.mean(0)) / size
        return self.hold(name, bool(error <= tolerance and spread >= 100 * tolerance),
                         f"relative error {error:.1e}, observations differ by {spread:.1e}")

    def skip(self, name: str, why: str) -> None:
        self.skipped += 1
        print(f"skipped: {name}: {why}", flush=True)


def run(*command, check: bool = True, **env) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=TREE,
                          env={**os.environ, **env})
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:3]))} ...: exit {done.returncode}\n"
                           f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def sample(root: Path, **options) -> Path:
    run("build/tact", "sample", f"--root={root}", *(f"--{k}={v}" for k, v in options.items()))
    return root


def train(data: Path, output: Path, *flags: str, steps: int = 3) -> Path:
    """A tiny policy of tact's; its pretrained_model directory."""
    tiny = [f"--policy.{k}={v}" for k, v in TINY.items()]
    run("build/tact", "train", "--dataset.repo_id=me/sample", f"--dataset.root={data}",
        f"--output_dir={output}", "--policy.device=cpu", "--policy.pretrained_backbone_weights=null",
        "--seed=3", "--batch_size=2", "--num_workers=1", "--num_stat_samples=0", f"--steps={steps}", *tiny,
        *flags)
    return stir(output / "checkpoints" / "last" / "pretrained_model")


def stir(checkpoint: Path, seed: int = 0) -> Path:
    """Puts weights into a checkpoint with which its chunks depend on all that they can: after a few steps
    of training a network hardly looks at its images, and two programs would agree whatever they showed it.
    Gentle enough that PyTorch's own float32 stays near float64."""
    rng = np.random.default_rng(seed)
    tensors = load_file(checkpoint / "model.safetensors")
    for name in sorted(tensors):
        shape, last = tensors[name].shape, name.rsplit(".", 1)[-1]
        if last == "vae_encoder_pos_enc":
            continue  # a table, not a weight
        if last == "running_var" or (last == "weight" and len(shape) == 1):
            value = rng.uniform(0.8, 1.2, shape)
        elif len(shape) == 1:
            value = rng.normal(0, 0.1, shape)
        elif "embed" in name:
            value = rng.normal(0, 0.5, shape)
        else:
            value = rng.normal(0, np.sqrt(1 / np.prod(shape[1:])), shape)
        tensors[name] = value.astype(np.float32)
    tact = json.loads((checkpoint / "tact.json").read_text())
    if tact["arms"]:
        # Rotations near the identity, as a policy's are: two arbitrary rows may be nearly parallel, and
        # making a rotation of those blows rounding up.
        tensors["model.action_head.weight"] *= np.float32(0.2)
        tensors["model.action_head.bias"].reshape(tact["arms"], 10)[:, 3:9] = [1, 0, 0, 0, 1, 0]
    save_file(tensors, checkpoint / "model.safetensors")
    return checkpoint


def predict(checkpoint: Path, observations: dict[str, np.ndarray], work: Path) -> np.ndarray:
    """tact's action chunks (N, S, A) for observations (N, T, ...)."""
    save_file({k: np.ascontiguousarray(v) for k, v in observations.items()}, work / "inputs.safetensors")
    run("build/tests/predict", checkpoint, work / "inputs.safetensors", work / "outputs.safetensors")
    return load_file(work / "outputs.safetensors")["action"]


def images(config, n: int, horizon: int, rng) -> dict[str, np.ndarray]:
    out = {}
    for key, feature in config.image_features.items():
        _, height, width = feature.shape
        out[key] = rng.integers(0, 256, (n, horizon, height, width, 3), dtype=np.uint8)
    return out


def rows(stats: dict, width: int, n: int, horizon: int, rng) -> np.ndarray:
    """Vectors within the range that the statistics know: a value that never varied stays what it was."""
    low, high = (np.asarray(stats[k], np.float32).reshape(width) for k in ("min", "max"))
    return (low + rng.random((n, horizon, width), np.float32) * (high - low)).astype(np.float32)


def as_batch(observations: dict[str, np.ndarray], one: bool) -> dict[str, torch.Tensor]:
    """What LeRobot's datasets and robots hand over: images (.., 3, h, w) in [0, 1]. one: no time axis."""
    batch = {}
    for key, value in observations.items():
        tensor = torch.from_numpy(value)
        if value.dtype == np.uint8:
            tensor = tensor.movedim(-1, -3).float() / 255
        batch[key] = tensor[:, 0] if one and key != "observation.environment_state" else tensor
    return batch


def python() -> str:
    return sys.executable

# SPDX-License-Identifier: Apache-2.0
"""Plain ACT trained by tact and by lerobot-train on one dataset: the same statistics, and with three seeds
each the same loss, l1 and KL all along. Random numbers are each program's own, so it is means over seeds that
are compared."""

import json
import re
from pathlib import Path
from statistics import mean

import numpy as np
from check_training import fresh
from common import Report, python, run, sample, train
from safetensors.numpy import load_file

SEEDS = (1, 2, 3)
STEPS, EVERY, BATCH = 60, 20, 8
FIGURES = ("loss", "l1_loss", "kld_loss")
# Small enough to take minutes, with chunks so long that the statistics of windows differ from those of the
# dataset.
POLICY = {"type": "act", "dim_model": 64, "n_heads": 4, "dim_feedforward": 128, "n_encoder_layers": 2,
          "n_vae_encoder_layers": 1, "latent_dim": 8, "chunk_size": 16, "n_action_steps": 16, "device": "cpu",
          "pretrained_backbone_weights": "null", "optimizer_lr": 1e-4, "optimizer_lr_backbone": 1e-4}
SHARED = [f"--policy.{k}={v}" for k, v in POLICY.items()] + [
    "--dataset.repo_id=me/sample", f"--batch_size={BATCH}", f"--steps={STEPS}", f"--log_freq={EVERY}"]

Curve = dict[int, dict[str, float]]  # step -> figure -> value


def tact_curve(data: Path, output: Path, seed: int) -> Curve:
    run("build/tact", "train", *SHARED, f"--dataset.root={data}", f"--output_dir={output}", f"--seed={seed}",
        "--policy.obs_state_horizon=1", "--policy.pose_repr=none", "--num_workers=1",
        "--save_checkpoint=false")
    lines = (json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: {k: line[k] for k in FIGURES} for line in lines}


def lerobot_curve(data: Path, output: Path, seed: int) -> Curve:
    done = run(python(), "-m", "lerobot.scripts.lerobot_train", *SHARED, f"--dataset.root={data}",
               "--dataset.video_backend=pyav", f"--output_dir={output}", f"--seed={seed}", "--num_workers=0",
               "--wandb.enable=false", "--policy.push_to_hub=false", "--save_checkpoint=false")
    curve = {}
    for line in (done.stdout + done.stderr).splitlines():
        found = dict(re.findall(r"(\w+):([-+.\d]+)", line[line.find("step:"):] if "step:" in line else ""))
        if all(k in found for k in ("step", *FIGURES)):
            curve[int(found["step"])] = {k: float(found[k]) for k in FIGURES}
    return curve


def vectors(checkpoint: Path) -> dict[str, np.ndarray]:
    """What a checkpoint normalises vectors with."""
    file = "policy_preprocessor_step_3_normalizer_processor.safetensors"
    return {name: value.flatten() for name, value in load_file(checkpoint / file).items()
            if name.startswith(("observation.state.", "action.")) and
            name.rsplit(".", 1)[-1] in ("min", "max", "mean", "std")}


def same_statistics(report: Report, data: Path, work: Path) -> None:
    """To the bit, and those of the whole dataset when only a part is trained on."""
    part = "--dataset.episodes=[0,2]"
    theirs = vectors(fresh(data, work / "lerobot_part", "--policy.type=act", part))
    ours = vectors(train(data, work / "tact_part", "--policy.type=act", "--policy.obs_state_horizon=1",
                         "--policy.pose_repr=none", part))
    same = len(theirs) == 8 and theirs.keys() == ours.keys() and all(
        value.dtype == ours[name].dtype and np.array_equal(value, ours[name])
        for name, value in theirs.items())
    report.hold("both normalise with the same numbers", bool(same), ", ".join(sorted(theirs)))


def check(report: Report, work: Path) -> None:
    data = sample(work / "data", episodes=4, frames=40, height=64, width=64)
    same_statistics(report, data, work)
    curves = {name: [curve(data, work / f"{name}_{seed}", seed) for seed in SEEDS]
              for name, curve in (("tact", tact_curve), ("lerobot", lerobot_curve))}
    steps = list(range(EVERY, STEPS + 1, EVERY))
    report.hold("both log the same steps", all(sorted(c) == steps for cs in curves.values() for c in cs))
    for step in steps:
        for figure in FIGURES:
            tact, lerobot = ([c[step][figure] for c in curves[name]] for name in ("tact", "lerobot"))
            spread = max(max(v) - min(v) for v in (tact, lerobot))
            apart = abs(mean(tact) - mean(lerobot))
            report.hold(f"step {step}: {figure} within the seeds' spread", apart <= spread,
                        f"tact {mean(tact):.4f} ({min(tact):.4f} to {max(tact):.4f}), LeRobot "
                        f"{mean(lerobot):.4f} ({min(lerobot):.4f} to {max(lerobot):.4f})")

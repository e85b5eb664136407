# SPDX-License-Identifier: Apache-2.0
"""make_fixtures.py DIR: writes what tests/interop/fixtures/README.md describes, with the LeRobot that is
installed: the layouts "processors" and "none" with 0.4 or newer, "weights" with one before 0.4."""

import sys
from pathlib import Path

import numpy as np
import torch
from lerobot_side import ENV, STATE, act_config, chunks, random_policy, random_stats
from safetensors.torch import save_file

# Without cameras: a backbone alone would be 44 MB.
SMALL = {"dim_model": 16, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1, "chunk_size": 5,
         "n_action_steps": 5, "latent_dim": 4}


def old(config, stats: dict, directory: Path):
    """Normalisation is part of the policy."""
    policy = random_policy(config, seed=11, dataset_stats=stats)
    policy.save_pretrained(directory)
    return policy, (dict, lambda action: action)


def new(config, stats: dict | None, directory: Path):
    from lerobot.policies.factory import make_pre_post_processors

    policy = random_policy(config, seed=11)
    policy.save_pretrained(directory)
    pipelines = make_pre_post_processors(config, dataset_stats=stats)
    for pipeline in pipelines if stats else ():
        pipeline.save_pretrained(directory)
    return policy, pipelines


def make(directory: Path, layout: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    config = act_config(7, 3, 0, **SMALL)
    stats = None if layout == "none" else random_stats(config, np.random.default_rng(11))
    policy, pipelines = (old if layout == "weights" else new)(config, stats, directory)
    rng = np.random.default_rng(12)
    state = torch.from_numpy(rng.normal(0.4, 0.4, (4, 1, 7)).astype(np.float32))
    env = torch.from_numpy(rng.normal(0.4, 0.4, (4, 3)).astype(np.float32))
    actions = chunks(policy, pipelines, {STATE: state[:, 0], ENV: env})
    save_file({STATE: state, ENV: env}, directory / "inputs.safetensors")
    save_file({"action": torch.from_numpy(actions).float()}, directory / "expected.safetensors")


if __name__ == "__main__":
    from lerobot.policies import factory

    for name in ("processors", "none") if hasattr(factory, "make_pre_post_processors") else ("weights",):
        make(Path(sys.argv[1]) / name, name)

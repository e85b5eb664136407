# SPDX-License-Identifier: Apache-2.0
"""LeRobot's side of a comparison: its policies, its processors, its random weights."""

from pathlib import Path

import numpy as np
import torch
from common import TINY
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot_policy_tact.statistics import read_stats

STATE, ENV, ACTION = "observation.state", "observation.environment_state", "action"


def processors(config, directory: Path):
    """From the checkpoint's own files, or made by LeRobot from its statistics while it has none."""
    from lerobot.policies.factory import make_pre_post_processors  # not in the LeRobots before 0.4

    if (directory / "policy_preprocessor.json").is_file():
        overrides = {"device_processor": {"device": "cpu"}}
        made = make_pre_post_processors(config, pretrained_path=str(directory),
                                        preprocessor_overrides=overrides)
        return made, "the checkpoint's processor files"
    made = make_pre_post_processors(config, dataset_stats=read_stats(directory))
    return made, "LeRobot's processors made from stats.safetensors"


def act_config(state: int, env: int, cameras: int, *sizes: tuple[int, int], **options) -> ACTConfig:
    """sizes: one of every camera, or none: 64x96."""
    inputs = {}
    if state:
        inputs[STATE] = PolicyFeature(FeatureType.STATE, (state,))
    if env:
        inputs[ENV] = PolicyFeature(FeatureType.ENV, (env,))
    for name, size in zip(("wrist", "front", "side")[:cameras], sizes or ((64, 96),) * cameras, strict=True):
        inputs[f"observation.images.{name}"] = PolicyFeature(FeatureType.VISUAL, (3, *size))
    settings = {"normalization_mapping": dict.fromkeys(("VISUAL", "STATE", "ENV", "ACTION"),
                                                       NormalizationMode.MEAN_STD), **TINY, **options}
    return ACTConfig(
        input_features=inputs, output_features={ACTION: PolicyFeature(FeatureType.ACTION, (7,))},
        pretrained_backbone_weights=None, device="cpu", push_to_hub=False, **settings)


def random_stats(config, rng) -> dict:
    """As a dataset's: float32 vectors, (3, 1, 1) for cameras."""
    stats = {}
    for key, feature in {**config.input_features, **config.output_features}.items():
        shape = (3, 1, 1) if feature.type is FeatureType.VISUAL else feature.shape
        mean, std = rng.normal(0.4, 0.1, shape), rng.uniform(0.2, 0.5, shape)
        values = {"mean": mean, "std": std, "min": mean - 3 * std, "max": mean + 3 * std}
        stats[key] = {k: torch.tensor(v, dtype=torch.float32) for k, v in values.items()}
    return stats


def random_policy(config, seed: int, **options) -> ACTPolicy:
    """Random weights; biases and frozen norms too, which LeRobot starts at values that hide mistakes."""
    torch.manual_seed(seed)
    policy = ACTPolicy(config, **options).eval()
    with torch.no_grad():
        for name, tensor in policy.model.state_dict().items():
            last = name.rsplit(".", 1)[-1]
            if last == "running_var":
                tensor.uniform_(0.7, 1.3)
            elif last in ("running_mean", "bias", "in_proj_bias"):
                tensor.normal_(0, 0.1)
            elif tensor.dim() == 1:
                tensor.uniform_(0.8, 1.2)
    return policy


def chunks(policy, pipelines, batch: dict[str, torch.Tensor]) -> np.ndarray:
    """Observation by observation, as on a robot."""
    before, after = pipelines
    out = []
    for i in range(len(next(iter(batch.values())))):
        policy.reset()
        one = before({key: value[i: i + 1] for key, value in batch.items()})
        out.append(after(policy.predict_action_chunk(one)))
    return torch.cat(out).double().numpy()

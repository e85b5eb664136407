# SPDX-License-Identifier: Apache-2.0
"""One observation: a checkpoint of tact's in LeRobot's ACTPolicy, and the other way round."""

from pathlib import Path

import numpy as np
from common import Report, as_batch, images, predict, rows, run, sample, train
from lerobot.configs.types import NormalizationMode
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.processor import NormalizerProcessorStep, UnnormalizerProcessorStep
from lerobot.processor.relative_action_processor import AbsoluteActionsProcessorStep, RelativeActionsProcessorStep
from lerobot_policy_tact.statistics import read_stats
from lerobot_side import ENV, STATE, act_config, chunks, processors, random_policy, random_stats
from safetensors.torch import load_file

OBSERVATIONS = 4


def observations(config, stats: dict, rng) -> dict[str, np.ndarray]:
    out = images(config, OBSERVATIONS, 1, rng)
    if config.robot_state_feature:
        out[STATE] = rows(stats[STATE], config.robot_state_feature.shape[0], OBSERVATIONS, 1, rng)
    else:
        # LeRobot's ACT reads the batch's device from a state that it does not see, and not a value of it.
        out[STATE] = np.full((OBSERVATIONS, 1, 3), np.nan, np.float32)
    if config.env_state_feature:
        width = config.env_state_feature.shape[0]
        out[ENV] = rows(stats[ENV], width, OBSERVATIONS, 1, rng)[:, 0]
    return out


def compare(report: Report, name: str, policy, checkpoint: Path, work: Path) -> None:
    pipelines, whose = processors(policy.config, checkpoint)
    seen = observations(policy.config, read_stats(checkpoint), np.random.default_rng(7))
    theirs = chunks(policy, pipelines, as_batch(seen, one=True))
    report.close(f"{name} ({whose})", predict(checkpoint, seen, work), theirs)


def ours_in_lerobot(report: Report, work: Path) -> None:
    cases = {
        "relative poses": ({}, ()),
        "joints, two cameras, environment state": (
            {"joints": "true", "cameras": 2, "env_dim": 3},
            ("--policy.pre_norm=true", "--policy.feedforward_activation=gelu", "--policy.n_decoder_layers=2"),
        ),
        "no VAE, ResNet-34, resized": (
            {"joints": "true"},
            ("--policy.use_vae=false", "--policy.vision_backbone=resnet34", "--policy.resize_shape=[48,80]"),
        ),
        "joints, three cameras of two sizes": ({"joints": "true", "cameras": 3, "turned": "true"}, ()),
        "relative poses, two cameras, a size each": (
            {"cameras": 2}, ("--policy.resize_shape=[[48,80],[90,50]]",)),
        "joints, no state": ({"joints": "true"}, ("--policy.use_state=false",)),
        "joints, no state, environment state, no VAE": (
            {"joints": "true", "env_dim": 3}, ("--policy.use_state=false", "--policy.use_vae=false")),
    }
    for i, (name, (data, flags)) in enumerate(cases.items()):
        root = sample(work / f"data{i}", episodes=2, frames=12, height=64, width=96, **data)
        checkpoint = train(root, work / f"act{i}", "--policy.obs_state_horizon=1", *flags)
        policy = ACTPolicy.from_pretrained(checkpoint)
        names = set(load_file(checkpoint / "model.safetensors"))
        report.hold(f"tact -> ACTPolicy, {name}: tensor names", names == set(policy.state_dict()),
                    f"{len(names)} tensors")
        compare(report, f"tact -> ACTPolicy, {name}", policy, checkpoint, work)


def theirs_in_tact(report: Report, work: Path) -> None:
    cases = {
        "one camera": act_config(7, 0, 1),
        "two cameras, environment state, pre-norm, GELU": act_config(
            7, 3, 2, pre_norm=True, feedforward_activation="gelu", n_decoder_layers=2),
        "no VAE, ResNet-34, odd size": act_config(7, 0, 1, (50, 70), use_vae=False, vision_backbone="resnet34"),
        "ResNet-50, dilated": act_config(7, 0, 1, vision_backbone="resnet50",
                                         replace_final_stride_with_dilation=True),
        "three cameras of two sizes": act_config(7, 0, 3, (64, 96), (96, 64), (64, 96)),
        "two cameras, odd sizes": act_config(7, 3, 2, (70, 50), (50, 70)),
        "no state": act_config(0, 0, 1),
        "environment state, no camera": act_config(7, 3, 0),
    }
    for i, (name, config) in enumerate(cases.items()):
        checkpoint = work / f"lerobot{i}"
        policy = random_policy(config, seed=i)
        policy.save_pretrained(checkpoint)
        stats = random_stats(config, np.random.default_rng(i))
        for pipeline in make_pre_post_processors(config, dataset_stats=stats):
            pipeline.save_pretrained(checkpoint)
        compare(report, f"ACTPolicy -> tact, {name}", policy, checkpoint, work)


def with_steps(config, stats: dict, eps: float = 1e-8, relative: dict | None = None, keys: set | None = None):
    """LeRobot's own pipelines, with what a user may put into them."""
    before, after = make_pre_post_processors(config, dataset_stats=stats)
    for pipeline in (before, after):
        for step in pipeline.steps:
            if isinstance(step, (NormalizerProcessorStep, UnnormalizerProcessorStep)):
                step.eps, step.normalize_observation_keys = eps, keys if pipeline is before else None
    if relative is not None:
        taken = RelativeActionsProcessorStep(enabled=True, **relative)
        before.steps = [*before.steps[:-1], taken, before.steps[-1]]
        after.steps = [after.steps[0], AbsoluteActionsProcessorStep(enabled=True, relative_step=taken),
                       *after.steps[1:]]
    return before, after


def pipelines_in_tact(report: Report, work: Path) -> None:
    """Processor files with other modes, another eps, relative actions: saved by LeRobot, opened again by it,
    and by tact, which then converts the checkpoint: the same once more."""
    names = [f"joint_{i}.pos" for i in range(6)] + ["Gripper.pos"]
    modes = dict.fromkeys(("STATE", "ENV", "ACTION", "VISUAL"), NormalizationMode.MIN_MAX)
    mixed = {"STATE": NormalizationMode.MEAN_STD, "ACTION": NormalizationMode.MIN_MAX}
    cases = {
        "MIN_MAX everywhere, images too": (act_config(7, 3, 2, normalization_mapping=modes), {}),
        "images and environment state left out": (act_config(7, 3, 1, normalization_mapping=mixed), {}),
        "nothing normalised": (act_config(7, 0, 1, normalization_mapping={}), {}),
        "eps 0.05": (act_config(7, 3, 2), {"eps": 0.05}),
        "eps 0.05, MIN_MAX": (act_config(7, 3, 1, normalization_mapping=modes), {"eps": 0.05}),
        "only the state normalised": (act_config(7, 3, 1), {"keys": {STATE}}),
        "relative actions, two cameras": (act_config(7, 0, 2), {"relative": {}}),
        "relative actions but for the gripper": (
            act_config(7, 3, 1), {"relative": {"exclude_joints": ["gripper"], "action_names": names}}),
    }
    for i, (name, (config, steps)) in enumerate(cases.items()):
        checkpoint = work / f"steps{i}"
        policy = random_policy(config, seed=20 + i)
        policy.save_pretrained(checkpoint)
        stats = random_stats(config, np.random.default_rng(20 + i))
        for pipeline in with_steps(config, stats, **steps):
            pipeline.save_pretrained(checkpoint)
        compare(report, f"ACTPolicy -> tact, {name}", policy, checkpoint, work)
        again = work / f"steps{i}_again"
        run("build/tact", "convert", checkpoint, "--to=act", f"--output={again}")
        compare(report, f"tact convert -> ACTPolicy, {name}", ACTPolicy.from_pretrained(again), again, work)


def check(report: Report, work: Path) -> None:
    ours_in_lerobot(report, work)
    theirs_in_tact(report, work)
    pipelines_in_tact(report, work)

# SPDX-License-Identifier: Apache-2.0
"""One observation: a checkpoint of tact's in LeRobot's ACTPolicy, and the other way round."""

from pathlib import Path

import numpy as np
import torch
from common import Report, as_batch, images, predict, rows, run, sample, train
from lerobot.configs.types import NormalizationMode
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_policy, make_pre_post_processors
from lerobot.processor import (
    ImageCropResizeProcessorStep,
    NormalizerProcessorStep,
    TransitionKey,
    UnnormalizerProcessorStep,
)
from lerobot.processor.relative_action_processor import AbsoluteActionsProcessorStep, RelativeActionsProcessorStep
from lerobot_policy_tact.statistics import read_stats
from lerobot_side import ENV, STATE, act_config, chunks, processors, random_policy, random_stats
from safetensors.torch import load_file

OBSERVATIONS = 4
# Relative, L2, of chunks, where only tact rounds frames to grey levels: half a level of 255 at most in each pixel.
ROUNDING = 5e-3


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


class Rounded:
    """A step behind those that resize and crop: to whole grey levels, halves up, as tact does it."""

    def __call__(self, transition):
        seen = dict(transition[TransitionKey.OBSERVATION])
        for key in seen:
            if "image" in key:
                seen[key] = ((seen[key] * 255 + (0.5 + 1e-9)).floor() / 255).float()
        return {**transition, TransitionKey.OBSERVATION: seen}


def changes_frames(step) -> bool:
    return isinstance(step, ImageCropResizeProcessorStep)


def with_rounding(pipelines):
    """The same pipelines; where a step changes frames, they are rounded behind the last one."""
    at = [i for i, step in enumerate(pipelines[0].steps) if changes_frames(step)]
    if at:
        pipelines[0].steps = [*pipelines[0].steps[:at[-1] + 1], Rounded(), *pipelines[0].steps[at[-1] + 1:]]
    return pipelines


def exact(seen: dict[str, np.ndarray]) -> dict:
    """Images in float64, which leaves no doubt which way a half is rounded."""
    batch = as_batch(seen, one=True)
    return {key: torch.from_numpy(seen[key][:, 0]).movedim(-1, -3).double() / 255 if "image" in key else value
            for key, value in batch.items()}


def compare(report: Report, name: str, policy, checkpoint: Path, work: Path) -> None:
    pipelines, whose = processors(policy.config, checkpoint)
    resized = any(map(changes_frames, pipelines[0].steps))
    seen = observations(policy.config, read_stats(checkpoint), np.random.default_rng(7))
    theirs = chunks(policy, with_rounding(pipelines), exact(seen) if resized else as_batch(seen, one=True))
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


def changed_frames(report: Report, work: Path) -> None:
    """tact trains on frames that it resizes and crops, and LeRobot gives its ACT frames as recorded: the steps in the
    checkpoint make the same of them, but for tact's rounding to grey levels. Without the steps LeRobot's ACT takes
    the recorded frames, and says nothing."""
    cases = {
        "resized": (1, ["--policy.resize_shape=[48,80]"]),
        "one side grown": (1, ["--policy.resize_shape=[150,96]"]),
        "cropped": (1, ["--policy.crop_shape=[64,97]"]),
        "resized and cropped": (2, ["--policy.resize_shape=[60,81]", "--policy.crop_shape=[49,70]"]),
        "a part of what was resized": (1, ["--policy.resize_shape=[60,80]", "--policy.crop_ratio=0.9"]),
    }
    for i, (name, (cameras, flags)) in enumerate(cases.items()):
        data = sample(work / f"frames_data{i}", episodes=2, frames=12, height=120, width=160, cameras=cameras,
                      joints="true")
        checkpoint = train(data, work / f"frames{i}", "--policy.type=act", *flags)
        config = ACTConfig.from_pretrained(checkpoint)
        config.pretrained_path = checkpoint
        policy = make_policy(config, ds_meta=LeRobotDatasetMetadata("me/sample", root=data))
        seen = observations(policy.config, read_stats(checkpoint), np.random.default_rng(7))
        shapes = {v.shape[2:4] for k, v in seen.items() if "image" in k}
        report.hold(f"{name}: LeRobot is given frames as recorded", shapes == {(120, 160)}, f"{shapes}")
        ours = predict(checkpoint, seen, work)
        rounded = chunks(policy, with_rounding(processors(policy.config, checkpoint)[0]), exact(seen))
        report.close(f"tact -> ACTPolicy, {name}, rounded in between", ours, rounded)
        pipelines = processors(policy.config, checkpoint)[0]
        as_is = chunks(policy, pipelines, as_batch(seen, one=True))
        pipelines[0].steps = [step for step in pipelines[0].steps if not changes_frames(step)]
        without = chunks(policy, pipelines, as_batch(seen, one=True))
        size = np.linalg.norm(ours)
        near, far = np.linalg.norm(as_is - ours) / size, np.linalg.norm(without - ours) / size
        report.hold(f"tact -> ACTPolicy, {name}, as it is", bool(near <= ROUNDING and far >= 20 * near),
                    f"relative error {near:.1e} by rounding; {far:.1e} without the steps")
        # LeRobot saves it without tact.json; tact reads it from the steps alone.
        again = work / f"frames{i}_again"
        policy.save_pretrained(again)
        for pipeline in processors(policy.config, checkpoint)[0]:
            pipeline.save_pretrained(again)
        report.close(f"saved by LeRobot -> tact, {name}", predict(again, seen, work), ours, tolerance=1e-6)


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
    changed_frames(report, work)
    theirs_in_tact(report, work)
    pipelines_in_tact(report, work)

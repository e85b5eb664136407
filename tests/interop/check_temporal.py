# SPDX-License-Identifier: Apache-2.0
"""Several observations: what LeRobot does without lerobot_policy_tact, and tact's checkpoints with it."""

import json
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.functional as F  # noqa: N812
from common import TOLERANCE, Report, as_batch, images, predict, python, rows, run, sample, train
from lerobot.configs.policies import PreTrainedConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies.factory import get_policy_class
from lerobot.utils.import_utils import register_third_party_plugins
from lerobot_policy_tact.images import center_crop, resize
from lerobot_policy_tact.modeling_tact import ACTION, TactPolicy
from lerobot_policy_tact.poses import relative_rows
from lerobot_policy_tact.statistics import read_stats
from lerobot_side import ENV, STATE, processors
from PIL import Image
from safetensors.torch import load_file, save_file

OBSERVATIONS = 4


def refused_without(report: Report, checkpoint: Path) -> None:
    """Plain LeRobot must stop, and the message is what docs/interop.md shows."""
    load = ("import sys; from lerobot.policies.act.modeling_act import ACTPolicy; "
            "ACTPolicy.from_pretrained(sys.argv[1])")
    done = run(python(), "-c", load, checkpoint, check=False, PYTHONPATH="")
    last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
    report.hold("T=2 in LeRobot without the package is refused",
                done.returncode != 0 and "tact" in "".join(last), "".join(last)[:300])


def discovered(report: Report, checkpoint: Path) -> None:
    """As LeRobot's programs do it: plugins by the name of their distribution, classes by convention."""
    register_third_party_plugins()
    config = PreTrainedConfig.from_pretrained(checkpoint)
    report.hold("LeRobot finds the package and its policy class", get_policy_class(config.type) is TactPolicy)


def poses(n: int, horizon: int, arms: int, rng) -> np.ndarray:
    """Absolute rows as a robot has them, successive ones near each other."""
    row = rng.normal(0, 0.5, (n, 1, arms, 7)) + rng.normal(0, 0.02, (n, horizon, arms, 7))
    row[..., 6] = rng.random((n, horizon, arms))
    return row.reshape(n, horizon, arms * 7).astype(np.float32)


def observations(config, directory: Path, n: int, horizon: int, rng) -> dict[str, np.ndarray]:
    out, stats = images(config, n, horizon, rng), read_stats(directory)
    if config.arms:
        out[STATE] = poses(n, horizon, config.arms, rng)
    elif config.robot_state_feature:
        out[STATE] = rows(stats[STATE], config.robot_state_feature.shape[0], n, horizon, rng)
    if config.env_state_feature:
        out[ENV] = rows(stats[ENV], config.env_state_feature.shape[0], n, 1, rng)[:, 0]
    return out


def windows(report: Report, name: str, policy: TactPolicy, checkpoint: Path, work: Path) -> None:
    (before, after), _ = processors(policy.config, checkpoint)
    T = policy.config.obs_state_horizon
    seen = observations(policy.config, checkpoint, OBSERVATIONS, T, np.random.default_rng(3))
    theirs = after(policy.predict_action_chunk(before(as_batch(seen, one=False)))).double().numpy()
    theirs = theirs[:, :: policy.config.action_down_sample_steps]  # what was predicted, not filled in
    report.close(f"tact -> TactPolicy, {name}: windows", predict(checkpoint, seen, work), theirs)
    if policy.config.temporal_pos_embed != "all":
        return
    # Frames in another order must give other actions, or this check could not tell that the order is right.
    turned = {k: v[:, ::-1] if k.startswith("observation.images.") else v for k, v in seen.items()}
    error = np.linalg.norm(predict(checkpoint, turned, work) - theirs) / np.linalg.norm(theirs)
    report.hold(f"{name}: the order of frames matters", error >= 10 * TOLERANCE, f"by {error:.1e}")


def dataset_rows(report: Report, name: str, policy: TactPolicy, checkpoint: Path, root: Path) -> None:
    """What LeRobot's dataset gives for the policy's delta indices is tact's window of the same frame, but for
    padded actions, whose value counts for nothing: LeRobot repeats the episode's last, tact the last it takes."""
    c = policy.config
    data = LeRobotDataset("me/sample", root=root, video_backend="pyav", delta_timestamps={
        STATE: [i / policy.config.fps for i in c.observation_delta_indices or [0]],
        ACTION: [i / policy.config.fps for i in c.action_delta_indices]})
    worst, pads = 0.0, 0
    for frame in (0, 1, 5, 10, 11, 12, 23):
        flags = [f"--policy.{key}={getattr(c, key)}" for key in
                 ("obs_state_horizon", "obs_down_sample_steps", "action_down_sample_steps", "n_past_actions",
                  "chunk_size", "n_action_steps", "pose_repr")]
        ours, theirs = json.loads(run("build/tact", "info", root, f"--frame={frame}", *flags).stdout), data[frame]
        state, action, pad = theirs[STATE], theirs[ACTION], theirs["action_is_pad"]
        if c.arms:
            base = state[None, -1]
            state, action = relative_rows(state[None], base)[0], relative_rows(action[None], base)[0]
        seen = torch.cat([state.double(), action.double()[~pad]])
        rows_of_action, marks = (ours[key] + ours.get(f"past_{key}", []) for key in ("action", "action_is_pad"))
        tact = torch.tensor(ours["state"] + [a for a, p in zip(rows_of_action, pad, strict=True) if not p]).double()
        worst, pads = max(worst, float((seen - tact).abs().max())), pads + (marks != pad.tolist())
    report.hold(f"LeRobot's rows, {name}: as tact's", worst <= 1e-6 and pads == 0, f"at most {worst:.1e} off")


def episode(report: Report, name: str, policy: TactPolicy, checkpoint: Path, work: Path) -> None:
    """Frame by frame through select_action, against tact on windows put together here: the first frames
    repeat the first one, a chunk is relative to the pose it was predicted at."""
    (before, after), _ = processors(policy.config, checkpoint)
    c, n, every = policy.config, 11, policy.config.action_down_sample_steps
    frames = observations(c, checkpoint, n, 1, np.random.default_rng(4))
    policy.config.n_action_steps = 3
    policy.reset()
    acted = []
    for i in range(n):
        one = {k: v[i: i + 1] for k, v in frames.items()}
        acted.append(after(policy.select_action(before(as_batch(one, one=True)))).double().numpy())
    starts = list(range(0, n, 3 * every))
    back = [(c.obs_state_horizon - 1 - t) * c.obs_down_sample_steps for t in range(c.obs_state_horizon)]
    index = np.array([[max(0, i - b) for b in back] for i in starts])
    seen = {k: v[index][:, :, 0] if k != ENV else v[starts] for k, v in frames.items()}
    chunks = predict(checkpoint, seen, work)
    wanted = np.concatenate([chunk[: min(3, -(-(n - i) // every))] for i, chunk in zip(starts, chunks, strict=True)])
    report.close(f"tact -> TactPolicy, {name}: an episode of select_action", np.stack(acted)[::every], wanted[:, None])
    policy.config.n_action_steps = c.chunk_size


def saved_again(report: Report, name: str, policy: TactPolicy, checkpoint: Path, work: Path) -> None:
    """What TactPolicy saves, tact reads."""
    again = work / f"{name}_again"
    policy.save_pretrained(again)
    for pipeline in processors(policy.config, checkpoint)[0]:
        pipeline.save_pretrained(again)
    rng = np.random.default_rng(5)
    seen = observations(policy.config, checkpoint, OBSERVATIONS, policy.config.obs_state_horizon, rng)
    report.close(f"TactPolicy -> tact, {name}: saved again", predict(again, seen, work),
                 predict(checkpoint, seen, work), tolerance=1e-6)


def resizing(report: Report, work: Path) -> None:
    """The package's resize and crop against tact's, which rounds to whole levels; the policy's does not. By the filter
    bilinear they are torchvision's too."""
    data, frames = sample(work / "frames", episodes=1, frames=4, height=64, width=96), {}
    for size in ("[64,96]", "[50,130]", "[32,40]", "[90,100]"):
        for filter in ("area", "bilinear"):
            place = work / f"{size}_{filter}"
            run("build/tact", "info", data, "--frame=2", "--policy.obs_state_horizon=1",
                f"--policy.resize_shape={size}", f"--policy.resize_filter={filter}", "--policy.crop_shape=[32,35]",
                f"--images={place}")
            frames[size, filter] = np.asarray(Image.open(next(place.glob("*.png")))).astype(np.float64)
    run("build/tact", "info", data, "--frame=2", "--policy.obs_state_horizon=1", f"--images={work / 'recorded'}")
    image = np.asarray(Image.open(next((work / "recorded").glob("*.png")))).astype(np.float64)
    recorded = torch.from_numpy(image).movedim(-1, -3)
    for (size, filter), wanted in frames.items():
        ways = {"the package": resize(recorded, *json.loads(size), filter)}
        if filter == "bilinear":
            ways["torchvision"] = F.resize(recorded[None] / 255, json.loads(size))[0] * 255
        for whose, whole in ways.items():
            cut = center_crop if whose == "the package" else lambda x, h, w: F.center_crop(x, [h, w])
            got = cut(whole, 32, 35).movedim(-3, -1).numpy()
            worst = np.abs(got - wanted).max()
            report.hold(f"{filter} to {size}, the middle: tact's and {whose}'s", worst <= 0.5 + 1e-6,
                        f"at most {worst:.3f} levels apart")


def strict(report: Report, checkpoint: Path, work: Path) -> None:
    damaged = work / "damaged"
    run("cp", "-r", checkpoint, damaged)
    tensors = load_file(damaged / "model.safetensors")
    for what, change in {
        "missing": lambda t: t.pop("temporal_pos_embed.weight"),
        "left over": lambda t: t.update({"temporal_pos_embed.weight": torch.zeros(2, 32), "other": torch.zeros(1)}),
    }.items():
        change(tensors)
        save_file(tensors, damaged / "model.safetensors")
        try:
            TactPolicy.from_pretrained(damaged)
            report.hold(f"a tensor that is {what} is refused", False)
        except RuntimeError as e:
            report.hold(f"a tensor that is {what} is refused", "temporal_pos_embed" in str(e) or "other" in str(e))


def check(report: Report, work: Path) -> None:
    cases = {
        "relative poses, T=2": ({}, ("--policy.obs_state_horizon=2",)),
        "joints, two cameras, environment state, T=3 every 2": (
            {"joints": "true", "cameras": 2, "env_dim": 3},
            ("--policy.obs_state_horizon=3", "--policy.obs_down_sample_steps=2", "--policy.pre_norm=true"),
        ),
        "relative poses, temporal table on states, T=2 every 3": (
            {}, ("--policy.obs_state_horizon=2", "--policy.obs_down_sample_steps=3",
                 "--policy.temporal_pos_embed=state")),
        "relative poses, T=2 every 3, actions every 3": (
            {}, ("--policy.obs_state_horizon=2", "--policy.obs_down_sample_steps=3",
                 "--policy.action_down_sample_steps=3")),
        "relative poses, no state, T=2": ({}, ("--policy.obs_state_horizon=2", "--policy.use_state=false")),
        "relative poses, no state, T=1": ({}, ("--policy.obs_state_horizon=1", "--policy.use_state=false")),
        "relative poses, T=3, actions every 2, three past ones": (
            {}, ("--policy.obs_state_horizon=3", "--policy.action_down_sample_steps=2", "--policy.n_past_actions=3")),
        "joints, three cameras of two sizes, T=2": (
            {"joints": "true", "cameras": 3, "turned": "true"},
            ("--policy.obs_state_horizon=2", "--policy.resize_shape=[[48,64],[96,64],[48,64]]")),
    }
    resizing(report, work)
    for i, (name, (data, flags)) in enumerate(cases.items()):
        root = sample(work / f"data{i}", episodes=2, frames=12, height=64, width=96, **data)
        checkpoint = train(root, work / f"run{i}", *flags)
        if i == 0:
            refused_without(report, checkpoint)
            discovered(report, checkpoint)
            strict(report, checkpoint, work)
        policy = TactPolicy.from_pretrained(checkpoint)
        dataset_rows(report, name, policy, checkpoint, root)
        windows(report, name, policy, checkpoint, work)
        episode(report, name, policy, checkpoint, work)
        saved_again(report, name, policy, checkpoint, work)

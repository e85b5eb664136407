# SPDX-License-Identifier: Apache-2.0
"""Whole runs of LeRobot's trainer: on tact's dataset, from tact's checkpoints, and what they leave."""

import json
from pathlib import Path

import numpy as np
from check_act import observations as act_observations
from check_temporal import observations as window_observations
from common import TINY, Report, as_batch, predict, python, run, sample, train
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot_policy_tact.modeling_tact import TactPolicy
from lerobot_policy_tact.statistics import read_stats
from lerobot_side import chunks, processors
from safetensors.numpy import load_file


def lerobot_train(*flags: str, check: bool = True):
    return run(python(), "-m", "lerobot.scripts.lerobot_train", "--num_workers=0", "--wandb.enable=false",
               *flags, check=check)


def fresh(data: Path, output: Path, *flags: str) -> Path:
    tiny = [f"--policy.{k}={v}" for k, v in TINY.items()]
    lerobot_train("--dataset.repo_id=me/sample", f"--dataset.root={data}", "--dataset.video_backend=pyav",
                  f"--output_dir={output}", "--policy.device=cpu", "--policy.push_to_hub=false",
                  "--policy.pretrained_backbone_weights=null", "--batch_size=2", "--steps=2", "--save_freq=2",
                  "--log_freq=1", *tiny, *flags)
    return output / "checkpoints" / "last" / "pretrained_model"


def resumed(checkpoint: Path, steps: int):
    return lerobot_train(f"--config_path={checkpoint / 'train_config.json'}", "--resume=true",
                         f"--steps={steps}", check=False)


def act_checkpoint(report: Report, work: Path) -> None:
    """LeRobot trains ACT on tact's dataset; tact runs the checkpoint; LeRobot resumes it."""
    data = sample(work / "joints", episodes=2, frames=12, height=64, width=96, joints="true")
    checkpoint = fresh(data, work / "act", "--policy.type=act")
    report.hold("lerobot-train reads tact's dataset and saves a checkpoint",
                (checkpoint.parent / "training_state" / "optimizer_state.safetensors").is_file())
    policy = ACTPolicy.from_pretrained(checkpoint)
    made, whose = processors(policy.config, checkpoint)
    seen = act_observations(policy.config, read_stats(checkpoint), np.random.default_rng(8))
    report.close(f"lerobot-train's checkpoint -> tact ({whose})", predict(checkpoint, seen, work),
                 chunks(policy, made, as_batch(seen, one=True)))
    done = resumed(checkpoint, 4)
    report.hold("LeRobot resumes its own checkpoint", done.returncode == 0, done.stderr[-300:] if done.returncode else "")


def own_optimizer(report: Report, work: Path) -> None:
    """Without the policy's preset LeRobot's AdamW has one group, counted in another order. tact goes on from
    its moments: what it saves after one step without a learning rate are LeRobot's, decayed by that step."""
    data = sample(work / "own_data", episodes=2, frames=12, height=64, width=96, joints="true")
    checkpoint = fresh(data, work / "own", "--policy.type=act", "--use_policy_training_preset=false",
                       "--optimizer.type=adamw", "--optimizer.lr=0.003", "--optimizer.weight_decay=0.02",
                       "--scheduler.type=cosine_decay_with_warmup", "--scheduler.num_warmup_steps=0",
                       "--scheduler.num_decay_steps=100", "--scheduler.peak_lr=0.003", "--scheduler.decay_lr=0.003")
    state = load_file(checkpoint.parent / "training_state" / "optimizer_state.safetensors")
    groups = json.loads((checkpoint.parent / "training_state" / "optimizer_param_groups.json").read_text())
    names = [name for name, _ in ACTPolicy.from_pretrained(checkpoint).named_parameters()]
    report.hold("lerobot-train without the preset has one group", len(groups) == 1, f"{len(names)} tensors")
    run("build/tact", "train", f"--config_path={checkpoint.parent}", "--resume=true", "--steps=3",
        "--batch_size=2", "--optimizer.betas=[0.9999999,0.9999999]", "--policy.optimizer_lr=0",
        "--policy.optimizer_lr_backbone=0")
    after = checkpoint.parent.parent / "000003"
    ours = load_file(after / "training_state" / "optimizer_state.safetensors")
    backbone = [n for n in names if ".backbone." in n]
    order = [n for n in names if ".backbone." not in n] + backbone  # of two groups
    worst = 0.0
    for number, name in enumerate(names):
        kept, was = ours[f"state/{order.index(name)}/exp_avg"], state[f"state/{number}/exp_avg"]
        worst = max(worst, float(np.linalg.norm(kept - was) / (np.linalg.norm(was) + 1e-12)))
    report.hold("tact resumes it with each tensor's own moments", worst < 1e-3, f"at most {worst:.1e} off")
    rate = json.loads((after / "pretrained_model" / "train_config.json").read_text())["optimizer"]
    report.hold("with its weight decay", rate["weight_decay"] == 0.02, str(rate["weight_decay"]))


def tact_resumed(report: Report, work: Path) -> None:
    """LeRobot goes on where tact stopped, once tact writes all that this takes."""
    name = "LeRobot resumes tact's checkpoint"
    data = sample(work / "resume_data", episodes=2, frames=12, height=64, width=96, joints="true")
    checkpoint = train(data, work / "resume", "--policy.obs_state_horizon=1")
    needed = [checkpoint / "policy_preprocessor.json", checkpoint / "policy_postprocessor.json",
              *(checkpoint.parent / "training_state" / f for f in (
                  "training_step.json", "rng_state.safetensors", "optimizer_state.safetensors",
                  "optimizer_param_groups.json"))]
    missing = [str(p.relative_to(checkpoint.parent)) for p in needed if not p.is_file()]
    if missing:
        return report.skip(name, f"tact does not write {', '.join(missing)} yet")
    state = load_file(checkpoint.parent / "training_state" / "optimizer_state.safetensors")
    step = json.loads((checkpoint.parent / "training_state" / "training_step.json").read_text())["step"]
    done = resumed(checkpoint, step + 2)
    report.hold(name, done.returncode == 0, f"{len(state)} optimizer tensors, from step {step}"
                if done.returncode == 0 else done.stderr[-2000:])
    return None


def agrees(report: Report, name: str, checkpoint: Path, work: Path) -> None:
    policy = TactPolicy.from_pretrained(checkpoint)
    (before, after), whose = processors(policy.config, checkpoint)
    rng = np.random.default_rng(9)
    seen = window_observations(policy.config, checkpoint, 4, policy.config.obs_state_horizon, rng)
    theirs = after(policy.predict_action_chunk(before(as_batch(seen, one=False)))).double().numpy()
    report.close(f"{name} ({whose})", predict(checkpoint, seen, work), theirs)


def fine_tuned(report: Report, work: Path) -> None:
    """Relative poses, T=2: tact trains, LeRobot goes on with --policy.path, tact runs what comes out."""
    data = sample(work / "poses", episodes=2, frames=12, height=64, width=96)
    checkpoint = train(data, work / "tact", "--policy.obs_state_horizon=2")
    start = checkpoint
    if not (checkpoint / "policy_preprocessor.json").is_file():
        # lerobot-train asks for processor files; until tact writes them, the package does.
        start = work / "start"
        policy = TactPolicy.from_pretrained(checkpoint)
        policy.save_pretrained(start)
        for pipeline in processors(policy.config, checkpoint)[0]:
            pipeline.save_pretrained(start)
    output = work / "tuned"
    lerobot_train("--dataset.repo_id=me/sample", f"--dataset.root={data}", "--dataset.video_backend=pyav",
                  f"--policy.path={start}", "--policy.push_to_hub=false", f"--output_dir={output}",
                  "--batch_size=2", "--steps=2", "--save_freq=2", "--log_freq=1")
    tuned = output / "checkpoints" / "last" / "pretrained_model"
    agrees(report, "lerobot-train --policy.path=(tact, T=2, relative poses) -> tact", tuned, work)
    done = resumed(tuned, 4)
    report.hold("LeRobot resumes it", done.returncode == 0, done.stderr[-1500:] if done.returncode else "")


def from_scratch(report: Report, work: Path) -> None:
    checkpoint = fresh(work / "joints", work / "scratch", "--policy.type=tact", "--policy.obs_state_horizon=3",
                       "--policy.obs_down_sample_steps=2")
    agrees(report, "lerobot-train --policy.type=tact (T=3 every 2) -> tact", checkpoint, work)


def check(report: Report, work: Path) -> None:
    act_checkpoint(report, work)
    own_optimizer(report, work)
    tact_resumed(report, work)
    fine_tuned(report, work)
    from_scratch(report, work)

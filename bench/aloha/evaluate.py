# SPDX-License-Identifier: Apache-2.0
"""Success of a policy in gym-aloha's simulation, with the picture drawn only where the policy looks.

    python evaluate.py --task transfer_cube --policy DIR --by libtact --seeds 1000:1100 [--output FILE]
    python evaluate.py --task transfer_cube --policy DIR --compare --seeds 1000:1005

--by libtact (any tact policy) or lerobot (plain ACT, as LeRobot loads it). An episode is what lerobot-eval makes of it:
400 steps, ended by success. --compare runs libtact and, for the same observations, LeRobot, and prints how far their
chunks are apart. A policy that LeRobot trained on smaller pictures (image_transforms) does not know their size: --resize 96
128. FILE gets one JSON line an episode, appended; episodes that are in it already are not run again.
"""
import argparse
import json
import math
import os

import numpy as np

import expert


class Libtact:
    def __init__(self, path, dtype):
        import libtact

        self.policy = libtact.Policy.from_pretrained(path, dtype=dtype, rate_check=False)
        self.horizon, self.n_action_steps = self.policy.horizon, self.policy.n_action_steps
        self.every = 1
        if os.path.exists(f"{path}/tact.json"):
            with open(f"{path}/tact.json") as file:
                self.every = json.load(file).get("obs_down_sample_steps", 1)

    def chunk(self, observations):
        self.policy.reset()
        for observation in observations[:-1]:
            self.policy.observe(observation)
        return self.policy.predict_action_chunk(observations[-1])


class LeRobot:
    def __init__(self, path, size=None):
        import torch
        from torchvision.transforms.v2 import functional
        from lerobot.policies.act.modeling_act import ACTPolicy
        from lerobot.policies.factory import make_pre_post_processors

        self.torch, self.policy, self.horizon, self.every = torch, ACTPolicy.from_pretrained(path).eval(), 1, 1
        self.resize = (lambda pixels: functional.resize(pixels, size)) if size else (lambda pixels: pixels)
        self.before, self.after = make_pre_post_processors(self.policy.config, pretrained_path=path)
        self.n_action_steps = self.policy.config.n_action_steps

    def chunk(self, observations):
        state, picture = observations[-1]["observation.state"], observations[-1]["observation.images.top"]
        pixels = self.resize(self.torch.from_numpy(picture.copy()).permute(2, 0, 1)[None])
        with self.torch.no_grad():
            batch = self.before({"observation.state": self.torch.from_numpy(state).float()[None],
                                 "observation.images.top": pixels.float() / 255})
            chunk = self.policy.predict_action_chunk(batch)
            return np.stack([self.after(chunk[:, i])[0].numpy() for i in range(chunk.shape[1])])


def episode(simulation, policy, seed, other=None):
    """The best reward, the steps that it took, and the largest difference between the chunks of both policies."""
    simulation.reset(seed)
    best, queue, seen, apart = 0, [], [], 0.0
    window = (policy.horizon - 1) * policy.every + 1
    for step in range(expert.STEPS):
        # A policy of several observations is shown all steps right before the one that it decides in, and looks at every
        # so-manyth of them. What it does not look at is not drawn: the picture before stands there.
        if len(queue) < window:
            drawn = not seen or len(queue) % policy.every == 0
            seen = [*seen, {"observation.state": simulation.state().astype(np.float32),
                            "observation.images.top": simulation.picture() if drawn else seen[-1]["observation.images.top"]}]
            seen = seen[-window:]
        if not queue:
            chunk = policy.chunk(seen)
            if other:
                apart = max(apart, float(abs(chunk - other.chunk(seen)).max()))
            queue = list(chunk[:policy.n_action_steps])
        best = max(best, simulation.step(queue.pop(0)))
        if best == 4:
            break
    return int(best), step + 1, apart


def wilson(successes, n):
    """The 95 % score interval of a share (Wilson 1927)."""
    z, p = 1.96, successes / n
    middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return middle - half, middle + half


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=expert.TASKS, default="transfer_cube")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--by", choices=["libtact", "lerobot"], default="libtact")
    parser.add_argument("--dtype", default=None, help="libtact's: float32, bfloat16, int8")
    parser.add_argument("--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of what LeRobot's policy sees")
    parser.add_argument("--seeds", default="1000:1100", help="first:end")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--output")
    args = parser.parse_args()
    policy = Libtact(args.policy, args.dtype) if args.by == "libtact" else LeRobot(args.policy, args.resize)
    other = LeRobot(args.policy, args.resize) if args.compare else None
    done = {}
    if args.output and os.path.exists(args.output):
        with open(args.output) as lines:
            done = {line["seed"]: line for line in map(json.loads, lines)}
    simulation, rows = expert.Simulation(args.task), []
    for seed in range(*map(int, args.seeds.split(":"))):
        row = done.get(seed)
        if row is None:
            best, steps, apart = episode(simulation, policy, seed, other)
            row = {"seed": seed, "best": best, "steps": steps, **({"apart": apart} if other else {})}
            if args.output:
                with open(args.output, "a") as file:
                    file.write(json.dumps(row) + "\n")
        rows.append(row)
        print(json.dumps(row), flush=True)
    successes = sum(row["best"] == 4 for row in rows)
    low, high = wilson(successes, len(rows))
    print(f"{successes} of {len(rows)} succeeded: {100 * successes / len(rows):.0f} % ({100 * max(low, 0):.0f} to {100 * high:.0f})")
    if other:
        print(f"chunks at most {max(row['apart'] for row in rows):.3g} apart")


if __name__ == "__main__":
    main()

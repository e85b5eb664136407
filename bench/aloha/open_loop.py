# SPDX-License-Identifier: Apache-2.0
"""How far the first chunk of policies is from what the expert does, in radians: whether they see where things lie.

    python open_loop.py --task transfer_cube [--quick] [--seeds 1000:1010] [--steps 100] POLICY...

For each policy (libtact's) the mean over seeds, steps and joints of |policy - expert|, and the same at the last step alone;
beside them what the mean of the demonstrations of seeds 0 to 9 would reach, which looks at nothing. --quick: as in
record.py.
"""
import argparse

import numpy as np

import expert
from evaluate import Libtact


def starts(simulation, seeds, steps):
    """What is seen at the start of each seed's episode, and the actions (seeds, steps, 14) that the expert takes from there."""
    seen, actions = [], []
    for seed in seeds:
        demonstration = expert.Demonstration(simulation, seed)
        seen.append({"observation.state": simulation.state().astype(np.float32),
                     "observation.images.top": simulation.picture()})
        actions.append([])
        for _ in range(steps):
            actions[-1].append(demonstration.action())
            simulation.step(actions[-1][-1])
    return seen, np.array(actions)


def report(name, chunks, actions):
    away = abs(chunks - actions)
    print(f"{name}: {away.mean():.4f} rad on average, {away[:, -1].mean():.4f} at the last step", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=expert.TASKS, default="transfer_cube")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", default="1000:1010", help="first:end")
    parser.add_argument("--steps", type=int, default=100, help="of the chunk")
    parser.add_argument("policies", nargs="+", metavar="POLICY")
    args = parser.parse_args()
    simulation = expert.Simulation(args.task, quick=args.quick)
    seen, actions = starts(simulation, range(*map(int, args.seeds.split(":"))), args.steps)
    _, recorded = starts(simulation, range(10), args.steps)
    report("mean of demonstrations", recorded.mean(0), actions)
    for path in args.policies:
        policy = Libtact(path, None)
        # At the start of an episode nothing was before: an observation stands for all.
        report(path, np.array([policy.chunk([one])[:args.steps] for one in seen]), actions)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Demonstrations of the scripted expert as a LeRobot v3.0 dataset, written by LeRobot.

    python record.py --task transfer_cube --root DIR [--seeds 0:50] [--quick]

--quick draws without antialiasing and with coarser shadows, three times as fast where no card draws: scaled to 96 x 128
pictures differ by 0.3 of 255 levels on average, by 15 at most. A seed whose demonstration does not reach the task's end is left out, and said. State and action are 14 joints, the
picture is observation.images.top (480 x 640), 50 a second, 400 steps, as in LeRobot's own datasets of these tasks.
"""
import argparse
import sys

import expert  # before what draws: it chooses how
import numpy as np
from gym_aloha.constants import ACTIONS, FPS, JOINTS
from lerobot.datasets.lerobot_dataset import LeRobotDataset

FEATURES = {"observation.state": {"dtype": "float32", "shape": (14,), "names": JOINTS},
            "action": {"dtype": "float32", "shape": (14,), "names": ACTIONS},
            "observation.images.top": {"dtype": "video", "shape": (480, 640, 3), "names": ["height", "width", "channels"]}}
SAID = {"transfer_cube": "Pick up the cube with the right arm and transfer it to the left arm.",
        "insertion": "Insert the peg into the socket."}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=SAID, default="transfer_cube")
    parser.add_argument("--root", required=True)
    parser.add_argument("--seeds", default="0:50", help="first:end")
    parser.add_argument("--quick", action="store_true", help="draw coarser pictures")
    args = parser.parse_args()
    simulation = expert.Simulation(args.task, quick=args.quick)
    dataset = LeRobotDataset.create(f"tact/aloha_{args.task}", fps=FPS, features=FEATURES, root=args.root,
                                    robot_type="aloha", image_writer_threads=2)
    for seed in range(*map(int, args.seeds.split(":"))):
        # Drawn only once it is known that the demonstration ends well: a picture costs more than everything else.
        demonstration = expert.Demonstration(simulation, seed)
        actions, best = [], 0
        for _ in range(expert.STEPS):
            actions.append(demonstration.action().astype(np.float32))
            best = max(best, simulation.step(actions[-1]))
        if best < 4:
            print(f"seed {seed}: left out, reached {best} of 4", file=sys.stderr)
            continue
        simulation.reset(seed)
        for action in actions:
            dataset.add_frame({"observation.state": simulation.state().astype(np.float32), "action": action,
                               "observation.images.top": simulation.picture(), "task": SAID[args.task]})
            simulation.step(action)
        dataset.save_episode()
        print(f"seed {seed}: recorded", flush=True)
    dataset.finalize()


if __name__ == "__main__":
    main()

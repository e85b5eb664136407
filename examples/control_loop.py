#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""control_loop.py POLICY [STEPS]: lets a policy drive a robot at the rate it was trained at. The robot is a
stand-in, so that it runs anywhere; yours goes into Robot, or is one of LeRobot's, whose methods have these names."""
import sys
import time

import numpy as np
import libtact

JOINTS = ["shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos", "wrist_flex.pos", "wrist_roll.pos", "gripper.pos"]


class Robot:
    """An arm of LeRobot's that is at once where it is told to be, and whose cameras see moving stripes."""

    def __init__(self, policy):
        # Of a policy with other values (poses, 7 an arm) their numbers stand for them.
        self.names = JOINTS if policy.action_size == 6 else [str(i) for i in range(policy.action_size)]
        self.cameras, self.env = policy.cameras, np.zeros(policy.env_size)
        self.at, self.frames = dict.fromkeys(self.names, 0.0), 0

    def get_observation(self):
        seen = dict(self.at)
        for name, height, width in self.cameras:
            stripes = (np.arange(height) + 2 * self.frames).astype(np.uint8)
            seen[name] = np.broadcast_to(stripes[:, None, None], (height, width, 3))
        self.frames += 1
        return seen

    def send_action(self, action):
        self.at.update(action)


def observation(robot, policy):
    """What the policy sees: the newest state and frames, in the units of the dataset."""
    seen = robot.get_observation()
    state = [seen.pop(name) for name in robot.names][:policy.state_size]
    return {**seen, "observation.state": state, "observation.environment_state": robot.env}


def run(policy, robot, steps):
    """One episode. Deadlines are absolute, so that a late step does not move those after it; what is missed is
    counted and left out, never made up for in a hurry."""
    period, missed, held = 1 / (policy.fps or 10), 0, 0
    policy.select_action(observation(robot, policy))  # the first prediction takes longest, and is thrown away
    policy.reset()
    robot.frames, deadline = 0, time.monotonic()
    for step in range(steps):
        time.sleep(max(0.0, deadline - time.monotonic()))
        start = time.monotonic()
        try:
            robot.send_action(dict(zip(robot.names, policy.select_action(observation(robot, policy)))))
        except libtact.TactError as e:  # the robot stays where it is
            print(f"step {step}: {e}", file=sys.stderr)
            held += 1
        end = time.monotonic()
        print(f"{step:4}  {1e3 * (end - start):6.2f} ms ", *(
            f" {name} {x:.4f}" if robot.names is JOINTS else f" {x:.4f}" for name, x in robot.at.items()))
        missed += max(0, int((end - deadline) / period))
        deadline += period * (1 + max(0, int((end - deadline) / period)))
    print(f"{steps} steps at {1 / period:.4g} Hz; {missed} deadlines missed, held still {held} times")
    return held == 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: control_loop.py POLICY [STEPS]")
    try:
        # Here is where to ask for smooth borders between chunks (blend_steps=6), for predictions beside the loop
        # (asynchronous=True), or for limits (max_translation=0.02).
        with libtact.Policy.from_pretrained(sys.argv[1]) as policy:
            sys.exit(0 if run(policy, Robot(policy), int(sys.argv[2]) if len(sys.argv) > 2 else 50) else 1)
    except libtact.TactError as e:
        sys.exit(str(e))

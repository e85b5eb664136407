#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""control_loop.py POLICY [STEPS]: lets a policy drive a robot at the rate it was trained at. There is a
make-believe robot in it, so that it runs anywhere: its cameras see moving stripes, and it is at once where it
is told to be. Yours goes into Robot; the rest can stay."""
import sys
import time

import numpy as np
import libtact


class Robot:
    """Put your robot here."""

    def __init__(self, policy):
        self.cameras = policy.cameras
        self.state = np.zeros(policy.state_size)
        self.env = np.zeros(policy.env_size)

    def read(self, step):
        """The newest state and frames: absolute poses (metres, rotation vectors), as in the dataset."""
        seen = {"observation.state": self.state, "observation.environment_state": self.env}
        for name, height, width in self.cameras:
            stripes = (np.arange(height) + 2 * step).astype(np.uint8)
            seen[name] = np.broadcast_to(stripes[:, None, None], (height, width, 3))
        return seen

    def move(self, action):
        n = min(len(self.state), len(action))
        self.state[:n] = action[:n]


def run(policy, robot, steps):
    """One episode. Deadlines are absolute, so that a late step does not move those after it; what is missed is
    counted and left out, never made up for in a hurry."""
    period = 1 / (policy.fps or 10)
    slowest, missed, held = 0.0, 0, 0
    action = np.zeros(policy.action_size)
    # The first prediction takes longest (memory, kernels made for this machine), and is thrown away.
    policy.predict_action_chunk(robot.read(0))
    policy.reset()
    deadline = time.monotonic()
    for step in range(steps):
        time.sleep(max(0.0, deadline - time.monotonic()))
        start = time.monotonic()
        try:
            action = policy.select_action(robot.read(step))
            robot.move(action)
        except libtact.TactError as e:  # the robot stays where it is
            print(f"step {step}: {e}", file=sys.stderr)
            held += 1
        end = time.monotonic()
        slowest = max(slowest, end - start)
        print(f"{step:4}  {1e3 * (end - start):6.2f} ms ", *(f"{x:8.4f}" for x in action))
        deadline += period
        while deadline < end:
            deadline += period
            missed += 1
    print(f"{steps} steps at {1 / period:.4g} Hz, the slowest {1e3 * slowest:.2f} ms; "
          f"{missed} deadlines missed, held still {held} times")
    return held == 0


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: control_loop.py POLICY [STEPS]")
    # Where it matters, say how far an action may lie from the one before: max_translation=0.02
    with libtact.Policy.from_pretrained(sys.argv[1]) as policy:
        return run(policy, Robot(policy), int(sys.argv[2]) if len(sys.argv) > 2 else 50)


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except libtact.TactError as e:
        sys.exit(str(e))

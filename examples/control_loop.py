#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""control_loop.py POLICY [STEPS]: lets a policy drive a robot at the rate it was trained at. The robot is the one of
stand_in.py."""
import sys
import time

import libtact
from stand_in import JOINTS, Robot


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

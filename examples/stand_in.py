# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a robot, so that the examples run anywhere. Yours goes into Robot, or is one of LeRobot's, whose methods
have these names."""
import numpy as np

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

# SPDX-License-Identifier: Apache-2.0
"""act.py POLICY STEPS: prints a policy's actions on made-up observations, a step a line."""
import sys

import libtact
import numpy as np

with libtact.Policy.from_pretrained(sys.argv[1]) as policy:
    print(repr(policy), file=sys.stderr)
    policy.reset()
    for step in range(int(sys.argv[2])):
        seen = {"observation.state": np.full(policy.state_size, 0.1 * step, np.float32)}
        for name, height, width in policy.cameras:
            seen[name] = np.arange(height * width * 3).reshape(height, width, 3).astype(np.uint8) + np.uint8(step)
        action = policy.select_action(seen)
        assert action.shape == (policy.action_size,) and np.isfinite(action).all()
        print(*(f"{x:.9g}" for x in action))

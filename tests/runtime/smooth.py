# SPDX-License-Identifier: Apache-2.0
"""smooth.py POLICY: blended borders, what lies between actions, and times of observations, in Python."""
import sys
import threading
import time

import numpy as np
import libtact

path = sys.argv[1]
seen = {"observation.state": np.zeros(7), "observation.environment_state": np.zeros(3),
        "front": np.zeros((64, 96, 3), np.uint8), "wrist": np.full((64, 96, 3), 7, np.uint8)}
later = {**seen, "observation.state": np.array([0.3, -0.2, 0.1, 0.3, 0.2, 0.1, 0.05])}


def refuses(error, says, call, *arguments, **settings):
    try:
        call(*arguments, **settings)
    except error as e:
        assert says in str(e), e
    else:
        sys.exit(f"not refused: {says}")


# The border of two chunks of 2 actions, the second one from elsewhere: blended over 1 action it is half way.
steps = {}
for blend in 0, 1:
    with libtact.Policy(path, n_action_steps=2, blend_steps=blend, rate_check=False, threads=1) as p:
        chunk = p.predict_action_chunk(seen)
        for o in seen, seen, later:
            action = p.select_action(o)
        steps[blend] = action
assert np.allclose(steps[1][:3], (chunk[2] + steps[0])[:3] / 2, rtol=0, atol=1e-12), steps
refuses(libtact.ArgumentError, "blend_steps 9", libtact.Policy, path, blend_steps=9)
refuses(libtact.ArgumentError, "camera_obs_latency -1", libtact.Policy, path, camera_obs_latency=-1)

with libtact.Policy(path, rate_check=False, threads=1) as p:
    refuses(libtact.NothingSeenError, "no action yet", p.at)
    before = time.monotonic()
    first = p.select_action(seen)
    chunk = p.predict_action_chunk()
    action, holding = p.at(before - 1)
    assert np.array_equal(action, first) and not holding
    assert p.at(before + 100).holding
    assert np.allclose(p.at(before + 100).action[:3], chunk[-1][:3], rtol=0, atol=1e-9)
    refuses(libtact.ArgumentError, "not finite", p.at, float("nan"))

    # A controller beside a thread that holds the policy: it gets its answers.
    with p._lock:
        got = []
        thread = threading.Thread(target=lambda: got.extend(p.at() for _ in range(50)))
        thread.start()
        thread.join()
    assert len(got) == 50 and all(c.action.shape == (7,) for c in got)
refuses(ValueError, "closed", p.at)

# Images of three steps ago: the chunk's first three actions are past.
with libtact.Policy(path, rate_check=False, threads=1) as p:
    chunk = p.predict_action_chunk(seen)
    p.reset()
    action = p.select_action(seen, time=time.monotonic() - 0.3)
    late = min(range(8), key=lambda i: np.abs(chunk[i] - action).max())
    assert late >= 3 and np.array_equal(action, chunk[late]), late
    refuses(libtact.ObservationError, "monotonic clock", p.observe, seen, time=time.monotonic() + 1e6)
    refuses(libtact.ObservationError, "state_time", p.observe, seen, state_time=time.monotonic() + 1e6)

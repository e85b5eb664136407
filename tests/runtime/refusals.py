# SPDX-License-Identifier: Apache-2.0
"""refusals.py POLICY: what python/libtact and the library under it refuse, and what they say."""
import sys
import threading

import numpy as np
import libtact
from libtact._arrays import as_pixels

path, checks = sys.argv[1], 0


def refuses(error, says, call, *arguments, **settings):
    global checks
    checks += 1
    try:
        call(*arguments, **settings)
    except Exception as e:
        if type(e) is not error or says not in str(e) or "\n" in str(e):
            sys.exit(f"{error.__name__} with {says!r} was expected, not {type(e).__name__}: {e}")
    else:
        sys.exit(f"not refused: {says}")


refuses(libtact.PolicyError, "no checkpoint here", libtact.Policy, "/")
refuses(libtact.DeviceError, "abacus", libtact.Policy, path, device="abacus")
refuses(libtact.DeviceError, "", libtact.Policy, path, dtype="float8")
refuses(libtact.ArgumentError, "chunks have 8", libtact.Policy, path, n_action_steps=9)
refuses(libtact.ArgumentError, "n_action_steps 2", libtact.Policy, path, n_action_steps=2, temporal_ensemble_coeff=0.01)
refuses(libtact.ArgumentError, "workspace", libtact.Policy, path, workspace_min=[1, 1, 1], workspace_max=(0, 0, 0))
for corner in ([0.5, 0.5], [0.5, 0.5, 0.5, 0.5]):
    refuses(libtact.ArgumentError, "three numbers", libtact.Policy, path, workspace_max=corner)
assert issubclass(libtact.ObservationError, ValueError) and libtact.ObservationError.status == 4

p = libtact.Policy(path, n_action_steps=2, max_translation=1e-9, max_rotation=1e-9, threads=1)
q = libtact.Policy(path, temporal_ensemble_coeff=0.01, frame_cache=False, threads=1)
assert (p.n_action_steps, q.n_action_steps, p.chunk_size, p.horizon, p.fps) == (2, 1, 8, 2, 10)
assert (p.state_size, p.env_size, p.action_size) == (7, 3, 7)
assert p.cameras[0] == ("observation.images.front", 64, 96) and len(p.cameras) == 2
refuses(libtact.NothingSeenError, "no observation yet", p.act)
refuses(libtact.NothingSeenError, "no observation yet", p.predict_action_chunk)

good = {"observation.state": np.zeros(7), "observation.environment_state": np.zeros(3, np.float32),
        "front": np.zeros((64, 96, 3), np.uint8), "wrist": np.zeros((64, 96, 3))}
one = p.select_action(good)
assert one.shape == (7,) and one.dtype == np.float64 and p.limit_counts.translation == 1


def wrong(error, says, key, value):
    refuses(error, says, p.select_action, {**good, key: value})


E, state, env = libtact.ObservationError, "observation.state", "observation.environment_state"
wrong(E, "has 0 values; the policy wants 7", state, None)
wrong(E, "has 6 values; the policy wants 7", state, np.zeros(6))
wrong(E, "not finite", state, [0, 0, np.nan, 0, 0, 0, 0])
wrong(E, "shape (n,) or (1, n)", state, np.zeros((2, 7)))
wrong(E, "shape (n,) or (1, n)", state, ["a"] * 7)
wrong(E, "environment_state has 2 values", env, [1, 2])
wrong(E, "no image of camera observation.images.front", "front", None)
wrong(E, "is 64x96; the policy wants 96x64", "front", np.zeros((96, 64, 3), np.uint8))
wrong(E, "shape (H, W, 3) or (3, H, W)", "front", np.zeros((64, 96), np.uint8))
wrong(E, "shape (H, W, 3) or (3, H, W)", "front", np.zeros((2, 64, 96, 3), np.uint8))
wrong(E, "is uint8, or float from 0 to 1, not int64", "front", np.zeros((64, 96, 3), np.int64))
wrong(E, "is in 0 .. 1, not 0 .. 255", "front", np.eye(96)[:64, :, None] * np.full(3, 255.0))
wrong(E, "is in 0 .. 1", "front", np.full((64, 96, 3), np.nan, np.float32))
wrong(E, "is in 0 .. 1", "front", np.full((64, 96, 3), -0.003))

# Half a level is rounded to the even one, and values next to 0 and 1 to these.
levels = np.array([-0.001, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.999, 1.001]).reshape(2, 1, 3)
assert as_pixels("", levels)[0].ravel().tolist() == [0, 0, 2, 2, 255, 255]

# Threads wait for each other; what is refused or closed stays so.
threads = [threading.Thread(target=lambda: [q.select_action(good) for _ in range(3)]) for _ in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
p.close()
p.close()
refuses(ValueError, "closed", p.select_action, good)
refuses(ValueError, "closed", lambda: p.fps)
print(f"{checks} refusals")

# SPDX-License-Identifier: Apache-2.0
"""describe.py RUN HUB_NAME: what a policy says of itself, found by a run's name, a checkpoint's, and the Hub's."""
import os
import sys

import libtact

run, hub_name = sys.argv[1:]


def is_described(name, path, step, **settings):
    with libtact.Policy.from_pretrained(name, **settings) as policy:
        wanted = (f"libtact.Policy({path!r}, type='tact', step={step}, cameras=[front 96x64, wrist 96x64], "
                  f"horizon=2, device='cpu')")
        assert repr(policy) == wanted, f"{policy!r}\nwanted: {wanted}"
        assert (str(policy.path), policy.type, policy.step, policy.device) == (path, "tact", step, "cpu")
        policy.close()
        assert repr(policy) == wanted[:-1] + ", closed)"


is_described(run, f"{run}/checkpoints/last/pretrained_model", 2)
checkpoint = f"{run}/checkpoints/000002"
is_described(checkpoint, f"{checkpoint}/pretrained_model", 2, device="cpu")
is_described(f"{checkpoint}/pretrained_model", f"{checkpoint}/pretrained_model", 2)
cache = os.environ["HF_HUB_CACHE"]
is_described(hub_name, f"{cache}/models--{hub_name.replace('/', '--')}/snapshots/1234567", None)
try:
    libtact.Policy.from_pretrained("some/other")
except libtact.PolicyError as e:
    assert "hf download" in str(e), e
else:
    sys.exit("some/other is opened")

# SPDX-License-Identifier: Apache-2.0
"""What a step of LeRobot's control loop takes: its own predict_action, which prepares and normalises the observation,
asks the policy, and undoes the normalisation of the action. Default ACT of random weights, or --policy, a checkpoint.
Whether libtact runs it is TACT_LEROBOT's to say (off, float32, bfloat16), and the environment's, which has the package
lerobot_policy_tact or not. Prints one JSON line:

    refill_ms   a step that predicts a chunk (the queue is emptied before each)
    played_ms   the mean over a whole chunk, of which one step predicts
    queue_ms    a step that takes the next action from the queue
    refill_cpu  processor time of refill_ms, of all threads: says more where the machine has other work

    python lerobot_step.py --cameras 2 --image 480x640 --steps 20
"""
import argparse
import json
import statistics
import tempfile
import time

import numpy as np
import torch
from lerobot.common.control_utils import predict_action
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.utils.import_utils import register_third_party_plugins

STATE, ACTION, DIM = "observation.state", "action", 14


def write_act(directory: str, cameras: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    inputs = {STATE: PolicyFeature(FeatureType.STATE, (DIM,))}
    for i in range(cameras):
        inputs[f"observation.images.camera{i}"] = PolicyFeature(FeatureType.VISUAL, (3, height, width))
    config = ACTConfig(input_features=inputs, output_features={ACTION: PolicyFeature(FeatureType.ACTION, (DIM,))},
                       pretrained_backbone_weights=None, device="cpu", push_to_hub=False)
    stats = {key: {"mean": torch.randn(DIM), "std": torch.rand(DIM) + 0.5} for key in (STATE, ACTION)}
    for key in config.image_features:
        stats[key] = {"mean": torch.full((3, 1, 1), 0.45), "std": torch.full((3, 1, 1), 0.225)}
    for part in (ACTPolicy(config), *make_act_pre_post_processors(config, stats)):
        part.save_pretrained(directory)


class Loop:
    def __init__(self, directory: str, seed: int = 0):
        config = json.load(open(f"{directory}/config.json"))
        self.policy = get_policy_class(config["type"]).from_pretrained(directory)
        self.policy.config.pretrained_path = directory
        self.before, self.after = make_pre_post_processors(self.policy.config, directory)
        self.random = np.random.default_rng(seed)
        self.policy.reset()

    def observation(self) -> dict:
        out = {}
        for key, feature in self.policy.config.input_features.items():
            if feature.type is FeatureType.VISUAL:
                out[key] = self.random.integers(0, 256, (*feature.shape[1:], 3), dtype=np.uint8)
            else:
                out[key] = self.random.normal(size=feature.shape).astype(np.float32)
        return out

    def step(self) -> tuple[float, float, np.ndarray]:
        """Milliseconds, those of the processors, and the action."""
        seen, start, busy = self.observation(), time.perf_counter(), time.process_time()
        action = predict_action(seen, self.policy, torch.device("cpu"), self.before, self.after, False)
        return (time.perf_counter() - start) * 1e3, (time.process_time() - busy) * 1e3, action.numpy()

    def empty_queue(self) -> None:
        for queue in ("_action_queue", "_queue"):
            getattr(self.policy, queue, []).clear()


def measure(directory: str, steps: int) -> tuple[dict, np.ndarray]:
    """The figures, and every action."""
    loop, refills = Loop(directory), []
    for _ in range(steps + 2):
        loop.empty_queue()
        refills.append(loop.step())
    loop.empty_queue()
    played = [loop.step() for _ in range(loop.policy.config.n_action_steps)]
    serving = getattr(loop.policy, "_tact", None)
    median = statistics.median
    figures = {
        "refill_ms": median(ms for ms, _, _ in refills[2:]),  # the first makes plans and is held against PyTorch
        "played_ms": statistics.fmean(ms for ms, _, _ in played),
        "queue_ms": median([ms for ms, _, _ in played[1:]] or [float("nan")]),
        "refill_cpu": median(busy for _, busy, _ in refills[2:]),
        "by_libtact": serving is not None and serving.active,
    }
    return figures, np.concatenate([action for _, _, action in refills + played])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--policy", help="a pretrained_model directory in the place of random weights")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--image", default="480x640")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--actions", help="a file for the actions, to compare two runs with (.npy)")
    a = parser.parse_args()
    register_third_party_plugins()
    if a.policy:
        figures, actions = measure(a.policy, a.steps)
    else:
        with tempfile.TemporaryDirectory() as directory:
            write_act(directory, a.cameras, *map(int, a.image.split("x")))
            figures, actions = measure(directory, a.steps)
    if a.actions:
        np.save(a.actions, actions)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

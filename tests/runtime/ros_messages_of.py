# SPDX-License-Identifier: Apache-2.0
"""A contract for any policy, observations, and the messages that carry them."""
import numpy as np

from ros_stand_in import array, image, joints


def contract_of(policy):
    observations = {name: {"topic": "/" + name.rsplit(".", 1)[-1], "type": "sensor_msgs/msg/Image",
                           "align": "asof"} for name, _, _ in policy.cameras}
    observations["observation.state"] = [
        {"topic": "/joints", "type": "sensor_msgs/msg/JointState", "select": ["position.a", "position.b"],
         "apply": ["rad2deg"]},
        {"topic": "/more", "type": "std_msgs/msg/Float64MultiArray"}]
    observations["observation.environment_state"] = {"topic": "/env", "type": "std_msgs/msg/Float64MultiArray"}
    return {"fps": policy.fps, "observations": observations, "actions": {"action": [
        {"topic": "/command", "type": "sensor_msgs/msg/JointState", "select": ["position.a", "position.b"],
         "apply": ["rad2deg"], "safety": "hold"},
        {"topic": "/rest", "type": "std_msgs/msg/Float64MultiArray", "safety": "zeros",
         "apply": [{"offset": 1.0}]}]}}


def look(policy, step):
    seen = {"observation.state": 0.01 * (step + 1) * np.arange(1, policy.state_size + 1),
            "observation.environment_state": 0.02 * (step + 1) * np.arange(1, policy.env_size + 1)}
    for c, (name, height, width) in enumerate(policy.cameras):
        i = np.arange(height * width * 3)
        seen[name] = (7 * i + 31 * step + 17 * c).astype(np.uint8).reshape(height, width, 3)
    return seen


def messages(seen, stamp):
    """(topic, message) of an observation, the joints in another order than the contract's and in radians."""
    state = seen["observation.state"]
    yield "/joints", joints("ba", np.deg2rad(state[1::-1]), stamp)
    yield "/more", array(*state[2:])
    yield "/env", array(*seen["observation.environment_state"])
    for name, pixels in seen.items():
        if pixels.ndim == 3:
            yield "/" + name.rsplit(".", 1)[-1], image(pixels[:, :, ::-1], "bgr8", stamp, padding=5)

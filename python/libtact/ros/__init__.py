# SPDX-License-Identifier: Apache-2.0
"""Runs a policy over ROS 2 topics: which message is which feature, in a YAML file of the form that rosetta has.

    from libtact import Policy
    from libtact.ros import Contract, PolicyLoop

    contract = Contract.from_file("so101.yaml")
    loop = PolicyLoop(node, Policy(path, asynchronous=True), contract, message_class, qos)
    loop.start()                          # an episode begins; the node's timer does the rest
    ...
    loop.stop()

Nothing here imports ROS: node, message_class and qos are what rclpy gives, or a stand-in of a test.
examples/ros2 has the whole node. The contract:

    fps: 30
    observations:
      observation.images.front:
        channel: {topic: /front/image_raw, type: sensor_msgs/msg/Image}
        align: {strategy: asof, timeline: header, tol_ms: 50}
      observation.state:                  # or a list of streams, put together in order
        channel: {topic: /joint_states, type: sensor_msgs/msg/JointState}
        select: [position.shoulder_pan, position.shoulder_lift]
        apply: [rad2deg]
        align: hold
    actions:
      action:
        channel: {topic: /arm/command, type: sensor_msgs/msg/JointState, safety: hold}
        select: [position.shoulder_pan, position.shoulder_lift]
        apply: [rad2deg]                  # as for recording: to publish, it is undone

align says which message counts at a step: `hold` the newest up to it (that is not stale), `asof` the newest that is
at most tol_ms old (a step's length where that is not given), `drop` one that came since the step before, each time
anew. Its time is that of its header, or, with timeline `receive`, when it came. select names fields: `position.JOINT`
of a JointState, otherwise a path of fields (`pose.position.x`, `data.3`); what it leads to may be a number, a list of
numbers, a vector (x y z), or a pose, which is x y z and a rotation vector, as tact has poses. apply: `rad2deg`,
`deg2rad`, `scale: K`, `offset: K`, `clamp: [LOW, HIGH]`.
"""
from .contract import Contract, ContractError, Stream
from .loop import PolicyLoop
from .messages import MessageError

__all__ = ["Contract", "ContractError", "MessageError", "PolicyLoop", "Stream"]

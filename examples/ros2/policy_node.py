#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_node.py POLICY CONTRACT: a ROS 2 node that runs a policy; Ctrl-C ends it in order.

Not run under ROS so far: what it calls of libtact.ros is tested with a stand-in for rclpy, this file is not.
Needs a sourced ROS 2 (Humble or newer) and `pip install libtact pyyaml` for the same Python."""
import sys

import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosidl_runtime_py.utilities import get_message

import libtact
from libtact.ros import Contract, ContractError, PolicyLoop


class PolicyNode(Node):
    """Callbacks of topics may run while the timer's waits for the policy."""

    def __init__(self):
        super().__init__("tact_policy")
        self._topics = ReentrantCallbackGroup()

    def create_subscription(self, *arguments, **more):
        return super().create_subscription(*arguments, callback_group=self._topics, **more)


def qos(given):
    """A profile of what the contract has: reliability, history, depth."""
    return QoSProfile(
        depth=int(given.get("depth", 10)),
        history=HistoryPolicy[given.get("history", "keep_last").upper()],
        reliability=ReliabilityPolicy[given.get("reliability", "reliable").upper()])


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: policy_node.py POLICY CONTRACT")
    rclpy.init()
    node = PolicyNode()
    executor = MultiThreadedExecutor()
    executor.add_node(node)
    with libtact.Policy.from_pretrained(sys.argv[1], asynchronous=True) as policy:
        loop = PolicyLoop(node, policy, Contract.from_file(sys.argv[2]), get_message, qos)
        loop.start()
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            loop.stop()
    rclpy.try_shutdown()


if __name__ == "__main__":
    try:
        main()
    except (ContractError, libtact.TactError) as e:
        sys.exit(f"policy_node.py: {e}")

# SPDX-License-Identifier: Apache-2.0
"""ros_loop.py POLICY: a policy over the topics of a stand-in for a node gives the actions that it gives alone."""
import sys

import numpy as np

import libtact
from libtact.ros import Contract, ContractError, PolicyLoop
from ros_messages_of import contract_of, look, messages
from ros_stand_in import CLASSES, Node


def start(policy, changes=(), **settings):
    data = contract_of(policy)
    for change in changes:
        change(data)
    node = Node()
    loop = PolicyLoop(node, policy, Contract.from_dict(data), CLASSES.__getitem__, dict, **settings)
    loop.start()
    return node, loop


def turn(node, policy, step, seen=None, leave_out=()):
    """One step later: messages of what is seen come, then the timer fires."""
    node.now += 1 / policy.fps
    for topic, message in messages(seen if seen is not None else look(policy, step), node.now - 0.001):
        if topic not in leave_out:
            node.give(topic, message)
    node.timers[-1].callback()


def published(node):
    """The newest action, put together from both of its topics."""
    joints, rest = node.sent("/command")[-1], node.sent("/rest")[-1]
    return np.concatenate([np.rad2deg(joints.position), np.add(rest.data, 1.0)])


def same_actions(policy, alone):
    wanted = [alone.select_action(look(policy, step)) for step in range(8)]
    node, loop = start(policy)
    assert node.timers[-1].period == 1 / policy.fps
    for step in range(8):
        turn(node, policy, step)
        assert np.max(np.abs(published(node) - wanted[step])) < 1e-12, step
    assert node.sent("/command")[-1].name == ["a", "b"]
    assert (loop.steps, loop.observed, loop.missing, node.said) == (8, 8, 0, [])
    loop.stop()
    loop.stop()
    assert node.timers[-1].cancelled and len(node.sent("/command")) == 9 and len(node.sent("/rest")) == 9
    assert node.sent("/command")[-1].position == node.sent("/command")[-2].position  # safety: hold
    assert node.sent("/rest")[-1].data == [0.0] * (policy.action_size - 2)  # safety: zeros
    node.timers[-1].callback()  # one that was on its way
    assert len(node.sent("/command")) == 9
    loop.start()
    turn(node, policy, 0, leave_out=("/joints",))
    assert len(node.sent("/command")) == 9, "what came before counts no more"
    turn(node, policy, 0)
    assert np.max(np.abs(published(node) - wanted[0])) < 1e-12, "an episode begins anew"


def missing_messages(policy, alone):
    camera = "/" + policy.cameras[0].name.rsplit(".", 1)[-1]

    def new_frames(data):
        data["observations"][policy.cameras[0].name]["align"] = "drop"

    allowed = 3
    node, loop = start(policy, [new_frames], max_missing_s=(allowed + 0.5) / policy.fps)
    turn(node, policy, 0, leave_out=(camera,))
    assert not node.sent("/command") and "nothing (new) of " + camera in node.said[-1]
    turn(node, policy, 0)
    assert len(node.sent("/command")) == 1 and "whole again" in node.said[-1]
    alone.reset()
    alone.select_action(look(policy, 0))
    for step in range(allowed):  # the actions that are already predicted
        turn(node, policy, step, leave_out=(camera,))
        assert np.max(np.abs(published(node) - alone.act())) < 1e-12
    assert len(node.sent("/command")) == 1 + allowed and len(node.said) == 3
    turn(node, policy, 9, leave_out=(camera,))
    assert node.sent("/rest")[-1].data == [0.0] * (policy.action_size - 2), "then what safety says"
    assert (loop.observed, loop.missing) == (1, 2 + allowed)


def bad_messages(policy, alone):
    """They are to the robot what missing ones are: it goes on with what is predicted."""
    def goes_on():
        assert np.max(np.abs(published(node) - alone.act())) < 1e-12

    camera = policy.cameras[0].name
    allowed = 4
    node, loop = start(policy, max_missing_s=(allowed + 0.5) / policy.fps)
    turn(node, policy, 0)
    alone.reset()
    alone.select_action(look(policy, 0))
    seen = look(policy, 1)
    seen["observation.state"] = np.full(policy.state_size, np.nan)
    for _ in range(2):  # the policy refuses it
        turn(node, policy, 1, seen)
        goes_on()
    assert len(node.said) == 1 and "observation.state" in node.said[0], node.said
    seen = look(policy, 1)
    seen[camera] = seen[camera][:-2]
    turn(node, policy, 1, seen)
    goes_on()
    assert camera.rsplit(".", 1)[-1] in node.said[-1], node.said
    for topic, message in messages(look(policy, 1), node.now + 1 / policy.fps):  # cut short on its way
        if topic == "/" + camera.rsplit(".", 1)[-1]:
            message.data = message.data[:-1]
            node.give(topic, message)
    turn(node, policy, 1, leave_out=("/" + camera.rsplit(".", 1)[-1],))
    goes_on()
    assert "is damaged" in node.said[-1], node.said
    turn(node, policy, 1, seen)
    assert node.sent("/rest")[-1].data == [0.0] * (policy.action_size - 2), "too long: what safety says"
    turn(node, policy, 2)
    assert "whole again" in node.said[-1] and (loop.observed, loop.missing) == (2, 1 + allowed)

    node, loop = start(policy)
    node.now -= 5  # this machine's clock is behind that of the robot
    for topic, message in messages(look(policy, 0), node.now + 5):
        node.give(topic, message)
    node.timers[-1].callback()
    assert "5.000 s ahead of this machine's" in node.said[-1], node.said


def refusals(policy):
    def refused(words, change):
        data = contract_of(policy)
        change(data)
        try:
            PolicyLoop(Node(), policy, Contract.from_dict(data), CLASSES.__getitem__, dict)
        except ContractError as e:
            assert words in str(e), e
            return
        raise AssertionError(words)

    name = policy.cameras[0].name
    refused("was trained at", lambda data: data.update(fps=policy.fps * 2))
    refused(f"one stream of {name}, the contract has 0", lambda data: data["observations"].pop(name))
    refused("needs observation.state", lambda data: data["observations"].pop("observation.state"))
    refused("an image is wanted", lambda data: data["observations"][name].update(type="std_msgs/msg/Float64"))
    refused("give select", lambda data: data["actions"]["action"][0].pop("select"))
    refused("is called action", lambda data: data["actions"].update(wrench=data["actions"].pop("action")))

    node, _ = start(policy, [lambda data: data["actions"]["action"].pop()])
    turn(node, policy, 0)
    assert not node.sent("/command") and "the contract's actions take 2" in node.said[-1]


with libtact.Policy(sys.argv[1], rate_check=False) as policy, libtact.Policy(sys.argv[1], rate_check=False) as alone:
    same_actions(policy, alone)
    missing_messages(policy, alone)
    bad_messages(policy, alone)
    refusals(policy)

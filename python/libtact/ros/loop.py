# SPDX-License-Identifier: Apache-2.0
"""Step by step: messages to an observation, the policy's action to messages."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ..errors import ObservationError, TactError
from .contract import Contract, ContractError
from .messages import COMPRESSED, IMAGE, Doubles, MessageError, decode, encode
from .streams import Samples

_PREFIX = "observation.images."


class PolicyLoop:
    """Runs a policy over a node's topics, one step each time the node's timer fires.

    A step whose observation is not whole (a message is missing, stale, or damaged) is not shown to the policy, and
    that is logged; the robot goes on with the actions that are already predicted for at most max_missing_s, then
    gets what `safety` says until the observation is whole again. Callbacks of topics only keep the message, so they
    may run in any thread; the timer's is where the policy is asked, which takes its time: give the node an executor
    of several threads, or the policy `asynchronous=True`."""

    def __init__(self, node: Any, policy: Any, contract: Contract, message_class: Callable[[str], Any],
                 qos: Callable[[Mapping[str, Any]], Any], *, stale_s: float = 1.0,
                 max_missing_s: float = 0.5) -> None:
        """node: create_subscription, create_publisher, create_timer, get_clock and get_logger as rclpy's Node has
        them. policy: libtact.Policy. message_class("sensor_msgs/msg/Image"): that class. qos: a profile of what the
        contract has for a stream, which may be nothing. stale_s: how old a message may be that `hold` takes."""
        self.node, self.policy, self.contract = node, policy, contract
        _check(policy, contract)
        self.steps = self.observed = self.missing = 0
        self._samples = [Samples(s, stale_s) for s in contract.observations]
        self._outputs = [(s, message_class(s.type), node.create_publisher(message_class(s.type), s.topic, qos(s.qos)))
                         for s in contract.actions]
        for samples in self._samples:
            s = samples.stream
            node.create_subscription(message_class(s.type), s.topic, self._keep(samples), qos(s.qos))
        self._allowed = int(max_missing_s * contract.fps)
        self._missing_now, self._said = 0, ""
        self._last: Optional[Doubles] = None
        self._timer: Any = None

    def start(self) -> None:
        """An episode begins."""
        self.stop()
        self.policy.reset()
        for samples in self._samples:
            samples.clear()
        self._missing_now, self._said, self._last = 0, "", None
        self._timer = self.node.create_timer(1 / self.contract.fps, self.step)

    def stop(self) -> None:
        """Ends the episode, and publishes what `safety` says. Twice is once."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._make_safe()

    def step(self) -> None:
        """What the timer calls."""
        if self._timer is None:
            return
        self.steps += 1
        try:
            action = self._next_action()
            if action is None:
                self._make_safe()
            else:
                self._publish(action)
        except (TactError, MessageError) as e:
            self._say(str(e))
            self._make_safe()

    # ---- private

    def _next_action(self) -> Optional[Doubles]:
        """None where nothing whole was seen for too long."""
        try:
            observation = self._observation(self._now())
            if observation is not None:
                action: Doubles = self.policy.select_action(observation)
                self.observed += 1
                self._missing_now = 0
                self._say("")
                return action
        except (MessageError, ObservationError) as e:  # damaged: as if it were missing
            self._say(str(e))
        self.missing += 1
        self._missing_now += 1
        if self._last is None or self._missing_now > self._allowed:
            return None
        following: Doubles = self.policy.act()
        return following

    def _now(self) -> float:
        return float(self.node.get_clock().now().nanoseconds) * 1e-9

    def _say(self, text: str) -> None:
        """Logs what is new, so that a fault that lasts is one line and not thirty a second."""
        if text and text != self._said:
            self.node.get_logger().warning(f"tact: {text}")
        elif self._said and not text:
            self.node.get_logger().info("tact: observations are whole again")
        self._said = text

    def _keep(self, samples: Samples) -> Callable[[Any], None]:
        return lambda message: samples.put(message, self._now())

    def _observation(self, now: float) -> Optional[dict[str, Any]]:
        taken = [(samples, samples.at(now)) for samples in self._samples]
        absent = [samples for samples, sample in taken if sample is None]
        if absent:
            ahead = max(absent, key=lambda s: s.ahead(now))
            self._say("nothing (new) of " + ", ".join(s.stream.topic for s in absent) + (
                f"; its clock is {ahead.ahead(now):.3f} s ahead of this machine's: timeline: receive, or set the clocks"
                if ahead.ahead(now) > 0.01 else ""))
            return None
        parts: dict[str, list[Any]] = {}
        for samples, sample in taken:
            assert sample is not None
            parts.setdefault(samples.stream.feature, []).append(decode(sample.message, samples.stream))
        return {name: of[0] if len(of) == 1 else np.concatenate(of) for name, of in parts.items()}

    def _publish(self, action: Doubles) -> None:
        messages, at = [], 0
        for stream, make, publisher in self._outputs:
            message, taken = encode(stream, make, action[at:], self._stamp())
            messages.append((publisher, message))
            at += taken
        if at != action.size:
            raise MessageError(f"the policy's action has {action.size} values, the contract's actions take {at}")
        for publisher, message in messages:  # all or none
            publisher.publish(message)
        self._last = action

    def _stamp(self) -> Any:
        return self.node.get_clock().now().to_msg()

    def _make_safe(self) -> None:
        """What `safety` says, for each stream by itself: the last action once more, or nought in the message's own
        unit. Nothing, where no action was published yet."""
        last, at = self._last, 0
        if last is None:
            return
        for stream, make, publisher in self._outputs:
            message, taken = encode(stream, make, last[at:], self._stamp())
            if stream.safety == "zeros":
                message, _ = encode(replace(stream, apply=()), make, np.zeros(taken), self._stamp())
            if stream.safety != "none":
                publisher.publish(message)
            at += taken


def _check(policy: Any, contract: Contract) -> None:
    """What can be seen before the first message."""
    if policy.fps and abs(policy.fps / contract.fps - 1) > 0.01:
        raise ContractError(f"the policy was trained at {policy.fps:g} steps a second, the contract says "
                            f"{contract.fps:g}")
    for camera in policy.cameras:
        streams = contract.of(camera.name) or contract.of(camera.name.removeprefix(_PREFIX))
        if len(streams) != 1:
            raise ContractError(f"the policy needs one stream of {camera.name}, the contract has {len(streams)}")
        if streams[0].type not in (IMAGE, COMPRESSED):
            raise ContractError(f"{camera.name}: an image is wanted, not a {streams[0].type}")
    if policy.state_size and not contract.of("observation.state"):
        raise ContractError("the policy needs observation.state, which the contract has not")
    if policy.env_size and not contract.of("observation.environment_state"):
        raise ContractError("the policy needs observation.environment_state, which the contract has not")
    for stream in contract.actions:
        if stream.type == "sensor_msgs/msg/JointState" and not stream.select:
            raise ContractError(f"{stream.topic}: which joints, and in which order? give select")
        if stream.feature not in ("action", "actions"):
            raise ContractError(f"{stream.feature}: the policy's action is called action")

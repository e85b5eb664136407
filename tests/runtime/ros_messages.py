# SPDX-License-Identifier: Apache-2.0
"""ros_messages.py DIRECTORY: libtact.ros without a policy: contracts, messages, and which of them counts."""
import sys
from pathlib import Path

import numpy as np

from libtact.ros import Contract, ContractError, MessageError
from libtact.ros.contract import Stream
from libtact.ros.messages import decode, encode, quaternion, rotation_vector
from libtact.ros.streams import Samples
from ros_stand_in import CLASSES, Fields, array, header, image, joints, pose, vector

JOINTS, POSE, TWIST = "sensor_msgs/msg/JointState", "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/TwistStamped"


def refused(kind, words, call, *arguments):
    try:
        call(*arguments)
    except kind as e:
        assert words in str(e), f"{words!r} is not in: {e}"
        return
    raise AssertionError(f"not refused: {words}")


def near(a, b, tolerance=1e-12):
    assert np.shape(a) == np.shape(b) and np.max(np.abs(np.subtract(a, b))) <= tolerance, (a, b)


# ---- contracts

def contracts(folder):
    made = Contract.from_dict({
        "robot_type": "so_101", "fps": 30, "teleop": {},
        "observations": {
            "observation.images.top": {"channel": {"topic": "/top", "type": "sensor_msgs/msg/Image"},
                                       "align": {"strategy": "asof", "timeline": "receive", "tol_ms": 40}},
            "observation.state": [{"channel": {"topic": "/joints", "type": JOINTS, "qos": {"depth": 5}},
                                   "select": ["position.a", "velocity.b"], "apply": ["rad2deg", {"clamp": [-90, 90]}]},
                                  {"topic": "/pose", "type": POSE, "align": "drop"}]},
        "actions": [{"key": "action", "publish": {"topic": "/cmd", "type": TWIST}, "safety_behavior": "zeros",
                     "selector": {"names": ["twist.linear.x"]}}]})
    top, first, second = made.observations
    assert top == Stream("observation.images.top", "/top", "sensor_msgs/msg/Image", align="asof", timeline="receive",
                         tolerance_s=0.04)
    assert first.select == ("position.a", "velocity.b") and first.qos == {"depth": 5} and first.align == "hold"
    assert first.apply == (("rad2deg", ()), ("clamp", (-90.0, 90.0)))
    assert (second.topic, second.align, second.timeline) == ("/pose", "drop", "header")
    assert made.actions[0].safety == "zeros" and made.actions[0].select == ("twist.linear.x",)
    assert made.of("observation.state") == (first, second)

    def one(**changes):
        stream = {"topic": "/t", "type": POSE, **changes}
        return {"fps": 10, "observations": {"observation.state": stream}, "actions": {"action": stream}}

    near(Contract.from_dict(one(align="asof")).observations[0].tolerance_s, 0.1)
    assert Contract.from_dict(one(align={"stamp": "receive"})).observations[0].timeline == "receive"
    for words, data in (("observation.state: align: 'holdd' is none of hold, asof, drop", one(align="holdd")),
                        ("alignn: there is no such setting; align?", one(alignn="hold")),
                        ("timeline: 'stamp' is none of", one(align={"timeline": "stamp"})),
                        ("tol_ms: milliseconds are wanted, not -1", one(align={"tol_ms": -1})),
                        ("tol_ms: milliseconds are wanted, not nan", one(align={"tol_ms": float("nan")})),
                        ("resize: is not done here", one(apply=[{"resize": [8, 8]}])),
                        ("scale: 1 numbers are wanted", one(apply=["scale"])),
                        ("scale: 0 cannot be", one(apply=[{"scale": 0}])),
                        ("clamp: [2, 1] cannot be", one(apply=[{"clamp": [2, 1]}])),
                        ("safety: 'stop' is none of", one(safety="stop")),
                        ("topic: is missing", one(topic="")),
                        ("select: a list of fields is wanted", one(select="position")),
                        ("fps: steps a second are wanted, not None", {"observations": {}}),
                        ("actions: features with their topics", {**one(), "actions": 3}),
                        ("actions: there are none", {**one(), "actions": {}}),
                        ("names with values are wanted, not list", [])):
        refused(ContractError, words, Contract.from_dict, data)

    file = folder / "c.json"
    file.write_text('{"fps": 10, "observations": {"observation.state": {"topic": "/t", "type": "x"}},'
                    ' "actions": {"action": {"topic": "/t", "type": "x"}}}')
    assert Contract.from_file(file).fps == 10
    file.write_text("{")
    refused(ContractError, "c.json: ", Contract.from_file, file)
    refused(ContractError, "none.yaml", Contract.from_file, folder / "none.yaml")
    try:
        import yaml  # noqa: F401
    except ImportError:
        print("skipped: contracts in YAML (needs PyYAML)")
        return
    file = folder / "c.yaml"
    file.write_text("fps: 10\nobservations: {observation.state: {topic: /t, type: x, align: asof}}\n"
                    "actions: {action: {topic: /t, type: x}}\n")
    assert Contract.from_file(file).observations[0].align == "asof"
    file.write_text("fps: [\n")
    refused(ContractError, "c.yaml: ", Contract.from_file, file)


# ---- messages

def pictures():
    rng = np.random.default_rng(1)
    stream = Stream("observation.images.a", "/a", "sensor_msgs/msg/Image")
    rgb = rng.integers(0, 256, (5, 7, 3), np.uint8)
    alpha = np.full((5, 7, 1), 9, np.uint8)
    for padding in (0, 3):
        assert (decode(image(rgb, "rgb8", padding=padding), stream) == rgb).all()
        assert (decode(image(rgb[:, :, ::-1], "bgr8", padding=padding), stream) == rgb).all()
        assert (decode(image(np.concatenate([rgb, alpha], 2), "rgba8", padding=padding), stream) == rgb).all()
        bgra = np.concatenate([rgb[:, :, ::-1], alpha], 2)
        assert (decode(image(bgra, "bgra8", padding=padding), stream) == rgb).all()
        grey = decode(image(rgb[:, :, :1], "mono8", padding=padding), stream)
        assert (grey == np.repeat(rgb[:, :, :1], 3, 2)).all()
    refused(MessageError, "/a: an image of encoding '16UC1'", decode, image(rgb, "16UC1"), stream)
    cut = image(rgb)
    cut.data = cut.data[:-1]
    refused(MessageError, "/a: an image of 7 x 5 in 104 bytes, 21 a row, is damaged", decode, cut, stream)
    narrow = image(rgb)
    narrow.step = 20
    refused(MessageError, "is damaged", decode, narrow, stream)
    try:
        from PIL import Image
        import io
    except ImportError:
        print("skipped: compressed images (needs Pillow)")
        return
    packed = io.BytesIO()
    Image.fromarray(rgb).save(packed, "PNG")
    stream = Stream("observation.images.a", "/a", "sensor_msgs/msg/CompressedImage")
    assert (decode(Fields(header=header(), data=packed.getvalue(), format="png"), stream) == rgb).all()
    for damaged in (b"", b"abc", packed.getvalue()[:-40]):
        refused(MessageError, "cannot be decoded", decode, Fields(header=header(), data=damaged, format="png"), stream)


def rotations():
    rng = np.random.default_rng(2)
    for angle in (0.0, 1e-9, 0.3, 2.0, np.pi - 1e-9):
        axis = rng.normal(size=3)
        v = angle * axis / np.linalg.norm(axis)
        q = quaternion(v)
        near(np.linalg.norm(q), 1)
        near(rotation_vector(*q), v, 1e-9)
        near(rotation_vector(*(-3 * q)), v, 1e-9)  # the same rotation, of any length
    near(rotation_vector(0, 0, np.sin(0.25), np.cos(0.25)), [0, 0, 0.5])
    refused(MessageError, "is no rotation", rotation_vector, 0, 0, 0, 0)
    refused(MessageError, "is no rotation", rotation_vector, 0, 0, float("nan"), 1)


def numbers():
    def stream(kind, *select, apply=()):
        return Stream("observation.state", "/s", kind, select, apply)

    state = joints("ba", [0.5, -1.0], velocity=[3.0])
    near(decode(state, stream(JOINTS, "position.a", "position.b", "velocity.b")), [-1, 0.5, 3])
    near(decode(state, stream(JOINTS, "position.a", apply=(("rad2deg", ()), ("offset", (7.0,))))),
         [7 - 180 / np.pi])
    near(decode(state, stream(JOINTS, "position.b", apply=(("deg2rad", ()),))), [0.5 * np.pi / 180])
    near(decode(state, stream(JOINTS, "position.b", apply=(("scale", (4.0,)), ("clamp", (-1.0, 1.5))))), [1.5])
    refused(MessageError, "/s: there is no joint c; the message has b, a", decode, state, stream(JOINTS, "position.c"))
    refused(MessageError, "has no velocity of joint a", decode, state, stream(JOINTS, "velocity.a"))
    refused(MessageError, "position.JOINT", decode, state, stream(JOINTS, "a"))
    refused(MessageError, "give select", decode, state, stream(JOINTS))

    there = Fields(header=header(), pose=pose((1.0, 2.0, 3.0), (0.0, np.sin(0.2), 0.0, np.cos(0.2))))
    near(decode(there, stream(POSE)), [1, 2, 3, 0, 0.4, 0])
    near(decode(there, stream(POSE, "pose.position.z", "pose")), [3, 1, 2, 3, 0, 0.4, 0])
    refused(MessageError, "a quaternion alone", decode, there, stream(POSE, "pose.orientation"))
    refused(MessageError, "pose.posit: ", decode, there, stream(POSE, "pose.posit"))
    near(decode(Fields(header=header(), twist=Fields(linear=vector(4.0, 5.0, 6.0))), stream(TWIST, "twist.linear")),
         [4, 5, 6])
    near(decode(array(1.0, 2.0), stream("std_msgs/msg/Float64MultiArray")), [1, 2])
    near(decode(array(1.0, 2.0), stream("std_msgs/msg/Float64MultiArray", "data.1")), [2])
    near(decode(Fields(data=8.0), stream("std_msgs/msg/Float64")), [8])
    refused(MessageError, "holds no numbers", decode, Fields(data="word"), stream("std_msgs/msg/String"))


def commands():
    def made(kind, values, *select, apply=()):
        stream = Stream("action", "/c", kind, select, apply)
        return encode(stream, CLASSES[kind], np.array(values, np.float64), header(3.5).stamp)

    apply = (("rad2deg", ()), ("offset", (90.0,)))
    message, taken = made(JOINTS, [90, 270, 5], "position.a", "position.b", apply=apply)
    near(message.position, [0, np.pi])
    assert (message.name, taken, message.header.stamp.sec) == (["a", "b"], 2, 3)
    # There and back: what encode makes of an action is what decode reads as that action.
    near(decode(message, Stream("action", "/c", JOINTS, ("position.a", "position.b"), apply)), [90, 270])
    message, _ = made(JOINTS, [1, 2, 3, 4], "position.a", "position.b", "velocity.a", "velocity.b")
    assert (message.position, message.velocity, message.name) == ([1, 2], [3, 4], ["a", "b"])
    refused(MessageError, "other joints for velocity", made, JOINTS, [1, 2], "position.a", "velocity.b")
    refused(MessageError, "/c: the policy's action is 1 values too short", made, JOINTS, [1], "position.a", "position.b")

    message, taken = made(POSE, [1, 2, 3, 0, 0.4, 0, 9])
    near(list(vars(message.pose.position).values()), [1, 2, 3])
    near(list(vars(message.pose.orientation).values()), [0, np.sin(0.2), 0, np.cos(0.2)])
    assert taken == 6
    message, taken = made(TWIST, [1, 2, 9], "twist.linear.x", "twist.angular.z", apply=(("clamp", (-1.5, 1.5)),))
    assert (message.twist.linear.x, message.twist.angular.z, taken) == (1, 1.5, 2)
    message, taken = made(TWIST, [1, 2, 3, 4], "twist.angular")
    assert (vars(message.twist.angular), taken) == ({"x": 1, "y": 2, "z": 3}, 3)
    assert made("std_msgs/msg/Float64MultiArray", [1, 2, 3])[0].data == [1, 2, 3]
    message, taken = made("std_msgs/msg/Float64", [1, 2])
    assert (message.data, taken) == (1, 1)
    refused(MessageError, "holds no number", made, "std_msgs/msg/String", [1])
    refused(MessageError, "twist.linear.w", made, TWIST, [1], "twist.linear.w")


# ---- which message counts

def alignment():
    def samples(align, timeline="header", tolerance=0.05):
        return Samples(Stream("s", "/s", "x", align=align, timeline=timeline, tolerance_s=tolerance), 1.0)

    def at(s, now):
        sample = s.at(now)
        return None if sample is None else sample.message.name

    def put(s, name, stamp, now=0.0):
        s.put(Fields(header=header(stamp), name=name), now)

    s = samples("hold")
    assert at(s, 10) is None
    put(s, "a", 10)
    put(s, "c", 10.2)
    put(s, "b", 10.1)  # late on its way
    assert [at(s, t) for t in (9.9, 10, 10.05, 10.15, 10.3, 11.1, 11.3)] == [None, "a", "a", "b", "c", "c", None]
    put(s, "z", 2)  # the clock began anew
    assert at(s, 2) == "z" and at(s, 10.15) is None

    s = samples("asof")
    put(s, "a", 10)
    assert [at(s, t) for t in (10, 10.04, 10.06)] == ["a", "a", None]

    s = samples("drop")
    put(s, "a", 10)
    assert [at(s, t) for t in (10.01, 10.02)] == ["a", None]
    put(s, "b", 10.03)
    assert [at(s, t) for t in (10.025, 10.04, 10.05)] == [None, "b", None]
    put(s, "c", 10.06)
    assert [at(s, t) for t in (10.06, 10.06)] == ["c", None]

    s = samples("asof", "receive")
    put(s, "a", 500, now=10)  # of a clock that nobody set
    assert [at(s, t) for t in (9.99, 10.03)] == [None, "a"]
    s.put(Fields(name="bare"), 10.5)
    assert at(s, 10.5) == "bare"
    s = samples("hold")
    put(s, "a", 12)
    near(s.ahead(10), 2)
    s.clear()
    assert at(s, 20) is None


contracts(Path(sys.argv[1]))
pictures()
rotations()
numbers()
commands()
alignment()

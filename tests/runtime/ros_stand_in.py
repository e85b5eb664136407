# SPDX-License-Identifier: Apache-2.0
"""What of rclpy and of its messages libtact.ros uses, with a clock that the test sets."""
from types import SimpleNamespace as Fields


class Time:
    def __init__(self, seconds):
        self.nanoseconds = round(seconds * 1e9)

    def to_msg(self):
        return Fields(sec=self.nanoseconds // 10**9, nanosec=self.nanoseconds % 10**9)


class Publisher:
    def __init__(self):
        self.sent = []

    def publish(self, message):
        self.sent.append(message)


class Timer:
    def __init__(self, period, callback):
        self.period, self.callback, self.cancelled = period, callback, False

    def cancel(self):
        self.cancelled = True


class Node:
    """now: seconds; sent["/topic"]: what was published; said: what was logged."""

    def __init__(self):
        self.now, self.said, self.subscriptions, self.publishers, self.timers = 100.0, [], {}, {}, []

    def get_clock(self):
        return Fields(now=lambda: Time(self.now))

    def get_logger(self):
        return Fields(warning=self.said.append, info=self.said.append)

    def create_subscription(self, kind, topic, callback, qos):
        self.subscriptions[topic] = callback

    def create_publisher(self, kind, topic, qos):
        return self.publishers.setdefault(topic, Publisher())

    def create_timer(self, period, callback):
        self.timers.append(Timer(period, callback))
        return self.timers[-1]

    def give(self, topic, message):
        self.subscriptions[topic](message)

    def sent(self, topic):
        return self.publishers[topic].sent


def header(seconds=0.0):
    return Fields(stamp=Time(seconds).to_msg(), frame_id="")


def vector(x=0.0, y=0.0, z=0.0):
    return Fields(x=x, y=y, z=z)


def pose(position=(0.0, 0.0, 0.0), orientation=(0.0, 0.0, 0.0, 1.0)):
    return Fields(position=vector(*position), orientation=Fields(**dict(zip("xyzw", orientation))))


def image(pixels, encoding="rgb8", seconds=0.0, padding=0):
    """pixels: uint8 (H, W, C) in the encoding's order; padding: bytes behind each row."""
    height, width, channels = pixels.shape
    rows = b"".join(row.tobytes() + b"\xee" * padding for row in pixels)
    return Fields(header=header(seconds), height=height, width=width, encoding=encoding, is_bigendian=0,
                  step=width * channels + padding, data=rows)


CLASSES = {
    "sensor_msgs/msg/JointState": lambda: Fields(header=header(), name=[], position=[], velocity=[], effort=[]),
    "std_msgs/msg/Float64MultiArray": lambda: Fields(layout=Fields(), data=[]),
    "std_msgs/msg/Float64": lambda: Fields(data=0.0),
    "std_msgs/msg/String": lambda: Fields(data=""),
    "geometry_msgs/msg/PoseStamped": lambda: Fields(header=header(), pose=pose()),
    "geometry_msgs/msg/TwistStamped": lambda: Fields(header=header(), twist=Fields(linear=vector(), angular=vector())),
    "sensor_msgs/msg/Image": lambda: Fields(header=header(), data=b""),
    "sensor_msgs/msg/CompressedImage": lambda: Fields(header=header(), data=b"", format=""),
}


def joints(names, position, seconds=0.0, **more):
    return Fields(header=header(seconds), name=list(names), position=list(position),
                  velocity=list(more.get("velocity", [])), effort=[])


def array(*values):
    return Fields(layout=Fields(), data=list(values))

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# libtact.ros without ROS: contracts, messages, alignment; and a policy over topics gives the actions it gives without.
. "$(dirname "$0")/common.sh"
find_python
tiny_policy
here=$(cd "$(dirname "$0")" && pwd)

accepts "contracts and messages" run "$here/ros_messages.py" "$WORK"
cat "$WORK/out"
accepts "the loop" run "$here/ros_loop.py" "$POLICY"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# libtact.ros without ROS: contracts, messages, alignment; and a policy over topics gives the actions it gives without.
. "$(dirname "$0")/common.sh"
find_python
tiny_policy
here=$(cd "$(dirname "$0")" && pwd)
export TACT_LIBRARY=$BUILD/libtact.so.0.2 PYTHONPATH=$here/../../python PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive
# shellcheck disable=SC2046
run() { env $(preload) "$python" "$@"; }

accepts "contracts and messages" run "$here/ros_messages.py" "$WORK"
cat "$WORK/out"
accepts "the loop" run "$here/ros_loop.py" "$POLICY"
finish

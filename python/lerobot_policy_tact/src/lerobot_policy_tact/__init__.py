# SPDX-License-Identifier: Apache-2.0
"""Policy type `tact` for LeRobot. Importing this package registers it; LeRobot does that by itself for
installed distributions whose name begins with lerobot_policy_. The network alone (network.py) needs
PyTorch and torchvision only."""

import importlib.util

if importlib.util.find_spec("lerobot") is not None:
    from .configuration_tact import TactConfig

    __all__ = ["TactConfig"]

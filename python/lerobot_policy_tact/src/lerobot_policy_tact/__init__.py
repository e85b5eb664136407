# SPDX-License-Identifier: Apache-2.0
"""Policy type `tact` for LeRobot. Importing this package registers it; LeRobot does that by itself for
installed distributions whose name begins with lerobot_policy_. The network alone (network.py) needs
PyTorch and torchvision only.

Importing it also has libtact run checkpoints of LeRobot's type `act` (hook.py), unless TACT_LEROBOT=off."""

import importlib.util

if importlib.util.find_spec("lerobot") is not None:
    from .configuration_tact import TactConfig
    from .hook import install

    install()
    __all__ = ["TactConfig"]

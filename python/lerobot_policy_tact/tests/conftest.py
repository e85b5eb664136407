# SPDX-License-Identifier: Apache-2.0
"""PyTorch is the yardstick of all tests but those of libtact in its place, which switch it on."""

import pytest


@pytest.fixture(autouse=True)
def _by_pytorch(monkeypatch):
    monkeypatch.setenv("TACT_LEROBOT", "off")

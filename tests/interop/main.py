# SPDX-License-Identifier: Apache-2.0
"""main.py WORK [CHECK...]: runs the checks in a scratch folder; see tests/interop/run."""

import logging
import sys
import traceback
from pathlib import Path

from common import Report

CHECKS = ("act", "temporal", "import", "edit", "training", "losses")


def versions() -> str:
    import lerobot
    import torch
    import torchvision

    return (f"LeRobot {lerobot.__version__}, PyTorch {torch.__version__}, torchvision "
            f"{torchvision.__version__}, Python {sys.version.split()[0]}")


def main() -> int:
    work, chosen = Path(sys.argv[1]), sys.argv[2:] or CHECKS
    logging.disable(logging.WARNING)
    print(versions())
    report = Report()
    for name in chosen:
        folder = work / name
        folder.mkdir()
        try:
            __import__(f"check_{name}").check(report, folder)
        except Exception:
            report.hold(f"check {name} ran", False, traceback.format_exc())
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return report.failed > 0


if __name__ == "__main__":
    sys.exit(main())

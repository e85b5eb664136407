#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# python/lerobot_policy_tact's own tests, in a Python that has LeRobot and pytest: the one that
# TACT_LEROBOT_PYTHON names, else python3. Where nothing is named and python3 has none: skipped.
set -u
python=${TACT_LEROBOT_PYTHON:-python3}
cd "$(dirname "$0")/../../python/lerobot_policy_tact" || exit 1
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
if ! lacks=$("$python" -c '
from importlib.util import find_spec
print(*(m for m in ("lerobot", "torch", "torchvision", "safetensors", "pytest") if not find_spec(m)))' 2>&1) || [ -n "$lacks" ]; then
    echo "$python cannot run the plugin's tests; missing there: $lacks"
    [ -n "${TACT_LEROBOT_PYTHON:-}" ] && exit 1
    echo "skipped: name a Python with LeRobot and pytest in TACT_LEROBOT_PYTHON"
    exit 77
fi
exec "$python" -m pytest -q -p no:cacheprovider

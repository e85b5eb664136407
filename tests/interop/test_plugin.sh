#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The pytest suite of python/lerobot_policy_tact, by $TACT_PYTHON (python3), where that has what it imports.
set -u
python=${TACT_PYTHON:-python3}
"$python" -c 'import lerobot, pytest, safetensors, torch' 2>/dev/null ||
    { echo "skipped: $python has not all of lerobot, pytest, safetensors and torch"; exit 77; }
cd python/lerobot_policy_tact || exit 1
PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 "$python" -m pytest -q -p no:cacheprovider

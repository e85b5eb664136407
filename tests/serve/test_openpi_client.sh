#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact serve with openpi-client from PyPI, unchanged: the same actions as libtact's, to the bit, from two cameras of
# 480x640. In the Python that TACT_OPENPI_PYTHON names (it needs openpi-client, typing_extensions), else python3, else
# skipped. TACT_OPENPI_OBSERVATIONS: how many, 20 by default.
. "$(dirname "$0")/../runtime/common.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
need_server
python=${TACT_OPENPI_PYTHON:-python3}
if ! "$python" -c 'import numpy, openpi_client.websocket_client_policy' 2>"$WORK/err"; then
    echo "$python: $(tail -n 1 "$WORK/err")"
    [ -n "${TACT_OPENPI_PYTHON:-}" ] && exit 1
    echo "skipped: name a Python with openpi-client and typing_extensions in TACT_OPENPI_PYTHON"
    exit 77
fi
POLICY=$WORK/run
accepts "a dataset" "$TACT" sample --root="$WORK/data" --episodes=2 --frames=6 --height=480 --width=640 --cameras=2 \
    --images_in_parquet
accepts "a policy" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/data" "${TINY[@]}" --policy.type=act \
    --policy.n_obs_steps=1 --output_dir="$POLICY" --steps=1
start_server
export TACT_LIBRARY=$BUILD/libtact.so.0.2 PYTHONPATH=$here/../../python PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive
# shellcheck disable=SC2046
accepts "openpi-client" env $(preload) "$python" "$here/with_openpi_client.py" "$PORT" "$POLICY" "${TACT_OPENPI_OBSERVATIONS:-20}"
cat "$WORK/out"
end_server
finish

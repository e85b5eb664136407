#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checkpoints that LeRobot itself wrote, in each of its layouts of statistics, give the same actions here.
. "$(dirname "$0")/../cli/common.sh"

predict=$(dirname "$TACT")/tests/predict
for layout in processors weights none; do
    dir=tests/interop/fixtures/$layout
    accepts "$layout" "$predict" "$dir" "$dir/inputs.safetensors" "$WORK/$layout" "$dir/expected.safetensors"
done
# This check can fail: without its statistics a policy gives other actions.
cp -r tests/interop/fixtures/processors "$WORK/bare"
rm "$WORK"/bare/policy_preprocessor*
"$predict" "$WORK/bare" "$WORK/bare/inputs.safetensors" "$WORK/o" "$WORK/bare/expected.safetensors" >/dev/null 2>&1
holds "other statistics, other actions" test $? -eq 1
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/runtime/valgrind.sh: libtact's whole life under valgrind: a policy with cameras, one without cameras
# that averages its chunks, and one that cannot be opened. Not part of scripts/test: it needs a build of its own
# (in build/valgrind, without what valgrind 3.19 does not know of this processor) and takes a minute or two.
# test_runtime would take the better part of an hour under valgrind; the asan build covers it.
command -v valgrind >/dev/null || { echo "skipped: no valgrind"; exit 77; }
TACT=${TACT:-$(dirname "$0")/../../build/tact}
. "$(dirname "$0")/common.sh"
root=$(cd "$(dirname "$0")/../.." && pwd) tree=$BUILD/valgrind
accepts "configure" cmake -S "$root" -B "$tree" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS="-O1 -g" -DTACT_NATIVE=OFF \
    -DTACT_CUDA=OFF
accepts "build" cmake --build "$tree" -j2 --target consumer
tiny_policy
accepts "a dataset without cameras" "$TACT" sample --root="$WORK/joints" --episodes=2 --frames=12 --cameras=0 --joints=true \
    --env_dim=2
accepts "a policy that averages" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/joints" "${TINY[@]}" \
    --policy.n_action_steps=1 --policy.temporal_ensemble_coeff=0.01 --output_dir="$WORK/averages" --steps=2

# oneDNN's kernels for AVX2 put the stack pointer to other uses, which valgrind takes for bad reads.
export DNNL_MAX_CPU_ISA=SSE41
# check NAME CODE POLICY STEPS: the program ends with that code; valgrind's would be 9.
check() {
    valgrind --quiet --leak-check=full --error-exitcode=9 --suppressions="$root/tests/runtime/valgrind.supp" \
        "$tree/tests/consumer" "$3" "$4" >"$WORK/out" 2>"$WORK/err"
    local code=$?
    if [ $code -eq "$2" ]; then ok; else
        bad "$1: exit code $code"
        head -40 "$WORK/err"
    fi
}
check "cameras" 0 "$POLICY" 3
holds "three actions and a chunk" test "$(wc -l <"$WORK/out")" -eq 11
check "averages" 0 "$WORK/averages" 20
check "no policy" 1 "$WORK/nothing" 1
cp -r "$POLICY/checkpoints/last/pretrained_model" "$WORK/cut"
truncate -s -1000 "$WORK/cut/model.safetensors"
check "a damaged policy" 1 "$WORK/cut" 1
finish

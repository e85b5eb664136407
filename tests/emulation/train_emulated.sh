#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A training on an emulated card goes as the one on the CPU: recorded steps and pieces of steps, staged batches,
# figures read one step late, evaluation and checkpoints in between, and memory that does not suffice.
. "$(dirname "$0")/../cli/common.sh"

data=$WORK/data
# Half of the episodes are held out: at bfloat16 the loss of a single episode may be 3 % off.
accepts "sample" "$TACT" sample --root="$data" --episodes=8 --frames=12 --height=64 --width=96
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --steps=6 --log_freq=2
    --policy.optimizer_lr=1e-3 --dataset.eval_split=0.5 --eval_freq=3)

# close NAME RUN TOLERANCE: every logged loss and norm must be within the tolerance of the CPU's.
close() {
    paste <(grep -oE '"(loss|grad_norm|eval_loss)": *[0-9.e+-]+' "$WORK/cpu/metrics.jsonl") \
        <(grep -oE '"(loss|grad_norm|eval_loss)": *[0-9.e+-]+' "$2/metrics.jsonl") >"$WORK/both"
    if awk -v t="$3" '{ d = $2 - $4; if (d < 0) d = -d; if (!($1 == $3 && d <= t * $2)) bad = 1; n++ }
        END { exit bad || n < 8 }' "$WORK/both"; then ok; else bad "$1:"; cat "$WORK/both"; fi
}

accepts "on the CPU" "${train[@]}" --output_dir="$WORK/cpu"
accepts "float32, in pieces" "${train[@]}" --policy.device=cuda --policy.dtype=float32 --batch_size=1 \
    --gradient_accumulation_steps=2 --output_dir="$WORK/float32"
accepts "bfloat16" "${train[@]}" --policy.device=cuda --policy.dtype=bfloat16 --output_dir="$WORK/bfloat16"
close "float32 in pieces as the CPU" "$WORK/float32" 2e-5
close "bfloat16 as the CPU" "$WORK/bfloat16" 2e-2
holds "the precision is kept" grep -q '"dtype": "bfloat16"' \
    "$WORK/bfloat16/checkpoints/last/pretrained_model/tact.json"
refuses "no such card" "only 1 card" "${train[@]}" --policy.device=cuda:3 --output_dir="$WORK/no"
refuses "too little memory" "batch_size=32: takes about .*batch_size=[0-9]+ fits" env EMULATION_MEMORY=1300 \
    "${train[@]}" --policy.device=cuda --batch_size=32 --dataset.eval_split=0 --policy.resize_shape=[64,96] --output_dir="$WORK/no"
finish

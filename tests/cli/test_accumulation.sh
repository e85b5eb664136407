#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --gradient_accumulation_steps: a step in pieces has the figures of one large batch, and a run that began with the one
# goes on with the other.
. "$(dirname "$0")/resume.sh"

accepts "data" "$TACT" sample --root="$WORK/pixels" --episodes=2 --frames=20 --height=64 --width=96 --images_in_parquet=true
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/pixels" "${TINY[@]}" --threads=1 --steps=4 --save_freq=2)
losses() { grep -oE '"(loss|grad_norm|epoch|samples|step)": *[0-9.e+-]+' "$1/metrics.jsonl"; }
# close NAME RUN: the figures of each step are those of the large batch, to what another order of sums gives.
close() {
    paste <(losses "$WORK/whole") <(losses "$2") >"$WORK/both"
    if awk '{ d = $2 - $4; if (d < 0) d = -d; if ($1 != $3 || !(d <= 1e-5 * $2)) bad = 1; n++ } END { exit bad || n < 16 }' \
        "$WORK/both"; then ok; else bad "$1:"; cat "$WORK/both"; fi
}

accepts "one large batch" "${train[@]}" --batch_size=4 --output_dir="$WORK/whole"
holds "the first step is timed, and no other" test "$(grep -c 'first step took' "$WORK/err")" -eq 1
accepts "in pieces" "${train[@]}" --batch_size=2 --gradient_accumulation_steps=2 --output_dir="$WORK/pieces"
close "in pieces" "$WORK/pieces"
holds "LeRobot's step file has both numbers" grep -Pzoq '"batch_size": 2,\s+"grad_accum_steps": 2' \
    "$WORK/pieces/checkpoints/000004/training_state/training_step.json"

for run in whole pieces; do # each goes on as the other
    cp -r "$WORK/$run" "$WORK/from_$run"
    rm -rf "$WORK/from_$run"/checkpoints/{000004,last}
    ln -s 000002 "$WORK/from_$run/checkpoints/last"
done
accepts "from the large batch" "$TACT" train "$(resume "$WORK/from_whole")" --resume=true --batch_size=2 --gradient_accumulation_steps=2
close "from the large batch" "$WORK/from_whole"
accepts "into the large batch" "$TACT" train "$(resume "$WORK/from_pieces")" --resume=true --batch_size=4 --gradient_accumulation_steps=1
close "into the large batch" "$WORK/from_pieces"
holds "not a word of another order" test "$(grep -c 'order of the data' "$WORK/err")" -eq 0

refuses "more than there is" "step of 64 samples is more than the 41 frames" "${train[@]}" --batch_size=8 \
    --accelerator.gradient_accumulation.steps=8 --output_dir="$WORK/no"
refuses "none" "gradient_accumulation_steps" "${train[@]}" --gradient_accumulation_steps=0 --output_dir="$WORK/no"
finish

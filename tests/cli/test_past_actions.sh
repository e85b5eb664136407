#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A policy that also predicts past actions, end to end: what it is taught, its training and resumption, its evaluation,
# fine-tuning from one that does not, and where it may not go.
. "$(dirname "$0")/common.sh"

# close A B TOLERANCE: relative; false for what is no number.
close() {
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN {
        number = "^-?[0-9.]+(e[-+]?[0-9]+)?$"
        d = a - b; d = d < 0 ? -d : d
        exit !(a ~ number && b ~ number && d <= t * (b < 0 ? -b : b)) }'
}
# The last value of a key in a run's metrics.jsonl.
last() { grep -o "\"$2\": *[^,}]*" "$1/metrics.jsonl" | tail -n 1 | sed 's/.*: *//'; }
model() { echo "$1/checkpoints/last/pretrained_model"; }

joints=$WORK/joints poses=$WORK/poses
"$TACT" sample --root="$joints" --episodes=3 --frames=20 --height=64 --width=96 --joints >/dev/null
"$TACT" sample --root="$poses" --episodes=3 --frames=20 --height=64 --width=96 >/dev/null
past=(--policy.obs_state_horizon=3 --policy.action_down_sample_steps=2 --policy.n_past_actions=3)
train=("$TACT" train "${TINY[@]}" --threads=1 --dataset.eval_split=0.3)

# A frame: the chunk stays what it is, and the past ones are the chunk's of earlier frames.
info=("$TACT" info "$joints" --policy.pose_repr=none --policy.chunk_size=4 --policy.n_action_steps=4 "${past[@]}")
"${info[@]}" --frame=5 >"$WORK/f5"
"${info[@]}" --frame=3 >"$WORK/f3"
"${info[@]}" --frame=1 >"$WORK/f1"
"${info[@]}" --frame=5 --policy.n_past_actions=0 >"$WORK/without"
past_of_each() {
    python3 - "$WORK" <<'END'
import json, sys
f5, f3, f1, without = (json.load(open(f"{sys.argv[1]}/{name}")) for name in ("f5", "f3", "f1", "without"))
past = f5.pop("past_action"), f5.pop("past_action_is_pad")
assert f5 == without and "past_action" not in without
assert past[0] == [f3["action"][0], f1["action"][0], f1["action"][0]] and past[1] == [False, False, True]
assert f1["past_action"] == [f1["action"][0]] * 3 and f1["past_action_is_pad"] == [True] * 3
END
}
if command -v python3 >/dev/null; then holds "past actions, newest first" past_of_each; fi

# The held-out loss is the chunk's, which is what the evaluation measures of what libtact predicts; the past has its own.
accepts "train" "${train[@]}" "${past[@]}" --dataset.root="$joints" --dataset.repo_id=t/j --steps=4 --eval_freq=4 \
    --output_dir="$WORK/run"
holds "the log says so" grep -q 'past actions: 3 before the newest observation' "$WORK/err"
holds "the version stops an older tact" grep -q '"version": 3' "$(model "$WORK/run")/tact.json"
holds "the setting is kept" grep -q '"n_past_actions": 3' "$(model "$WORK/run")/tact.json"
accepts "info" "$TACT" info "$WORK/run"
holds "info says so" grep -q '8 carried out, an action every 2 steps, 3 past ones predicted in training' "$WORK/out"
accepts "eval" "$TACT" eval --threads=1 --policy.path="$WORK/run" --dataset.root="$joints" --eval.stride=1 --output_dir="$WORK/e1"
got=$(awk 'index($0, "\"name\": \"normalised L1\",") { on = 1 } on && /"mean":/ { sub(/.*: */, ""); sub(/,$/, ""); print; exit }' \
    "$WORK/e1/eval.json")
loss=$(last "$WORK/run" eval_loss) before=$(last "$WORK/run" eval_past_loss)
holds "normalised L1 is the held-out loss ($loss, $got)" close "$got" "$loss" 5e-6
holds "the past has another ($before)" test "$(close "$before" "$loss" 1e-4; echo $?)" -eq 1
holds "which is a number" close "$before" "$before" 0
holds "in metrics.csv too" grep -q '^step,.*,eval_past_loss,ema_eval_past_loss$' "$WORK/run/metrics.csv"

# A run that was interrupted goes on as one that was not; pieces of a batch are taught as the whole.
accepts "whole" "${train[@]}" "${past[@]}" --dataset.root="$poses" --dataset.repo_id=t/p --steps=4 --output_dir="$WORK/whole"
accepts "half" "${train[@]}" "${past[@]}" --dataset.root="$poses" --dataset.repo_id=t/p --steps=2 --output_dir="$WORK/half"
refuses "another number of them" '--policy.n_past_actions=4: the run to go on with has 3; --policy.path starts' "$TACT" train \
    --resume=true --steps=4 --policy.n_past_actions=4 --config_path="$WORK/half/checkpoints/last"
accepts "the other half" "$TACT" train --resume=true --steps=4 --config_path="$WORK/half/checkpoints/last"
weights=checkpoints/000004/pretrained_model/model.safetensors
holds "the same weights" cmp -s "$WORK/whole/$weights" "$WORK/half/$weights"
accepts "pieces" "${train[@]}" "${past[@]}" --dataset.root="$poses" --dataset.repo_id=t/p --steps=4 --batch_size=1 \
    --gradient_accumulation_steps=2 --output_dir="$WORK/pieces"
for key in loss l1_loss grad_norm; do
    holds "$key of pieces" close "$(last "$WORK/pieces" $key)" "$(last "$WORK/whole" $key)" 1e-4
done

# From one without them: the chunk's queries are kept, the others begin anew.
accepts "none" "${train[@]}" --policy.obs_state_horizon=3 --dataset.root="$joints" --dataset.repo_id=t/j --steps=2 --eval_freq=2 \
    --output_dir="$WORK/none"
holds "no word of them" test -z "$(grep -h past "$(model "$WORK/none")/tact.json" "$WORK/none/metrics.jsonl" "$WORK/none/metrics.csv")"
accepts "fine-tuned" "${train[@]}" --policy.path="$WORK/none" --policy.n_past_actions=3 --dataset.root="$joints" \
    --dataset.repo_id=t/j --steps=1 --output_dir="$WORK/tuned"
holds "the log says so" grep -q '8 of the checkpoint.s 8 rows are kept; 3 past actions start anew' "$WORK/err"
holds "it has them" grep -q '"n_past_actions": 3' "$(model "$WORK/tuned")/tact.json"
accepts "and without again" "${train[@]}" --policy.path="$WORK/tuned" --policy.n_past_actions=0 --dataset.root="$joints" \
    --dataset.repo_id=t/j --steps=1 --output_dir="$WORK/plain"
holds "the log says so" grep -q '8 of the checkpoint.s 11 rows are kept; 3 past actions are dropped' "$WORK/err"
holds "version 1" grep -q '"version": 1' "$(model "$WORK/plain")/tact.json"
refuses "rows of the past are none of a chunk" 'decoder_pos_embed.weight" has shape \[11, 32\], but' "${train[@]}" \
    --policy.path="$WORK/tuned" --policy.chunk_size=11 --policy.n_past_actions=0 --dataset.root="$joints" --dataset.repo_id=t/j \
    --steps=1 --output_dir="$WORK/no"

# LeRobot's plain ACT has no place for them.
refuses "plain ACT" 'n_past_actions=3: --policy.type=act alone is LeRobot' "${train[@]}" --policy.type=act \
    --policy.n_past_actions=3 --dataset.root="$joints"
accepts "plain" "${train[@]}" --policy.type=act --dataset.root="$joints" --dataset.repo_id=t/j --steps=1 --output_dir="$WORK/act"
refuses "a plain checkpoint" "n_past_actions=3: LeRobot's plain ACT .* predicts no past actions" "${train[@]}" \
    --policy.path="$WORK/act" --policy.type=act --policy.n_past_actions=3 --dataset.root="$joints"
accepts "one observation" "${train[@]}" --policy.n_past_actions=2 --policy.obs_state_horizon=1 --policy.pose_repr=none \
    --dataset.root="$joints" --dataset.repo_id=t/j --steps=1 --output_dir="$WORK/one"
holds "of type tact" grep -q '"type": "tact"' "$(model "$WORK/one")/config.json"
refuses "conversion" 'also predicts 2 past actions' "$TACT" convert "$WORK/one" --to=act --output="$WORK/converted"
refuses "fewer than none" 'n_past_actions' "${train[@]}" --policy.n_past_actions=-1 --dataset.root="$joints"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A policy that does not see the state (--policy.use_state=false), and one that is trained without it now and then
# (--policy.state_dropout), end to end: training, resumption, evaluation, what others are told of it, and what is refused.
. "$(dirname "$0")/common.sh"

# close A B TOLERANCE: relative; false for what is no number.
close() {
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN {
        number = "^-?[0-9.]+(e[-+]?[0-9]+)?$"
        d = a - b; d = d < 0 ? -d : d
        exit !(a ~ number && b ~ number && d <= t * (b < 0 ? -b : b)) }'
}
joints=$WORK/joints poses=$WORK/poses
"$TACT" sample --root="$joints" --episodes=3 --frames=30 --height=64 --width=96 --joints >/dev/null
"$TACT" sample --root="$poses" --episodes=3 --frames=30 --height=64 --width=96 >/dev/null
train=("$TACT" train "${TINY[@]}" --threads=1 --dataset.eval_split=0.3)
on_poses=(--dataset.root="$poses" --dataset.repo_id=t/p)
on_joints=(--dataset.root="$joints" --dataset.repo_id=t/j)
model=checkpoints/last/pretrained_model weights=checkpoints/000004/pretrained_model/model.safetensors
resume() { "$TACT" train --resume=true --steps=4 --config_path="$1/$model/train_config.json"; }
same() { cmp -s "$1/$weights" "$2/$weights"; }
# eval_loss RUN: the training's own of its held-out episode. normalised RUN DATA: what tact eval measures through libtact.
eval_loss() { grep -o '"eval_loss": *[^,}]*' "$1/metrics.jsonl" | tail -n 1 | sed 's/.*: *//'; }
normalised() {
    "$TACT" eval --threads=1 --policy.path="$1" --dataset.root="$2" --eval.stride=1 --output_dir="$1/eval" >/dev/null 2>"$WORK/err" &&
        awk 'index($0, "\"name\": \"normalised L1\",") { on = 1 } on && /"mean":/ { sub(/.*: */, ""); sub(/,$/, ""); print; exit }' \
            "$1/eval/eval.json"
}

# Relative poses: the model has no weights for a state, but the recorded actions are relative to it.
hidden=(--policy.use_state=false "${on_poses[@]}")
accepts "relative" "${train[@]}" "${hidden[@]}" --steps=4 --eval_freq=4 --output_dir="$WORK/rel"
holds "the log says so" grep -q 'does not see observation.state; poses are relative to it all the same' "$WORK/err"
holds "no state among the inputs" test "$(grep -c 'observation.state' "$WORK/rel/$model/config.json")" -eq 0
holds "actions of ten values" grep -Pzoq '"action": \{\s*"type": "ACTION",\s*"shape": \[\s*10' "$WORK/rel/$model/config.json"
holds "tact.json says so" grep -q '"use_state": false' "$WORK/rel/$model/tact.json"
holds "and stops an older tact" grep -q '"version": 3' "$WORK/rel/$model/tact.json"
holds "no weights of a state" test "$(grep -ac 'robot_state_input_proj' "$WORK/rel/$weights")" -eq 0
accepts "half" "${train[@]}" "${hidden[@]}" --steps=2 --output_dir="$WORK/half"
accepts "the other half" resume "$WORK/half"
holds "a run that went on is the run" same "$WORK/rel" "$WORK/half"
for file in config.json policy_preprocessor.json tact.json; do
    [ $file = tact.json ] || holds "its $file too" cmp -s "$WORK/rel/$model/$file" "$WORK/half/$model/$file"
done
accepts "the long form" "${train[@]}" "${on_poses[@]}" --steps=4 --output_dir="$WORK/long" \
    --policy.input_features='{"observation.images.front": {"type": "VISUAL", "shape": [3, 64, 96]}}'
holds "is the same policy" same "$WORK/rel" "$WORK/long"
holds "and says so" grep -q '"use_state": false' "$WORK/long/$model/tact.json"
# Rows that are no rotations yet become some, so this is not the training's figure (tests/runtime/test_hidden_state.c compares).
got=$(normalised "$WORK/rel" "$poses")
holds "an evaluation gives it the state ($got)" close "$got" "$got" 0
accepts "info" "$TACT" info "$WORK/rel"
holds "info says what it needs" grep -q 'not observation.state, but needs its 7 values' "$WORK/out"
accepts "a frame" "$TACT" info "$poses" --frame=12 --policy.use_state=false
holds "its state is not seen" grep -q '"state": null' "$WORK/out"
if "$TACT" serve --policy.path="$WORK/rel" --dry_run >"$WORK/out" 2>&1; then
    holds "a client gives the state" grep -qE 'observation.state +\(7,\)' "$WORK/out"
fi

# One observation: LeRobot's ACT would carry relative rows out, and is stopped; of values as recorded it is LeRobot's own.
accepts "one observation" "${train[@]}" "${hidden[@]}" --steps=1 --policy.obs_state_horizon=1 --output_dir="$WORK/one"
holds "stops LeRobot" grep -q '"type": "tact"' "$WORK/one/$model/config.json"
refuses "conversion" 'relative to one that it does not see' "$TACT" convert "$WORK/one" --to=act --output="$WORK/act"
accepts "reads it again" "$TACT" info "$WORK/one"
accepts "plain ACT" "${train[@]}" "${on_joints[@]}" --policy.type=act --policy.use_state=false --steps=4 --eval_freq=4 \
    --output_dir="$WORK/plain"
holds "the log says so" grep -q 'the policy does not see observation.state$' "$WORK/err"
holds "is LeRobot's" grep -q '"type": "act"' "$WORK/plain/$model/config.json"
holds "keys that LeRobot knows" test "$(grep -cE 'use_state|state_dropout' "$WORK/plain/$model/config.json")" -eq 0
accepts "half of it" "${train[@]}" "${on_joints[@]}" --policy.type=act --policy.use_state=false --steps=2 --output_dir="$WORK/plain2"
accepts "the rest of it" resume "$WORK/plain2"
holds "goes on" same "$WORK/plain" "$WORK/plain2"
for file in config.json policy_preprocessor.json; do
    holds "with the same $file" cmp -s "$WORK/plain/$model/$file" "$WORK/plain2/$model/$file"
done
got=$(normalised "$WORK/plain" "$joints")
holds "its evaluation is training's ($got)" close "$got" "$(eval_loss "$WORK/plain")" 5e-6
if "$TACT" serve --policy.path="$WORK/plain" --dry_run >"$WORK/out" 2>&1; then
    holds "a client need not" test "$(grep -c 'observation.state' "$WORK/out")" -eq 0
fi

# State dropout: kept, exact after a resume, and another training than without.
drop=(--policy.state_dropout=0.5 "${on_joints[@]}" --policy.obs_state_horizon=2)
accepts "dropped" "${train[@]}" "${drop[@]}" --steps=4 --eval_freq=4 --output_dir="$WORK/drop"
holds "the log says so" grep -q 'state_dropout=0.5: ' "$WORK/err"
holds "is kept" grep -q '"state_dropout": 0.5' "$WORK/drop/$model/tact.json"
accepts "half dropped" "${train[@]}" "${drop[@]}" --steps=2 --output_dir="$WORK/drop2"
accepts "goes on dropping" resume "$WORK/drop2"
holds "the same weights" same "$WORK/drop" "$WORK/drop2"
accepts "not dropped" "${train[@]}" "${drop[@]}" --policy.state_dropout=0 --steps=4 --output_dir="$WORK/whole"
holds "other weights" test "$(same "$WORK/drop" "$WORK/whole"; echo $?)" -eq 1
holds "nothing is said" test "$(grep -c 'state_dropout' "$WORK/err")" -eq 0
holds "nothing is kept" test "$(grep -c 'state_dropout' "$WORK/whole/$model/tact.json")" -eq 0
got=$(normalised "$WORK/drop" "$joints")
holds "evaluations show the state ($got)" close "$got" "$(eval_loss "$WORK/drop")" 5e-6
losses() { grep -oE '"(loss|grad_norm)": *[0-9.e+-]+' "$1/metrics.jsonl"; }
accepts "a large batch" "${train[@]}" "${drop[@]}" --steps=3 --batch_size=4 --output_dir="$WORK/large"
accepts "in pieces" "${train[@]}" "${drop[@]}" --steps=3 --batch_size=2 --gradient_accumulation_steps=2 --output_dir="$WORK/pieces"
paste <(losses "$WORK/large") <(losses "$WORK/pieces") >"$WORK/both"
holds "pieces drop what the batch drops" awk '{ d = $2 - $4; if (d < 0) d = -d
    if ($1 != $3 || !(d <= 1e-5 * $2)) bad = 1; n++ } END { exit bad || n != 6 }' "$WORK/both"
accepts "always" "${train[@]}" "${drop[@]}" --policy.state_dropout=1 --steps=1 --output_dir="$WORK/always"
holds "warns" grep -q 'WARNING.*state_dropout=1: no sample shows the state' "$WORK/err"

# What cannot be.
refuses "both" 'use_state=false: --policy.input_features names observation.state' "${train[@]}" "${hidden[@]}" \
    --policy.input_features='{"observation.state": {}, "observation.images.front": {}}' --output_dir="$WORK/no"
refuses "a checkpoint with" 'use_state=false: .*drop.* is a policy with observation.state' "${train[@]}" "${on_joints[@]}" \
    --policy.path="$WORK/drop" --policy.use_state=false --output_dir="$WORK/no"
refuses "a checkpoint without" 'use_state=true: .*plain.* is a policy without observation.state' "${train[@]}" "${on_joints[@]}" \
    --policy.path="$WORK/plain" --policy.use_state=true --output_dir="$WORK/no"
refuses "its inputs" 'input_features: .*plain.* is a policy without observation.state' "${train[@]}" "${on_joints[@]}" \
    --policy.path="$WORK/plain" --output_dir="$WORK/no" \
    --policy.input_features='{"observation.state": {}, "observation.images.front": {}}'
refuses "times of states" 'temporal_pos_embed=state tells the times of states' "${train[@]}" "${hidden[@]}" \
    --policy.temporal_pos_embed=state --output_dir="$WORK/no"
refuses "dropping nothing" 'state_dropout=0.5: the policy does not see' "${train[@]}" "${hidden[@]}" --policy.state_dropout=0.5 \
    --output_dir="$WORK/no"
refuses "more than all" 'state_dropout=2: must be between 0 and 1' "${train[@]}" "${on_joints[@]}" --policy.state_dropout=2
accepts "fine-tuned" "${train[@]}" "${on_poses[@]}" --policy.path="$WORK/rel" --steps=1 --output_dir="$WORK/tuned"
holds "still without" grep -q '"use_state": false' "$WORK/tuned/$model/tact.json"
finish

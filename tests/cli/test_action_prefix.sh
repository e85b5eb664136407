#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --policy.max_action_prefix: a training with actions that are given, in pieces and resumed, from a policy without,
# and what is refused.
. "$(dirname "$0")/resume.sh"

run() { # NAME FLAGS...
    local name=$1
    shift
    accepts "$name" "${train[@]}" --steps=6 --save_freq=3 --log_freq=1 --output_dir="$WORK/$name" "$@"
}
last=checkpoints/last/pretrained_model weights=checkpoints/000006/pretrained_model/model.safetensors
losses() { grep -oE '"(loss|l1_loss|grad_norm|eval_loss)": *[0-9.e+-]+' "$1/metrics.jsonl"; }
# differ NAME A B: two files that are there and have other bytes.
differ() { holds "$1" test "$(cmp -s "$2" "$3"; echo $?)" -eq 1; }

# Nothing given is as before, to the byte, and has no parameter of its own.
run plain --policy.obs_state_horizon=2
run zero --policy.obs_state_horizon=2 --policy.max_action_prefix=0
holds "the same weights" cmp -s "$WORK/plain/$weights" "$WORK/zero/$weights"
holds "the same tact.json" cmp -s "$WORK/plain/$last/tact.json" "$WORK/zero/$last/tact.json"
holds "no key" test "$(grep -c max_action_prefix "$WORK/plain/$last/tact.json")" -eq 0
holds "no tensor" test "$(grep -c action_prefix "$WORK/plain/$weights")" -eq 0

given=(--policy.obs_state_horizon=2 --policy.max_action_prefix=5 --dataset.eval_split=0.3 --eval_freq=6)
run whole "${given[@]}" --batch_size=4
holds "the log says so" grep -q 'actions: the first 0 to 5 of a chunk are given' "$WORK/err"
holds "the key" grep -q '"max_action_prefix": 5' "$WORK/whole/$last/tact.json"
holds "the tensor" grep -q '"model.action_prefix_proj.weight"' "$WORK/whole/$weights"
accepts "info" "$TACT" info "$WORK/whole"
holds "info says so" grep -q 'the first 5 or fewer may be given (max_action_prefix)' "$WORK/out"
run other_seed "${given[@]}" --batch_size=4 --seed=3
holds "another seed is another run" test "$(losses "$WORK/whole")" != "$(losses "$WORK/other_seed")"

# In pieces the step is the same, to what another order of sums gives.
run pieces "${given[@]}" --batch_size=2 --gradient_accumulation_steps=2
paste <(losses "$WORK/whole" | grep -v eval) <(losses "$WORK/pieces" | grep -v eval) >"$WORK/both"
holds "in pieces" awk '{ d = $2 - $4; if (d < 0) d = -d; if ($1 != $3 || !(d <= 1e-5 * $2)) bad = 1; n++ }
    END { exit bad || n < 18 }' "$WORK/both"

# Interrupted and gone on with, the bytes are those of a run left alone.
cp -r "$WORK/whole" "$WORK/half"
rm -rf "$WORK/half"/checkpoints/{000006,last}
ln -s 000003 "$WORK/half/checkpoints/last"
accepts "resumed" "$TACT" train "$(resume "$WORK/half")" --resume=true
holds "the same weights again" cmp -s "$WORK/whole/$weights" "$WORK/half/$weights"
holds "and losses" test "$(losses "$WORK/whole")" = "$(losses "$WORK/half")"

# What is held out is measured with nothing given: by a run as by the evaluation of recorded episodes.
"$TACT" sample --root="$WORK/joints" --episodes=3 --frames=30 --height=64 --width=64 --joints >/dev/null
accepts "joints" "$TACT" train "${TINY[@]}" --threads=1 "${given[@]}" --dataset.repo_id=t/j --dataset.root="$WORK/joints" --steps=2 \
    --eval_freq=2 --output_dir="$WORK/j"
accepts "eval" "$TACT" eval --threads=1 --policy.path="$WORK/j" --dataset.root="$WORK/joints" --eval.stride=1 --output_dir="$WORK/e"
loss=$(losses "$WORK/j" | sed -n 's/"eval_loss": *//p' | tail -n 1)
got=$(awk 'index($0, "\"name\": \"normalised L1\",") { on = 1 } on && /"mean":/ { sub(/.*: */, ""); sub(/,$/, ""); print; exit }' \
    "$WORK/e/eval.json")
holds "the held-out loss ($loss, $got)" awk -v a="$loss" -v b="$got" 'BEGIN { d = a - b; exit !(a > 0 && d * d <= 1e-10 * a * a) }'

# From a policy that was never given any: it starts as that one.
accepts "from plain" "${train[@]}" --policy.path="$WORK/plain" --policy.max_action_prefix=5 --steps=6 --save_freq=3 \
    --output_dir="$WORK/tuned"
holds "says what begins anew" grep -q 'model.action_prefix_proj.weight starts as it is initialised' "$WORK/err"
holds "and has it" grep -q '"max_action_prefix": 5' "$WORK/tuned/$last/tact.json"
accepts "on from that" "${train[@]}" --policy.path="$WORK/tuned" --steps=1 --output_dir="$WORK/again"
holds "with its own" test "$(grep -c 'starts as it is initialised' "$WORK/err")" -eq 0
holds "as the checkpoint's" grep -q '"max_action_prefix": 5' "$WORK/again/$last/tact.json"
differ "the projection has learnt" "$WORK/plain/$weights" "$WORK/tuned/$weights"

# One observation with given actions is none of LeRobot's policies, and as plain ACT one that is given nothing.
run one --policy.obs_state_horizon=1 --policy.pose_repr=none --policy.max_action_prefix=2
holds "of type tact" grep -q '"type": "tact"' "$WORK/one/$last/config.json"
accepts "convert" "$TACT" convert "$WORK/one" --to=act --output="$WORK/act"
holds "says what is left out" grep -q 'plain ACT is never given actions' "$WORK/err"
holds "without the tensor" test "$(grep -c action_prefix "$WORK/act/model.safetensors")" -eq 0

refuses "plain ACT" 'max_action_prefix=5: --policy.type=act alone' "${train[@]}" --policy.type=act --policy.max_action_prefix=5
refuses "plain ACT's checkpoint" 'policy.type=act: .* is a temporal policy' "${train[@]}" --policy.type=act --policy.path="$WORK/act" \
    --policy.max_action_prefix=5 --output_dir="$WORK/no"
refuses "the whole chunk" 'max_action_prefix=8: must be less than --policy.chunk_size=8' "${train[@]}" --policy.max_action_prefix=8
refuses "less than none" 'max_action_prefix=-1: must be between 0 and' "${train[@]}" --policy.max_action_prefix=-1
refuses "a run without" 'max_action_prefix=5: the run that goes on' "$TACT" train "$(resume "$WORK/plain")" --resume=true \
    --policy.max_action_prefix=5
refuses "none of those" 'max_action_prefix=0: the checkpoint.s policy was trained for up to 5' "${train[@]}" \
    --policy.path="$WORK/whole" --policy.max_action_prefix=0 --output_dir="$WORK/no"
accepts "none with the settings alone" "$TACT" train --config_path="$WORK/whole/checkpoints/last/pretrained_model/train_config.json" \
    --policy.max_action_prefix=0 --steps=1 --output_dir="$WORK/settings"
refuses "int8" 'was trained with actions that are given' "$TACT" calibrate --policy.path="$WORK/whole" --dataset.root="$data"
refuses "nothing to wait for" 'max_action_prefix: needs --eval.inference_delay_s' "$TACT" eval --policy.path="$WORK/whole" \
    --env.type=strawberry --policy.max_action_prefix=2
finish

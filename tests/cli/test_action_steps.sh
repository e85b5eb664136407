#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A policy whose actions are several frames apart, end to end: what it sees, its training and resumption, its
# evaluation, and where it may not go.
. "$(dirname "$0")/common.sh"

# close A B TOLERANCE: relative; false for what is no number.
close() {
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN {
        number = "^-?[0-9.]+(e[-+]?[0-9]+)?$"
        d = a - b; d = d < 0 ? -d : d
        exit !(a ~ number && b ~ number && d <= t * (b < 0 ? -b : b)) }'
}
count() { grep -o "$1" "$2" | wc -l; }

joints=$WORK/joints poses=$WORK/poses
"$TACT" sample --root="$joints" --episodes=3 --frames=30 --height=64 --width=96 --joints >/dev/null
"$TACT" sample --root="$poses" --episodes=3 --frames=30 --height=64 --width=96 >/dev/null
steps=(--policy.action_down_sample_steps=3 --policy.obs_down_sample_steps=3)
train=("$TACT" train "${TINY[@]}" --threads=1 --dataset.eval_split=0.3)

# A frame: eight actions, those of every third frame, and of the last frames what there is of them.
"$TACT" info "$poses" --frame=12 --policy.chunk_size=4 --policy.n_action_steps=4 "${steps[@]}" >"$WORK/rare"
"$TACT" info "$poses" --frame=12 --policy.chunk_size=10 --policy.n_action_steps=10 --policy.obs_down_sample_steps=3 >"$WORK/each"
third_of_each() {
    python3 - "$WORK" <<'END'
import json, sys
rare, each = (json.load(open(f"{sys.argv[1]}/{name}")) for name in ("rare", "each"))
assert rare["action"] == each["action"][::3] and rare["state"] == each["state"] and rare["frames"] == [9, 12]
END
}
if command -v python3 >/dev/null; then holds "every third action" third_of_each; fi
"$TACT" info "$poses" --frame=25 --policy.chunk_size=4 --policy.n_action_steps=4 "${steps[@]}" >"$WORK/end"
holds "two actions are left" grep -q '"action_is_pad": \[false, false, true, true\]' "$WORK/end"

# The training's held-out loss is what the evaluation measures, each action at its own frame.
accepts "train" "${train[@]}" "${steps[@]}" --dataset.root="$joints" --dataset.repo_id=t/j --steps=4 --eval_freq=4 \
    --policy.obs_state_horizon=2 --output_dir="$WORK/run"
holds "the log says so" grep -q 'actions: every 3 frames, a chunk over 24 frames' "$WORK/err"
holds "the type stops LeRobot" grep -q '"type": "tact"' "$WORK/run/checkpoints/last/pretrained_model/config.json"
holds "the version stops an older tact" grep -q '"version": 2' "$WORK/run/checkpoints/last/pretrained_model/tact.json"
accepts "info" "$TACT" info "$WORK/run"
holds "info says so" grep -q 'chunks of 8, 8 carried out, an action every 3 steps, 10 a second' "$WORK/out"
accepts "eval" "$TACT" eval --threads=1 --policy.path="$WORK/run" --dataset.root="$joints" --eval.stride=1 --output_dir="$WORK/e1"
loss=$(grep -o '"eval_loss": *[^,}]*' "$WORK/run/metrics.jsonl" | tail -n 1 | sed 's/.*: *//')
got=$(awk 'index($0, "\"name\": \"normalised L1\",") { on = 1 } on && /"mean":/ { sub(/.*: */, ""); sub(/,$/, ""); print; exit }' \
    "$WORK/e1/eval.json")
holds "normalised L1 is the held-out loss ($loss, $got)" close "$got" "$loss" 5e-6
holds "times of the table" grep -qE ' 0.3 s +0.6 s +0.9 s +2.1 s +all|^ .* 2.1 s +all' "$WORK/out"
holds "eval.json has the key" grep -q '"action_down_sample_steps": 3' "$WORK/e1/eval.json"
# 32 frames of the held-out episode: the action 3 k frames ahead is there for all but the last 3 k predictions.
by_step=$(grep -A 9 '"windows_by_step": \[' "$WORK/e1/eval.json" | tr -d ' \n' | grep -o '\[[0-9,]*' | head -n 1)
holds "predictions by step ($by_step)" test "$by_step" = "[32,29,26,23,20,17,14,11"

# Poses, and a stride that is no multiple.
accepts "train poses" "${train[@]}" "${steps[@]}" --dataset.root="$poses" --dataset.repo_id=t/p --steps=4 \
    --policy.obs_state_horizon=2 --dataset.repeat_frame_prob=0.7 --output_dir="$WORK/whole"
holds "frames before a grasp" grep -qE 'repeat_frame_prob=0.7: [1-9][0-9]* of 93 frames lie before a first grasp' "$WORK/err"
holds "the probability is kept" grep -q '"repeat_frame_prob": 0.7' "$WORK/whole/checkpoints/last/pretrained_model/tact.json"
accepts "eval poses" "$TACT" eval --threads=1 --policy.path="$WORK/whole" --dataset.root="$poses" --eval.all --eval.stride=5 \
    --eval.camera_fov=90 --eval.camera_pose=[0,0,-0.2,0,0,0] --output_dir="$WORK/e2"
holds "paths on frames" grep -q '"points": \[\[' "$WORK/e2/report.html"

# A run that was interrupted goes on as one that was not, with the same observations repeated.
accepts "half" "${train[@]}" "${steps[@]}" --dataset.root="$poses" --dataset.repo_id=t/p --steps=2 \
    --policy.obs_state_horizon=2 --dataset.repeat_frame_prob=0.7 --output_dir="$WORK/half"
accepts "the other half" "$TACT" train --resume=true --steps=4 \
    --config_path="$WORK/half/checkpoints/last/pretrained_model/train_config.json"
weights=checkpoints/000004/pretrained_model/model.safetensors
holds "the same weights" cmp -s "$WORK/whole/$weights" "$WORK/half/$weights"
accepts "without repeating" "${train[@]}" "${steps[@]}" --dataset.root="$poses" --dataset.repo_id=t/p --steps=4 \
    --policy.obs_state_horizon=2 --output_dir="$WORK/moving"
holds "other weights without" test "$(cmp -s "$WORK/whole/$weights" "$WORK/moving/$weights"; echo $?)" -eq 1
accepts "fine-tuned" "${train[@]}" --policy.path="$WORK/whole" --dataset.root="$poses" --dataset.repo_id=t/p --steps=1 \
    --output_dir="$WORK/tuned"
holds "as the checkpoint's" grep -q '"action_down_sample_steps": 3' "$WORK/tuned/checkpoints/last/pretrained_model/tact.json"

# One observation with actions apart is no policy of LeRobot's either.
accepts "one observation" "${train[@]}" --policy.action_down_sample_steps=2 --policy.obs_state_horizon=1 --policy.pose_repr=none \
    --dataset.root="$joints" --dataset.repo_id=t/j --steps=1 --output_dir="$WORK/one"
holds "of type tact" grep -q '"type": "tact"' "$WORK/one/checkpoints/last/pretrained_model/config.json"
refuses "plain ACT" 'action_down_sample_steps: --policy.type=act alone' "${train[@]}" --policy.type=act --policy.action_down_sample_steps=3 \
    --dataset.root="$joints"
refuses "conversion" 'actions are 2 frames apart' "$TACT" convert "$WORK/one" --to=act --output="$WORK/act"
refuses "no gripper" 'repeat_frame_prob=0.5 looks for the first grasp' "${train[@]}" --policy.obs_state_horizon=2 \
    --dataset.repeat_frame_prob=0.5 --dataset.root="$joints" --dataset.repo_id=t/j --steps=1 --output_dir="$WORK/no"
refuses "no frames between" 'action_down_sample_steps' "${train[@]}" --policy.action_down_sample_steps=0 --dataset.root="$joints"
refuses "no probability" 'repeat_frame_prob' "${train[@]}" --dataset.repeat_frame_prob=1.5 --dataset.root="$joints"
finish

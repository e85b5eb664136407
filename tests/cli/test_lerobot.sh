#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What LeRobot's users bring: other names in the data, names on the Hub, LeRobot's flags and files of settings.
. "$(dirname "$0")/common.sh"

data=$WORK/data
accepts "sample" "$TACT" sample --root="$data" --episodes=2 --frames=12 --height=64 --width=96
train=("$TACT" train --dataset.repo_id=t/t "${TINY[@]}" --steps=1)
here=(--dataset.root="$data")

# --rename_map: the policy's camera has the new name, in training, evaluation and info.
map='{"observation.images.front": "observation.images.above"}'
accepts "renamed" "${train[@]}" "${here[@]}" --rename_map="$map" --output_dir="$WORK/above"
model=$WORK/above/checkpoints/last/pretrained_model
holds "the policy's camera" grep -q '"observation.images.above"' "$model/config.json"
holds "kept as LeRobot does" test "$(tr -d ' \n' <"$model/train_config.json" | grep -c '"rename_map":{"observation.images.front":"observation.images.above"}')" -eq 1
holds "in the preprocessor" test "$(tr -d ' \n' <"$model/policy_preprocessor.json" | grep -c '"rename_map":{"observation.images.front":"observation.images.above"}')" -eq 1
accepts "info" "$TACT" info "$data" --rename_map="$map" --json
holds "shows the new name" grep -q 'images.above' "$WORK/out"
accepts "evaluated with the names of the training" "$TACT" eval --policy.path="$WORK/above" "${here[@]}" --output_dir="$WORK/eval"
refuses "without them" 'wants camera observation.images.above.*--rename_map=' "$TACT" eval --policy.path="$WORK/above" "${here[@]}" --rename_map='{}' --output_dir="$WORK/no_eval"
accepts "goes on" "$TACT" train --config_path="$WORK/above/checkpoints/last" --resume=true --steps=2
accepts "fine-tuned on data of the first name" "${train[@]}" "${here[@]}" --policy.path="$WORK/above" --rename_map="$map" --output_dir="$WORK/tuned"
refuses "a name that is not there" "rename_map: .*has no 'actions'; it has observation.state, action" "${train[@]}" "${here[@]}" --rename_map='{"actions": "action"}' --output_dir="$WORK/no"
refuses "two of one name" "would both be 'action'" "${train[@]}" "${here[@]}" --rename_map='{"observation.state": "action"}' --output_dir="$WORK/no"
refuses "no map" 'rename_map=front: expected' "${train[@]}" "${here[@]}" --rename_map=front --output_dir="$WORK/no"
refuses "no action" "no feature 'action'.*--rename_map" "${train[@]}" "${here[@]}" --rename_map='{"action": "target"}' --output_dir="$WORK/no"
finish

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
# Names on the Hub, found where LeRobot and `hf download` put them.
export HF_HOME=$WORK/hf
unset HF_LEROBOT_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE
commit=0123456789abcdef0123456789abcdef01234567
snapshot() { # KIND--OWNER--NAME FOLDER: as hf lays it down, files being links to blobs
    mkdir -p "$HF_HOME/hub/$1/refs" "$HF_HOME/hub/$1/snapshots"
    printf %s $commit >"$HF_HOME/hub/$1/refs/main"
    cp -rs "$2" "$HF_HOME/hub/$1/snapshots/$commit"
}
by_name=("$TACT" train --dataset.repo_id=me/pick "${TINY[@]}" --steps=1)
refuses "not there" "me/pick: no dataset of this name.*hf/lerobot/me/pick, .*datasets--me--pick.*hf download --repo-type dataset me/pick" \
    "${by_name[@]}" --output_dir="$WORK/no"
snapshot datasets--me--pick "$data"
accepts "a dataset by name" "${by_name[@]}" --output_dir="$WORK/by_name"
accepts "a revision" "${by_name[@]}" --dataset.revision=main --output_dir="$WORK/revision"
refuses "another" "revision v2.0 .*only main" "${by_name[@]}" --dataset.revision=v2.0 --output_dir="$WORK/no"
snapshot models--me--act_pick "$(realpath "$WORK/by_name/checkpoints/last/pretrained_model")"
accepts "a policy by name" "${by_name[@]}" --policy.path=me/act_pick --output_dir="$WORK/from_name"
accepts "evaluated" "$TACT" eval --policy.path=me/act_pick --dataset.repo_id=me/pick --output_dir="$WORK/eval_name"
accepts "converted" "$TACT" convert me/act_pick --to=tact --output="$WORK/converted"
accepts "info of a policy" "$TACT" info me/act_pick
holds "is the policy's" grep -q 'observations' "$WORK/out"
accepts "info of a dataset" "$TACT" info me/pick
refuses "a policy that is not there" "me/act_place: no model .*hf download me/act_place" "$TACT" eval --policy.path=me/act_place --dataset.repo_id=me/pick
refuses "going on in the cache" "config_path=me/act_pick: .*hf download me/act_pick --local-dir" "$TACT" train --config_path=me/act_pick --resume=true
accepts "a path with ~" env HOME="$WORK" "${by_name[@]}" "--dataset.root=~/data" --output_dir="$WORK/home"
finish

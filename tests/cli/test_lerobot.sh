#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What users of LeRobot bring along: other names in the data, names on the Hub, LeRobot's flags and files of
# settings.
. "$(dirname "$0")/common.sh"

data=$WORK/data
accepts "sample" "$TACT" sample --root="$data" --episodes=3 --frames=12 --height=64 --width=96
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
# A checkpoint does not override a flag in silence, and the file that is named is the one that is read.
accepts "a plain run" "${train[@]}" "${here[@]}" --policy.type=act --policy.obs_state_horizon=1 --policy.pose_repr=none --output_dir="$WORK/plain"
temporal=$WORK/above
refuses "another kind" "type=act: .*above.* is a temporal policy" "$TACT" train --config_path="$temporal/checkpoints/last" --policy.type=act --output_dir="$WORK/no"
refuses "another kind, fine-tuned" "type=act: .*above.* is a temporal policy" "${train[@]}" "${here[@]}" --policy.path="$temporal" --policy.type=act --output_dir="$WORK/no"
refuses "plain, not temporal" "type=tact: .*plain.* is plain ACT" "$TACT" train "${here[@]}" --policy.path="$WORK/plain" --policy.type=tact --output_dir="$WORK/no"
accepts "made temporal" "$TACT" train "${here[@]}" --policy.path="$WORK/plain" --policy.type=act --policy.obs_state_horizon=2 --steps=1 --output_dir="$WORK/two"
sed 's/"batch_size": [0-9]*/"batch_size": 3/' "$WORK/plain/checkpoints/last/pretrained_model/train_config.json" >"$WORK/plain/train_config.json"
accepts "an edited file" "$TACT" train --config_path="$WORK/plain/train_config.json" --output_dir="$WORK/edited"
holds "was read" grep -q '"batch_size": 3' "$WORK/edited/checkpoints/last/pretrained_model/train_config.json"
# Flags that cannot change the policy are named once and stop nothing, in training and in evaluation.
idle=(--wandb.enable=true --wandb.project=x --wandb.log_model=all --job.target=a10g-large --eval.batch_size=10
    --eval.use_async_envs=true --env.task=AlohaInsertion-v0 --policy.discover_packages_path=mine)
accepts "flags without effect" "${train[@]}" "${here[@]}" "${idle[@]}" --policy.push_to_hub=true --policy.repo_id=me/act --output_dir="$WORK/idle"
holds "one warning" test "$(grep -c WARNING "$WORK/err")" -eq 1
holds "with what to do" grep -q 'without effect.*--wandb.log_model.*hf upload me/act OUTPUT_DIR' "$WORK/err"
accepts "and evaluated" "$TACT" eval --policy.path="$WORK/idle" "${here[@]}" "${idle[@]}" --policy.use_amp=false --output_dir="$WORK/eval_idle"
holds "one warning" test "$(grep -c WARNING "$WORK/err")" -eq 1
refuses "what would change it" "mixed_precision=bf16: .*--policy.dtype=bfloat16" "${train[@]}" "${here[@]}" --accelerator.mixed_precision=bf16 --output_dir="$WORK/no"
refuses "nothing is near" 'frobnicate: no such flag .`tact help train` lists them.$' "${train[@]}" "${here[@]}" --frobnicate=1
refuses "a policy's setting in an evaluation" "chunk_size: .*the checkpoint as it is" "$TACT" eval --policy.path="$WORK/idle" "${here[@]}" --policy.chunk_size=3
refuses "another simulation" "env.type=aloha: not among.*strawberry" "$TACT" eval --policy.path="$WORK/idle" --env.type=aloha

# A file of settings that somebody wrote does the same as flags; flags count more.
cat >"$WORK/base.yaml" <<'END'
dim_model: 32
n_heads: 4
dim_feedforward: 64
END
cat >"$WORK/settings.yaml" <<END
dataset: {root: $data, episodes: [0, 1]}
policy:
  <<: !include $WORK/base.yaml
  type: act
  n_encoder_layers: 1
  n_vae_encoder_layers: 1
  chunk_size: &chunk 8
  n_action_steps: *chunk
  pretrained_backbone_weights: null  # from scratch
  optimizer_lr: 1e-4
  normalization_mapping: {STATE: MIN_MAX, ACTION: MEAN_STD, VISUAL: MEAN_STD}
  resize_shape: [32, 48]
  device: cpu
batch_size: 2
num_workers: 1
steps: 1_000
save_checkpoint: TRUE
wandb: {enable: yes, notes: "none: of it", log_model: all}
END
accepts "settings in YAML" "$TACT" train --config_path="$WORK/settings.yaml" --steps=1 --output_dir="$WORK/yaml"
holds "without effect" grep -q 'without effect.*wandb.log_model' "$WORK/err"
model=$WORK/yaml/checkpoints/last/pretrained_model
for line in '"type": "act"' '"chunk_size": 8' '"dim_model": 32' '"optimizer_lr": 0.0001' '"STATE": "MIN_MAX"' '"pretrained_backbone_weights": null'; do
    holds "$line" grep -q "$line" "$model/config.json"
done
holds "the flag counts" grep -q '"steps": 1,' "$model/train_config.json"
cat >"$WORK/settings.json" <<END
{"policy": {"path": "$WORK/yaml", "optimizer_lr": 2e-5}, "dataset": {"root": "$data"}, "steps": 1, "batch_size": 2,
 "num_workers": 1, "output_dir": "$WORK/json"}
END
accepts "fine-tuning by a file" "$TACT" train --config_path "$WORK/settings.json"
holds "its setting" grep -q '"optimizer_lr": 2e-05' "$WORK/json/checkpoints/last/pretrained_model/config.json"
echo 'polcy: {chunk_size: 4}' >"$WORK/bad.yaml"
refuses "a slip in a file" "bad.yaml: --polcy.chunk_size: no such flag; did you mean --policy.chunk_size" "$TACT" train --config_path="$WORK/bad.yaml"
printf 'steps: 1\nbatch_size: [1,\n' >"$WORK/bad.yaml"
refuses "no YAML" "bad.yaml: not valid YAML: line 3" "$TACT" train --config_path="$WORK/bad.yaml"
echo 'a: !include bad.yaml' >"$WORK/bad.yaml"
refuses "a file in itself" "include each other" env -C "$WORK" "$(realpath "$TACT")" train --config_path=bad.yaml
refuses "going on with a file" "resume=true: .*is no checkpoint's" "$TACT" train --config_path="$WORK/settings.yaml" --resume=true

# A reader that goes away is no error.
{ "$TACT" help train 2>"$WORK/err"; echo $? >"$WORK/code"; } | head -n 1 >/dev/null
holds "a broken pipe is silence" test ! -s "$WORK/err"

# The data of the training are recognised when they lie at another place.
tact=$(realpath "$TACT")
(cd "$WORK" && "$tact" train --dataset.root=data "${TINY[@]}" --steps=1 --dataset.eval_split=0.4 --output_dir="$WORK/relative") >"$WORK/out" 2>"$WORK/err" || bad "train: $(tail -n 1 "$WORK/err")"
(cd / && "$tact" eval --policy.path="$WORK/relative" --dataset.root="$WORK/data" --output_dir="$WORK/eval_relative" --json) >"$WORK/out" 2>"$WORK/err"
holds "the held-out episode: $(tail -n 1 "$WORK/err")" grep -q '"held out"' "$WORK/out"

# A home that cannot be written to. (Root may write anywhere, so a file stands in the way.)
touch "$WORK/file"
refuses "no place for weights" "cannot be stored .*TORCH_HOME.*pretrained_backbone_weights=FILE" env TORCH_HOME="$WORK/file" \
    "${train[@]}" "${here[@]}" --policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1 --output_dir="$WORK/no"
finish

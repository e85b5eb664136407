#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checkpoints with the properties that users' checkpoints have, through every command that opens one.
. "$(dirname "$0")/common.sh"

data=$WORK/data
sample=("$TACT" sample --episodes=2 --frames=12 --height=64 --width=96 --joints=true --env_dim=3)
accepts "sample" "${sample[@]}" --root="$data"
train=("$TACT" train --dataset.root="$data" --threads=1)
# There is no camera, so that no copy has the 44 MB of a backbone.
blind='{"observation.state":{"type":"STATE","shape":[6]},"observation.environment_state":{"type":"ENV","shape":[3]}}'
accepts "plain ACT" "${train[@]}" "${TINY[@]}" --policy.type=act --policy.input_features="$blind" \
    --policy.normalization_mapping='{STATE: MEAN_STD, ACTION: MEAN_STD, ENV: MEAN_STD}' --steps=2 --save_freq=1 --output_dir="$WORK/run"
model=pretrained_model
copy() { rm -rf "$2"; mkdir -p "$(dirname "$2")"; cp -rL "$1" "$2"; }
warned() { grep -cE "^WARNING.*$1" "$WORK/err"; }
tune=("${train[@]}" --batch_size=2 --num_workers=1 --steps=1)

# The device that a checkpoint was trained on is no setting of the new run: not the one that LeRobot advises on
# a Mac, and not the one that it writes by default.
for device in mps xpu hpu npu:0; do
    copy "$WORK/run/checkpoints/last" "$WORK/far/checkpoints/000002"
    far=$WORK/far/checkpoints/000002/$model
    sed -i "s/\"device\": \"cpu\"/\"device\": \"$device\"/; s/\"push_to_hub\": false/\"push_to_hub\": true/; s/\"use_amp\": false/\"use_amp\": true/" \
        "$far"/*.json
    holds "$device stands there" grep -q "\"device\": \"$device\"" "$far/config.json"
    accepts "$device: info" "$TACT" info "$far"
    accepts "$device: convert" "$TACT" convert "$far" --to=act --output="$WORK/far_$device"
    [ $device = mps ] || continue
    holds "kept" grep -q '"device": "mps"' "$WORK/far_mps/policy_preprocessor.json"
    accepts "$device: eval" "$TACT" eval --policy.path="$far" --dataset.root="$data" --output_dir="$WORK/far_eval"
    accepts "$device: --policy.path" "${tune[@]}" --policy.path="$far" --output_dir="$WORK/far_tuned"
    holds "says where it computes" test "$(warned 'trained on mps.*computes on cpu')" -eq 1
    holds "the new run's own device" grep -q '"device": "cpu"' "$WORK/far_tuned/checkpoints/last/$model/config.json"
    accepts "$device: --resume" "$TACT" train --config_path="$WORK/far" --resume=true --steps=3
    holds "says so too" test "$(warned 'trained on mps.*computes on cpu')" -eq 1
done
refuses "asked for it" 'device=mps' "${tune[@]}" --policy.path="$WORK/far" --policy.device=mps --output_dir="$WORK/no"

# One warning names all keys that tact does not know; keys that change the model are refused.
copy "$WORK/run/checkpoints/last" "$WORK/keys"
sed -i 's/"use_amp": false/"use_amp": false, "my_key": 1, "other_key": null/' "$WORK/keys/$model/config.json"
accepts "unknown keys" "$TACT" eval --policy.path="$WORK/keys" --dataset.root="$data" --output_dir="$WORK/keys_eval"
holds "named once" test "$(warned 'passes over: my_key, other_key')" -eq 1
accepts "unknown keys" "${tune[@]}" --policy.path="$WORK/keys" --output_dir="$WORK/keys_tuned"
holds "named once" test "$(warned 'passes over: my_key, other_key')" -eq 1
for change in 's/"n_obs_steps": 1/"n_obs_steps": 2/' 's/"use_amp": false/"use_amp": false, "use_relative_ee": true/'; do
    copy "$WORK/run/checkpoints/last" "$WORK/keys"
    sed -i "$change" "$WORK/keys/$model/config.json"
    refuses "another model" 'config.json: (n_obs_steps is 2|use_relative_ee is set)' "$TACT" info "$WORK/keys"
    refuses "another model" 'config.json: (n_obs_steps is 2|use_relative_ee is set)' "$TACT" convert "$WORK/keys" --to=act --output="$WORK/no"
done

# Images that are not normalised, or by their range; what a mapping leaves out is not normalised.
for mode in IDENTITY MIN_MAX; do
    accepts "VISUAL $mode" "${train[@]}" "${TINY[@]}" --policy.type=act --steps=1 --output_dir="$WORK/$mode" \
        --policy.normalization_mapping="{VISUAL: $mode, STATE: MEAN_STD, ACTION: MEAN_STD}"
    holds "says so" grep -q "VISUAL $mode" "$WORK/err"
    accepts "VISUAL $mode: eval" "$TACT" eval --policy.path="$WORK/$mode" --dataset.root="$data" --output_dir="$WORK/eval_$mode"
    accepts "VISUAL $mode: convert" "$TACT" convert "$WORK/$mode" --to=act --output="$WORK/as_$mode"
    holds "kept" grep -q "\"VISUAL\": \"$mode\"" "$WORK/as_$mode/policy_preprocessor.json"
    accepts "VISUAL $mode: resume" "$TACT" train --config_path="$WORK/$mode" --resume=true --steps=2
done
accepts "VISUAL left out" "${train[@]}" "${TINY[@]}" --policy.type=act --steps=1 --output_dir="$WORK/left_out" \
    --policy.normalization_mapping='{STATE: MEAN_STD, ACTION: MEAN_STD}'
holds "is IDENTITY" grep -q 'STATE MEAN_STD, ACTION MEAN_STD, VISUAL IDENTITY' "$WORK/err"

# A copy without links goes on at its highest step, and its next checkpoint makes the link again.
for last in gone file folder dangling; do
    copy "$WORK/run" "$WORK/copied"
    rm -r "$WORK/copied/checkpoints/last"
    case $last in
        file) printf 000002 >"$WORK/copied/checkpoints/last" ;;
        folder) cp -r "$WORK/copied/checkpoints/000002" "$WORK/copied/checkpoints/last" ;;
        dangling) ln -s 000009 "$WORK/copied/checkpoints/last" ;;
    esac
    accepts "last is $last: info" "$TACT" info "$WORK/copied"
    holds "the highest" grep -q 'after step 2' "$WORK/out"
    accepts "last is $last: eval" "$TACT" eval --policy.path="$WORK/copied" --dataset.root="$data" --eval.stride=6 --output_dir="$WORK/eval_$last"
    accepts "last is $last: resume" "$TACT" train --config_path="$WORK/copied/checkpoints/last/$model/train_config.json" --resume=true --steps=3
    holds "from the highest" grep -q 'after step 2' "$WORK/err"
    holds "a link again" test "$(readlink "$WORK/copied/checkpoints/last")" = 000003
    holds "nothing lost" test $last != folder -o -e "$WORK/copied/checkpoints/last_copied/$model/config.json"
done

# The dataset has another rate or lies at another place.
accepts "sample at another rate" "${sample[@]}" --root="$WORK/fast" --fps=20
fast=(--batch_size=2 --num_workers=1 --threads=1 --dataset.root="$WORK/fast" --dataset.repo_id=fast)
accepts "another rate" "$TACT" train "${fast[@]}" --policy.path="$WORK/run" --steps=1 --output_dir="$WORK/faster"
holds "one warning" test "$(warned '20 frames a second, but the policy was trained at')" -eq 1
accepts "another rate" "$TACT" train "${fast[@]}" --config_path="$WORK/run" --resume=true --steps=3
holds "one warning" test "$(warned '20 frames a second, but the policy was trained at')" -eq 1
holds "another dataset" test "$(warned 'was trained on .*data and goes on with .*fast')" -eq 1
accepts "the same" "${tune[@]}" --policy.path="$WORK/faster/checkpoints/last" --dataset.root="$WORK/fast" --output_dir="$WORK/same"
holds "no word" test "$(warned 'trained (on|at)')" -eq 0

# Steps of a processor are kept through training, evaluation and conversion, or refused by name.
step() { # FILE STEP CONFIG BESIDE before|after
    python3 - "$@" <<'EOF'
import json, sys
path, name, config, beside, before = sys.argv[1:6]
root = json.load(open(path))
names = [s["registry_name"] for s in root["steps"]]
root["steps"].insert(names.index(beside) + (before != "before"), {"registry_name": name, "config": json.loads(config)})
json.dump(root, open(path, "w"))
EOF
}
if command -v python3 >/dev/null; then
    copy "$WORK/run/checkpoints/000002" "$WORK/relative/checkpoints/000002"
    relative=$WORK/relative/checkpoints/000002/$model
    step "$relative/policy_preprocessor.json" relative_actions_processor '{"enabled": true, "exclude_joints": [], "action_names": null}' normalizer_processor before
    step "$relative/policy_postprocessor.json" absolute_actions_processor '{"enabled": true}' unnormalizer_processor after
    accepts "relative: eval" "$TACT" eval --policy.path="$relative" --dataset.root="$data" --output_dir="$WORK/eval_relative"
    accepts "relative: convert" "$TACT" convert "$relative" --to=act --output="$WORK/as_relative"
    holds "both steps" test "$(cat "$WORK"/as_relative/policy_*.json | grep -cE 'relative_actions_processor|absolute_actions_processor')" -eq 2
    accepts "relative: train" "${tune[@]}" --policy.path="$relative" --output_dir="$WORK/relative_tuned"
    holds "says so" grep -q 'actions are differences to the state' "$WORK/err"
    holds "both steps" test "$(cat "$WORK"/relative_tuned/checkpoints/last/$model/policy_*.json | grep -cE 'relative_actions_processor|absolute_actions_processor')" -eq 2
    # Differences vary about zero, and positions do not. The statistics are those of what the network sees.
    mean() { "$TACT" info "$1" --json | tr -d ' \n' | grep -o '"action":{"mode":"MEAN_STD",[^}]*"std":\[[^]]*\]'; }
    tuned=$(mean "$WORK/relative_tuned") its_own=$(mean "$relative")
    holds "statistics of differences" test -n "$tuned" -a -n "$its_own" -a "$tuned" != "$its_own"
    accepts "relative: resume" "$TACT" train --config_path="$WORK/relative" --resume=true --steps=3
    holds "says so" grep -q 'actions are differences to the state' "$WORK/err"
    refuses "relative: two observations" 'one observation.*obs_state_horizon=2' "${tune[@]}" --policy.path="$relative" --policy.obs_state_horizon=2 --output_dir="$WORK/no"
    step "$relative/policy_postprocessor.json" my_smoother '{}' unnormalizer_processor after
    for command in "info $relative" "convert $relative --to=act --output=$WORK/no" "eval --policy.path=$relative --dataset.root=$data --output_dir=$WORK/no"; do
        # shellcheck disable=SC2086
        refuses "unknown step: $command" 'policy_postprocessor.json: its step my_smoother' "$TACT" $command
    done
    refuses "unknown step: train" 'its step my_smoother' "${tune[@]}" --policy.path="$relative" --output_dir="$WORK/no"
    refuses "unknown step: resume" 'its step my_smoother' "$TACT" train --config_path="$WORK/relative/checkpoints/000002" --resume=true --steps=9
fi
finish

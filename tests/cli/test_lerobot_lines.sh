#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# LeRobot's own command lines (lerobot_lines.txt), with the program's name changed, sizes reduced and the device cpu.
. "$(dirname "$0")/common.sh"
lines=$(realpath "$(dirname "$0")/lerobot_lines.txt")
TACT=$(realpath "$TACT")
cd "$WORK" || exit 1

export HF_HOME=$WORK/hf
unset HF_LEROBOT_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE
accepts "sample" "$TACT" sample --root="$WORK/data" --episodes=2 --frames=12 --height=64 --width=96
accepts "a policy" "$TACT" train --dataset.root="$WORK/data" --policy.type=act "${TINY[@]}" --steps=1 \
    --output_dir=outputs/train/act_so101_test
model=$WORK/outputs/train/act_so101_test/checkpoints/last/pretrained_model
run=(--policy.device=cpu --steps=1 --batch_size=2 --num_workers=1 --log_freq=1)

# present KIND NAME: puts the sample dataset, or the policy, into the cache under the name that a line gives.
present() {
    case $1 in
    dataset) mkdir -p "$HF_HOME/lerobot/$(dirname "$2")" && ln -sfn "$WORK/data" "$HF_HOME/lerobot/$2" ;;
    model) mkdir -p "$HF_HOME/hub/models--${2/\//--}/snapshots" &&
        ln -sfn "$model" "$HF_HOME/hub/models--${2/\//--}/snapshots/0123456789abcdef" ;;
    esac
}

number=0
while IFS='|' read -r command wanted source flags; do
    case $command in '#'*) continue ;; esac
    number=$((number + 1)) command=${command// /} wanted=${wanted# } wanted=${wanted% } source=${source# } source=${source% }
    eval "args=($flags)"
    own=("${args[@]}") on_data=() path='' start=("${TINY[@]}")
    for flag in "${args[@]}"; do
        case $flag in
        --dataset.repo_id=*) present dataset "${flag#*=}" ;;
        --policy.path=outputs/*) start=() ;;
        --policy.path=*) present model "${flag#*=}" && start=() ;;
        --config_path=*) start=() ;;
        esac
        case $flag in --env.type=* | --output_dir=*) ;; *) on_data+=("$flag") ;; esac
    done
    name="line $number ($source)"
    case $command/$wanted in
    train/trains)
        accepts "$name" "$TACT" train "${own[@]}" "${start[@]}" "${run[@]}" --output_dir="$WORK/run$number"
        holds "$name: its checkpoint" test -s "$WORK/run$number/checkpoints/last/pretrained_model/model.safetensors"
        holds "$name: LeRobot's policy" grep -q '"type": "act"' "$WORK/run$number/checkpoints/last/pretrained_model/config.json"
        holds "$name: at most one warning" test "$(grep -c WARNING "$WORK/err")" -le 1 ;;
    "train/goes on") # one step more each time
        more=$((${more:-1} + 1))
        accepts "$name" "$TACT" train "${own[@]}" --policy.device=cpu --steps=$more
        holds "$name: its step" test "$(readlink outputs/train/act_so101_test/checkpoints/last)" = "00000$more" ;;
    train/refused*)
        refuses "$name" "${wanted#refused: }" "$TACT" train "${own[@]}" --output_dir="$WORK/no" ;;
    eval/refused*)
        refuses "$name" "${wanted#refused: }" "$TACT" eval "${own[@]}" --policy.device=cpu
        case $flags in *--env.type=*--policy.path* | *--policy.path*--env.type=*)
            case $wanted in *env.type*)
                accepts "$name, on data" "$TACT" eval "${on_data[@]}" --policy.device=cpu --dataset.root="$WORK/data" --output_dir="$WORK/eval$number"
                holds "$name: its report" test -s "$WORK/eval$number/report.html" ;;
            esac ;;
        esac ;;
    *) bad "$name: '$wanted' is no outcome" ;;
    esac
done <"$lines"
holds "all lines" test "$number" -ge 39
finish

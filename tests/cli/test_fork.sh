#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# End to end: a checkpoint of the relative-pose fork of LeRobot (tests/policy/data/wrapper/README.md).
. "$(dirname "$0")/common.sh"

fork=$WORK/fork/checkpoints/000050
mkdir -p "$WORK/fork/checkpoints"
cp -r "$(dirname "$0")/../policy/data/wrapper" "$fork"
data=$WORK/data
accepts "sample" "$TACT" sample --root="$data" --episodes=2 --frames=12 --height=64 --width=96 --env_dim=3
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" --policy.device=cpu --threads=1 --batch_size=2
    --num_workers=1 --log_freq=1 --num_stat_samples=0 --steps=2)
saved() { echo "$WORK/$1/checkpoints/last/pretrained_model"; }

accepts "info" "$TACT" info "$fork"
holds "what it sees" grep -q '2 observations, 3 frames apart; temporal_pos_embed state; poses relative' "$WORK/out"
accepts "trains" "${train[@]}" --policy.path="$fork/pretrained_model" --output_dir="$WORK/run"
holds "as what it is" grep -q 'T=2, every 3 frames, pose_repr=relative, temporal_pos_embed=state' "$WORK/err"
holds "two steps" test "$(grep -c '"loss"' "$WORK/run/metrics.jsonl")" -eq 2
holds "ours from then on" grep -q '"type": "tact"' "$(saved run)/config.json"
holds "the table with the weights" grep -q '"temporal_pos_embed.weight"' "$(saved run)/model.safetensors"
accepts "and goes on" "$TACT" train --config_path="$WORK/run/checkpoints/last" --resume=true --steps=3
accepts "with its statistics" "${train[@]}" --policy.path="$fork" --policy.stats_from=checkpoint --output_dir="$WORK/stats"
accepts "stats of the run" "$TACT" info "$WORK/stats"
holds "the fork's" grep -qE '0  min +-0.3  max +0.3' "$WORK/out"

# What would be another model is refused.
refuses "another horizon" 'temporal_wrapper.pt: tensor "state_temporal_pos_embed.weight" has shape \[2, 8\]' \
    "${train[@]}" --policy.path="$fork" --policy.obs_state_horizon=3 --output_dir="$WORK/no"
refuses "no table" 'it needs temporal_pos_embed=state' \
    "${train[@]}" --policy.path="$fork" --policy.temporal_pos_embed=none --output_dir="$WORK/no"
printf '{"policy": %s, "output_dir": "x"}' "$(cat "$fork/pretrained_model/config.json")" >"$fork/pretrained_model/train_config.json"
refuses "its optimizer" 'resume=true: .*another order; --policy.path' \
    "$TACT" train --config_path="$fork" --resume=true
cp "$fork/three_rows.pt" "$fork/temporal_wrapper.pt"
refuses "a wrong shape" 'has shape \[3, 8\], but' "${train[@]}" --policy.path="$fork" --output_dir="$WORK/no"
head -c 900 "$fork/one_row.pt" >"$fork/temporal_wrapper.pt"
refuses "a damaged one" 'temporal_wrapper.pt' "${train[@]}" --policy.path="$fork" --output_dir="$WORK/no"
rm "$fork/temporal_wrapper.pt"
refuses "none" 'no temporal_wrapper.pt' "${train[@]}" --policy.path="$fork" --output_dir="$WORK/no"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# End to end: sample dataset, training, checkpoint, info, bench.
. "$(dirname "$0")/common.sh"

data=$WORK/data
accepts "sample" "$TACT" sample --root="$data" --episodes=3 --frames=20 --height=64 --width=96
train=("$TACT" train --dataset.repo_id t/t --dataset.root="$data" "${TINY[@]}")

accepts "train" "${train[@]}" --output_dir="$WORK/run" --steps=6 --save_freq=3 --dataset.eval_split=0.3 --eval_freq=3
holds "which episodes are held out" grep -qE 'held out from training: 1 of 3 episodes \([0-9]+ frames\): \[2\]' "$WORK/err"
run=$WORK/run/checkpoints
for file in config.json model.safetensors train_config.json tact.json; do
    holds "$file is there" test -s "$run/000003/pretrained_model/$file"
done
holds "last" test "$(readlink "$run/last")" = 000006
holds "six log lines" test "$(grep -c '"loss"' "$WORK/run/metrics.jsonl")" -eq 6
holds "held-out loss" grep -q eval_loss "$WORK/run/metrics.jsonl"
holds "log line" grep -qE 'step:6 smpl:12 ep:[0-9]+ epch:[0-9.]+ loss:[0-9.]+ grdn:[0-9.]+ lr:1.0e-05 updt_s:[0-9.]+ data_s:[0-9.]+' "$WORK/err"
holds "type tact at T=2" grep -q '"type": "tact"' "$run/last/pretrained_model/config.json"
accepts "its report" "$TACT" report "$WORK/run"
holds "with the settings" grep -qF '{"flag": "dataset.eval_split", "value": 0.3, "default": 0.0, "given": true}' "$WORK/run/report.html"
holds "and the dataset" grep -qF '"total_episodes"' "$WORK/run/report.html"

losses() { grep -o '"loss": *[^,]*' "$1/metrics.jsonl"; }
accepts "again" "${train[@]}" --output_dir="$WORK/again" --steps=6 --save_freq=3 --dataset.eval_split=0.3 --num_workers=3
holds "same seed, same losses" test "$(losses "$WORK/run")" = "$(losses "$WORK/again")"
holds "same weights" cmp -s "$run/000006/pretrained_model/model.safetensors" \
    "$WORK/again/checkpoints/000006/pretrained_model/model.safetensors"
accepts "another seed" "${train[@]}" --output_dir="$WORK/other" --steps=6 --seed=5
holds "another seed, other losses" test "$(losses "$WORK/run")" != "$(losses "$WORK/other")"

# At bfloat16 the same run takes nearly the same way: each loss is within 2 %, but has other digits.
accepts "float32" "${train[@]}" --output_dir="$WORK/whole" --steps=6
if "${train[@]}" --output_dir="$WORK/half" --steps=6 --policy.dtype=bfloat16 >/dev/null 2>"$WORK/err"; then
    holds "bfloat16 as float32" awk 'NR == FNR { want[NR] = $2; next } { d = $2 - want[FNR]; d = d < 0 ? -d : d
        if (!(d <= 0.02 * want[FNR])) bad = 1; n++ } END { exit !(n == 6 && !bad) }' \
        <(losses "$WORK/whole") <(losses "$WORK/half")
    holds "bfloat16 is another arithmetic" test "$(losses "$WORK/half")" != "$(losses "$WORK/whole")"
elif ! grep -q 'no bfloat16 instructions' "$WORK/err"; then
    bad "bfloat16: $(tail -n 1 "$WORK/err")"
fi

accepts "plain ACT at T=1" "${train[@]}" --output_dir="$WORK/one" --steps=2 --policy.obs_state_horizon=1 \
    --policy.temporal_pos_embed=none --policy.pose_repr=none
holds "type act" grep -q '"type": "act"' "$WORK/one/checkpoints/last/pretrained_model/config.json"
# With LeRobot's flags alone it is LeRobot's policy, and one line says so.
accepts "--policy.type=act" "${train[@]}" --output_dir="$WORK/plain" --steps=2 --policy.type=act
plain=$WORK/plain/checkpoints/last/pretrained_model
holds "its type" grep -q '"type": "act"' "$plain/config.json"
holds "its normalisation" grep -q '"ACTION": "MEAN_STD"' "$plain/config.json"
holds "poses as recorded" grep -q '"pose_repr": "none"' "$plain/tact.json"
holds "one line" test "$(grep -c "plain ACT, as LeRobot's.*--policy.type=tact is the temporal policy" "$WORK/err")" -eq 1
accepts "--policy.type=tact" "${train[@]}" --output_dir="$WORK/temporal" --steps=2 --policy.type=tact
holds "its type" grep -q '"type": "tact"' "$WORK/temporal/checkpoints/last/pretrained_model/config.json"
holds "one line" test "$(grep -c "temporal ACT: 2 observations, poses relative.*--policy.type=act alone is LeRobot's plain ACT" "$WORK/err")" -eq 1
refuses "another kind than the checkpoint's" 'type=act: .*temporal policy, of 2 observations' "${train[@]}" \
    --output_dir="$WORK/no" --policy.type=act --policy.path="$WORK/temporal"
refuses "another kind than the checkpoint's" 'type=tact: .*plain ACT; add --policy.obs_state_horizon=2' "${train[@]}" \
    --output_dir="$WORK/no" --policy.type=tact --policy.path="$WORK/plain"
accepts "the checkpoint's kind" "${train[@]}" --output_dir="$WORK/on" --steps=1 --policy.type=act --policy.path="$WORK/plain"
holds "and how to make it temporal" grep -q 'plain ACT.*--policy.obs_state_horizon=2 makes it temporal' "$WORK/err"
accepts "T=3, s=3, GELU, pre-norm" "${train[@]}" --output_dir="$WORK/three" --steps=2 --policy.obs_state_horizon=3 \
    --policy.obs_down_sample_steps=3 --policy.pre_norm=true --policy.feedforward_activation=gelu
accepts "two cameras and an environment state" "$TACT" sample --root="$WORK/two" --episodes=2 --frames=12 \
    --height=64 --width=96 --cameras=2 --env_dim=3
two=("$TACT" train --dataset.repo_id t/t --dataset.root="$WORK/two" "${TINY[@]}" --steps=2)
accepts "each camera's own statistics" "${two[@]}" --output_dir="$WORK/own" --dataset.use_imagenet_stats=false
holds "environment state normalised" grep -q '"ENV": "MEAN_STD"' "$WORK/own/checkpoints/last/pretrained_model/config.json"
accepts "one of the cameras, no environment state" "${two[@]}" --output_dir="$WORK/one_camera" \
    --policy.input_features='{"observation.state": {"type": "STATE", "shape": [7]}, "observation.images.wrist": {"type": "VISUAL", "shape": [3, 64, 96]}}'
holds "named inputs only" test "$(grep -c 'observation.images\|environment_state' "$WORK/one_camera/checkpoints/last/pretrained_model/config.json")" -eq 1
accepts "a mapping without it" "${two[@]}" --output_dir="$WORK/map" \
    --policy.normalization_mapping='{VISUAL: MEAN_STD, STATE: MIN_MAX, ACTION: MIN_MAX}'
holds "environment state as it is" grep -q '"ENV": "IDENTITY"' "$WORK/map/checkpoints/last/pretrained_model/config.json"
holds "no environment state, no mode" test -z "$(grep ENV "$run/last/pretrained_model/config.json")"
accepts "no VAE" "${train[@]}" --output_dir="$WORK/novae" --steps=2 --policy.use_vae=false

# Ctrl-C finishes the step and saves.
"${train[@]}" --output_dir="$WORK/stopped" --steps=100000 2>"$WORK/err" &
pid=$!
for _ in $(seq 100); do [ -s "$WORK/stopped/metrics.jsonl" ] && break; sleep 0.1; done
kill -INT $pid
wait $pid
holds "exit code of an interrupt" test $? -eq 130
holds "a checkpoint after Ctrl-C" test -s "$WORK/stopped/checkpoints/last/pretrained_model/model.safetensors"

# Of two runs into one directory one is refused, and the other one is whole.
both=("${train[@]}" --output_dir="$WORK/both" --steps=3)
"${both[@]}" 2>"$WORK/first" & first=$!
"${both[@]}" 2>"$WORK/second"
second=$?
wait $first
first=$?
holds "one of two runs" test $((first + second)) -ge 1 -a $((first * second)) -eq 0
holds "and it is whole" test -s "$WORK/both/checkpoints/000003/pretrained_model/model.safetensors"

# A run that diverges stops with the weights of its last good step, and the moving average counts no other.
"${train[@]}" --output_dir="$WORK/diverged" --steps=50 --ema.enable=true --policy.optimizer_lr=10 \
    --policy.optimizer_lr_backbone=10 2>"$WORK/err"
holds "a run that diverges fails" test $? -ne 0
holds "and says why" grep -q 'is not finite; frames of its batch' "$WORK/err"
number() { grep -o "\"$1\": *[0-9]*" "$WORK/diverged/checkpoints/last/training_state/$2" | grep -o '[0-9]*$'; }
holds "steps in the average" test "$(number ema_updates tact_state.json)" = "$(number step training_step.json)"

# What the policy sees: the first frame of the second episode never sees the episode before it.
"$TACT" info "$data" --frame=20 --policy.obs_state_horizon=3 --images="$WORK/png" >"$WORK/frame.json"
holds "clamped frames" grep -qE '"frames": *\[ *20, *20, *20 *\]' <(tr -d '\n' <"$WORK/frame.json")
holds "PNG files" test -n "$(find "$WORK/png" -name '*.png')"
accepts "info" "$TACT" info "$data"
holds "size" grep -q '^size ' "$WORK/out"
accepts "info --json" "$TACT" info "$data" --json
accepts "info --stats" "$TACT" info "$data" --stats --num_stat_samples=0
accepts "bench" "$TACT" bench --json --image=32x48 --steps=1 --policy.dim_model=32 --policy.n_heads=4 --policy.dim_feedforward=64
for key in dtype step_ms forward_ms backward_ms optimizer_ms gflops peak_gflops copy_gbps; do
    holds "bench says $key" grep -q "\"$key\"" "$WORK/out"
done
accepts "help" "$TACT" help
accepts "help train" "$TACT" help train
holds "help lists a flag" grep -q -e --policy.obs_state_horizon "$WORK/out"
accepts "--version" "$TACT" --version
finish

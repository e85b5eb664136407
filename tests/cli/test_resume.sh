#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A run that is stopped or killed goes on with the numbers it would have had.
. "$(dirname "$0")/resume.sh"

accepts "straight" "${kept[@]}" --output_dir="$WORK/straight" --steps=400 --save_freq=60
straight=$WORK/straight/checkpoints
holds "moving average differs" test -s "$straight/last/pretrained_model_ema/model.safetensors" -a \
    "$(cksum <"$straight/last/pretrained_model/model.safetensors")" != "$(cksum <"$straight/last/pretrained_model_ema/model.safetensors")"
holds "its loss too" grep -q ema_eval_loss "$WORK/straight/metrics.jsonl"
holds "the rate follows the schedule" test "$(grep -o '"lr": [^,]*' "$WORK/straight/metrics.jsonl" | sort -u | wc -l)" -gt 40

# The average watches the training; it never changes it.
accepts "without it" "${kept[@]}" --output_dir="$WORK/without" --steps=60 --save_freq=60 --scheduler.type=null --ema.enable=false
accepts "with it" "${kept[@]}" --output_dir="$WORK/with" --steps=60 --save_freq=60 --scheduler.type=null
holds "same weights" cmp -s "$WORK/with/checkpoints/last/pretrained_model/model.safetensors" \
    "$WORK/without/checkpoints/last/pretrained_model/model.safetensors"

# Ctrl-C and SIGTERM save, and say how to go on.
"${kept[@]}" --output_dir="$WORK/stopped" --steps=400 --save_freq=60 >"$WORK/log" 2>&1 & pid=$!
wait_for "$WORK/stopped/metrics.jsonl" 5
kill -INT $pid
wait $pid
holds "code of Ctrl-C" test $? -eq 130
command=$(grep -o 'tact train --config_path=.*--resume=true' "$WORK/log")
holds "the command to go on" test -n "$command"
# shellcheck disable=SC2086
"$TACT" ${command#tact } >"$WORK/log" 2>&1 & pid=$!
wait_for "$WORK/stopped/metrics.jsonl" 20
refuses "two processes in one run" "another process" "$TACT" train "$(resume "$WORK/stopped")" --resume=true
kill -TERM $pid
wait $pid
holds "code of SIGTERM" test $? -eq 143
holds "says from where it resumes" grep -q 'Resume offline training on a fixed dataset after step' "$WORK/log"
accepts "resumed" "$TACT" train "$(resume "$WORK/stopped")" --resume=true --num_workers=3
same_run "stopped twice" "$WORK/straight" "$WORK/stopped" 000400

# A run is killed where it stands, again and again.
go=("${kept[@]}" --output_dir="$WORK/killed" --steps=400 --save_freq=40)
for delay in 0.31 0.17 0.47 0.23 0.38; do
    "${go[@]}" >"$WORK/out" 2>"$WORK/err" & pid=$!
    wait_for "$WORK/killed/metrics.jsonl" 1
    sleep $delay
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    if [ -e "$WORK/killed/checkpoints/last/pretrained_model" ]; then
        go=("$TACT" train "$(resume "$WORK/killed")" --resume=true)
    else rm -rf "$WORK/killed"; fi
done
"${go[@]}" >"$WORK/out" 2>"$WORK/err" || holds "killed runs end at last, or had ended" grep -q "all 400 steps" "$WORK/err"
same_run "killed" "$WORK/straight" "$WORK/killed" 000400

# A stop came in the last evaluation: it is made up for, and its lines are there once.
cp -r "$WORK/straight" "$WORK/pending"
sed -i 's/"eval_due": false/"eval_due": true/' "$WORK/pending/checkpoints/000400/training_state/tact_state.json"
accepts "last evaluation" "$TACT" train "$(resume "$WORK/pending")" --resume=true
same_run "last evaluation" "$WORK/straight" "$WORK/pending" 000400

# An earlier checkpoint of a finished run, with other flags; a moved run; keep_last.
cp -r "$WORK/straight" "$WORK/moved"
accepts "from the middle" "$TACT" train --config_path="$WORK/moved/checkpoints/000120/pretrained_model" --resume=true \
    --steps=200 --save_freq=20 --log_freq=50 --keep_last=2
holds "keeps two until here, and later ones" test "$(cd "$WORK/moved/checkpoints" && echo 0*)" = "000180 000200 000240 000300 000360 000400"
holds "metrics cut" test "$(tail -n 3 "$WORK/moved/metrics.jsonl" | grep -o '"step": [0-9]*' | tr -d '\n')" = '"step": 200"step": 200"step": 200'
holds "settings stay" grep -q '"ema_updates": 200' "$WORK/moved/checkpoints/last/training_state/tact_state.json"

# What cannot be done is refused.
again=("$TACT" train "$(resume "$WORK/straight")" --resume=true)
refuses "nothing left to do" "all 400 steps.*--steps" "${again[@]}"
refuses "another directory" "goes on in its own directory" "${again[@]}" --steps=500 --output_dir="$WORK/else"
refuses "no run named" "config_path" "$TACT" train --resume=true
refuses "no such run" "nowhere" "$TACT" train --config_path="$WORK/nowhere" --resume=true
cp -r "$straight/000400/pretrained_model" "$WORK/lone"
refuses "no run around it" "policy.path" "$TACT" train --config_path="$WORK/lone" --resume=true --steps=500
refuses "another model" "has shape.*but this policy's" "${again[@]}" --steps=500 --policy.dim_model=64
refuses "both" "give one" "${again[@]}" --policy.path="$WORK/lone"
damaged=$WORK/damaged/checkpoints/000400
fresh() { rm -rf "$WORK/damaged"; cp -r "$WORK/straight" "$WORK/damaged"; }
ruined() { refuses "$1" "$2" "$TACT" train "$(resume "$WORK/damaged")" --resume=true --steps=500; }
fresh; truncate -s -10 "$damaged/training_state/optimizer_state.safetensors"
ruined "moments cut short" "optimizer_state.safetensors"
fresh; rm "$damaged/training_state/training_step.json"
ruined "no step" "training_step.json"
fresh; rm -r "$damaged/training_state"
ruined "no training_state" "training_state.*policy.path"
fresh; rm -r "$damaged/pretrained_model_ema"
ruined "no moving average" "pretrained_model_ema"
fresh; rm "$damaged"/pretrained_model/policy_preprocessor_step_3_*
ruined "no statistics" "policy_preprocessor_step_3"
holds "a refused run is as it was" test "$(figures "$WORK/damaged")" = "$(figures "$WORK/straight")"

# A disk that is full when a run saves: it says so and goes on, and the old checkpoint is still the last.
fresh
before=$(cksum <"$damaged/pretrained_model/model.safetensors")
refuses "full disk" "no checkpoint of step 450.*|cannot write" bash -c 'ulimit -f 100; trap "" XFSZ; exec "$@"' _ \
    "$TACT" train "$(resume "$WORK/damaged")" --resume=true --steps=450 --save_freq=25
holds "and goes on" grep -q 'the run goes on, last good checkpoint: .*000400' "$WORK/err"
holds "to the end" grep -q '"step": 450' "$WORK/damaged/metrics.jsonl"
holds "old checkpoint" test "$(readlink "$WORK/damaged/checkpoints/last")" = 000400 -a \
    "$(cksum <"$damaged/pretrained_model/model.safetensors")" = "$before"
accepts "and it goes on from there" "$TACT" train "$(resume "$WORK/damaged")" --resume=true --steps=410

# Fine-tuning takes the weights of another run, and the statistics of the dataset or of the checkpoint.
stats() { cksum <"$1/checkpoints/last/pretrained_model/policy_preprocessor_step_3_normalizer_processor.safetensors"; }
tune=("$TACT" train --policy.path="$WORK/straight" --dataset.repo_id=t/t --dataset.root="$data" --threads=1 --batch_size=2)
accepts "fine-tune" "${tune[@]}" --dataset.episodes=[0] --output_dir="$WORK/tuned" --steps=2 --num_stat_samples=0 --log_freq=1
holds "its settings" grep -q '"dim_model": 32' "$WORK/tuned/checkpoints/last/pretrained_model/config.json"
holds "the dataset's statistics" test "$(stats "$WORK/tuned")" != "$(stats "$WORK/straight")"
first() { grep -o '"loss": [^,]*' "$1/metrics.jsonl" | head -n 1 | grep -o '[0-9.]*' | cut -d. -f1; }
holds "starts where the other ended" test "$(first "$WORK/tuned")" -lt "$(first "$WORK/straight")"
accepts "with its statistics" "${tune[@]}" --output_dir="$WORK/same" --steps=2 --policy.stats_from=checkpoint
holds "the checkpoint's statistics" test "$(stats "$WORK/same")" = "$(stats "$WORK/straight")"
refuses "a wider one" "has shape" "${tune[@]}" --output_dir="$WORK/wide" --steps=2 --policy.dim_model=64
refuses "not there" "no checkpoint here" "${tune[@]}" --policy.path="$WORK/data" --output_dir="$WORK/wide" --steps=2

# Plain ACT: what LeRobot needs to go on is there, and it becomes temporal.
accepts "plain ACT" "${train[@]}" --output_dir="$WORK/plain" --steps=4 --policy.obs_state_horizon=1 --policy.pose_repr=none
cp -r "$WORK/plain" "$WORK/lerobot" # as LeRobot leaves it: no file of ours
find "$WORK/lerobot" -name 'tact*.json' -delete
accepts "a run of LeRobot's goes on" "$TACT" train "$(resume "$WORK/lerobot")" --resume=true --steps=6 --threads=1
holds "and says what differs" grep -q "not tact's" "$WORK/err"
holds "from its step" grep -q '"step": 6' "$WORK/lerobot/checkpoints/last/training_state/training_step.json"
accepts "temporal from plain" "$TACT" train --policy.path="$WORK/plain" --dataset.repo_id=t/t --dataset.root="$data" \
    --threads=1 --batch_size=2 --policy.obs_state_horizon=2 --policy.temporal_pos_embed=all --output_dir="$WORK/temporal" --steps=2
accepts "info" "$TACT" info "$WORK/plain"
holds "info says how far" grep -q 'after step 4 of 4' "$WORK/out"
accepts "info --json" "$TACT" info "$WORK/straight/checkpoints/000120" --json
holds "info --json says so too" grep -q '"step": 120' "$WORK/out"
accepts "convert" "$TACT" convert "$WORK/plain" --to=act --output="$WORK/converted"
holds "same weights" cmp -s "$WORK/converted/model.safetensors" "$WORK/plain/checkpoints/last/pretrained_model/model.safetensors"
accepts "to tact" "$TACT" convert "$WORK/plain" --to=tact --output="$WORK/as_tact"
holds "is tact" grep -q '"type": "tact"' "$WORK/as_tact/config.json"
accepts "and back" "$TACT" convert "$WORK/as_tact" --to=act --output="$WORK/back"
holds "the same again" cmp -s "$WORK/converted/model.safetensors" "$WORK/back/model.safetensors"
refuses "two observations as ACT" "2 observations" "$TACT" convert "$WORK/straight" --to=act --output="$WORK/no"
refuses "existing output" "exists already" "$TACT" convert "$WORK/plain" --to=act --output="$WORK/back"
refuses "no form" "usage" "$TACT" convert "$WORK/plain" --output="$WORK/no"
finish

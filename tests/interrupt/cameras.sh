#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A run with everything that a run can have (a camera, augmentation, the frame cache, a moving average, a schedule,
# closed-loop evaluation with videos, curves) is ended at random moments of its whole length, by kill -9, SIGTERM or
# Ctrl-C, and goes on each time until it is done; then another is begun, until there were KILLS ends in all. Each must
# leave the bytes of a run that was left alone. It is not among ctest's tests, since 100 take about 15 minutes:
#     TACT=build/tact tests/interrupt/cameras.sh [KILLS] [SEED]
. "$(dirname "$0")/../cli/resume.sh"
kills=${1:-100} seed=${2:-$$}
RANDOM=$seed
echo "seed $seed"
steps=12 last=000012

accepts record "$TACT" sim record --env.type=strawberry_swing --episodes=2 --seed=1 --image=64x64 --root="$WORK/seen"
go=("$TACT" train --dataset.root="$WORK/seen" "${TINY[@]}" --policy.resize_shape=[32,32] --policy.obs_state_horizon=2
    --threads=1 --num_workers=2 --steps=$steps --save_freq=4 --eval_freq=8 --env.type=strawberry_swing
    --eval.n_episodes=1 --eval.max_videos=1 --ema.enable=true --ema.decay=0.5 --ema.use_for_eval=false
    --scheduler.type=diffuser --scheduler.num_warmup_steps=3 --dataset.image_transforms.enable=true --tensorboard=true
    --dataset.frame_cache=file)
# Milliseconds since some moment.
now() { echo $(($(date +%s%N) / 1000000)); }
mkdir "$WORK/runs"
begin=$(now)
accepts straight "${go[@]}" --output_dir="$WORK/straight"
took=$(($(now) - begin))
echo "left alone it takes $took ms"
[ $failed = 0 ] || { cat "$WORK/err"; exit 1; }

ended=0 rounds=0 anew=0
declare -A by
while [ $ended -lt "$kills" ] && [ $failed = 0 ]; do
    rounds=$((rounds + 1)) here=0
    run=$WORK/runs/$rounds
    [ $((rounds % 2)) = 0 ] || rm -rf "$WORK/runs/tact_frame_cache"
    again=("${go[@]}" --output_dir="$run")
    while :; do
        "${again[@]}" >"$WORK/out" 2>"$WORK/err" & pid=$!
        if [ $ended -lt "$kills" ] && [ $here -lt 12 ]; then
            wait_ms=$((RANDOM * RANDOM % (took + took / 10)))
            sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
            signals=(KILL KILL TERM INT)
            signal=${signals[RANDOM % 4]}
            if kill -"$signal" $pid 2>/dev/null; then
                ended=$((ended + 1)) here=$((here + 1)) by[$signal]=$((${by[$signal]:-0} + 1))
            fi
        fi
        wait $pid 2>/dev/null
        code=$?
        if [ $code -eq 0 ] || grep -q "all $steps steps" "$WORK/err"; then break; fi
        [ $code -ge 128 ] || { bad "exit code $code"; cat "$WORK/err"; break; }
        if [ -e "$run/checkpoints/last/pretrained_model" ]; then
            again=("$TACT" train "$(resume "$run")" --resume=true)
        else rm -rf "$run" && again=("${go[@]}" --output_dir="$run") anew=$((anew + 1)); fi
    done
    same_run "round $rounds, ended $here times" "$WORK/straight" "$run" $last
    holds "round $rounds: the videos" diff -r "$WORK/straight/eval" "$run/eval"
    holds "round $rounds: metrics.csv" test "$(wc -l <"$WORK/straight/metrics.csv")" -eq "$(wc -l <"$run/metrics.csv")"
    holds "round $rounds: nothing half of the cache" test -z "$(find "$WORK/runs" -name '*.tmp*')"
    diff <(figures "$WORK/straight") <(figures "$run")
    [ $failed = 0 ] || { cp -r "$run" "$WORK/err" "${KEEP:-/dev/null}/" 2>/dev/null; }
    rm -rf "$run"
    echo "round $rounds: $ended ends, $anew of them before the first checkpoint, $failed failures"
done
echo "${by[KILL]:-0} by KILL, ${by[TERM]:-0} by TERM, ${by[INT]:-0} by INT"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A run of 300 steps is ended at ten random moments, by kill -9, SIGTERM or Ctrl-C, and goes on each time; it
# must leave the bytes of a run that was left alone. It is not among ctest's tests, since it takes a while:
#     TACT=build/tact tests/interrupt/interrupt.sh [ROUNDS] [SEED]
. "$(dirname "$0")/../cli/resume.sh"
rounds=${1:-3}
RANDOM=${2:-$$}
echo "seed ${2:-$$}"

accepts "straight" "${kept[@]}" --output_dir="$WORK/straight" --steps=300 --save_freq=20
for ((round = 0; round < rounds; round++)); do
    run=$WORK/run$round ended=0
    go=("${kept[@]}" --output_dir="$run" --steps=300 --save_freq=20)
    while :; do
        "${go[@]}" >"$WORK/out" 2>"$WORK/err" & pid=$!
        if [ $ended -lt 10 ]; then
            sleep "0.$(printf %03d $((RANDOM % 400)))"
            signals=(KILL KILL TERM INT)
            kill -"${signals[RANDOM % 4]}" $pid 2>/dev/null && ended=$((ended + 1))
        fi
        wait $pid 2>/dev/null
        code=$?
        if [ $code -eq 0 ] || grep -q "all 300 steps" "$WORK/err"; then break; fi
        [ $code -ge 128 ] || { bad "exit code $code"; cat "$WORK/err"; break; }
        if [ -e "$run/checkpoints/last/pretrained_model" ]; then
            go=("$TACT" train "$(resume "$run")" --resume=true)
        else rm -rf "$run"; fi
    done
    same_run "round $round, ended $ended times" "$WORK/straight" "$run" 000300
    diff <(figures "$WORK/straight") <(figures "$run")
    rm -rf "$run"
done
finish

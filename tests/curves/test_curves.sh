#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The files in which other programs find a run's curves: of a run that was killed, stopped and continued they hold every
# step once, like metrics.jsonl.
. "$(dirname "$0")/../cli/resume.sh"
here=$(cd "$(dirname "$0")" && pwd)
run=$WORK/run

# The steps of log lines and of evaluations, from either file.
steps_of_json() { sed -E 's/.*"step": ([0-9]+).*"(loss|eval_loss|ema_eval_loss)": .*/\1 \2/; s/(ema_)?eval_loss/eval/' "$1/metrics.jsonl"; }
steps_of_table() { tail -n +2 "$1/metrics.csv" | awk -F, '{ print $1, $3 == "" ? "eval" : "loss" }'; }
# curves NAME: all files of $run tell the same.
curves() {
    holds "$1: the same steps" test "$(steps_of_table "$run")" = "$(steps_of_json "$run")"
    accepts "$1: TensorBoard" "${TACT_TENSORBOARD_PYTHON:-python3}" "$here/read_tensorboard.py" "$run"
    cp "$WORK/out" "$WORK/read"
}

accepts "a run" "${kept[@]}" --steps=60 --save_freq=20 --tensorboard=true --wandb.enable=true --wandb.notes=mine --output_dir="$run"
holds "columns" grep -q '^step,timestamp,loss,' "$run/metrics.csv"
holds "for libtact.track" grep -q '"notes": "mine"' "$run/track.json"
holds "how to send it" grep -q "python -m libtact.track $run --follow" "$WORK/err"
curves "a run"
before=$(ls "$run/tensorboard")
go_on() { accepts "$1" "$TACT" train --config_path="$run/checkpoints/$2" --resume=true --steps="$3"; }
go_on "once more from an earlier checkpoint" 000020 80
holds "a file of its own, to be read last" test "$(ls "$run/tensorboard" | head -n 1)" = "$before" -a "$(ls "$run/tensorboard" | wc -l)" -eq 2
curves "once more"

# Killed, and continued from its last checkpoint.
"$TACT" train --config_path="$run/checkpoints/last" --resume=true --steps=100000 >/dev/null 2>&1 & pid=$!
wait_for "$run/metrics.jsonl" 40
kill -KILL $pid
wait $pid 2>/dev/null
last=$(readlink "$run/checkpoints/last")
go_on "killed" last $((10#$last + 10))
curves "killed"

# A stop cut evaluations short; those of an attempt after it do not count.
last=$(readlink "$run/checkpoints/last")
sed -i 's/"eval_due": false/"eval_due": true/' "$run/checkpoints/last/training_state/tact_state.json"
go_on "evaluations made up for" last $((10#$last))
curves "evaluations made up for"
holds "once" test "$(steps_of_table "$run" | grep -c "^$((10#$last)) eval")" -eq 2

# libtact.track with stand-ins for the services.
python=
for name in "${TACT_TENSORBOARD_PYTHON:-python3}" python3 /usr/bin/python3; do
    "$name" -c 'import numpy' 2>/dev/null && { python=$name; break; }
done
if [ -n "$python" ]; then
    mkdir "$WORK/track"
    accepts "libtact.track" env PYTHONPATH="$here/../../python" PYTHONDONTWRITEBYTECODE=1 "$python" "$here/track.py" "$run" "$WORK/track"
    said=$(env PYTHONPATH="$here/../../python" PYTHONDONTWRITEBYTECODE=1 "$python" -m libtact.track "$WORK/nowhere" 2>&1)
    holds "no such run, in one line" test "${said%%: no *}" = "libtact.track: $WORK/nowhere" -a "$(wc -l <<<"$said")" -eq 1
else
    echo "skipped: no python3 with numpy (Debian's python3-numpy): libtact.track"
fi

accepts "without any" "${kept[@]}" --steps=2 --output_dir="$WORK/none"
holds "no event files" test ! -e "$WORK/none/tensorboard" -a ! -e "$WORK/none/track.json"
grep '^skipped' "$WORK/read"
finish

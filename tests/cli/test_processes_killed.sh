#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One of two processes is killed, ten times, at a random moment: both end each time, and the run that goes on again and
# again becomes, to the byte, the one that nobody disturbed. With mpirun where it is installed, else as torchrun
# starts them.
. "$(dirname "$0")/resume.sh"

run=$WORK/run
port=$((21000 + $$ % 300 * 20))
# No schedule: how a step goes does not depend on how many follow.
flags=("${train[@]}" --ema.enable=true --batch_size=2 --save_freq=50 --keep_last=2 --log_freq=5 --dist.timeout_s=60)
if command -v mpirun >"$WORK/out" && mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
    [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    two() { mpirun -np 2 --oversubscribe "$@"; }
else
    echo "SKIPPED: mpirun (Open MPI is not installed)"
    two() {
        port=$((port + 20))
        RANK=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$@" 2>"$WORK/err.1" &
        RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$@"
        wait $!
    }
fi
# The process numbers of the training in $run, of which one is as likely to be the first as the other.
ours() { pgrep -f -- "^$TACT train .*$run" | shuf; }
# The command that starts the run or goes on with it.
command_now() {
    if [ -e "$run/checkpoints/last" ]; then
        now=("$TACT" train "$(resume "$run")" --resume=true --dist.timeout_s=60)
    else
        rm -rf "$run"
        now=("${flags[@]}" --output_dir="$run")
    fi
}

for ((kill = 1; kill <= 10; kill++)); do
    command_now
    : >"$WORK/err" # not what the one before said
    two "${now[@]}" --steps=100000 >"$WORK/out" 2>"$WORK/err" &
    both=$!
    for ((s = 0; s < 600; s++)); do grep -q 'step:' "$WORK/err" && break; sleep 0.02; done
    sleep 0.$((RANDOM % 3))
    holds "kill $kill: it runs" kill -9 "$(ours | head -n 1)"
    for ((s = 0; s < 600; s++)); do [ -z "$(ours)" ] && break; sleep 0.02; done
    holds "kill $kill: all have ended" test $s -lt 600
    wait $both 2>/dev/null
    [ ! -e "$run/checkpoints/last" ] || accepts "kill $kill: the last checkpoint is whole" "$TACT" info "$run/checkpoints/last"
done
cp -r "$run" "$WORK/alone"
command_now
last=0
[ ! -e "$run/checkpoints/last" ] || last=$((10#$(readlink "$run/checkpoints/last")))
steps=$((last + 20))
accepts "the end" two "${now[@]}" --steps=$steps
accepts "undisturbed" two "${flags[@]}" --steps=$steps --output_dir="$WORK/whole"
same_run "the same bits" "$WORK/whole" "$run" "$(printf %06d $steps)"
if [ $last -gt 0 ]; then # in one process: another order of sums
    accepts "the end in one process" "$TACT" train "$(resume "$WORK/alone")" --resume=true --batch_size=4 --steps=$steps
    losses() { tail -n 4 "$1/metrics.jsonl" | grep -oE '"loss": *[0-9.]+' | grep -oE '[0-9.]+$'; }
    holds "the end in one process has its losses" awk '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= 1e-5 * $1)) exit 1 }' \
        <(paste <(losses "$WORK/whole") <(losses "$WORK/alone"))
fi
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A training in several processes: it has the losses of one process that takes the whole batch, the same bits every time,
# and ends everywhere when one of its processes does. They are started as torchrun starts them, and with mpirun
# where that is installed.
. "$(dirname "$0")/resume.sh"

# Ports below those that the system gives away by itself; each run takes its own.
port=$((12000 + $$ % 400 * 20))
# processes N FLAGS...: `tact train` N times; $WORK/err.RANK is what each said. Leaves their numbers in $pids.
start() {
    local n=$1 rank
    shift
    port=$((port + 20))
    pids=()
    rm -f "$WORK"/err.? # under_way looks for what the new ones say
    for ((rank = n - 1; rank >= 0; rank--)); do
        RANK=$rank WORLD_SIZE=$n MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "${train[@]}" --dist.timeout_s=60 "$@" \
            >"$WORK/out.$rank" 2>"$WORK/err.$rank" &
        pids[rank]=$!
    done
}
# Waits for them; the exit codes are in $codes.
join() {
    codes=
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null
        codes+=" $?"
    done
}
processes() {
    start "$@"
    join
    [ -z "${codes// 0/}" ] || { tail -3 "$WORK"/err.?; return 1; }
}
all_figures() { grep -oE '"(loss|grad_norm|epochs|samples|step|eval_loss|ema_eval_loss)": *[0-9.e+-]+' "$1/metrics.jsonl"; }
# close NAME RUN OTHER: the figures are the same to what another order of sums gives.
close() {
    paste <(all_figures "$2") <(all_figures "$3") >"$WORK/both"
    awk '{ d = $2 - $4; if (d < 0) d = -d; if ($1 != $3 || !(d <= 2e-5 * $2)) print } END { if (NR < 40) print NR " figures" }' \
        "$WORK/both" >"$WORK/apart"
    if [ ! -s "$WORK/apart" ]; then ok; else bad "$1:"; cat "$WORK/apart"; fi
}

# ---- the same numbers ----------------------------------------------------------------------------
flags=(--steps=40 --save_freq=20 --dataset.eval_split=0.3 --eval_freq=20 --ema.enable=true --log_freq=5)
accepts "one process" "${train[@]}" "${flags[@]}" --batch_size=8 --output_dir="$WORK/one"
for n in 2 4; do
    accepts "$n processes" processes $n "${flags[@]}" --batch_size=$((8 / n)) --output_dir="$WORK/of$n"
    close "$n processes" "$WORK/one" "$WORK/of$n"
done
accepts "2 processes in 2 pieces" processes 2 "${flags[@]}" --batch_size=2 --gradient_accumulation_steps=2 --output_dir="$WORK/pieces"
close "2 processes in 2 pieces" "$WORK/one" "$WORK/pieces"
accepts "2 processes again" processes 2 "${flags[@]}" --batch_size=4 --output_dir="$WORK/again"
same_run "the same bits" "$WORK/of2" "$WORK/again" 000040
holds "the line of the effective batch" grep -q '2 processes on 1 host; effective batch 8 = 2 processes x batch_size 4; gradients by TCP' "$WORK/err.0"
holds "process 0 alone speaks" test ! -s "$WORK/err.1"
holds "process 0 alone names the checkpoint" test "$(cat "$WORK/out.0")$(cat "$WORK/out.1")" = "$WORK/again/checkpoints/000040"

# ---- another number of them ----------------------------------------------------------------------
for run in one of2; do
    cp -r "$WORK/$run" "$WORK/from_$run"
    rm -rf "$WORK/from_$run"/checkpoints/{000040,last}
    ln -s 000020 "$WORK/from_$run/checkpoints/last"
done
accepts "two go on as one" "$TACT" train "$(resume "$WORK/from_of2")" --resume=true --batch_size=8
close "two go on as one" "$WORK/one" "$WORK/from_of2"
# Trained on a card: each process would take its own, if there were one.
export CUDA_VISIBLE_DEVICES=
sed -i 's/"device": "cpu"/"device": "cuda"/' "$WORK"/from_one/checkpoints/000020/pretrained_model/*.json
train=("$TACT" train "$(resume "$WORK/from_one")" --resume=true)
accepts "one goes on as two" processes 2 --batch_size=4
holds "each takes its own card" grep -q 'trained on cuda:1, which cannot be used here' "$WORK/err.1"
close "one goes on as two" "$WORK/one" "$WORK/from_one"

# ---- one that ends -------------------------------------------------------------------------------
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --threads=1
    '--policy.input_features={"observation.state": {"type": "STATE"}, "observation.environment_state": {"type": "ENV"}}'
    --policy.resize_shape=null --batch_size=4)
# Waits until a run has logged a step.
under_way() { for ((i = 0; i < 300; i++)); do grep -qs 'step:3 ' "$WORK/err.0" && return; sleep 0.1; done; }
start 3 --steps=100000 --save_freq=0 --output_dir="$WORK/killed"
under_way
kill -9 "${pids[1]}"
join
holds "a killed process ends all" test "$codes" = " 1 137 1"
holds "it is named" grep -qE '^tact: step [0-9]+: rank 1 \(.*\) is gone: .*; the weights so far are in .*/killed/checkpoints/' "$WORK/err.0"
holds "the third says nothing" test ! -s "$WORK/err.2"
step=$(readlink "$WORK/killed/checkpoints/last")
accepts "it goes on in one" "$TACT" train "$(resume "$WORK/killed")" --resume=true --batch_size=12 --steps=$((10#$step + 3))
start 2 --steps=100000 --save_freq=0 --output_dir="$WORK/root"
under_way
kill -9 "${pids[0]}"
join
holds "process 0 killed ends all" test "$codes" = " 137 1"
holds "it is named by the other" grep -q '^tact: step [0-9]*: rank 0 (.*) is gone' "$WORK/err.1"
start 2 --steps=100000 --save_freq=0 --output_dir="$WORK/signal"
under_way
kill -USR1 "${pids[1]}"
join
holds "a signal to one stops all" test "$codes" = " 143 138"
holds "and they save once" test "$(ls "$WORK/signal/checkpoints")" = "$(printf '%s\nlast' "$(readlink "$WORK/signal/checkpoints/last")")"

# ---- what is refused -----------------------------------------------------------------------------
start 2 --steps=3 --output_dir="$WORK/no"
join
start 2 --steps=3 --output_dir="$WORK/no"
join
holds "a directory that exists" test "$codes" = " 2 2"
port=$((port + 20))
other=(env WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port)
"${other[@]}" RANK=1 "${train[@]}" --steps=4 --output_dir="$WORK/other" >"$WORK/out.1" 2>"$WORK/err.1" &
refuses "other flags" '--steps is not the same for rank 1' "${other[@]}" RANK=0 "${train[@]}" --steps=3 --output_dir="$WORK/other"
wait
holds "told once" test ! -s "$WORK/err.1"
port=$((port + 20))
other=(env WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port)
"${other[@]}" RANK=1 "${train[@]}" --steps=3 --save_freq=1 --output_dir="$WORK/other" >"$WORK/out.1" 2>"$WORK/err.1" &
refuses "saves at other steps" '--save_freq is not the same for rank 1' "${other[@]}" RANK=0 "${train[@]}" --steps=3 --output_dir="$WORK/other"
wait
"${other[@]}" RANK=0 "${train[@]}" --output_dir="$WORK/other" >"$WORK/out" 2>"$WORK/err" &
sleep 0.5
kill -TERM $!
wait $! 2>/dev/null
holds "a process that waits for the others ends when it is told to" test $? = 143
holds "nothing is left" test ! -e "$WORK/other"
isa() { ONEDNN_MAX_CPU_ISA=$1 "${@:2}"; }
if [ "$(isa SSE41 "$TACT" --version)" != "$("$TACT" --version)" ]; then
    port=$((port + 20))
    other=(env WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port)
    isa SSE41 "${other[@]}" RANK=1 "${train[@]}" --steps=3 --output_dir="$WORK/other" >"$WORK/out.1" 2>"$WORK/err.1" &
    refuses "another level" 'rank 1 .* has not the same kind of processor or card' "${other[@]}" RANK=0 "${train[@]}" --steps=3 --output_dir="$WORK/other"
    wait
fi
port=$((port + 20))
other=(env WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port)
"${other[@]}" RANK=1 "${train[@]}" --threads=2 --steps=9 --save_freq=3 --output_dir="$WORK/threads" >"$WORK/out.1" 2>"$WORK/err.1" &
accepts "another number of threads" "${other[@]}" RANK=0 "${train[@]}" --steps=9 --save_freq=3 --output_dir="$WORK/threads"
wait
refuses "two sources" 'the environment says two things: .*WORLD_SIZE=2, but .*SIZE=4' env RANK=0 WORLD_SIZE=2 MASTER_ADDR=localhost \
    OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=4 "${train[@]}" --output_dir="$WORK/other"
refuses "nobody comes" '1 of 2 processes are here after 0.3 s; missing: rank 1' "${other[@]}" RANK=0 "${train[@]}" \
    --dist.timeout_s=0.3 --output_dir="$WORK/other"
refuses "more than there is" 'a step of 2000 samples is more than' env RANK=0 WORLD_SIZE=1 "${train[@]}" --batch_size=2000 --output_dir="$WORK/other"

# ---- mpirun --------------------------------------------------------------------------------------
if command -v mpirun >"$WORK/out" && mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
    [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    train+=(--log_freq=5 --dataset.eval_split=0.3 --eval_freq=20 --ema.enable=true --steps=40 --save_freq=20)
    for n in 2 4; do
        accepts "mpirun -np $n" mpirun -np $n --oversubscribe "${train[@]}" --batch_size=$((8 / n)) --output_dir="$WORK/mpi$n"
        holds "mpirun -np $n: by MPI" grep -q 'gradients by MPI (Open MPI' "$WORK/err"
        close "mpirun -np $n" "$WORK/one" "$WORK/mpi$n"
    done
    accepts "mpirun again" mpirun -np 2 "${train[@]}" --batch_size=4 --output_dir="$WORK/mpi_again"
    same_run "the same bits by MPI" "$WORK/mpi2" "$WORK/mpi_again" 000040
else
    echo "SKIPPED: trainings with mpirun (Open MPI is not installed)"
fi
finish

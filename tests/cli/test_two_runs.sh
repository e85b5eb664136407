#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two runs in one directory: the first goes on as if it were alone, the second is refused in one line and leaves nothing
# behind; also from another mount namespace, as two hosts of one network file system see it. A lock ends with its
# process, so that a run that was killed can be resumed at once.
. "$(dirname "$0")/resume.sh"
run=$WORK/run
accepts "alone" "${kept[@]}" --output_dir="$WORK/alone" --steps=120 --save_freq=40

# second NAME COMMAND...: is refused while the run goes on.
second() {
    local name=$1
    shift
    kill -0 $pid 2>/dev/null || bad "$name: the first run is over already"
    refuses "$name" 'another process trains in it' "$@"
}

"${kept[@]}" --output_dir="$run" --steps=120 --save_freq=40 >"$WORK/first" 2>&1 & pid=$!
wait_for "$run/metrics.jsonl" 6
kill -STOP $pid # so that it is there for as long as the others come
until [ -e "$run/checkpoints/last/pretrained_model/train_config.json" ]; do
    kill -CONT $pid; sleep 0.02; kill -STOP $pid
    kill -0 $pid 2>/dev/null || break
done
before=$(cd "$run" && find . -newermt @0 -type f -exec cksum {} + | sort)
refuses "a new run" 'exists already' "${kept[@]}" --output_dir="$run" --steps=120
second "a resumed one" "$TACT" train "$(resume "$run")" --resume=true
if unshare -m true 2>/dev/null; then
    # Another mount of the same files, where only this process sees it.
    second "from another mount namespace" unshare -m sh -c \
        'mount -t tmpfs none /mnt && mkdir /mnt/other && mount --bind "$1" /mnt/other && shift && exec "$@"' sh "$run" \
        "$TACT" train --config_path=/mnt/other/checkpoints/last/pretrained_model/train_config.json --resume=true
else
    echo "skipped: another mount namespace, which needs root"
fi
holds "they changed nothing" test "$(cd "$run" && find . -newermt @0 -type f -exec cksum {} + | sort)" = "$before"
kill -CONT $pid
wait $pid
holds "the first went on to its end" test $? -eq 0
same_run "the first" "$WORK/alone" "$run" 000120

# A run on another host holds the lock of the file alone, since nobody else sees that of its directory.
flock -F "$run/.lock" sleep 60 & pid=$!
until ! flock -n "$run/.lock" true; do sleep 0.02; done
refuses "from another host" 'another process, on another host, trains in it' "$TACT" train "$(resume "$run")" --resume=true --steps=130
kill $pid
wait $pid 2>/dev/null

# Killed with the lock in its hands: nothing keeps the next from going on.
"${kept[@]}" --output_dir="$WORK/killed" --steps=120 --save_freq=40 >"$WORK/first" 2>&1 & pid=$!
until [ -e "$WORK/killed/checkpoints/last/pretrained_model/train_config.json" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
accepts "resumed at once" "$TACT" train "$(resume "$WORK/killed")" --resume=true
same_run "the killed one" "$WORK/alone" "$WORK/killed" 000120

# has_lines PID FILE: waits until a run has written something into a file, or is over.
has_lines() { until [ -s "$2" ] || ! kill -0 "$1" 2>/dev/null; do sleep 0.02; done; }

# A directory that is removed under a run, and where another one begins: the first saves nothing there, says so, and
# ends with an error; the second goes on as if it were alone.
"${kept[@]}" --output_dir="$WORK/again" --steps=100000 --save_freq=100000 >"$WORK/first" 2>&1 & pid=$!
has_lines $pid "$WORK/again/metrics.jsonl"
rm -r "$WORK/again"
"${kept[@]}" --output_dir="$WORK/again" --steps=120 --save_freq=40 >"$WORK/second" 2>&1 & other=$!
has_lines $other "$WORK/again/metrics.jsonl"
kill -TERM $pid
wait $pid
holds "the one whose directory was removed fails" test $? -eq 1
holds "and says why" grep -q '^tact: .*again: is not the directory that this run began in' "$WORK/first"
wait $other
holds "the one in its place goes on" test $? -eq 0
same_run "in its place" "$WORK/alone" "$WORK/again" 000120
holds "with its own checkpoints only" test "$(ls "$WORK/again/checkpoints" | tr '\n' ' ')" = "000040 000080 000120 last "

# Where nothing took its place, it is made anew.
"${kept[@]}" --output_dir="$WORK/removed" --steps=100000 --save_freq=100000 >"$WORK/first" 2>&1 & pid=$!
has_lines $pid "$WORK/removed/metrics.jsonl"
rm -r "$WORK/removed"
kill -TERM $pid
wait $pid
holds "the one whose directory is gone is stopped" test $? -eq 143
holds "and says that it was made anew" grep -q 'removed: was removed or moved .* made anew' "$WORK/first"
holds "with its weights" test -e "$WORK/removed/checkpoints/last/pretrained_model/model.safetensors"

# Two signals at once: the second ends the run there and then, and nothing is said of a heap.
"${kept[@]}" --output_dir="$WORK/twice" --steps=100000 --save_freq=2 >"$WORK/first" 2>&1 & pid=$!
has_lines $pid "$WORK/twice/checkpoints/last/pretrained_model/train_config.json"
kill -STOP $pid
kill -TERM $pid
kill -INT $pid
kill -CONT $pid
wait $pid
code=$?
holds "two signals end it at once" test $code -eq 143 -o $code -eq 130
holds "with one word about it" test "$(tail -n 1 "$WORK/first")" = "tact: finishing this step and saving; once more to stop at once"
last=$(readlink "$WORK/twice/checkpoints/last")
accepts "and it can be resumed" "$TACT" train "$(resume "$WORK/twice")" --resume=true --steps=$((10#$last + 2))
finish

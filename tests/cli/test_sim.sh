#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact sim: what it records is a dataset that tact reads, the same on any number of threads; what it
# refuses.
. "$(dirname "$0")/common.sh"

refuses "no task" "no --env.type" "$TACT" sim record --root="$WORK/none"
refuses "unknown task" "strawbery.*did you mean strawberry" "$TACT" sim record --env.type=strawbery --root="$WORK/none"
refuses "no root" "no --root" "$TACT" sim record --env.type=strawberry
refuses "odd image" "--image=95x96.*even" "$TACT" sim record --env.type=strawberry --root="$WORK/none" --image=95x96
refuses "unknown word" "tact sim record" "$TACT" sim recrod --env.type=strawberry
refuses "unknown flag" "--episode.*--episodes" "$TACT" sim expert --env.type=strawberry --episode=3
accepts "help" "$TACT" sim --help
"$TACT" help sim >"$WORK/help"
holds "the help lists the tasks" grep -q strawberry_swing "$WORK/help"

run=("$TACT" sim record --env.type=strawberry --image=64x64 --episodes=3 --seed=5)
if ! "${run[@]}" --root="$WORK/one" --threads=1 >"$WORK/out" 2>"$WORK/err"; then
    holds "the reason names what to install" grep -qE "apt-get install" "$WORK/err"
    holds "no dataset is left" test ! -e "$WORK/one"
    echo "skipped: $(tail -n 1 "$WORK/err")"
    finish && exit 77
    exit 1
fi
holds "says what it wrote" grep -q "3 episodes, .* frames, seeds 5 to 7" "$WORK/out"
accepts "three threads" "${run[@]}" --root="$WORK/three" --threads=3
holds "the same files" diff -r "$WORK/one" "$WORK/three"
"$TACT" info "$WORK/one" >"$WORK/info" || exit 1
holds "a camera" grep -q "observation.images.wrist  video    \[64,64,3\]" "$WORK/info"
holds "poses" grep -q "poses     1 arm" "$WORK/info"
holds "a task" grep -q "Pick the ripe strawberry." "$WORK/info"
refuses "a root that is there" "one" "${run[@]}" --root="$WORK/one"
accepts "the expert" "$TACT" sim expert --env.type=strawberry_swing --episodes=4 --seed=50
accepts "a step of training on it" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/one" --steps=1 \
    "${TINY[@]}" --output_dir="$WORK/run"
finish

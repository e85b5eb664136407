#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact edit and tact check --fix by their flags: what is chosen, what is said, what is refused, and that nothing is left
# half written. tests/edit/ holds rows and frames against the original's.
. "$(dirname "$0")/common.sh"

sizes=(--episodes=6 --frames=30 --height=64 --width=64)
accepts "a sample" "$TACT" sample --root="$WORK/set" "${sizes[@]}"
says() { holds "$1" grep -q "$2" "$WORK/out"; }
episodes() { "$TACT" info "$1" | grep -o '^episodes  [0-9]*' | grep -o '[0-9]*$'; }

accepts "drop" "$TACT" edit "$WORK/set" --root="$WORK/dropped" --drop=[1,4]
says "what was written" "^$WORK/dropped: 4 episodes, "
says "what was left out" '^2 episodes left out$'
holds "so many are there" test "$(episodes "$WORK/dropped")" = 4
accepts "keep" "$TACT" edit "$WORK/set" --root="$WORK/kept" --keep=2:5
holds "so many are there" test "$(episodes "$WORK/kept")" = 3
accepts "trim" "$TACT" edit "$WORK/kept" --root="$WORK/trimmed" --trim=0.5,1
says "what was cut off" '^3 episodes trimmed, by 45 rows together$'
accepts "nothing idle" "$TACT" edit "$WORK/kept" --root="$WORK/idle" --trim=idle
holds "nothing was cut off" test "$(grep -c trimmed "$WORK/out")" -eq 0
accepts "merge" "$TACT" edit "$WORK/dropped" "$WORK/kept" --root="$WORK/merged"
holds "so many are there" test "$(episodes "$WORK/merged")" = 7
accepts "split" "$TACT" edit "$WORK/set" --root="$WORK/parts" --splits='{"train": 0.7, "val": 0.3}'
holds "the first" test "$(episodes "$WORK/parts/train")" = 4
holds "the rest" test "$(episodes "$WORK/parts/val")" = 2
accepts "by number" "$TACT" edit "$WORK/set" --root="$WORK/numbers" --splits='{"a": [5], "b": [0,2]}'
holds "the first" test "$(episodes "$WORK/numbers/a")" = 1
accepts "by task" "$TACT" edit "$WORK/set" --root="$WORK/tasks" --splits=task
holds "a folder for each" test "$(find "$WORK/tasks" -mindepth 1 -maxdepth 1 | wc -l)" -ge 2
accepts "other names" "$TACT" edit "$WORK/set" --root="$WORK/named" --rename_map='{"observation.images.front": "observation.images.top"}'
holds "the new name" grep -q 'observation.images.top' "$WORK/named/meta/info.json"
holds "not the old one" test "$(grep -c 'images.front' "$WORK/named/meta/info.json")" -eq 0
accepts "a plan" "$TACT" edit "$WORK/set" --root="$WORK/plan" --drop=0 --dry_run
says "what would be written" "^$WORK/plan: 5 episodes, "
holds "nothing was" test ! -e "$WORK/plan"

# Tasks whose names differ in what no folder's name has, one of them as another's would with a number.
umi=tests/import/data/umi.zarr.zip
if "$TACT" info $umi >"$WORK/out" 2>&1; then
    alike=()
    for task in "pick" "pick 2" "Pick!"; do
        accepts "a task" "$TACT" import $umi --root="$WORK/one $task" --fps=60 --images=png --task="$task"
        alike+=("$WORK/one $task")
    done
    accepts "by tasks alike" "$TACT" edit "${alike[@]}" --root="$WORK/alike" --splits=task
    holds "a folder for each" test "$(cd "$WORK/alike" && echo *)" = "pick pick_2 pick_3"
    rm -r "$WORK/alike/pick" "$WORK/alike/pick_2"
    refuses "what is there of several" 'alike/pick_3: already exists' "$TACT" edit "${alike[@]}" --root="$WORK/alike" --splits=task
    holds "none is written" test "$(cd "$WORK/alike" && echo *)" = "pick_3"
fi

# Splits that an import made stay as far as their episodes lie together.
splits() { python3 -c "import json, sys; print(json.dumps(json.load(open(sys.argv[1] + '/meta/info.json'))['splits']))" "$1"; }
python3 -c "import zipfile; zipfile.ZipFile('tests/import/data/hdf5.zip').extract('robomimic.hdf5', '$WORK')"
if "$TACT" info "$WORK/robomimic.hdf5" >"$WORK/out" 2>&1; then
    accepts "an import with masks" "$TACT" import "$WORK/robomimic.hdf5" --root="$WORK/masks" --images=png
    holds "its splits" test "$(splits "$WORK/masks")" = '{"train": "0:3", "valid": "3:4"}'
    accepts "one less" "$TACT" edit "$WORK/masks" --root="$WORK/less" --drop=[1]
    holds "splits stay" test "$(splits "$WORK/less")" = '{"train": "0:2", "valid": "2:3"}'
    accepts "without one of them" "$TACT" edit "$WORK/less" --root="$WORK/least" --drop=[2]
    holds "the other stays" test "$(splits "$WORK/least")" = '{"train": "0:2"}'
    accepts "their order" "$TACT" edit "$WORK/least" "$WORK/less" --root="$WORK/both"
    holds "those that lie together" test "$(splits "$WORK/both")" = '{"train": "0:4", "valid": "4:5"}'
    accepts "which is lost" "$TACT" edit "$WORK/less" "$WORK/least" --root="$WORK/apart"
    holds "is said" grep -q 'apart: the splits in meta/info.json do not go along' "$WORK/err"
    holds "all are one" test "$(splits "$WORK/apart")" = '{"train": "0:5"}'
fi

refuses "no dataset" 'no dataset given' "$TACT" edit --root="$WORK/x"
refuses "no folder" 'no --root=DIR given' "$TACT" edit "$WORK/set"
refuses "another flag" 'did you mean --drop' "$TACT" edit "$WORK/set" --root="$WORK/x" --drp=1
refuses "no such episode" '--drop=\[9\]: there are episodes 0 to 5' "$TACT" edit "$WORK/set" --root="$WORK/x" --drop=[9]
refuses "all of them" 'no episode is left' "$TACT" edit "$WORK/set" --root="$WORK/x" --drop=0:6
refuses "both" 'exclude each other' "$TACT" edit "$WORK/set" --root="$WORK/x" --drop=1 --keep=2
refuses "of several" 'one dataset' "$TACT" edit "$WORK/set" "$WORK/kept" --root="$WORK/x" --drop=1
refuses "too much off" 'none would be left' "$TACT" edit "$WORK/set" --root="$WORK/x" --trim=2,2
refuses "no seconds" 'expected .idle., or seconds' "$TACT" edit "$WORK/set" --root="$WORK/x" --trim=much
refuses "what is there" 'already exists' "$TACT" edit "$WORK/set" --root="$WORK/kept"
refuses "no such feature" "no feature 'observation.images.no'" "$TACT" edit "$WORK/set" --root="$WORK/x" --remove_features=observation.images.no
refuses "no fractions" 'fractions' "$TACT" edit "$WORK/set" --root="$WORK/x" --splits='{"a": 0.8, "b": 0.8}'
refuses "one twice" 'in two of them' "$TACT" edit "$WORK/set" --root="$WORK/x" --splits='{"a": [1], "b": [1]}'
refuses "another rate" 'frames a second' bash -c "cp -r '$WORK/kept' '$WORK/fast' && sed -i 's/\"fps\": 10,/\"fps\": 20,/' '$WORK/fast/meta/info.json' && '$TACT' edit '$WORK/kept' '$WORK/fast' --root='$WORK/x'"
holds "nothing was written" test -z "$(find "$WORK" -maxdepth 1 -name 'x*')"

rm -r "$WORK/kept/videos"
refuses "no videos" 'videos.*--keep|copy' "$TACT" edit "$WORK/kept" --root="$WORK/x"
holds "by this command's flag" test "$(grep -c 'dataset.episodes' "$WORK/err")" -eq 0

# What can be mended: an episode that is not there, counts, statistics and the size of a camera.
cp -r "$WORK/set" "$WORK/broken"
sed -i 's/"total_episodes": 6/"total_episodes": 7/; s/"total_frames": [0-9]*/"total_frames": 9/' "$WORK/broken/meta/info.json"
sed -i '0,/"min"/s/"min": \[/"min": [9,/' "$WORK/broken/meta/stats.json"
"$TACT" check "$WORK/broken" --policy.chunk_size=8 --policy.n_action_steps=8 --fix="$WORK/mended" >"$WORK/out" 2>"$WORK/err"
holds "still unfit as it was" test $? -eq 2
holds "what is left out" grep -q 'mended: episode 6 is left out: ' "$WORK/err"
accepts "without the one that is nowhere" "$TACT" edit "$WORK/broken" --root="$WORK/rest" --drop=[6]
holds "all that are there" test "$(episodes "$WORK/rest")" = 6
"$TACT" check "$WORK/broken" --policy.chunk_size=8 --policy.n_action_steps=8 --fix="$WORK/again" >"$WORK/out" 2>"$WORK/err"
holds "the count" grep -q 'again: total_episodes: 7 -> 6' "$WORK/err"
accepts "the copy is sound" "$TACT" check "$WORK/mended" --policy.chunk_size=8 --policy.n_action_steps=8 --strict
refuses "a folder that is there" 'already exists' "$TACT" check "$WORK/set" --policy.chunk_size=8 --policy.n_action_steps=8 --fix="$WORK/mended"
# Of a disk that is full nothing is left.
if [ -w /dev/full ] && [ "$(ulimit -f)" = unlimited ]; then
    (trap '' XFSZ; ulimit -f 4; "$TACT" edit "$WORK/set" --root="$WORK/large" >"$WORK/out" 2>"$WORK/err")
    holds "too large for the disk" test $? -ne 0
    holds "nothing is left of it" test -z "$(find "$WORK" -maxdepth 1 -name 'large*')"
fi
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trainings with and without the frame cache and with augmentation: the same weights, byte for byte.
. "$(dirname "$0")/common.sh"

data=$WORK/data
accepts "sample" "$TACT" sample --root="$data" --episodes=3 --frames=20 --height=64 --width=96 --cameras=2
train=("$TACT" train --dataset.repo_id t/t --dataset.root="$data" "${TINY[@]}" --steps=6 --num_workers=2)
weights() { echo "$1/checkpoints/last/pretrained_model/model.safetensors"; }
same() { holds "$1" cmp -s "$(weights "$2")" "$(weights "$3")"; }

accepts "no cache" "${train[@]}" --output_dir="$WORK/none" --dataset.frame_cache=none
holds "and no files" test ! -e "$WORK/tact_frame_cache"
accepts "an empty cache" "${train[@]}" --output_dir="$WORK/cold"
holds "two cameras' files beside the output" test "$(ls "$WORK/tact_frame_cache" | wc -l)" -eq 2
holds "empty at first" grep -q " 0 of 126 frames are there" "$WORK/err"
same "cold" "$WORK/none" "$WORK/cold"
accepts "a full cache" "${train[@]}" --output_dir="$WORK/warm"
holds "not empty any more" grep -qE " [1-9][0-9]* of 126 frames are there" "$WORK/err"
same "warm" "$WORK/none" "$WORK/warm"

# Disks on which no file fits, or no whole one.
accepts "file size limit" bash -c 'ulimit -f 200; trap "" XFSZ; exec "$@"' _ "${train[@]}" \
    --output_dir="$WORK/limit" --steps=1 --dataset.frame_cache_dir="$WORK/other" --save_checkpoint=false
holds "one warning" test "$(grep -c 'WARNING.*kept in memory instead' "$WORK/err")" -eq 1

# A run is killed while it fills the cache, and two runs fill it together.
rm -rf "$WORK/tact_frame_cache"
"${train[@]}" --output_dir="$WORK/killed" --steps=100000 --save_checkpoint=false 2>"$WORK/err" &
pid=$!
for _ in $(seq 100); do [ -n "$(ls "$WORK/tact_frame_cache" 2>/dev/null)" ] && break; sleep 0.05; done
kill -KILL $pid
wait $pid 2>/dev/null
"${train[@]}" --output_dir="$WORK/one" 2>/dev/null >/dev/null &
accepts "together" "${train[@]}" --output_dir="$WORK/two"
wait
same "the one" "$WORK/none" "$WORK/one"
same "the other" "$WORK/none" "$WORK/two"

# Where the files lie.
accepts "default output" bash -c 'cd "$1" && shift && exec "$@"' _ "$WORK" "${train[@]}" --steps=1 --save_checkpoint=false
holds "beside the folders of dates" test -n "$(ls "$WORK"/outputs/train/tact_frame_cache/*.frames)"

# Augmentation.
augmented=("${train[@]}" --dataset.image_transforms.enable=true)
accepts "augmented" "${augmented[@]}" --output_dir="$WORK/a0" --dataset.frame_cache=none --num_workers=0
holds "other weights" test "$(cmp -s "$(weights "$WORK/none")" "$(weights "$WORK/a0")"; echo $?)" -eq 1
accepts "augmented, cache and workers" "${augmented[@]}" --output_dir="$WORK/a1" --num_workers=3
same "augmented" "$WORK/a0" "$WORK/a1"
holds "LeRobot's key" grep -q '"max_num_transforms": 3' "$WORK/a1/checkpoints/last/pretrained_model/train_config.json"
holds "not without" test -z "$(grep image_transforms "$WORK/none/checkpoints/last/pretrained_model/train_config.json")"
accepts "half" "${augmented[@]}" --output_dir="$WORK/half" --steps=3
accepts "resumed" "$TACT" train --config_path="$WORK/half/checkpoints/last/pretrained_model/train_config.json" --resume=true --steps=6
same "resumed" "$WORK/a0" "$WORK/half"
list='{"turn": {"weight": 1.0, "type": "RandomAffine", "kwargs": {"degrees": [-9, 9]}}}'
accepts "own list" "${augmented[@]}" --output_dir="$WORK/list" --steps=1 --dataset.image_transforms.tfs="$list"
holds "as an object" grep -q '"degrees"' "$WORK/list/checkpoints/last/pretrained_model/train_config.json"
refuses "unknown transform" "image_transforms.tfs: x: type Blur" "${augmented[@]}" --output_dir="$WORK/no" \
    --dataset.image_transforms.tfs='{"x": {"type": "Blur"}}'
refuses "no list" "image_transforms.tfs: not a JSON object" "${augmented[@]}" --output_dir="$WORK/no" --dataset.image_transforms.tfs=x
refuses "unknown cache" "frame_cache=disk" "${train[@]}" --output_dir="$WORK/no" --dataset.frame_cache=disk

accepts "bench --loader" "$TACT" bench --loader --json --dataset.root="$data" --policy.resize_shape=[32,48] --batch_size=4 --num_workers=1
for key in none cold warm frames_per_s first_batch_s; do holds "bench says $key" grep -q "\"$key\"" "$WORK/out"; done
accepts "bench --loader, memory" "$TACT" bench --loader --dataset.root="$data" --dataset.frame_cache=memory --steps=3 --num_workers=0
accepts "bench --loader --help" "$TACT" bench --loader --help
refuses "bench --loader, no dataset" "no dataset given" "$TACT" bench --loader
refuses "bench --loader, unknown flag" "no such flag" "$TACT" bench --loader --dataset.root="$data" --jsno
finish

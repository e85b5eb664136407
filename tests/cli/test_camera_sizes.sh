#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cameras of two sizes, from the dataset to a robot: train, go on to the same bits, evaluate, run, convert.
. "$(dirname "$0")/common.sh"

data=$WORK/data
accepts "a dataset of two sizes" "$TACT" sample --root="$data" --episodes=3 --frames=16 --height=64 --width=96 \
    --cameras=3 --turned
accepts "a dataset of one size" "$TACT" sample --root="$WORK/alike" --episodes=2 --frames=12 --height=64 --width=96 \
    --cameras=2
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --threads=1
    --dataset.eval_split=0.3 --eval_freq=4)

# shapes CHECKPOINT: heights and widths that its cameras see, as config.json has them.
shapes() {
    tr -d ' \n' <"$1/config.json" | grep -oE '"shape":\[3,[0-9]+,[0-9]+\]' | grep -oE '[0-9]+,[0-9]+\]' | tr ',]\n' '  ,'
}
last() { echo "$WORK/$1/checkpoints/last/pretrained_model"; }

# Three cameras at their recorded sizes, the second one turned.
accepts "as recorded" "${train[@]}" --policy.resize_shape=null --output_dir="$WORK/a" --steps=6 --save_freq=3
holds "as recorded: the banner" grep -q "3 cameras 64x96, 96x64, 64x96" "$WORK/err"
holds "as recorded: config.json" test "$(shapes "$(last a)")" = "64 96 ,96 64 ,64 96 ,"
cp -r "$WORK/a" "$WORK/b"
rm -rf "$WORK/b/checkpoints/000006" "$WORK/b/checkpoints/last"
ln -s 000003 "$WORK/b/checkpoints/last"
accepts "gone on" "$TACT" train --config_path="$(last b)/train_config.json" --resume=true
for file in pretrained_model/model.safetensors training_state/optimizer_state.safetensors; do
    holds "gone on: $file" cmp -s "$WORK/a/checkpoints/000006/$file" "$WORK/b/checkpoints/000006/$file"
done

# Every camera gets a size of its own. Evaluation uses include/tact.h, as a robot's program does.
accepts "a size each" "${train[@]}" "--policy.resize_shape=[[32,48],[64,40],[32,48]]" --output_dir="$WORK/c" --steps=2
holds "a size each: config.json" test "$(shapes "$(last c)")" = "32 48 ,64 40 ,32 48 ,"
accepts "a size for all" "${train[@]}" --output_dir="$WORK/d" --steps=2
holds "a size for all: config.json" test "$(shapes "$(last d)")" = "32 48 ,32 48 ,32 48 ,"
for run in a c; do
    accepts "evaluate $run" "$TACT" eval --policy.path="$(last $run)" --dataset.root="$data" \
        --output_dir="$WORK/eval_$run" --eval.stride=9 --threads=1
    accepts "convert $run" "$TACT" convert "$(last $run)" --to=tact --output="$WORK/converted_$run"
    holds "convert $run: config.json" test "$(shapes "$WORK/converted_$run")" = "$(shapes "$(last $run)")"
    accepts "look at $run" "$TACT" info "$(last $run)"
done
holds "look at c: a camera's line" grep -q "observation.images.wrist, 40 x 64 (recorded 64 x 96)" "$WORK/out"
accepts "time c" "$TACT" bench --infer --policy.path="$(last c)" --steps=1 --threads=1 --json
holds "time c: sizes" grep -q '"image_sizes"' "$WORK/out"
accepts "time two sizes" "$TACT" bench --cameras=2 --image=32x48,64x40 --policy.dim_model=32 --policy.n_heads=4 \
    --policy.dim_feedforward=32 --batch_size=1 --steps=1 --threads=1
accepts "frames of each size" "$TACT" info "$data" --frame=3 --policy.chunk_size=2 --policy.n_action_steps=2 \
    --images="$WORK/frames"
# Width and height stand in a PNG's bytes 16 to 23.
holds "frames of each size: front" test "$(od -An -tu1 -j16 -N8 "$WORK/frames/front_t0.png")" = "   0   0   0  96   0   0   0  64"
holds "frames of each size: wrist" test "$(od -An -tu1 -j16 -N8 "$WORK/frames/wrist_t0.png")" = "   0   0   0  64   0   0   0  96"
accepts "fine-tune" "$TACT" train --dataset.repo_id=t/t --dataset.root="$data" --policy.path="$(last c)" \
    --output_dir="$WORK/e" --batch_size=2 --num_workers=1 --threads=1 --steps=1
holds "fine-tune: config.json" test "$(shapes "$(last e)")" = "32 48 ,64 40 ,32 48 ,"

refuses "two sizes for three cameras" "resize_shape has 2 sizes, but the policy sees 3 cameras \(.*front, .*wrist, .*side\)" \
    "${train[@]}" "--policy.resize_shape=[[32,48],[64,40]]" --output_dir="$WORK/f"
refuses "a dataset whose camera is not turned" "frames of observation.images.wrist are 96x64, but the policy was trained on 64x96" \
    "$TACT" eval --policy.path="$(last a)" --dataset.root="$WORK/alike" --output_dir="$WORK/eval_no"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Parts of frames, from the flags to a robot: train, go on to the same bits, evaluate, look, convert, fine-tune.
. "$(dirname "$0")/common.sh"

data=$WORK/data
accepts "a dataset" "$TACT" sample --root="$data" --episodes=3 --frames=16 --height=64 --width=96 --cameras=2 --joints
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --threads=1)
crop=(--policy.type=act --policy.resize_shape=[48,64] --policy.crop_shape=[40,49])
last() { echo "$WORK/$1/checkpoints/last/pretrained_model"; }
shapes() {
    tr -d ' \n' <"$1/config.json" | grep -oE '"shape":\[3,[0-9]+,[0-9]+\]' | grep -oE '[0-9]+,[0-9]+\]' | tr ',]\n' '  ,'
}
steps() { # what a checkpoint's preprocessor makes of frames, a step a line
    tr -d ' \n' <"$1/policy_preprocessor.json" |
        grep -oE '"crop_params_dict":(null|\{[^}]*\}),"resize_size":(null|\[[0-9,]*\])'
}
same() { cmp -s "$WORK/$1/checkpoints/$3/pretrained_model/model.safetensors" "$WORK/$2/checkpoints/$3/pretrained_model/model.safetensors"; }

accepts "cropped" "${train[@]}" "${crop[@]}" --output_dir="$WORK/a" --steps=6 --save_freq=3 --num_workers=2
holds "cropped: the banner" grep -q "2 cameras 40x49" "$WORK/err"
holds "cropped: LeRobot is given recorded frames" test "$(shapes "$(last a)")" = "64 96 ,64 96 ,"
holds "cropped: LeRobot resizes" test "$(steps "$(last a)" | head -n 1)" = '"crop_params_dict":null,"resize_size":[48,64]'
holds "cropped: LeRobot crops the middle of both" test \
    "$(steps "$(last a)" | tail -n 1 | grep -oE '"observation[a-z.]*":\[4,8,40,49\]' | wc -l)" = 2
cp -r "$WORK/a" "$WORK/b"
rm -rf "$WORK/b/checkpoints/000006" "$WORK/b/checkpoints/last"
ln -s 000003 "$WORK/b/checkpoints/last"
accepts "gone on" "$TACT" train --config_path="$(last b)/train_config.json" --resume=true --num_workers=0
holds "gone on: to the same bits" same a b 000006
accepts "in the middle" "${train[@]}" "${crop[@]}" --policy.crop_is_random=false --output_dir="$WORK/c" --steps=3
accepts "in the middle, again" "${train[@]}" "${crop[@]}" --policy.crop_is_random=false --output_dir="$WORK/d" --steps=3
holds "in the middle: the same bits again" same c d 000003
holds "in the middle: not what was cropped at random" bash -c "! cmp -s '$(last c)/model.safetensors' \
    '$WORK/a/checkpoints/000003/pretrained_model/model.safetensors'"

accepts "look" "$TACT" info "$(last a)"
holds "look: a camera's line" grep -q "wrist, 49 x 40 (recorded 96 x 64, the middle of 64 x 48)" "$WORK/out"
accepts "evaluate" "$TACT" eval --policy.path="$(last a)" --dataset.root="$data" --output_dir="$WORK/eval" \
    --eval.stride=9 --threads=1
accepts "convert" "$TACT" convert "$(last a)" --to=act --output="$WORK/converted"
holds "convert: the steps" test "$(steps "$WORK/converted")" = "$(steps "$(last a)")"
cp -r "$WORK/converted" "$WORK/lerobots"
rm "$WORK/lerobots/tact.json"
accepts "look without tact.json" "$TACT" info "$WORK/lerobots"
holds "look without tact.json: the same" grep -q "wrist, 49 x 40 (recorded 96 x 64, the middle of 64 x 48)" "$WORK/out"
accepts "fine-tune" "$TACT" train --dataset.repo_id=t/t --dataset.root="$data" --policy.path="$WORK/lerobots" \
    --output_dir="$WORK/e" --batch_size=2 --num_workers=1 --threads=1 --steps=1
holds "fine-tune: of the middle, as LeRobot trains it" grep -q '"crop_is_random": false' "$(last e)/tact.json"
holds "fine-tune: the steps" test "$(steps "$(last e)")" = "$(steps "$(last a)")"
accepts "temporal" "${train[@]}" --policy.resize_shape=[48,64] --policy.crop_ratio=0.9 --output_dir="$WORK/f" --steps=1
holds "temporal: what the model sees" test "$(shapes "$(last f)")" = "43 57 ,43 57 ,"
holds "temporal: it crops itself" test -z "$(steps "$(last f)")"
accepts "a frame" "$TACT" info "$data" --frame=3 "${crop[@]}" --policy.chunk_size=2 --policy.n_action_steps=2 \
    --images="$WORK/frames"
# Width and height stand in a PNG's bytes 16 to 23.
holds "a frame: its size" test "$(od -An -tu1 -j16 -N8 "$WORK/frames/wrist_t0.png")" = "   0   0   0  49   0   0   0  40"

refuses "larger than a frame" "crop_shape=\[40,97\] is larger than the frames of observation.images.[a-z]*, which are 64x96" \
    "${train[@]}" --policy.resize_shape=null --policy.crop_shape=[40,97] --output_dir="$WORK/g"
refuses "a part of nothing" "crop_ratio=0.9: is a part of --policy.resize_shape" \
    "${train[@]}" --policy.resize_shape=null --policy.crop_ratio=0.9 --output_dir="$WORK/g"
finish

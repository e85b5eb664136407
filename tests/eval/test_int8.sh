#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# int8: nothing without a calibration, tact calibrate makes one, and the policy then predicts nearly the same; ranges of
# other weights, and ranges that cannot be, are refused; nothing trains so.
. tests/cli/common.sh

data=$WORK/data run=$WORK/run
accepts "sample" "$TACT" sample --root="$data" --episodes=3 --frames=24 --height=64 --width=96
accepts "train" "$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --policy.dim_model=64 --steps=40 \
    --save_freq=40 --policy.optimizer_lr=1e-3 --output_dir="$run"
policy=$run/checkpoints/000040/pretrained_model ranges=$run/checkpoints/000040/pretrained_model/int8_calibration.json
calibrate=("$TACT" calibrate --policy.path="$policy" --dataset.root="$data" --threads=1)
device=cpu few=()
evaluate() {
    "$TACT" eval --policy.path="$policy" --dataset.root="$data" --threads=1 --json --output_dir="$WORK/eval" \
        --policy.device="$device" "${few[@]}" "$@"
}

refuses "training at int8" "policy.dtype=int8: is for policies that run .*tact calibrate.* train at float32" \
    "$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --policy.dtype=int8 --output_dir="$WORK/no"
holds "which leaves nothing behind" test ! -e "$WORK/no"
refuses "measuring a training at int8" "int8: trains nothing" "$TACT" bench "${TINY[@]}" --policy.dtype=int8
refuses "no policy" "name a training run or a checkpoint" "$TACT" calibrate --dataset.root="$data"
refuses "no dataset" "no dataset given" "$TACT" calibrate --policy.path="$policy"
refuses "a method that is none" "must be one of mse" "${calibrate[@]}" --method=best
refuses "ref on a card's name" "unknown device" evaluate --policy.device=tpu --policy.dtype=int8

# Without the processor's instructions the file is made all the same, for others.
accepts "calibrate where there is no int8" env ONEDNN_MAX_CPU_ISA=AVX2 "${calibrate[@]}" --frames=4
holds "says so" grep -q "not compared with float32: .*no dot products of 8-bit integers" "$WORK/out"
refuses "int8 without the instructions" "no dot products of 8-bit integers .*; use float32" \
    env ONEDNN_MAX_CPU_ISA=AVX2 "$TACT" eval --policy.path="$policy" --dataset.root="$data" --policy.dtype=int8 --output_dir="$WORK/eval"
rm "$ranges"
evaluate --policy.dtype=int8 >"$WORK/out" 2>"$WORK/err"
if grep -q "no dot products of 8-bit integers" "$WORK/err"; then
    echo "skipped: the cpu device at int8, for this processor has no dot products of 8-bit integers; the reference has"
    device=ref few=(--dataset.episodes=[0] --eval.stride=12)
fi

refuses "int8 without a calibration" "int8_calibration.json: is not there, .*tact calibrate --policy.path=" evaluate --policy.dtype=int8
for method in percentile max mse; do
    accepts "calibrate by $method" "${calibrate[@]}" --frames=20 --method=$method
    holds "names it" grep -q "\"method\": \"$method\"" "$ranges"
done
[ $device != cpu ] || holds "prints both errors" grep -qE "^  normalised L1 +[0-9.e-]+ +[0-9.e-]+$" "$WORK/out"
holds "and where the file is" grep -q "^$ranges$" "$WORK/out"

# The mean errors of both are within 5 % of each other, and not the same number.
accepts "evaluates in float32" evaluate --policy.dtype=float32
cp "$WORK/out" "$WORK/float32.json"
accepts "evaluates at int8" evaluate --policy.dtype=int8
cp "$WORK/out" "$WORK/int8.json"
errors() { sed -n '/normalised L1/,$p' "$1" | grep -m 1 -oE '"mean": *[0-9.e-]+' | grep -oE '[0-9.e-]+$'; }
holds "nearly the same" awk -v a="$(errors "$WORK/float32.json")" -v b="$(errors "$WORK/int8.json")" \
    'BEGIN { exit !(a > 0 && b > 0 && b < 1.05 * a && b > a / 1.05 && a != b) }'
# By dot products as on the matrix unit, to the digits that bfloat16 leaves.
if [ $device = cpu ]; then
    kinds=0
    for isa in AVX512_CORE_VNNI AVX2_VNNI; do
        if ! ONEDNN_MAX_CPU_ISA=$isa evaluate --policy.dtype=int8 >"$WORK/out" 2>"$WORK/err"; then
            ! grep -q "no dot products of 8-bit integers" "$WORK/err" || continue
        fi
        kinds=$((kinds + 1))
        holds "nearly the same with $isa" awk -v a="$(errors "$WORK/out")" -v b="$(errors "$WORK/int8.json")" \
            'BEGIN { exit !(a > 0 && b < 1.02 * a && b > a / 1.02) }'
    done
    holds "by dot products of one kind at least" test "$kinds" -ge 1
    accepts "a random policy is measured" "$TACT" bench --infer --image=32x48 --steps=2 --policy.dtype=int8 --threads=1 --json
    holds "at int8" grep -q '"int8"' "$WORK/out"
fi

# spoil NAME PATTERN SED: the file with one fault.
spoil() {
    cp "$ranges" "$WORK/whole.json"
    sed -i "$3" "$ranges"
    refuses "$1" "$2" evaluate --policy.dtype=int8
    cp "$WORK/whole.json" "$ranges"
}
spoil "ranges of other weights" "made for other weights than those beside it; .*tact calibrate" 's/"weights_checksum": "./&0/'
spoil "no checksum" "made for other weights" '/weights_checksum/d'
spoil "another format" "not of format 1" 's/"format": 1/"format": 2/'
spoil "no products" "names no products" 's/"products"/"other"/'
spoil "a name that is none" 'are no weights of this policy' '0,/linear1.weight/s/linear1.weight/linear9.weight/'
spoil "weights that stay" 'are no weights of this policy' '0,/"model.encoder.layers.0.linear1.weight"/s//"model.action_head.weight"/'
spoil "a range of nothing" 'has a range of 0' '0,/"range": [0-9.e-]*/s//"range": 0/'
spoil "a range below nothing" 'has a range of -1' '0,/"range": [0-9.e-]*/s//"range": -1/'
spoil "a range that is no number" 'lacks its part, range or positive' '0,/"range": [0-9.e-]*/s//"range": "1"/'
spoil "a part that is none" 'lacks its part, range or positive' '0,/"part": 0/s//"part": 3/'
spoil "a part of a product that has none" 'lacks its part, range or positive' '0,/linear1.weight/{/linear1.weight/{n;s/"part": 0/"part": 1/}}'
spoil "a product twice" 'part 0 of ".*" is there twice' '0,/linear2.weight/s/linear2.weight/linear1.weight/'
spoil "half a file" 'int8_calibration.json' '20,$d'
accepts "the whole file again" evaluate --policy.dtype=int8

# Weights that change are told from those that were calibrated.
cp "$policy/model.safetensors" "$WORK/weights"
accepts "more training" "$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --policy.dim_model=64 --policy.path="$policy" --steps=1 \
    --save_freq=1 --output_dir="$WORK/on"
holds "a new checkpoint has no ranges" test ! -e "$WORK/on/checkpoints/000001/pretrained_model/int8_calibration.json"
cp "$WORK/on/checkpoints/000001/pretrained_model/model.safetensors" "$policy/model.safetensors"
refuses "other weights under the same name" "made for other weights" evaluate --policy.dtype=int8
cp "$WORK/weights" "$policy/model.safetensors"
accepts "other arithmetic does not look" evaluate --policy.dtype=float32
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad input gives one clear line and a non-zero exit, and harms nothing already written.
. "$(dirname "$0")/common.sh"

data=$WORK/data
"$TACT" sample --root="$data" --episodes=2 --frames=12 --height=64 --width=96 2>"$WORK/err" ||
    { cat "$WORK/err"; exit 1; }
train=("$TACT" train --dataset.repo_id=t/t --steps=2 "${TINY[@]}")

copy() { rm -rf "$WORK/$1" && cp -r "$data" "$WORK/$1"; }
fresh() { rm -rf "$WORK/run"; echo "--output_dir=$WORK/run"; }

refuses "missing dataset" "nowhere.*" "${train[@]}" --dataset.root="$WORK/nowhere" "$(fresh)"
refuses "unknown flag" "batch_sise.*batch_size" "${train[@]}" --dataset.root="$data" --batch_sise=4 "$(fresh)"
refuses "flag without a value" "steps" "$TACT" train --dataset.repo_id=x --steps
refuses "not a number" "steps.*many" "${train[@]}" --dataset.root="$data" --steps=many "$(fresh)"
refuses "batch_size 0" "batch_size.*0" "${train[@]}" --dataset.root="$data" --batch_size=0 "$(fresh)"
refuses "unknown command" "train" "$TACT" trian
inputs() { echo "--policy.input_features={\"observation.state\": {\"type\": \"STATE\", \"shape\": [$1]}, \"observation.images.$2\": {\"type\": \"VISUAL\", \"shape\": [3, 64, 96]}}"; }
refuses "camera named in the config" "observation.images.side" "${train[@]}" --dataset.root="$data" "$(inputs 7 side)" "$(fresh)"
refuses "state size in the config" "observation.state with 6 values.*has 7" "${train[@]}" --dataset.root="$data" "$(inputs 6 front)" "$(fresh)"
refuses "inputs that are no JSON" "input_features.*JSON" "${train[@]}" --dataset.root="$data" --policy.input_features=front "$(fresh)"
refuses "another command's flag" "stats" "$TACT" info "$data" --stat
refuses "another command's flag" "--cameras" "$TACT" bench --camera=2
refuses "heads that do not fit" "n_heads" "$TACT" bench --policy.dim_model=48 --policy.n_heads=7
refuses "resume" "x.json: no checkpoint here" "$TACT" train --config_path=x.json --resume=true
refuses "no image statistics" "stats.json.*use_imagenet_stats" "${train[@]}" --dataset.root="$(
    cp -r "$data" "$WORK/no_stats" && rm "$WORK/no_stats/meta/stats.json" && echo "$WORK/no_stats")" \
    --dataset.use_imagenet_stats=false "$(fresh)"
# A build without CUDA, or a machine without a card.
if ! nvidia-smi -L >/dev/null 2>&1; then
    refuses "cuda" "policy.device=cuda: .*(needs tact_cuda.so|no NVIDIA (card|driver))" "${train[@]}" --dataset.root="$data" --policy.device=cuda "$(fresh)"
    refuses "cuda:0" "cuda:0.*(needs tact_cuda.so|no NVIDIA (card|driver))" "${train[@]}" --dataset.root="$data" --policy.device=cuda:0 "$(fresh)"
fi
weights=--policy.pretrained_backbone_weights
mkdir "$WORK/torch"
refuses "pretrained weights offline" "resnet18-f37072fd.pth: cannot be downloaded from file:///nonexistent/.*put it into $WORK/torch/hub/checkpoints" \
    env TORCH_HOME="$WORK/torch" TACT_WEIGHTS_URL=file:///nonexistent/ "${train[@]}" --dataset.root="$data" \
    $weights=ResNet18_Weights.IMAGENET1K_V1 "$(fresh)"
refuses "unknown weights" "did you mean ResNet18_Weights.IMAGENET1K_V1" "${train[@]}" --dataset.root="$data" $weights=ResNet18.V1 "$(fresh)"
refuses "weights of another network" "weights of a resnet50.*vision_backbone=resnet18" "${train[@]}" --dataset.root="$data" $weights=ResNet50_Weights.DEFAULT "$(fresh)"
refuses "weights that are not there" "none.pth: there is no such file" "${train[@]}" --dataset.root="$data" $weights=none.pth "$(fresh)"
refuses "weights of something else" "zip.pth: no tensor conv1.weight" "${train[@]}" --dataset.root="$data" $weights=tests/formats/data/torch/zip.pth "$(fresh)"
refuses "weights that attack" "evil.pth: its pickle calls posix.system" "${train[@]}" --dataset.root="$data" $weights=tests/formats/data/torch/evil.pth "$(fresh)"
holds "the attack did nothing" test ! -e /tmp/tact-was-here
refuses "episode out of range" "episodes.*9" "${train[@]}" --dataset.root="$data" --dataset.episodes=[0,9] "$(fresh)"
refuses "n_action_steps" "n_action_steps" "${train[@]}" --dataset.root="$data" --policy.n_action_steps=9 "$(fresh)"
refuses "nothing to hold out" "eval_split=0.9: no task has two episodes" "${train[@]}" --dataset.root="$data" --dataset.episodes=[1] --dataset.eval_split=0.9 "$(fresh)"

# A state under another name would leave the policy blind to the robot without a word.
cp -r "$data" "$WORK/split"
sed -i 's/"observation.state"/"observation.state.joints"/' "$WORK/split/meta/info.json"
refuses "a state under another name" 'no observation.state, but observation.state.joints with 7 values.*--rename_map=.*"observation.state"' \
    "${train[@]}" --dataset.root="$WORK/split" "$(fresh)"
accepts "to look at it" "$TACT" info "$WORK/split"
holds "what no policy sees is named" grep -q 'no policy sees observation.state.joints (7)' "$WORK/err"
refuses "existing output" "$WORK/data" "${train[@]}" --dataset.root="$data" --output_dir="$WORK/data"

# The backbone of a trained policy can start another policy.
accepts "train once" "${train[@]}" --dataset.root="$data" "$(fresh)"
cp "$WORK/run/checkpoints/last/pretrained_model/model.safetensors" "$WORK/first.safetensors"
accepts "weights of a policy" "${train[@]}" --dataset.root="$data" $weights="$WORK/first.safetensors" "$(fresh)"
holds "and says so" grep -q "pretrained backbone: 100 of 100 tensors from $WORK/first.safetensors" "$WORK/err"
rm "$WORK/first.safetensors"

copy no_video && find "$WORK/no_video/videos" -name '*.mp4' -delete
refuses "missing video" "file-000.mp4" "${train[@]}" --dataset.root="$WORK/no_video" "$(fresh)"

copy cut_video && video=$(find "$WORK/cut_video/videos" -name '*.mp4' | head -n 1)
truncate -s $(($(stat -c %s "$video") / 2)) "$video"
refuses "truncated video" "file-000.mp4" "${train[@]}" --dataset.root="$WORK/cut_video" "$(fresh)"

# Damage is found in the middle of a run: the weights learnt until then are kept.
copy hole && video=$(find "$WORK/hole/videos" -name '*.mp4' | head -n 1)
at=$(grep -abo mdat "$video" | head -n 1 | cut -d: -f1)
size=$((16#$(od -An -tx1 -j $((at - 4)) -N 4 "$video" | tr -d ' ')))
dd if=/dev/zero of="$video" bs=1 seek=$((at - 4 + size - 60)) count=60 conv=notrunc 2>/dev/null
run=$(fresh)
refuses "damaged video on the way" "file-000.mp4.*the weights so far are in .*/checkpoints/0000[0-9]+" \
    "${train[@]}" --steps=500 --dataset.root="$WORK/hole" "$run"
holds "weights kept" test -s "$WORK/run/checkpoints/last/pretrained_model/model.safetensors"

copy cut_parquet && truncate -s -40 "$WORK/cut_parquet/data/chunk-000/file-000.parquet"
refuses "parquet cut short" "file-000.parquet" "${train[@]}" --dataset.root="$WORK/cut_parquet" "$(fresh)"

copy flipped && file=$WORK/flipped/data/chunk-000/file-000.parquet
at=200 byte=$(od -An -tu1 -j $at -N 1 "$file" | tr -d ' ')
printf "\\x$(printf %02x $((byte ^ 255)))" | dd of="$file" bs=1 seek=$at conv=notrunc 2>/dev/null
refuses "parquet with a flipped byte" "file-000.parquet" "${train[@]}" --dataset.root="$WORK/flipped" "$(fresh)"

copy wrong_size && sed -i '/"observation.state"/,/\]/ s/\b7\b/8/' "$WORK/wrong_size/meta/info.json"
refuses "state size" "observation.state" "${train[@]}" --dataset.root="$WORK/wrong_size" "$(fresh)"

copy broken_json && truncate -s 100 "$WORK/broken_json/meta/info.json"
refuses "info.json cut short" "info.json" "${train[@]}" --dataset.root="$WORK/broken_json" "$(fresh)"

# info.json names a second camera, which the data table does not have.
copy no_camera
sed -i 's/"observation.images.[a-z0-9_]*": {/&/; 0,/"observation.images.\([a-z0-9_]*\)"/ s//"observation.images.absent"/' "$WORK/no_camera/meta/info.json"
refuses "camera without data" "absent" "${train[@]}" --dataset.root="$WORK/no_camera" "$(fresh)"

# A full disk at checkpoint time: a tiny file system where we may mount one, else a file-size limit.
mkdir "$WORK/full"
if mount -t tmpfs -o size=1m tmpfs "$WORK/full" 2>/dev/null; then
    refuses "full disk" "(No space|cannot write)" "${train[@]}" --dataset.root="$data" --output_dir="$WORK/full/run"
    holds "no half checkpoint" test -z "$(find "$WORK/full" -name model.safetensors)"
    umount "$WORK/full"
else
    refuses "full disk" "cannot write|too large" bash -c 'ulimit -f 200; trap "" XFSZ; exec "$@"' _ \
        "${train[@]}" --dataset.root="$data" --output_dir="$WORK/full/run"
    holds "no half checkpoint" test -z "$(find "$WORK/full" -name model.safetensors)"
fi

shared=${TACT_SHARED:-../shared}
if [ -d "$shared/data/g1_bottle_v21" ]; then
    # The info.json of the shared copy was cut at 4096 bytes; here its last features are written out again.
    cp -rs "$(realpath "$shared/data/g1_bottle_v21")" "$WORK/v21"
    info=$WORK/v21/meta/info.json
    text=$(cat "$info") && rm "$info"
    case $text in *'}') ;; *) text+='"shape": [1], "names": null}}}' ;; esac
    printf '%s\n' "$text" > "$info"
    refuses "partial dataset" "dataset.episodes" "${train[@]}" --dataset.root="$WORK/v21" "$(fresh)"
    accepts "two episodes of it" "${train[@]}" --dataset.root="$WORK/v21" --dataset.episodes=[10,12] "$(fresh)"
    refuses "videos missing" "mp4" "${train[@]}" --dataset.root="$shared/data/so101_meta_v30" "$(fresh)"
else
    echo "skipped: real datasets are not at hand"
fi
finish

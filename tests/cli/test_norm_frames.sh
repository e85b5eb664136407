#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --policy.backbone_norm_frames: a backbone from scratch begins with the norms of some frames, the same ones whatever
# the threads and workers, which training leaves as they are and a run that goes on keeps.
. "$(dirname "$0")/resume.sh"

accepts "data" "$TACT" sample --root="$WORK/pixels" --episodes=2 --frames=20 --height=64 --width=96 --images_in_parquet=true
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/pixels" "${TINY[@]}" --steps=4 --save_freq=2)
weights() { echo "$WORK/$1/checkpoints/$2/pretrained_model/model.safetensors"; }
settings() { echo "$WORK/$1/checkpoints/last/pretrained_model/$2"; }
# norms FILE: a hash of every running_mean and running_var in it.
norms() {
    python3 - "$1" <<'EOF'
import hashlib, json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header, found = json.loads(data[8:8 + size]), hashlib.sha256()
names = sorted(n for n in header if "running_mean" in n or "running_var" in n)
assert len(names) == 40, names
for name in names:
    begin, end = header[name]["data_offsets"]
    found.update(data[8 + size + begin:8 + size + end])
print(found.hexdigest())
EOF
}

accepts "a run" "${train[@]}" --policy.backbone_norm_frames=8 --threads=1 --num_workers=0 --output_dir="$WORK/run"
holds "the log says so" grep -q "the backbone's norms are those of 8 frames" "$WORK/err"
holds "the setting is kept" grep -q '"backbone_norm_frames": 8' "$(settings run tact.json)"
accepts "the same with workers" "${train[@]}" --policy.backbone_norm_frames=8 --threads=1 --num_workers=2 --output_dir="$WORK/again"
holds "has the same bytes" cmp -s "$(weights run 000004)" "$(weights again 000004)"
accepts "without" "${train[@]}" --threads=1 --output_dir="$WORK/plain"
holds "nothing is said" test "$(grep -c backbone_norm_frames "$(settings plain tact.json)")" -eq 0
holds "is another run" test "$(cmp -s "$(weights run 000004)" "$(weights plain 000004)"; echo $?)" -eq 1
accepts "more than there are" "${train[@]}" --policy.backbone_norm_frames=1000 --steps=1 --save_freq=0 --output_dir="$WORK/all"
holds "takes all" grep -q "the backbone's norms are those of 41 frames" "$WORK/err"

cp -r "$WORK/run" "$WORK/half"
rm -rf "$WORK/half"/checkpoints/{000004,last}
ln -s 000002 "$WORK/half/checkpoints/last"
accepts "gone on with" "$TACT" train "$(resume "$WORK/half")" --resume=true
holds "not again" test "$(grep -c "the backbone's norms" "$WORK/err")" -eq 0
holds "has the same bytes" cmp -s "$(weights run 000004)" "$(weights half 000004)"
refuses "other norms for a run that goes on" 'backbone_norm_frames=9: the run to go on with began with 8' \
    "$TACT" train "$(resume "$WORK/half")" --resume=true --steps=5 --policy.backbone_norm_frames=9
refuses "norms for one that began without" 'backbone_norm_frames=8: the run to go on with began with 0' \
    "$TACT" train "$(resume "$WORK/plain")" --resume=true --steps=5 --policy.backbone_norm_frames=8
accepts "fine-tuned" "${train[@]}" --policy.path="$WORK/run" --output_dir="$WORK/tuned"
holds "with the norms of its policy" test "$(grep -c "the backbone's norms" "$WORK/err")" -eq 0
if command -v python3 >/dev/null; then
    holds "training leaves them" test "$(norms "$(weights run 000002)")" = "$(norms "$(weights run 000004)")"
    holds "so does a tuning" test "$(norms "$(weights run 000004)")" = "$(norms "$(weights tuned 000004)")"
    holds "they are not as without" test "$(norms "$(weights run 000002)")" != "$(norms "$(weights plain 000002)")"
fi

accepts "plain ACT" "${train[@]}" --policy.type=act --policy.backbone_norm_frames=8 --output_dir="$WORK/act"
holds "stays LeRobot's" grep -q '"type": "act"' "$(settings act config.json)"
refuses "weights that have norms" 'pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1 come with their norms' \
    "${train[@]}" --policy.backbone_norm_frames=8 --policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1
refuses "less than none" 'backbone_norm_frames' "${train[@]}" --policy.backbone_norm_frames=-1
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# End to end: a policy of a few steps, evaluated on sample data. Its errors are held against the training's
# own held-out loss, the baseline's against a computation from what `tact info` shows.
. "$(dirname "$0")/../cli/common.sh"

# The first "KEY" after the measure NAME in eval.json, which has one value a line.
number_of() {
    awk -v name="\"name\": \"$2\"," -v key="\"$3\":" \
        'index($0, name) { on = 1 } on && index($0, key) { sub(/.*: */, ""); sub(/,$/, ""); print; exit }' "$1"
}
# close A B TOLERANCE: relative; false for what is no number.
close() {
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN {
        number = "^-?[0-9.]+(e[-+]?[0-9]+)?$"
        d = a - b; d = d < 0 ? -d : d
        exit !(a ~ number && b ~ number && d <= t * (b < 0 ? -b : b)) }'
}
sample() { "$TACT" sample --episodes=3 --frames=20 --height=64 --width=96 "$@" >/dev/null; }
eval_() { "$TACT" eval --threads=1 "$@"; }

plain="$WORK/a<b>&'c" # a name that HTML has to escape
sample --root="$plain" --joints
sample --root="$WORK/poses"
train=("$TACT" train "${TINY[@]}" --steps=4 --eval_freq=4 --dataset.eval_split=0.3 --num_workers=1)
accepts "train plain" "${train[@]}" --dataset.root="$plain" --dataset.repo_id=t/joints --output_dir="$WORK/plain"
accepts "train poses" "${train[@]}" --dataset.root="$WORK/poses" --dataset.repo_id=t/poses --output_dir="$WORK/run"

# Every frame of the held-out episode (of the task that has two): the loss of the training's evaluation.
accepts "held out" eval_ --policy.path="$WORK/plain" --dataset.root="$plain" --eval.stride=1 --output_dir="$WORK/e1"
holds "the held-out one" test "$(grep -c '"training": "held out"' "$WORK/e1/eval.json")" -eq 1
holds "and no other" test "$(grep -c '"training":' "$WORK/e1/eval.json")" -eq 1
loss=$(grep -o '"eval_loss": *[^,}]*' "$WORK/plain/metrics.jsonl" | tail -n 1 | sed 's/.*: *//')
holds "normalised L1 is the held-out loss ($loss)" close "$(number_of "$WORK/e1/eval.json" "normalised L1" mean)" "$loss" 5e-6
holds "windows" grep -q '^ "windows": 22,' "$WORK/e1/eval.json"
holds "table" grep -q 'normalised L1' "$WORK/out"

# The baseline, from the observations and actions that `tact info` prints.
accepts "one episode" eval_ --policy.path="$WORK/plain" --dataset.root="$plain" --dataset.episodes=[1] --eval.stride=7 \
    --threads=0 --json --output_dir="$WORK/e2"
cp "$WORK/out" "$WORK/e2.json"
holds "--json prints eval.json" cmp -s <(cat "$WORK/e2/eval.json"; echo) "$WORK/e2.json"
holds "says how many threads there were" grep -qE '"threads": [1-9]' "$WORK/e2.json"
for key in $(sed -n 's/^ "\([a-z_0-9]*\)":.*/\1/p' "$WORK/e2.json"); do
    holds "docs/eval.md names $key" grep -q "^| .*\`$key\`.* | " docs/eval.md
done
holds "three windows" grep -q '^ "windows": 3,' "$WORK/e2.json"
for frame in 20 27 34; do # episode 1 begins at 20 and has 21 frames
    "$TACT" info "$plain" --frame=$frame --policy.chunk_size=8 --policy.n_action_steps=8 --policy.obs_state_horizon=1
done | tr -d ' ' >"$WORK/frames"
expected=$(awk '{
    split($0, part, "\"state\":\\[\\[|\\]\\],\"action\":\\[\\[|\\]\\],\"action_is_pad\":\\[|\\],\"frames\"")
    n = split(part[2], state, ","); rows = split(part[3], action, "\\],\\["); split(part[4], pad, ",")
    for (s = 1; s <= rows; s++) {
        if (pad[s] == "true") continue
        steps++
        split(action[s], a, ",")
        for (d = 1; d <= n; d++) { e = a[d] - state[d]; sum[d] += e < 0 ? -e : e; square[d] += e * e }
    }
} END { printf "%.12g %.12g %.12g", sum[1] / steps, sum[n] / steps, square[n] / steps }' "$WORK/frames")
read -r first last mse <<<"$expected"
mapfile -t stays < <(grep -o '"stay_l1": .*' "$WORK/e2.json" | sed 's/.*: *//; s/,$//')
mapfile -t squares < <(grep -o '"stay_mse": .*' "$WORK/e2.json" | sed 's/.*: *//; s/,$//')
holds "staying, first value" close "${stays[0]}" "$first" 1e-6
holds "staying, last value" close "${stays[-1]}" "$last" 1e-6
holds "staying, squared" close "${squares[-1]}" "$mse" 1e-6

# Poses.
accepts "all episodes of poses" eval_ --policy.path="$WORK/run" --dataset.root="$WORK/poses" --eval.all --eval.stride=5 \
    --output_dir="$WORK/e3" --eval.camera_fov=90 --eval.camera_pose=[0,0,-0.2,0,0,0]
json=$WORK/e3/eval.json page=$WORK/e3/report.html
holds "trained on" test "$(grep -c '"training": "trained on"' "$json")" -eq 2
holds "windows of three episodes" grep -q '^ "windows": 14,' "$json" # 4 + 5 + 5
for measure in position rotation gripper; do # numbers, and none of them zero
    holds "$measure" close "$(number_of "$json" $measure mean)" "$(number_of "$json" $measure max)" 1
done
holds "paths on frames" grep -q '"points": \[\[' "$page"
holds "frames" test "$(grep -o '"data:image/jpeg;base64,' "$page" | wc -l)" -ge 3
holds "no path without a camera model" test "$(grep -c '"points":' "$WORK/e1/report.html")" -eq 0
holds "the training's losses" grep -q '"training_log": {"l1_loss": \[\[1, ' "$page"
holds "the name is there" grep -qF "/a\u003cb>&'c" "$WORK/e1/report.html"
for report in "$page" "$WORK/e1/report.html"; do
    holds "nothing raw, nothing from a network" test "$(grep -cE 'a<b>|https:|@import|@EVAL@|: -?(nan|inf)' "$report")" -eq 0
    holds "whole" grep -q '</html>' "$report"
done
# The page's numbers are those of eval.json, beside the figures that are in the page alone.
same_numbers() {
    python3 - "$1" <<'END'
import json, re, sys
page = open(sys.argv[1] + "/report.html", encoding="utf-8").read()
inside = json.loads(re.search(r'<script type="application/json" id="eval">(.*?)</script', page, re.S)[1])
beside = json.load(open(sys.argv[1] + "/eval.json", encoding="utf-8"))
figures = inside.pop("figures")
assert inside == beside
assert len(figures["windows"]) == len(beside["worst"]) and len(figures["curves"]) >= 1
assert all(len(v["recorded"]) == len(v["predicted"]) == w["steps"]
           for f, w in zip(figures["windows"], beside["worst"]) for v in f["values"])
for f in figures["windows"]: # each value once
    assert len({v["name"] for v in f["values"]}) == len(f["values"]) > 3
for f, w in zip(figures["windows"], beside["worst"]): # of an arm what was recorded, and what was predicted
    for paths in [frame["paths"] for frame in f["frames"] if "paths" in frame]:
        assert [p["predicted"] for p in paths] == [False, True] and all(len(p["points"]) == w["steps"] for p in paths)
for curve in figures["curves"]: # the chunks end with the episode
    for v in curve["values"]:
        assert [len(chunk) for chunk in v["predicted"]] == [min(8, curve["steps"] - at) for at in curve["frames"]]
        assert len(v["recorded"]) == curve["steps"]
END
}
if command -v python3 >/dev/null; then
    for folder in "$WORK"/e[123]; do holds "the page has eval.json" same_numbers "$folder"; done
fi

# A policy on another dataset: what it was trained on is not known here.
sample --root="$WORK/more" --seed=5
accepts "another dataset" eval_ --policy.path="$WORK/run" --dataset.root="$WORK/more" --output_dir="$WORK/e4"
holds "unknown" test "$(grep -c '"training": "unknown"' "$WORK/e4/eval.json")" -eq 3
accepts "chunks shorter than the stride" eval_ --policy.path="$WORK/run" --dataset.root="$WORK/more" --eval.stride=13 --output_dir="$WORK/e5"
holds "six windows" grep -q '^ "windows": 6,' "$WORK/e5/eval.json"
(cd "$WORK" && eval_ --policy.path=run --dataset.root=more --eval.stride=13 >/dev/null 2>&1)
holds "default directory" test -s "$(echo "$WORK"/outputs/eval/*_run_000004/report.html)"

# Refusals, each in one line.
sample --root="$WORK/large" --width=128
sample --root="$WORK/blind" --cameras=0 --env_dim=3
on=(eval_ --policy.path="$WORK/run" --dataset.root="$WORK/poses" --output_dir="$WORK/no")
refuses "no policy" 'policy.path' eval_ --dataset.root="$WORK/poses"
refuses "no dataset" 'dataset.root' eval_ --policy.path="$WORK/run"
refuses "no such policy" 'nowhere' eval_ --policy.path="$WORK/nowhere" --dataset.root="$WORK/poses"
refuses "a flag of recordings" 'eval.stride: is for recorded episodes' eval_ --policy.path="$WORK/run" --env.type=strawberry --eval.stride=2
refuses "a simulation" 'env.type' "${on[@]}" --env.type=strawberry
refuses "no such episode" 'episode' "${on[@]}" --dataset.episodes=[7]
refuses "misspelt" 'eval.stride' "${on[@]}" --eval.strid=3
refuses "two wishes" 'eval.all' "${on[@]}" --eval.all --dataset.episodes=[1]
refuses "other state" 'observation.state|action' eval_ --policy.path="$WORK/run" --dataset.root="$plain" --output_dir="$WORK/no"
refuses "other frames" '128x64.*96x64' eval_ --policy.path="$WORK/run" --dataset.root="$WORK/large" --output_dir="$WORK/no"
refuses "other cameras" 'does not have' eval_ --policy.path="$WORK/run" --dataset.root="$WORK/blind" --output_dir="$WORK/no"
refuses "half a camera model" 'camera_pose' "${on[@]}" --eval.camera_fov=90
refuses "no such camera" 'no such camera' "${on[@]}" --eval.camera_fov=90 --eval.camera_pose=[0,0,0,0,0,0] --eval.camera=nose
refuses "no such arm" '1 arm' "${on[@]}" --eval.camera_fov=90 --eval.camera_pose=[0,0,0,0,0,0] --eval.camera_arm=2
refuses "paths of no poses" 'no poses' eval_ --policy.path="$WORK/plain" --dataset.root="$plain" \
    --eval.camera_fov=90 --eval.camera_pose=[0,0,0,0,0,0] --output_dir="$WORK/no"
touch "$WORK/file"
refuses "a file in the way" 'file' "${on[@]}" --output_dir="$WORK/file"
holds "nothing was written" test ! -e "$WORK/no/report.html"

# A full disk: files may not grow beyond 4 KiB here.
full() { (trap '' XFSZ; ulimit -f 4; "${on[@]}" --eval.stride=9); }
refuses "full disk" 'cannot write' full
holds "no half of a file" test -z "$(ls -A "$WORK/no")"

# Weights that are finite and give what is not: the largest float32 in the first row of the action head.
cp -r "$WORK/run/checkpoints/000004/pretrained_model" "$WORK/sick"
weights=$WORK/sick/model.safetensors
header=$(od -An -tu8 -N8 "$weights" | tr -d ' ')
offset=$(head -c $((header + 8)) "$weights" | grep -ao '"model.action_head.weight":{[^}]*}' |
    sed 's/.*"data_offsets":\[\([0-9]*\),.*/\1/')
for i in $(seq 0 31); do printf '\xff\xff\x7f\x7f'; done |
    dd of="$weights" bs=1 seek=$((8 + header + offset)) conv=notrunc status=none
refuses "an infinite prediction" 'episode 2, frame 0.*not finite' eval_ --policy.path="$WORK/sick" \
    --dataset.root="$WORK/poses" --dataset.episodes=[2] --output_dir="$WORK/no"
accepts "help" "$TACT" help eval
holds "help speaks of the axes" grep -q 'z forward' "$WORK/out"
accepts "a flag of simulations" "${on[@]}" --eval.n_episodes=3
holds "says that it does nothing" grep -q 'WARNING.*eval.n_episodes: is for a simulated task' "$WORK/err"
finish

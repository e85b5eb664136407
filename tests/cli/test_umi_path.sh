#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# UMI's whole way with its own settings: from a replay buffer as it keeps one to windows that are equal to those of
# its own dataset (tests/dataset/make_umi_windows.py), a training, and an evaluation.
. "$(dirname "$0")/common.sh"

buffer=tests/dataset/umi_replay_buffer.zarr.zip golden=tests/dataset/umi_windows.safetensors
if ! "$TACT" info "$buffer" >"$WORK/out" 2>"$WORK/err"; then # test_import.sh looks at why
    echo "skipped: $(tail -n 1 "$WORK/err")"
    exit 77
fi
accepts import "$TACT" import "$buffer" --root="$WORK/set" --fps=59.94 --images=png --task="place the cup"
umi=(--policy.obs_state_horizon=2 --policy.obs_down_sample_steps=3 --policy.action_down_sample_steps=3
    --policy.chunk_size=16 --policy.n_action_steps=8)

# What a policy sees at the rows of the golden windows; the frames are those of its poses.
same_windows() {
    python3 - "$golden" "$WORK/frames" <<'END'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
length = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8 : 8 + length])
def tensor(name):
    e = header[name]
    a, b = e["data_offsets"]
    kind = {"F32": "f", "I64": "q", "U8": "B"}[e["dtype"]]
    raw = data[8 + length + a : 8 + length + b]
    return list(struct.unpack(f"<{len(raw) // struct.calcsize(kind)}{kind}", raw))
rows, worst = tensor("one.rows"), 0
lines = [json.loads(line) for line in open(sys.argv[2])]
assert [line["index"] for line in lines] == rows and len(rows) == 11
for key in ("state", "action"):
    got = [v for line in lines for row in line[key] for v in row]
    want = tensor(f"one.{key}")
    assert len(got) == len(want)
    worst = max(worst, max(abs(a - b) for a, b in zip(got, want)))
print(f"at most {worst:.1e} off")
sys.exit(not worst <= 1e-6)
END
}
for row in 0 1 2 3 20 33 55 57 58 59 64; do
    "$TACT" info "$WORK/set" --frame=$row "${umi[@]}"
done >"$WORK/frames"
if command -v python3 >/dev/null; then holds "windows are UMI's" same_windows; fi

accepts train "$TACT" train "${TINY[@]}" --policy.resize_shape=null "${umi[@]}" --threads=1 --dataset.root="$WORK/set" \
    --dataset.repeat_frame_prob=0.5 --dataset.repo_id=t/umi --steps=2 --output_dir="$WORK/run"
holds "frames before a grasp" grep -q 'repeat_frame_prob=0.5: 21 of 65 frames lie before a first grasp (gripper below 0.08)' "$WORK/err"
accepts info "$TACT" info "$WORK/run"
holds "an action every third step" grep -q 'chunks of 16, 8 carried out, an action every 3 steps, 59.94' "$WORK/out"
accepts eval "$TACT" eval --threads=1 --policy.path="$WORK/run" --dataset.root="$WORK/set" --eval.all --eval.stride=8 \
    --output_dir="$WORK/eval"
holds "over the chunk's time" grep -q ' 0.751 s ' "$WORK/out"
finish

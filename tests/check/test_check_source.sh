#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact check on sources of tact import: the same findings as of the dataset that is made of one, where a fault is, the
# command that imports what is left, what is refused.
. "$(dirname "$0")/../cli/common.sh"
data=tests/import/data

command -v python3 >/dev/null || { echo "skipped: no python3 here"; exit 77; }
if ! "$TACT" info $data/umi.zarr.zip >"$WORK/out" 2>"$WORK/err"; then
    "$TACT" check $data/umi.zarr.zip --fps=60 >"$WORK/out" 2>"$WORK/err"
    holds "unfit, as it cannot be read" test $? -eq 2
    holds "and why" grep -q "a zarr group in a zip file" "$WORK/out"
    echo "skipped: $(tail -n 1 "$WORK/err")"
    finish && exit 77
    exit 1
fi
for name in clean bad nan; do
    faults=$(case $name in bad) echo jump frozen ;; nan) echo nan ;; esac)
    python3 tests/check/make_source.py "$WORK/$name.zarr" $faults
done
flags=(--fps=20 --policy.chunk_size=8 --policy.n_action_steps=8)

accepts "a clean source" "$TACT" check "$WORK/clean.zarr" "${flags[@]}" --strict --decode=all
holds "its size" grep -q '^clean.zarr: 12 episodes, 720 frames$' "$WORK/out"
holds "it is clean" grep -q '^clean: ' "$WORK/out"
holds "with nothing to leave out" test "$(grep -c 'without' "$WORK/out")" -eq 0

accepts "a source with two faults" "$TACT" check "$WORK/bad.zarr" "${flags[@]}" --report="$WORK/page.html"
holds "the jump" grep -q 'episode 5 (rows 300 to 359), frame 30: observation.state\[1\] y: 0.4' "$WORK/out"
holds "the camera" grep -qE 'episode 8 \(rows 480 to 539\), frame [0-9]+: observation.images.camera0: the same picture' "$WORK/out"
holds "and nothing else" grep -q '^look at the warnings: .* 0 errors, 2 warnings' "$WORK/out"
line="tact import $WORK/bad.zarr --root=NEW --fps=20 --images=png --episodes=0:5,6,7,9:12"
holds "the ready command" grep -qxF "without what was flagged: $line" "$WORK/out"
holds "the page has its frames" test "$(grep -o 'data:image/jpeg' "$WORK/page.html" | wc -l)" -ge 52 # 12 of 3 moments, 2 of 8
holds "and its name" grep -q '"name": *"episode 8 (rows 480 to 539)"' "$WORK/page.html"

# What is made of it has the same findings, and what the command makes of it has none.
"$TACT" check "$WORK/bad.zarr" "${flags[@]}" --decode=all --json >"$WORK/source.json" 2>/dev/null
accepts "the import of all" "$TACT" import "$WORK/bad.zarr" --root="$WORK/all" --fps=20 --images=png
"$TACT" check "$WORK/all" "${flags[@]:1}" --decode=all --json >"$WORK/dataset.json" 2>/dev/null
holds "the same findings" python3 - "$WORK/source.json" "$WORK/dataset.json" <<'P'
import json, sys
source, dataset = (json.load(open(f)) for f in sys.argv[1:])
def found(d):
    return [{k: v for k, v in f.items() if k != "name"} for f in d["findings"]]
assert {"value_jump", "picture_frozen", "task_empty"} <= {f["rule"] for f in source["findings"]}, source["findings"]
assert found(source) == found(dataset), (found(source), found(dataset))
assert source["drop"] == dataset["drop"] == [5, 8] and source["flag"] is None, source["drop"]
assert [f.get("name") for f in source["findings"] if f["episode"] == 5] == ["episode 5 (rows 300 to 359)"]
P
(cd "$WORK" && eval "\"$TACT\" ${line#tact }") >"$WORK/out" 2>"$WORK/err"
holds "the command runs" test $? -eq 0
accepts "what it made is clean" "$TACT" check "$WORK/NEW" "${flags[@]:1}" --decode=all --strict
holds "ten episodes" grep -q '^NEW: 10 episodes, 600 frames$' "$WORK/out"
accepts "chosen episodes" "$TACT" check "$WORK/bad.zarr" "${flags[@]}" --dataset.episodes=[0,1,2,3,4,6] --strict
holds "these alone" grep -q '^bad.zarr: 6 episodes, 360 frames$' "$WORK/out"

"$TACT" check "$WORK/nan.zarr" "${flags[@]}" >"$WORK/out" 2>"$WORK/err"
holds "a value that is none: unfit" test $? -eq 2
holds "where it is" grep -q 'episode 3 (rows 180 to 239): .*data/robot0_eef_pos: value 2 of episode 3, row 7 .* is nan' "$WORK/out"
holds "the others are looked at" grep -q '^nan.zarr: 11 episodes, 660 frames$' "$WORK/out"
holds "without it" grep -qF -- '--episodes=0:3,4:12' "$WORK/out"
printf 'no number' >"$WORK/clean.zarr/data/action/.zarray"
"$TACT" check "$WORK/clean.zarr" "${flags[@]}" >"$WORK/out" 2>"$WORK/err"
holds "a source that cannot be opened: unfit" test $? -eq 2
holds "and why" grep -q 'unreadable' "$WORK/out"

refuses "no rate" "--fps=59.94 where the cameras were GoPros" "$TACT" check $data/umi.zarr.zip
refuses "a rate that is none" "--fps=fast: expected" "$TACT" check $data/umi.zarr.zip --fps=fast
refuses "mending what is no dataset" "--fix is for LeRobot datasets.*tact import" "$TACT" check "$WORK/bad.zarr" --fps=20 --fix="$WORK/fixed"
refuses "an episode that is not there" "99 is not in .*bad.zarr" "$TACT" check "$WORK/bad.zarr" --fps=20 --dataset.episodes=[99]
refuses "a rate for a dataset" "a LeRobot dataset says these itself" "$TACT" check "$WORK/all" --fps=20
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact check: what it says of a sound dataset, of one with broken episodes, of one that no policy fits, its exit codes
# and its JSON.
. "$(dirname "$0")/../cli/common.sh"

accepts "a sample" "$TACT" sample --root="$WORK/set" --episodes=6 --frames=60 --height=64 --width=64
short=(--policy.chunk_size=8 --policy.n_action_steps=8)
accepts "a sound dataset" "$TACT" check "$WORK/set" "${short[@]}" --strict
holds "it is clean" grep -q '^clean: 0 rules of [0-9]* found something' "$WORK/out"
holds "with nothing to leave out" test "$(grep -c 'without' "$WORK/out")" -eq 0
accepts "by flag" "$TACT" check --dataset.root="$WORK/set" "${short[@]}" --decode=all
accepts "warnings alone" "$TACT" check "$WORK/set" --decode=none # a chunk of 100 is mostly padding
holds "the verdict" grep -q '^look at the warnings:' "$WORK/out"
"$TACT" check "$WORK/set" --decode=none --strict >"$WORK/out" 2>&1
holds "--strict" test $? -eq 1
accepts "as JSON" "$TACT" check "$WORK/set" --decode=none --json
if command -v python3 >/dev/null; then
    holds "JSON that can be read" python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["verdict"] == "warnings" and d["episodes"] == 6 and d["frames"] == 375, d
assert {"padding"} <= {f["rule"] for f in d["findings"]} <= {r["name"] for r in d["rules"]}
assert all(r["fix"] and r["source"] and r["measures"] for r in d["rules"])' "$WORK/out"
fi
accepts "all of it" "$TACT" check "$WORK/set" "${short[@]}" --verbose
holds "every rule" test "$(grep -c '^ok ' "$WORK/out")" -eq "$("$TACT" check "$WORK/set" "${short[@]}" --json | grep -c '"measures"')"

for rule in $("$TACT" check "$WORK/set" "${short[@]}" --json | grep -o '"name": "[a-z_]*"' | cut -d'"' -f4); do
    holds "docs/check.md has $rule" grep -q "^| \`$rule\` |" docs/check.md
done

# Two episodes that info.json has and nobody else: the others are looked at all the same.
cp -r "$WORK/set" "$WORK/broken"
sed -i 's/"total_episodes": 6/"total_episodes": 8/' "$WORK/broken/meta/info.json"
"$TACT" check "$WORK/broken" "${short[@]}" >"$WORK/out" 2>"$WORK/err"
holds "unfit is 2" test $? -eq 2
holds "the first one" grep -q 'episode 6: .*there is no episode 6' "$WORK/out"
holds "the second one" grep -q 'episode 7: .*there is no episode 7' "$WORK/out"
holds "and the rest was looked at" grep -q "^broken: 6 episodes, 375 frames" "$WORK/out"
holds "the verdict" grep -q '^unfit to train: 2 rules of' "$WORK/out"
holds "the ready command" grep -qF "without what was flagged: tact edit $WORK/broken --root=NEW --drop=[6,7]" "$WORK/out"
holds "or a flag" grep -qxF 'or without a copy: --dataset.episodes=[0,1,2,3,4,5]' "$WORK/out"
if command -v python3 >/dev/null; then
    "$TACT" check "$WORK/broken" "${short[@]}" --json >"$WORK/out" 2>/dev/null
    holds "the same as JSON" python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["drop"] == [6, 7] and d["trim"] is False and d["command"].endswith(" --root=NEW --drop=[6,7]"), d
assert d["flag"] == "--dataset.episodes=[0,1,2,3,4,5]", d' "$WORK/out"
fi
: >"$WORK/broken/meta/info.json"
"$TACT" check "$WORK/broken" >"$WORK/out" 2>"$WORK/err"
holds "nothing can be read" test $? -eq 2
holds "why" grep -q 'meta/info.json' "$WORK/out"
"$TACT" check "$WORK/set" --policy.pose_repr=relative --policy.image_keys='["observation.images.no"]' >"$WORK/out" 2>"$WORK/err"
holds "flags that no policy goes by" test $? -eq 2
# A training says at its start what is severe: here rows at other times than fps says.
accepts "images in the tables" "$TACT" sample --root="$WORK/rows" --episodes=3 --frames=20 --height=64 --width=64 --images_in_parquet
accepts "a sound training" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/rows" "${TINY[@]}" --steps=1 --output_dir="$WORK/sound"
holds "has nothing to say" test "$(grep -c 'the dataset: ' "$WORK/err")" -eq 0
sed -i 's/"fps": 10/"fps": 20/' "$WORK/rows/meta/info.json"
accepts "another fps" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/rows" "${TINY[@]}" --steps=1 --output_dir="$WORK/late"
holds "one line of it" test "$(grep -c 'WARNING .*the dataset: timestamp_drift: timestamp: .* in 3 of 3 episodes (1 in all); .tact check' "$WORK/err")" -eq 1
holds "and no other" test "$(grep -c 'the dataset: ' "$WORK/err")" -eq 1
accepts "it goes on" "$TACT" train --config_path="$WORK/late/checkpoints/last/pretrained_model/train_config.json" --resume=true --steps=2
holds "without saying it again" test "$(grep -c 'the dataset: ' "$WORK/err")" -eq 0

refuses "no dataset" 'no dataset given' "$TACT" check
refuses "another flag" 'did you mean --strict' "$TACT" check "$WORK/set" --strct
refuses "another word" 'none.sample.all' "$TACT" check "$WORK/set" --decode=some
refuses "no folder" 'no such directory' "$TACT" check "$WORK/nowhere"
finish

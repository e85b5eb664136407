#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build/tests/plant_faults plants what it says, and tact check finds all of it where it is and nothing else: two
# programs that know of each other only the dataset. bench/faults does the same with recordings of the simulation.
. "$(dirname "$0")/../cli/common.sh"
plant=${TACT%/*}/tests/plant_faults
short=(--policy.chunk_size=8 --policy.n_action_steps=8)

accepts "a sample" "$TACT" sample --root="$WORK/set" --episodes=15 --frames=50 --height=64 --width=64
accepts "a copy without faults" "$plant" "$WORK/set" "$WORK/same" none
holds "the rows are the same" cmp "$WORK/set/data/chunk-000/file-000.parquet" "$WORK/same/data/chunk-000/file-000.parquet"
accepts "nothing is wrong with it" "$TACT" check "$WORK/same" "${short[@]}" --decode=all --strict
accepts "the same copy of images" "$TACT" sample --root="$WORK/images" --episodes=2 --frames=10 --height=64 --width=64 --images_in_parquet
accepts "of images" "$plant" "$WORK/images" "$WORK/copy" none
holds "every frame" cmp "$WORK/images/data/chunk-000/file-000.parquet" "$WORK/copy/data/chunk-000/file-000.parquet"

accepts "all faults" "$plant" "$WORK/set" "$WORK/broken" lag,freeze,tail
cp "$WORK/out" "$WORK/planted"
holds "the shares" test "$(grep -c 'rows late' "$WORK/planted") $(grep -c frozen "$WORK/planted") $(grep -c still "$WORK/planted")" = "3 3 15"

# found DECODE: what is found, "rule episode frame number" a line, to be held against what was planted. The sample's
# action is the next state, so that the state follows it after one step; it ends slowly, so that a tail may begin before,
# and some rows look like the next.
found() {
    "$TACT" check "$WORK/broken" "${short[@]}" --decode="$1" --verbose >"$WORK/out" 2>"$WORK/err"
    awk '$1 == "warning" { rule = $2; sub(":", "", rule) } $1 == "note" { rule = "" }
        rule != "" && $1 == "episode" { text = $0; sub(/^.*(follows after|for) /, "", text)
            sub(/^.*frame [0-9]*: /, "", text); print rule, $2 + 0, $3 == "frame" ? $4 + 0 : -1, text + 0 }
        rule != "" && /^    [^e-]/ { print rule, "dataset" }' "$WORK/out"
}
for decode in all sample; do
    found $decode >"$WORK/found"
    awk -v all="$decode" '
        function off(a, b) { return a < b ? b - a : a - b }
        FNR == NR { e = $2 + 0; rows[e] = $3
            if (match($0, /actions [0-9]+/)) late[e] = substr($0, RSTART + 8, RLENGTH - 8) + 0
            if (match($0, /from row [0-9]+/)) frozen[e] = substr($0, RSTART + 9, RLENGTH - 9) + 0
            if (match($0, /from row/)) stood[e] = 1
            if (match($0, /the last [0-9]+/)) tail[e] = substr($0, RSTART + 9, RLENGTH - 9) + 0
            next }
        $1 == "episode_lag" && $2 in late && off($4, 1 - late[$2]) < 0.5 { delete late[$2]; next }
        $1 == "picture_frozen" && $2 in frozen && (all == "sample" || off($3, frozen[$2]) < 3) { delete frozen[$2]; next }
        $1 == "camera_unrelated" && $2 in stood { next } # what stands does not follow the robot
        $1 == "idle_tail" && $2 in tail && off($3, rows[$2] - tail[$2]) < 8 { delete tail[$2]; next }
        { print "not planted:", $0; wrong = 1 }
        END { for (e in late) { print "lag not found:", e; wrong = 1 }
            for (e in frozen) { print "freeze not found:", e; wrong = 1 }
            for (e in tail) { print "tail not found:", e; wrong = 1 }
            exit wrong }' "$WORK/planted" "$WORK/found"
    holds "what is found with --decode=$decode is what was planted" test $? -eq 0
done

"$plant" "$WORK/set" "$WORK/other" lag,fog >"$WORK/out" 2>"$WORK/err"
holds "a fault that there is not" test $? -eq 1
holds "says which there are" grep -q 'lag, freeze and tail' "$WORK/err"
holds "and writes nothing" test ! -e "$WORK/other"
finish

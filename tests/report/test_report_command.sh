#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact report: where the page goes, and what it refuses, each time in one line. The logs are written here.
. "$(dirname "$0")/../cli/common.sh"

line() { echo "{\"step\": $1, \"loss\": $2, \"update_s\": 0.5}"; }
mkdir -p "$WORK/a b" "$WORK/c" "$WORK/none" "$WORK/empty"
line 10 2.5 >"$WORK/a b/metrics.jsonl"
{ line 10 1.5; printf '{"step": 20, "lo'; } >"$WORK/c/metrics.jsonl" # as a running training leaves it
: >"$WORK/empty/metrics.jsonl"

accepts "one run" "$TACT" report "$WORK/a b/"
holds "its page" grep -qF '"loss": {"count": 1, "steps": [10], "values": [2.5]}' "$WORK/a b/report.html"
accepts "from within it" env -C "$WORK/c" "$TACT" report . --output_file=new/folder/page.html
holds "the page that was named" test -s "$WORK/c/new/folder/page.html"
accepts "all that lies there" "$TACT" report "$WORK"/*
holds "its place" test "$(cat "$WORK/out")" = "$WORK/report.html"
for name in none empty; do holds "$name is left out" grep -q "WARNING.*/$name[ /].*left out" "$WORK/err"; done
accepts "once more, with its own page among the names" "$TACT" report "$WORK"/*
accepts "as JSON" "$TACT" report "$WORK/a b" "$WORK/c" --json --output_file="$WORK/nowhere/page.html"
holds "two runs" test "$(grep -o '"lines"' "$WORK/out" | wc -l)" -eq 2
holds "and no page" test ! -e "$WORK/nowhere"

refuses "no run" 'no run given; name the --output_dir' "$TACT" report
refuses "a run that is not there" 'nowhere: no such run' "$TACT" report "$WORK/c" "$WORK/nowhere"
refuses "no training" 'none has no metrics.jsonl' "$TACT" report "$WORK/none"
refuses "a run without a line" 'empty/metrics.jsonl: no line yet' "$TACT" report "$WORK/empty"
refuses "another flag" 'output_fill.*did you mean --output_file' "$TACT" report "$WORK/c" --output_fill=x
refuses "a folder for the page" "output_file=$WORK/none: a folder" "$TACT" report "$WORK/c" --output_file="$WORK/none"
refuses "too many" 'more than 64 runs' "$TACT" report $(yes x | head -65)

# A page that cannot be written leaves the one before it, and nothing beside it.
if [ "$(id -u)" -ne 0 ]; then
    chmod a-w "$WORK/a b"
    refuses "no room" 'a b/report.html: .*--output_file=FILE puts the page elsewhere' "$TACT" report "$WORK/a b"
    chmod u+w "$WORK/a b"
fi
before=$(cksum <"$WORK/a b/report.html")
line 20 1.5 >>"$WORK/a b/metrics.jsonl"
refuses "a full disk" 'a b/report.html' bash -c "ulimit -f 8; trap '' XFSZ; exec '$TACT' report '$WORK/a b'"
holds "the old page stays" test "$(cksum <"$WORK/a b/report.html")" = "$before"
holds "nothing beside it" test "$(ls -A "$WORK/a b" | wc -l)" -eq 2
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The page of tact check in a browser: its script runs to the end, shows what was found, filters and sorts it, and makes no
# markup of hostile names. Skipped where there is no chromium.
. "$(dirname "$0")/../cli/common.sh"
. "$(dirname "$0")/../cli/browser.sh"
end="Every number: tact check --json."

name='<img src=x onerror=alert(1)>&"grün'
accepts "a sample" "$TACT" sample --root="$WORK/$name" --episodes=12 --frames=60 --height=64 --width=64
# The statistics are another dataset's, and the task of an episode is hostile.
sed -i 's/"mean": \[/"mean": [9,/' "$WORK/$name/meta/stats.json"
python3 - "$WORK/$name/meta/stats.json" <<'P' 2>/dev/null || true
import json, sys
stats = json.load(open(sys.argv[1]))
for feature in stats.values():
    if "mean" in feature: feature["mean"] = feature["mean"][:1] + feature["mean"][2:]
json.dump(stats, open(sys.argv[1], "w"))
P
"$TACT" check "$WORK/$name" --report="$WORK/page.html" >"$WORK/out" 2>"$WORK/err"
holds "its code" test $? -eq 0
holds "where it is" grep -q "report: $WORK/page.html" "$WORK/err"
shows "$WORK/page.html"
no_complaint "a dataset" "$end"
for title in "What was found" Findings "All episodes" "Where episodes begin and end" "How values are distributed" "All rules"; do
    has "$title" "<h2>$title</h2>"
done
has "the name as text" '<h1>&lt;img src=x onerror=alert(1)&gt;&amp;"grün</h1>'
has "a rule" '<code>padding</code>'
has "the verdict" 'Look at the warnings'
has "a picture of an episode" '<img alt="" decoding="async" src="data:image/jpeg;base64,'
has "the episodes" '<div class="big">12</div>'
holds "no element of a name" test "$(grep -c '<img src=x' "$WORK/dom")" -eq 0
# What a visitor does: filter, choose, sort.
play='const box = document.querySelector("input[type=search]"), look = text => { box.value = text; box.dispatchEvent(new Event("input")); };
 const rows = () => [...document.querySelectorAll("#findings ~ div tbody tr")].map(r => r.cells[2].textContent);
 look("nothing has this"); const none = rows().length; look("chunk"); const some = rows();
 for (const b of document.querySelectorAll("th button")) b.click();
 look("episode_short"); document.querySelectorAll("#findings ~ div th button")[2].click(); const up = rows().map(Number);
 look("episode 1"); const one = rows(); for (const s of document.querySelectorAll("select")) s.dispatchEvent(new Event("input"));
 document.querySelector(".found a").click(); const rule = document.querySelector("#findings ~ p").textContent.replace(/[0-9]+/g, "N");
 page.append("left " + none + ", found " + (some.length > 5) + ", sorted " + (up.length > 5 && up.every((e, i) => !i || up[i - 1] <= e)) +
   ", of one " + one.every(e => e === "1") + " " + one.length + ", rule: " + rule);'
sed -i "s|^</script></body></html>|$(tr -d '\n' <<<"$play" | sed 's/[&|]/\\&/g')&|" "$WORK/page.html"
shows "$WORK/page.html"
no_complaint "after a visit" "$end"
has "filter and order" 'left 0, found true, sorted true, of one true'
has "the findings of a rule" 'rule: N finding'

mkdir "$WORK/gone" && mkdir "$WORK/gone/meta" && : >"$WORK/gone/meta/info.json"
"$TACT" check "$WORK/gone" --report="$WORK/gone.html" >"$WORK/out" 2>"$WORK/err"
holds "unfit" test $? -eq 2
shows "$WORK/gone.html"
no_complaint "a dataset that does not open" "$end"
has "why" 'meta/info.json'
finish

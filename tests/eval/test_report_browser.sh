#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reports in a browser: the script runs to the end of the page, however long it is, shows eval.json's numbers, and
# makes no markup of hostile names. Skipped where there is no chromium.
. "$(dirname "$0")/../cli/common.sh"
. "$(dirname "$0")/../cli/browser.sh"
end="Every number of this page, unrounded"

name="<img src=x onerror=alert(1)>&\"grün" # a folder's name is the dataset's
"$TACT" sample --root="$WORK/$name" --episodes=3 --frames=20 --height=64 --width=96 >/dev/null 2>&1
accepts train "$TACT" train "${TINY[@]}" --steps=2 --dataset.root="$WORK/$name" --output_dir="$WORK/run"
accepts eval "$TACT" eval --threads=1 --policy.path="$WORK/run" --dataset.root="$WORK/$name" --eval.stride=5 \
    --output_dir="$WORK/e" --eval.camera_fov=90 --eval.camera_pose=[0,0,-0.2,0,0,0]
shows "$WORK/e/report.html"
no_complaint "open loop" "$end"
for title in "Error by time ahead" "The worst predictions" "Predicted against recorded" "Error by episode" \
    "Error by value of the action" "Latency" "Its training" "Settings"; do
    has "$title" "<h2>$title</h2>"
done
has "the policy" '<dd>run, step 2</dd>'
has "the name as text" '<h1>&lt;img src=x onerror=alert(1)&gt;&amp;"grün</h1>'
holds "no element of it" test "$(grep -c '<img' "$WORK/dom")" -eq 0
windows=$(grep -oE '^ "windows": [0-9]+' "$WORK/e/eval.json" | grep -oE '[0-9]+')
has "predictions" "<p>$windows predictions in 3 episodes"
has "frames" 'href="data:image/jpeg;base64,'
has "paths" 'class="will"'

has "the length of a chunk" 'predicts 8 actions, 0.8 s at 10 frames a second'

# Actions three frames apart lie on a longer time axis.
cp -r "$WORK/run/checkpoints/000002" "$WORK/rare"
sed -i 's/"version": 1/"version": 2, "action_down_sample_steps": 3/' "$WORK/rare/pretrained_model/tact.json"
accepts "eval of rare actions" "$TACT" eval --threads=1 --policy.path="$WORK/rare" --dataset.root="$WORK/$name" --eval.stride=5 \
    --output_dir="$WORK/r"
shows "$WORK/r/report.html"
no_complaint "rare actions" "$end"
has "the length of such a chunk" 'predicts 8 actions, 2.4 s at 10 frames a second'
has "its last action" '>2.1 s<'
has "the setting" '<dt>action_down_sample_steps</dt><dd><code>3</code></dd>'

# A closed-loop page, whose numbers are written here: a simulation may be missing.
cat >"$WORK/numbers" <<'END'
{"env_type": "strawberry", "n_episodes": 3, "successes": 2, "pc_success": 66.6667, "pc_success_95": [20.8, 93.9],
 "mean_steps": 40.5, "episodes": [{"seed": 7, "success": true, "outcome": "picked", "steps": 30, "video": "episode 7.mp4"},
 {"seed": 8, "success": false, "outcome": "\u003cb>dropped", "steps": 48}, {"seed": 9, "success": true, "outcome": "picked", "steps": 43}],
 "version": 1, "kind": "closed_loop", "tact": "0", "fps": 10.0, "n_action_steps": 8, "temporal_ensemble_coeff": null,
 "policy": {"path": "/x/swing/checkpoints/000600/pretrained_model_ema", "step": 600, "obs_state_horizon": 2, "chunk_size": 8,
 "pose_repr": "relative"}, "seconds": 3.5, "evaluated": "2026-11-25T10:15:42+0100", "settings": {"policy.device": "cpu"}}
END
# page_of NUMBERS PAGE: a page of those.
page_of() {
    sed '/id="eval">/,$d' "$WORK/e/report.html"
    printf '<script type="application/json" id="eval">'
    tr -d '\n' <"$1"
    echo '</script>'
    sed '1,/id="eval">/d' "$WORK/e/report.html"
} >"$2"
page_of "$WORK/numbers" "$WORK/closed.html"
shows "$WORK/closed.html"
no_complaint "closed loop" "$end"
for title in "How episodes ended" "Videos" "Episodes" "Settings"; do has "$title" "<h2>$title</h2>"; done
has "the policy" '<dd>swing, step 600, moving average</dd>'
has "the date" '<dd>2026-11-25 10:15:42</dd>'
has "the rate" '66.7<small>%</small>'
has "its interval" '2 of 3; 95 % confidence: 20.8 to 93.9 %'
has "the video" 'src="episode%207.mp4#t=0.05"'
has "the outcome as text" '&lt;b&gt;dropped'

# Very many episodes, more than a call can have arguments.
many=250000
awk -v n=$many '{ at = index($0, "{\"seed\": 8") } !at { print; next } {
    printf "%s", substr($0, 1, at - 1)
    for (i = 0; i < n; i++) printf "{\"seed\": %d, \"success\": false, \"outcome\": \"dropped\", \"steps\": 48}, ", 100 + i
    print substr($0, at) }' "$WORK/numbers" >"$WORK/many"
page_of "$WORK/many" "$WORK/closed.html"
shows "$WORK/closed.html"
no_complaint "many episodes of a simulation" "$end"
has "a part of them is marked" 'One of every 126 episodes is drawn.'
# Recorded ones too, and a step without a median: the band begins at the next one, above and beneath.
awk -v n=$many '/id="eval">/ {
    sub(/"median": \[[^,]*/, "\"median\": [null")
    match($0, /"episodes": \[\{[^}]*\}[^}]*\}\}/)
    one = substr($0, RSTART + 13, RLENGTH - 13)
    printf "%s", substr($0, 1, RSTART + 12)
    for (i = 0; i < n; i++) printf "%s, ", one
    $0 = substr($0, RSTART + 13) } { print }' "$WORK/e/report.html" >"$WORK/open.html"
shows "$WORK/open.html"
no_complaint "many recorded episodes" "$end"
has "all of them counted" "in $((many + 3)) episodes"
band=$(grep -o '<path class="band" d="[^"]*' "$WORK/dom" | head -n 1 | sed 's/.* d="//' | tr -cd 'ML')
holds "seven points above and beneath" test "$band" = MLLLLLLLLLLLLL
finish

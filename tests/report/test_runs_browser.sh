#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The page of trainings in a browser: its script runs to the end, shows the numbers of the logs, does what its controls
# ask for, and makes no markup of hostile names. The logs are written here. Skipped where there is no chromium.
. "$(dirname "$0")/../cli/common.sh"
. "$(dirname "$0")/../cli/browser.sh"
end="Every number: metrics.jsonl"

# log FOLDER LINES LOSS: a log whose loss falls from LOSS, with evaluations every 100 lines.
log() {
    mkdir -p "$1"
    awk -v lines="$2" -v loss="$3" 'BEGIN { for (i = 1; i <= lines; i++) {
        printf "{\"step\": %d, \"samples\": %d.0, \"episodes\": %.3f, \"epochs\": %.4f, \"loss\": %s, \"grad_norm\": %.4f, " \
            "\"lr\": %.6f, \"update_s\": 0.2, \"dataloading_s\": 0.05, \"l1_loss\": %.6f, \"kld_loss\": %.6f}\n", 10 * i,
            80 * i, i / 10, i / 100, i == 7 ? "NaN" : loss / i, 40 / i, 1e-4 * (1 - i / lines), loss / i / 2, loss / i / 20
        if (i % 100) continue
        printf "{\"step\": %d, \"eval_loss\": %.6f}\n{\"step\": %d, \"ema_eval_loss\": %.6f}\n", 10 * i, loss / 50, 10 * i, loss / 60
        printf "{\"step\": %d, \"pc_success\": 62.5, \"pc_success_95\": [30.6, 86.3], \"n_episodes\": 8, \"mean_steps\": 40.5}\n", 10 * i
    } }' >"$1/metrics.jsonl"
}
# checkpoint FOLDER STEP BATCH
checkpoint() {
    local to=$1/checkpoints/$2/pretrained_model state=$1/checkpoints/$2/training_state
    mkdir -p "$to" "$state"
    echo '{"threads": 3}' >"$state/tact_state.json"
    echo '{"step": 1, "dp_world_size": 2}' >"$state/training_step.json"
    echo "{\"dataset\": {\"repo_id\": \"me/<b>berries\", \"root\": \"gone\"}, \"policy\": {\"type\": \"act\", \"chunk_size\": 16,
        \"n_action_steps\": 16, \"device\": \"cpu\"}, \"steps\": 4000, \"save_freq\": 1000, \"batch_size\": $3}" |
        tee "$to/config.json" >"$to/train_config.json"
}
# with PAGE SCRIPT: the page with a script at its end, in its place.
with() { sed -i "s|^</script></body></html>|</script><script>$2</script></body></html>|" "$1"; }
# Everything that a visitor can do, done to every chart once. Charts are drawn then and there and not with the
# next frame, which on a busy machine may come when the page has been looked at.
play='const later = [];
window.requestAnimationFrame = draws => later.push(draws);
for (const e of document.querySelectorAll(".tools select, .tools input")) {
    if (e.tagName === "SELECT") e.selectedIndex = e.options.length - 1;
    else if (e.type === "checkbox" \&\& !e.closest(".runs")) e.checked = true;
    else if (e.type === "range") e.value = 60;
    for (const name of ["input", "change"]) e.dispatchEvent(new Event(name, {bubbles: true}));
}
for (const draws of later) draws(0);
{
    for (const e of document.querySelectorAll("figure.chart svg")) {
        const b = e.getBoundingClientRect(), at = (name, part) => e.dispatchEvent(new PointerEvent(name,
            {clientX: b.left + part * b.width, clientY: b.top + 50, button: 0, bubbles: true}));
        at("pointermove", .5);
        for (const key of ["ArrowRight", "ArrowLeft", "End", "Home", "PageDown"]) e.dispatchEvent(new KeyboardEvent("keydown", {key}));
    }
    for (const e of document.querySelectorAll("th button")) e.click();
}'
play=$(tr '\n' ' ' <<<"$play")

name='<img src=x onerror=alert(1)>&"grün'
log "$WORK/$name" 250 8
checkpoint "$WORK/$name" 001000 8
checkpoint "$WORK/$name" 001500 16
mkdir -p "$WORK/$name/eval/videos_step_001000" && : >"$WORK/$name/eval/videos_step_001000/episode 7.mp4"
accepts "report of one" "$TACT" report "$WORK/$name"
holds "in its place" test "$(cat "$WORK/out")" = "$WORK/$name/report.html"
shows "$WORK/$name/report.html"
no_complaint "one run" "$end"
for title in Losses "In simulation" Optimiser Time "Evaluations and checkpoints" Videos Data Settings; do
    has "$title" "<h2>$title</h2>"
done
has "the name as text" '<h1>&lt;img src=x onerror=alert(1)&gt;&amp;"grün</h1>'
has "the data's as text" '<code>me/&lt;b&gt;berries</code>'
holds "no element of it" test "$(grep -cE '<img|<b>berries' "$WORK/dom")" -eq 0
has "steps" '2,500<small>of 4,000</small>'
has "the last loss" '<div class="big">0.0160</div>' # 8 / 250 / 2
has "the held-out loss" 'lowest 0.133, at step 1,000' # the average's
has "success" '62.5<small>%</small>'
has "its interval" '95 %: 31 to 86 %'
has "speed" '4.00<small>steps/s</small>'
has "waiting" '20&nbsp;% of it waiting for data'
has "the video" 'src="eval/videos_step_001000/episode%207.mp4#t=0.05"'
has "what is no number" '<title>training: not a finite number at step 70</title>'
has "what computed" '<dd>cpu, 3 threads, 2 processes</dd>'
has "a stop" '<title>stopped after step 1,500</title>'
has "a changed setting" '<dt>before step 1,500</dt><dd>batch_size: <code>8</code> → <code>16</code></dd>'
has "a setting" '<dt>batch_size</dt><dd><code>16</code><span class="unit">default 8</span></dd>'

log "$WORK/short" 1 3
log "$WORK/other" 120 5
accepts "report of several" "$TACT" report "$WORK/$name" "$WORK/other" "$WORK/short" --output_file="$WORK/sub/three.html"
with "$WORK/sub/three.html" "$play"
shows "$WORK/sub/three.html"
no_complaint "several runs" "$end"
has "their number" '<h1>3 runs side by side</h1>'
holds "a column for each" test "$(grep -o '<i class="swatch"></i>' "$WORK/dom" | wc -l)" -ge 3
has "videos that are elsewhere" 'this page does not lie in or above'
holds "read out, chart by chart" test "$(grep -o '<div class="tip"' "$WORK/dom" | wc -l)" -ge 6
has "along the time" 'training time, min'
holds "no element of a name" test "$(grep -c '<img' "$WORK/dom")" -eq 0
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact eval --env.type: it counts episodes, the same seeds give the same result, videos are written, and what is
# impossible is refused.
. "$(dirname "$0")/../cli/common.sh"

if ! "$TACT" sim expert --env.type=strawberry_swing --episodes=1 >/dev/null 2>"$WORK/why"; then
    echo "skipped: $(tail -n 1 "$WORK/why")"
    exit 77
fi
tiny=("${TINY[@]}" --policy.resize_shape=[32,32] --steps=2)
accepts record "$TACT" sim record --env.type=strawberry_swing --episodes=2 --seed=1 --image=64x64 --root="$WORK/data"
accepts train "$TACT" train --dataset.root="$WORK/data" "${tiny[@]}" --policy.obs_state_horizon=2 --output_dir="$WORK/run"
eval=("$TACT" eval --policy.path="$WORK/run" --env.type=strawberry_swing --eval.n_episodes=3 --seed=7)
accepts first "${eval[@]}" --threads=1 --eval.max_videos=1 --output_dir="$WORK/one"
accepts again "${eval[@]}" --threads=3 --eval.max_videos=0 --output_dir="$WORK/two" --json
for f in report.html eval.json episode_000007.mp4 episode_000008.mp4; do holds "writes $f" test -s "$WORK/one/$f"; done
holds "films one failure, and no other" test ! -e "$WORK/one/episode_000009.mp4"
plain() { grep -vE '"(video|evaluated|seconds|threads)"' "$1" | tr -d ', \n'; }
holds "the same seeds end alike on any number of threads" test "$(plain "$WORK/one/eval.json")" = "$(plain "$WORK/two/eval.json")"
holds "the page has the numbers" grep -qF "\"pc_success\": $(grep -oE '"pc_success": [^,]*' "$WORK/one/eval.json" | cut -d' ' -f2)," "$WORK/one/report.html"
holds "and plays the videos" grep -q '"video": "episode_000007.mp4"' "$WORK/one/report.html"
holds "names the policy" grep -q '"path": ".*/run/checkpoints/000002/pretrained_model"' "$WORK/one/eval.json"
for key in $(sed -n 's/^ "\([a-z_0-9]*\)":.*/\1/p' "$WORK/one/eval.json"); do
    holds "docs/eval.md names $key" grep -q "^| .*\`$key\`.* | " docs/eval.md
done
holds "counts the episodes" grep -q '"n_episodes": 3' "$WORK/two/eval.json"

# Asynchronously, in simulated time: episodes end alike whatever the threads do, and borders are measured.
late=("${eval[@]}" --policy.n_action_steps=4 --eval.inference_delay_s=0.25 --policy.blend_steps=2 --eval.max_videos=0)
accepts late "${late[@]}" --threads=1 --output_dir="$WORK/late"
holds "says the seam" grep -q '^seam: the largest step at [0-9]* borders' "$WORK/out"
holds "with its settings" grep -q '"inference_delay_s": 0.25' "$WORK/late/eval.json"
accepts "late again" "${late[@]}" --threads=3 --output_dir="$WORK/late2"
holds "late ones end alike too" test "$(plain "$WORK/late/eval.json")" = "$(plain "$WORK/late2/eval.json")"
accepts "no blend" "${late[@]}" --policy.blend_steps=0 --threads=3 --output_dir="$WORK/late3"
largest() { grep -A99 '"translation_m"' "$1" | grep -A4 '"border"' | sed -n 's/.*"max": //p' | head -n 1; }
holds "a blend makes the border smaller" awk "BEGIN { exit !($(largest "$WORK/late/eval.json") < $(largest "$WORK/late3/eval.json")) }"
# Actions that are given, of a policy that was trained with them.
accepts "train with given actions" "$TACT" train --dataset.root="$WORK/data" "${tiny[@]}" --steps=30 --policy.optimizer_lr=1e-3 \
    --policy.obs_state_horizon=2 --policy.max_action_prefix=4 --output_dir="$WORK/given"
for n in 1 3; do
    accepts "given, $n threads" "${late[@]}" --policy.path="$WORK/given" --threads=$n --output_dir="$WORK/given$n"
done
holds "they end alike" test "$(plain "$WORK/given1/eval.json")" = "$(plain "$WORK/given3/eval.json")"
holds "says how many" grep -q '"max_action_prefix": 4' "$WORK/given1/eval.json"
accepts "given none" "${late[@]}" --policy.path="$WORK/given" --policy.max_action_prefix=0 --threads=3 --output_dir="$WORK/given0"
holds "says none" grep -q '"max_action_prefix": 0' "$WORK/given0/eval.json"
but_prefix() { plain "$1" | sed 's/"max_action_prefix":[0-9]*//'; }
holds "which is not the same" test "$(but_prefix "$WORK/given3/eval.json")" != "$(but_prefix "$WORK/given0/eval.json")"
refuses "more than in training" 'max_action_prefix=5: .* was trained for at most 4' "${late[@]}" --policy.path="$WORK/given" \
    --policy.max_action_prefix=5
refuses "of a policy without" 'max_action_prefix=1: .* was trained for at most 0' "${late[@]}" --policy.max_action_prefix=1
refuses "a negative delay" 'inference_delay_s=-1: expected seconds' "${eval[@]}" --eval.inference_delay_s=-1
refuses "blended ensembles" 'temporal ensembling has no borders' "${eval[@]}" --policy.temporal_ensemble_coeff=0.01 --policy.blend_steps=2
refuses "a delay of recordings" 'are for --env.type' "$TACT" eval --policy.path="$WORK/run" --dataset.root="$WORK/data" --policy.blend_steps=2
# A start beside that of the seed: other episodes, whatever the threads; none is none.
accepts elsewhere "${eval[@]}" --env.start_shift=[0,-0.02,0.08] --threads=1 --eval.max_videos=0 --output_dir="$WORK/five"
holds "says where" grep -q '^the gripper starts \[0,-0.02,0.08\] m beside where the seeds put it' "$WORK/out"
holds "with its settings" grep -Pzoq '"env.start_shift": \[\s*0.0,\s*-0.02,\s*0.08\s*\]' "$WORK/five/eval.json"
accepts "elsewhere again" "${eval[@]}" --env.start_shift=[0,-0.02,0.08] --threads=3 --eval.max_videos=0 --output_dir="$WORK/six"
holds "ends alike" test "$(plain "$WORK/five/eval.json")" = "$(plain "$WORK/six/eval.json")"
holds "and not as at the seed's place" test "$(sed '/"settings"/,$d' "$WORK/five/eval.json" | grep -A99 '"seam"' | tr -d ' \n')" \
    != "$(sed '/"settings"/,$d' "$WORK/one/eval.json" | grep -A99 '"seam"' | tr -d ' \n')"
accepts "no shift" "${eval[@]}" --env.start_shift=[0,0,0] --threads=3 --eval.max_videos=0 --output_dir="$WORK/seven"
unshifted() { grep -vE '"(video|evaluated|seconds|threads)"' "$1" | tr -d ' \n' | sed 's/,*"env.start_shift":\[[^]]*\]//' | tr -d ,; }
holds "is the seed's own" test "$(unshifted "$WORK/seven/eval.json")" = "$(plain "$WORK/one/eval.json")"
refuses "a shift of two" 'start_shift=\[0,0\]: expected \[dx,dy,dz\] in metres' "${eval[@]}" --env.start_shift=[0,0]
refuses "too far" 'each from -0.5 to 0.5' "${eval[@]}" --env.start_shift=[0,0,0.51]
refuses "into the plants" 'gripper would start in something' "${eval[@]}" --env.start_shift=[0,0.454,0.37] --output_dir="$WORK/no"
refuses "a shift of recordings" 'start_shift: is for --env.type' "$TACT" eval --policy.path="$WORK/run" --dataset.root="$WORK/data" --env.start_shift=[0,0,0.1]
accepts "the expert from there" "$TACT" sim expert --env.type=strawberry --episodes=2 --env.start_shift=[0,0,0.08]
refuses unknown 'did you mean strawberry' "$TACT" eval --policy.path="$WORK/run" --env.type=strawbery
refuses both 'give one of them' "${eval[@]}" --dataset.root="$WORK/data"
refuses nothing 'nothing to evaluate on' "$TACT" eval --policy.path="$WORK/run"
"$TACT" sample --root="$WORK/plain" --episodes=1 --frames=12 --height=64 --width=96 >/dev/null
accepts other "$TACT" train --dataset.root="$WORK/plain" "${tiny[@]}" --output_dir="$WORK/other"
refuses camera 'wants a camera' "$TACT" eval --policy.path="$WORK/other" --env.type=strawberry_swing
cp -r "$WORK/run/checkpoints/000002" "$WORK/slow"
sed -i 's/"fps": 10.0/"fps": 30.0/' "$WORK/slow/pretrained_model/tact.json"
accepts "another rate" "${eval[@]}" --policy.path="$WORK/slow" --eval.max_videos=0 --output_dir="$WORK/three"
holds "says how many threads there were" grep -qE '"threads": [1-9]' "$WORK/three/eval.json"
holds "is said" grep -q 'trained at 30 steps a second, but --env.type=strawberry_swing takes 10' "$WORK/err"

# Actions several steps apart: the flag counts them, and a chunk of 8 lasts 24 steps.
cp -r "$WORK/run/checkpoints/000002" "$WORK/rare"
sed -i 's/"version": 1/"version": 2, "action_down_sample_steps": 3/' "$WORK/rare/pretrained_model/tact.json"
accepts "rare actions" "${eval[@]}" --policy.path="$WORK/rare" --policy.n_action_steps=2 --eval.max_videos=0 --output_dir="$WORK/four"
holds "two of a chunk" grep -q '"n_action_steps": 2' "$WORK/four/eval.json"
refuses "more than a chunk has" 'n_action_steps 27: the policy.s chunks have 24 actions' "${eval[@]}" --policy.path="$WORK/rare" \
    --policy.n_action_steps=9

# A training goes on while its checkpoint is evaluated: `last` moves on and the checkpoint is removed. The first
# episode's video says that the policy is open.
cp -r "$WORK/run" "$WORK/going"
"${eval[@]}" --policy.path="$WORK/going" --eval.n_episodes=8 --eval.max_videos=1 --threads=1 --output_dir="$WORK/four" \
    >"$WORK/out" 2>"$WORK/err" &
evaluation=$!
while [ ! -e "$WORK/four/episode_000007.mp4" ] && kill -0 $evaluation 2>/dev/null; do sleep 0.02; done
mv "$WORK/going/checkpoints/000002" "$WORK/going/checkpoints/000004"
ln -sfn 000004 "$WORK/going/checkpoints/last"
wait $evaluation
holds "the checkpoint may be removed meanwhile" test $? -eq 0
holds "the one that was opened is named" grep -q '"path": ".*/going/checkpoints/000002/pretrained_model"' "$WORK/four/eval.json"
finish

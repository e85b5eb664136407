#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact train --env.type: the successes of the policy are counted along the way, which changes nothing in the
# training. An evaluation that a stop cut short is done by the run that goes on. What cannot be evaluated is
# refused before the first step.
. "$(dirname "$0")/../cli/common.sh"

tiny=("${TINY[@]}" --policy.resize_shape=[32,32] --policy.obs_state_horizon=2 --threads=1)
"$TACT" sample --root="$WORK/plain" --episodes=1 --frames=12 --height=64 --width=96 >/dev/null
other=("$TACT" train --dataset.root="$WORK/plain" "${tiny[@]}" --steps=2 --output_dir="$WORK/other")
refuses unknown 'did you mean strawberry' "${other[@]}" --env.type=strawbery
if ! "$TACT" sim expert --env.type=strawberry_swing --episodes=1 >/dev/null 2>"$WORK/why"; then
    refuses "what to install" 'apt-get install' "${other[@]}" --env.type=strawberry_swing
    echo "the rest is skipped: $(tail -n 1 "$WORK/why")"
    finish && exit 77
    exit 1
fi
refuses camera 'the policy: wants a camera' "${other[@]}" --env.type=strawberry_swing
holds "nothing is left of them" test ! -e "$WORK/other"

accepts record "$TACT" sim record --env.type=strawberry_swing --episodes=2 --seed=1 --image=64x64 --root="$WORK/data"
train=("$TACT" train --dataset.root="$WORK/data" "${tiny[@]}")
looked=(--env.type=strawberry_swing --eval.n_episodes=2 --eval_freq=2)
run=$WORK/run
accepts "with evaluation" "${train[@]}" --steps=4 --save_freq=2 "${looked[@]}" --eval.max_videos=1 --output_dir="$run"
holds "says how often it succeeded" test "$(grep -cE \
    'step [24]: pc_success=[0-9.]+ \([0-2] of 2, 95 % interval [0-9]+ to [0-9]+ %\) eval_s=[0-9.]+$' "$WORK/err")" -eq 2
holds "and writes it" test "$(grep -cE '"pc_success": [0-9.]+, "pc_success_95": \[[^]]*\], "n_episodes": 2, "mean_steps": ' \
    "$run/metrics.jsonl")" -eq 2
holds "no loss of held-out episodes" test -z "$(grep eval_loss "$run/metrics.jsonl")"
holds "a video each time" test "$(cd "$run/eval" && echo */*)" = \
    "videos_step_000002/episode_100000.mp4 videos_step_000004/episode_100000.mp4"
due() { grep -o '"eval_due": [a-z]*' "$1/training_state/tact_state.json"; }
holds "a checkpoint is there before it is evaluated" test "$(grep -oE 'Checkpoint policy after step [24]|step [24]: pc_success' "$WORK/err" |
    grep -oE '^Checkpoint|[24]' | tr '\n' ' ')" = "Checkpoint 2 2 Checkpoint 4 4 "
holds "and says afterwards that it was" test "$(due "$run/checkpoints/000002") $(due "$run/checkpoints/000004")" = '"eval_due": false "eval_due": false'
accepts "without" "${train[@]}" --steps=4 --save_freq=4 --output_dir="$WORK/without"
figures() { sed -E 's/, "(update_s|dataloading_s)": [^,}]*//g' "$1/metrics.jsonl"; }
holds "the losses are those of a run without" test "$(figures "$run" | grep -v pc_success)" = "$(figures "$WORK/without")"
holds "the weights too" cmp "$run/checkpoints/000004/pretrained_model/model.safetensors" \
    "$WORK/without/checkpoints/000004/pretrained_model/model.safetensors"

# The weights of that moment act, just as in tact eval: the videos are the same.
eval=("$TACT" eval --env.type=strawberry_swing --eval.n_episodes=1 --eval.max_videos=1 --threads=1)
accepts eval "${eval[@]}" --policy.path="$run/checkpoints/000002" --output_dir="$WORK/again"
holds "the policy of step 2" cmp "$WORK/again/episode_100000.mp4" "$run/eval/videos_step_000002/episode_100000.mp4"
holds "not that of step 4" test -n "$(cmp "$run"/eval/videos_step_00000[24]/episode_100000.mp4 2>&1)"

# Two processes share out the episodes, and count them together.
two=(env WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$((28000 + $$ % 200 * 20)) "${train[@]}" --steps=2 --batch_size=1
    "${looked[@]}" --eval.max_videos=2 --output_dir="$WORK/two")
RANK=1 "${two[@]}" >"$WORK/out.1" 2>"$WORK/err.1" &
RANK=0 accepts "in two processes" "${two[@]}"
holds "the other one too" wait $!
holds "they count together" test "$(grep pc_success "$WORK/two/metrics.jsonl")" = "$(grep pc_success "$run/metrics.jsonl" | head -n 1)"
holds "each films its own" test "$(cd "$WORK/two/eval" && echo */*)" = \
    "videos_step_000002/episode_100000.mp4 videos_step_000002/episode_100001.mp4"

# What an evaluation fails at ends a run, and costs no step: the run that goes on evaluates first.
cp -r "$run" "$WORK/failed"
rm -r "$WORK/failed/eval" "$WORK/failed/checkpoints/"{000004,last}
ln -s 000002 "$WORK/failed/checkpoints/last"
: >"$WORK/failed/eval" # no folder for the videos
go_on=("$TACT" train --config_path="$WORK/failed/checkpoints/last/pretrained_model/train_config.json" --resume=true)
refuses "an evaluation fails" "failed/eval.*last good checkpoint: .*000004" "${go_on[@]}"
holds "its step is saved" test "$(due "$WORK/failed/checkpoints/000004")" = '"eval_due": true'
rm "$WORK/failed/eval"
accepts "goes on" "${go_on[@]}"
holds "with the evaluation" test "$(grep -c 'step 4: pc_success' "$WORK/err")" -eq 1
holds "which is the same" test "$(figures "$WORK/failed")" = "$(figures "$run")"
holds "and is done" test "$(due "$WORK/failed/checkpoints/000004")" = '"eval_due": false'

# A run that is killed in an evaluation leaves the temporary policy behind, and half a video; the run that goes on
# evaluates anew.
cp -r "$run" "$WORK/gone"
echo half >"$WORK/gone/eval/videos_step_000004/episode_100000.mp4.tmp.1"
mkdir "$WORK/gone/.policy.tmp"
accepts resume "$TACT" train --config_path="$WORK/gone/checkpoints/000002/pretrained_model/train_config.json" --resume=true
holds "a resumed run evaluates" test "$(figures "$WORK/gone")" = "$(figures "$run")"
holds "nothing left over" test -z "$(find "$run" "$WORK/gone" -name '*.tmp*')"

# There are two evaluations, one of the weights and one of their average.
accepts both "${train[@]}" --steps=4 "${looked[@]}" --eval_freq=0 --eval.n_episodes=1 --dataset.eval_split=0.5 \
    --ema.enable=true --ema.decay=0.5 --output_dir="$WORK/both"
holds "four figures" test "$(tail -n 4 "$WORK/both/metrics.jsonl" | grep -oE '"(ema_)?(eval_loss|pc_success)"' | tr -d '\n')" = \
    '"eval_loss""pc_success""ema_eval_loss""ema_pc_success"'
accepts "eval of the average" "${eval[@]}" --policy.path="$WORK/both/checkpoints/last/pretrained_model_ema" --output_dir="$WORK/average"
holds "the average acted" cmp "$WORK/average/episode_100000.mp4" "$WORK/both/eval/videos_step_000004_ema/episode_100000.mp4"

# Ctrl-C comes in the middle of an evaluation.
"${train[@]}" --steps=2 "${looked[@]}" --eval.n_episodes=1000000 --eval.max_videos=0 --output_dir="$WORK/stopped" \
    >"$WORK/log" 2>&1 & pid=$!
for _ in $(seq 600); do [ -e "$WORK/stopped/.policy.tmp/model.safetensors" ] && break; sleep 0.05; done
kill -INT $pid
wait $pid
holds "code of Ctrl-C" test $? -eq 130
holds "no figure of half an evaluation" test -z "$(grep pc_success "$WORK/stopped/metrics.jsonl")"
holds "nothing left over" test -z "$(find "$WORK/stopped" -name '*.tmp*')"
accepts "made up for" "$TACT" train --config_path="$WORK/stopped/checkpoints/last/pretrained_model/train_config.json" \
    --resume=true --eval.n_episodes=1
holds "once" test "$(grep -c '"step": 2, "pc_success"' "$WORK/stopped/metrics.jsonl")" -eq 1
holds "no videos" test ! -e "$WORK/stopped/eval"
finish

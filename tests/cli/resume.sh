# SPDX-License-Identifier: Apache-2.0
# Shared by the tests that interrupt runs. The policy has no images, so that hundreds of steps take a second;
# the run has everything that a checkpoint has to keep (a schedule, a moving average, held-out losses, odd
# periods).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

data=$WORK/data
"$TACT" sample --root="$data" --episodes=4 --frames=30 --height=64 --width=64 --env_dim=3 >"$WORK/out" 2>"$WORK/err" ||
    { cat "$WORK/err"; exit 1; }
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --threads=1 --log_freq=7
    '--policy.input_features={"observation.state": {"type": "STATE"}, "observation.environment_state": {"type": "ENV"}}'
    --policy.resize_shape=null)
kept=("${train[@]}" --ema.enable=true --scheduler.type=diffuser --scheduler.num_warmup_steps=20
    --dataset.eval_split=0.3 --eval_freq=45)

# Prints all figures but those of the clock.
figures() { sed -E 's/, "(update_s|dataloading_s)": [^,}]*//g' "$1/metrics.jsonl"; }

# same_run NAME A B STEP: two runs ended with the same bytes.
same_run() {
    local name=$1 a=$2/checkpoints/$4 b=$3/checkpoints/$4 file
    for file in pretrained_model/model.safetensors pretrained_model_ema/model.safetensors \
        training_state/optimizer_state.safetensors training_state/optimizer_param_groups.json \
        pretrained_model/policy_preprocessor_step_3_normalizer_processor.safetensors; do
        holds "$name: $file" cmp -s "$a/$file" "$b/$file"
    done
    holds "$name: metrics.jsonl" test "$(figures "$2")" = "$(figures "$3")"
    holds "$name: nothing left over" test -z "$(find "$3" -name '*.tmp*' -o -name '*.old')"
}

# The last checkpoint of a run, or nothing.
resume() { echo "--config_path=$1/checkpoints/last/pretrained_model/train_config.json"; }

# wait_for FILE LINES: waits until a run has written so many lines.
wait_for() { for _ in $(seq 200); do [ "$(cat "$1" 2>/dev/null | wc -l)" -ge "$2" ] && return; sleep 0.02; done; }

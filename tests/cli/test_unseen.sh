#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the system cannot look at is not taken for absent. A link to itself stands for it, since that stops root as well.
. "$(dirname "$0")/common.sh"
data=$WORK/data run=$WORK/run
loops="Too many levels of symbolic links"
"$TACT" sample --root="$data" --episodes=2 --frames=12 --height=64 --width=64 --env_dim=3 >/dev/null 2>&1
train=("$TACT" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --policy.resize_shape=null --threads=1
    '--policy.input_features={"observation.state": {"type": "STATE"}, "observation.environment_state": {"type": "ENV"}}')
accepts "a run" "${train[@]}" --steps=1 --output_dir="$run"
saved=$run/checkpoints/000001
resume=("$TACT" train --resume=true --config_path="$saved/pretrained_model/train_config.json" --steps=2)

# unseen PATH NAME PATTERN COMMAND...: the command while PATH cannot be looked at.
unseen() {
    local path=$1
    shift
    mv "$path" "$WORK/aside"
    ln -s "${path##*/}" "$path"
    refuses "$@"
    rm "$path"
    mv "$WORK/aside" "$path"
}

unseen "$data/meta/tasks.parquet" "a table" "tasks.parquet: .*$loops" "$TACT" info "$data"
unseen "$data/meta/episodes" "a folder of tables" "meta/episodes: .*$loops" "$TACT" info "$data"
unseen "$data/data/chunk-000" "a folder of rows" "chunk-000.*: .*$loops" "${train[@]}" --steps=1 --output_dir="$WORK/none"
unseen "$saved/pretrained_model/tact.json" "the settings" "tact.json: .*$loops" "$TACT" info "$saved"
unseen "$saved/training_state" "the state" "training_state.*: .*$loops" "$TACT" info "$saved"
unseen "$saved/training_state/tact_state.json" "the part of it that is tact's" "tact_state.json: .*$loops" "${resume[@]}"
unseen "$run/metrics.jsonl" "the log of a run that goes on" "metrics.jsonl: .*$loops" "${resume[@]}"
unseen "$run/metrics.csv" "its table" "metrics.csv: .*$loops" "${resume[@]}"
unseen "$run/checkpoints" "all checkpoints" "checkpoints.*: .*$loops" "$TACT" eval --policy.path="$run" --dataset.root="$data" \
    --output_dir="$WORK/none"
ln -s loop "$WORK/loop"
refuses "a place for a run" "loop: .*$loops" "${train[@]}" --steps=1 --output_dir="$WORK/loop"
refuses "a place for a dataset" "loop: .*$loops" "$TACT" sample --root="$WORK/loop" --episodes=1
accepts "and with all of it there" "${resume[@]}"
holds "nothing is left over" test -z "$(find "$run" "$data" -name '*.tmp*')"
finish

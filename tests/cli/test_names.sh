#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Folders whose names are not UTF-8: kept to the byte in every file and every output, and found again. Python reads the
# same names there, with json.load and os.fsencode.
. "$(dirname "$0")/resume.sh"
e=$'caf\xe9'
home=$WORK/$e
mkdir -p "$home"
mv "$data" "$home/data"
data=$home/data
train=("$TACT" train --dataset.root="$data" "${TINY[@]}" --threads=1
    '--policy.input_features={"observation.state": {"type": "STATE"}, "observation.environment_state": {"type": "ENV"}}'
    --policy.resize_shape=null --ema.enable=true --output_dir="$home/run")
python=$(command -v python3)
[ -n "$python" ] || echo "skipped: what Python reads, for there is no python3"

# python_reads NAME FILE KEYS EXPECTED: the text at dotted keys of a file of JSON (- is $WORK/out).
python_reads() {
    [ -n "$python" ] || return
    "$python" - "$2" "$3" >"$WORK/read" <<'END'
import json, os, sys
value = json.load(open(sys.argv[1], encoding="utf-8"))
for key in sys.argv[2].split("/"):
    value = value[int(key) if isinstance(value, list) else key]
sys.stdout.buffer.write(os.fsencode(value))
END
    holds "$1" test "$(cat "$WORK/read")" = "$4"
}

accepts "train" "${train[@]}" --steps=2 --save_freq=1 --wandb.enable=true --wandb.project=p --tensorboard=true \
    --job_name="$e"
last=$home/run/checkpoints/last/pretrained_model
python_reads "root" "$last/train_config.json" dataset/root "$data"
python_reads "output_dir" "$last/train_config.json" output_dir "$home/run"
python_reads "repo_id" "$last/train_config.json" job_name "$e"
python_reads "dataset_root" "$last/tact.json" train/dataset_root "$data"
python_reads "track.json" "$home/run/track.json" train_config/dataset/root "$data"
holds "escaped as Python does" grep -qF "\"root\": \"$WORK/caf\\udce9/data\"" "$last/train_config.json"
holds "the settings of TensorBoard" grep -qaF "/caf"$'\xef\xbf\xbd'"/data" "$home"/run/tensorboard/events*
holds "which are UTF-8" test "$(grep -caF "$e" "$home"/run/tensorboard/events*)" = 0

# Resuming needs nothing but the run: everything is found where it was, byte for byte.
accepts "resume" "$TACT" train "$(resume "$home/run")" --resume=true --steps=4
holds "in the same folder" test -e "$home/run/checkpoints/000004/pretrained_model/model.safetensors"
holds "nowhere else" test "$(ls "$WORK")" = "$(printf '%s\n' "$e" err out read | sort)"
holds "nothing beside it" test "$(ls "$home")" = $'data\nrun'

accepts "info of the dataset" "$TACT" info "$data" --json
cp "$WORK/out" "$WORK/json"
python_reads "its root" "$WORK/json" root "$data"
python_reads "its name" "$WORK/json" repo_id data
accepts "info of the policy" "$TACT" info "$home/run" --json
cp "$WORK/out" "$WORK/json"
python_reads "its path" "$WORK/json" path "$last"
accepts "eval" "$TACT" eval --policy.path="$home/run" --dataset.root="$data" --output_dir="$home/eval"
python_reads "eval.json, dataset" "$home/eval/eval.json" dataset/root "$data"
holds "it is known" grep -q '"same_dataset": true' "$home/eval/eval.json"
accepts "report" "$TACT" report "$home/run" --json
cp "$WORK/out" "$WORK/json"
python_reads "its run" "$WORK/json" runs/0/path "$home/run"
accepts "its page" "$TACT" report "$home/run"
holds "the page is UTF-8" test "$(grep -caF "$e" "$home/run/report.html")" = 0
holds "and has the name" grep -qF "caf\\udce9" "$home/run/report.html"

# Names of features, and a map of names on the command line and in a checkpoint.
sed -i 's/"observation.environment_state"/"caf\\udce9"/' "$data/meta/info.json" "$data/meta/stats.json"
accepts "a feature's name" "$TACT" info "$data"
holds "as it is" grep -qF "$e" "$WORK/out"
accepts "as JSON" "$TACT" info "$data" --json
cp "$WORK/out" "$WORK/json"
[ -z "$python" ] || holds "its key" "$python" -c 'import json, sys; "caf\udce9" in json.load(open(sys.argv[1]))["features"] or sys.exit(1)' "$WORK/json"

if [ -e "$(dirname "$TACT")/lib/tact/tact_import.so" ]; then
    refuses "a task" 'not UTF-8, which a dataset' "$TACT" import tests/import/data/pusht.zarr.zip --task="$e" --root="$home/new"
fi
finish

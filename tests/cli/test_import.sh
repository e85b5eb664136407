#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact import: a source becomes a dataset that can be trained on; what is shown before; what is refused, and how a
# folder is called that is none of the forms.
. "$(dirname "$0")/common.sh"
data=tests/import/data

if ! "$TACT" info $data/umi.zarr.zip >"$WORK/out" 2>"$WORK/err"; then
    holds "the reason names what to install" grep -qE "apt-get install|is not installed|built" "$WORK/err"
    holds "and what it is" grep -q "a zarr group in a zip file" "$WORK/err"
    echo "skipped: $(tail -n 1 "$WORK/err")"
    finish && exit 77
    exit 1
fi

holds "the form" grep -q "^form      UMI replay buffer (zarr)" "$WORK/out"
holds "its rows" grep -q "^rows      12; how many a second the source does not say" "$WORK/out"
holds "a vector, its unit and names" grep -q "robot0_eef_pos .*float32 \[3\]  -> observation.state, in m: x y z" "$WORK/out"
holds "a camera" grep -q "camera0_rgb .*24x16 JPEG XL  -> observation.images.camera0" "$WORK/out"
holds "the command that imports it" grep -q "^import    tact import $data/umi.zarr.zip --root=DIR --fps=59.94 --images=png" "$WORK/out"
accepts "as JSON" "$TACT" info $data/umi.zarr.zip --json
holds "which is JSON" python3 -c "import json; d = json.load(open('$WORK/out')); assert d['rows'] == 12 and d['action_is_state']"
refuses "a frame of a source" "tact import.*makes" "$TACT" info $data/umi.zarr.zip --frame=3

import=("$TACT" import $data/umi.zarr.zip --root="$WORK/set" --images=png)
refuses "no root" "no --root" "$TACT" import $data/umi.zarr.zip
refuses "no source" "no source" "$TACT" import --root="$WORK/set"
refuses "no rate" "--fps=59.94 where the cameras were GoPros" "${import[@]}"
refuses "no rate that makes sense" "--fps=fast: expected" "${import[@]}" --fps=fast
refuses "small frames" "24x16.*at least 64x64.*--images=png" "$TACT" import $data/umi.zarr.zip --root="$WORK/set" --fps=60
refuses "copying JPEG XL" "--images=copy.*JPEG XL" "$TACT" import $data/umi.zarr.zip --root="$WORK/set" --fps=60 --images=copy
refuses "an episode that is not there" "--episodes=\[0,2\].*0 to 1" "${import[@]}" --fps=60 --episodes=[0,2]
refuses "episodes that are none" "--episodes=first" "${import[@]}" --fps=60 --episodes=first
refuses "an unknown way" "--images=gif.*video" "${import[@]}" --fps=60 --images=gif
refuses "an unknown flag" "--frames.*no such flag" "${import[@]}" --frames=60
holds "nothing is left" test -z "$(ls "$WORK" | grep set)"

# A chunk of numbers that is lost looks like one that was never written.
python3 -m zipfile -e $data/umi.zarr.zip "$WORK/lost"
lost=$(find "$WORK/lost" -path '*robot0_eef_pos/0.0')
holds "there is a chunk to lose" test -f "$lost"
rm -f "$lost"
accepts "a recording that lost a chunk" "$TACT" info "$(dirname "$(dirname "$(dirname "$lost")")")"
holds "is warned of" grep -q "WARNING.*robot0_eef_pos/0.0 is missing.*never written holds the array's fill_value" "$WORK/err"
accepts "an import" "${import[@]}" --fps=59.94 --task="fold the cloth"
holds "says what it wrote" grep -q "set: 2 episodes, 12 rows, 12 frames of 1 camera$" "$WORK/out"
"$TACT" info "$WORK/set" >"$WORK/info" 2>/dev/null
holds "the rate" grep -q "at 59.94" "$WORK/info"
holds "poses" grep -q "poses     1 arm" "$WORK/info"
holds "the task" grep -q "fold the cloth" "$WORK/info"
refuses "a root that is there" "already exists" "${import[@]}" --fps=59.94
accepts "one thread makes the same files" "${import[@]}" --fps=60000/1001 --task="fold the cloth" --threads=1 --root="$WORK/one"
holds "the same" diff -r "$WORK/set" "$WORK/one"
accepts "some episodes, next actions" "${import[@]}" --fps=60 --episodes=1:2 --action=next --root="$WORK/some"
holds "one episode" grep -q "some: 1 episodes, 5 rows" "$WORK/out"
accepts "a step of training on it" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/set" --steps=1 \
    "${TINY[@]}" --output_dir="$WORK/run"

refuses "training on the source" "UMI.*not a LeRobot dataset.*tact import $data/umi.zarr.zip --root=DIR" \
    "$TACT" train --dataset.repo_id=t/t --dataset.root=$data/umi.zarr.zip --steps=1 "${TINY[@]}" --output_dir="$WORK/none"
refuses "evaluating on the source" "tact import $data/umi.zarr.zip" \
    "$TACT" eval --policy.path="$WORK/run" --dataset.root=$data/umi.zarr.zip

# What a folder looks like that is none of the forms.
kind() { # NAME PATTERN: $WORK/kind
    refuses "$1" "$2" "$TACT" info "$WORK/kind"
    refuses "$1, to import" "$2" "$TACT" import "$WORK/kind" --root="$WORK/none"
    rm -rf "$WORK/kind"
}
mkdir -p "$WORK/kind"
kind "an empty folder" "empty"
mkdir -p "$WORK/kind" && touch "$WORK/kind/a.jpg" "$WORK/kind/b.PNG"
kind "a folder of images" "images.*no states and actions"
mkdir -p "$WORK/kind" && touch "$WORK/kind/b.PNG" "$WORK/kind/.hidden.bag"
kind "a folder of images in capitals" "images.*b.PNG"
mkdir -p "$WORK/kind" && touch "$WORK/kind/.DS_Store"
kind "a folder with nothing but what the system put there" "an empty folder"
mkdir -p "$WORK/kind/bags" && touch "$WORK/kind/bags/run_0.mcap"
kind "a folder of bags" "ROS.*run_0.mcap"
mkdir -p "$WORK/kind" && touch "$WORK/kind/run.bag"
kind "a folder with a bag" "ROS.*run.bag"
mkdir -p "$WORK/kind/a/b" && touch "$WORK/kind/a/b/run.db3"
kind "a folder with a bag far below" "ROS.*a/b/run.db3"
mkdir -p "$WORK/kind/data/chunk-000" "$WORK/kind/videos" && touch "$WORK/kind/data/chunk-000/file-000.parquet"
kind "a dataset without info.json" "meta/info.json.*missing"
for part in data videos meta; do
    mkdir -p "$WORK/kind/$part" && touch "$WORK/kind/file.parquet" "$WORK/kind/file.arrow"
    kind "a dataset with nothing but $part" "meta/info.json.*missing"
done
mkdir -p "$WORK/kind" && touch "$WORK/kind/file.parquet"
kind "another table" "nothing that can be imported"
mkdir -p "$WORK/kind/meta_data" "$WORK/kind/train" && touch "$WORK/kind/meta_data/info.json" "$WORK/kind/train/data.arrow"
kind "a dataset of version 1" "v1.*LeRobot"
mkdir -p "$WORK/kind/meta_data"
kind "a dataset of version 1 without its data" "v1.*LeRobot"
mkdir -p "$WORK/kind/train" && touch "$WORK/kind/train/data.arrow"
kind "a dataset of version 1 without its metadata" "v1.*LeRobot"
mkdir -p "$WORK/kind" && cp -r "$WORK/set" "$WORK/kind/inner"
kind "a folder above a dataset" "LeRobot dataset in .*kind/inner"
mkdir -p "$WORK/kind" && echo '{"zarr_format": 3, "node_type": "group"}' >"$WORK/kind/zarr.json"
kind "zarr of version 3" "version 3"
mkdir -p "$WORK/kind" && touch "$WORK/kind/a.tfrecord-00000-of-00001"
kind "RLDS" "TFRecord|RLDS"
mkdir -p "$WORK/kind" && echo '{}' >"$WORK/kind/.zarray"
kind "an array alone" "a single zarr array"
mkdir -p "$WORK/kind" && cp $data/umi.zarr.zip "$WORK/kind/.hidden.zip" && cp $data/umi.zarr.zip "$WORK/kind/a.zip"
kind "a folder with a recording" "it holds .*kind/a.zip: give that"
mkdir -p "$WORK/kind" && python3 -c "import zipfile; zipfile.ZipFile('$data/hdf5.zip').extract('libero.hdf5', '$WORK/kind')"
kind "a folder of files that are imported by themselves" "give $WORK/kind/libero.hdf5 .robomimic"
mkdir -p "$WORK/kind" && touch "$WORK/kind/notes.txt"
kind "another folder" "nothing that can be imported"
# Files.
kind_of() { # NAME PATTERN: $WORK/file
    refuses "$1" "$2" "$TACT" info "$WORK/file"
    refuses "$1, to import" "$2" "$TACT" import "$WORK/file" --root="$WORK/none"
}
echo text >"$WORK/file"
kind_of "a text" "a file of another kind"
head -c 9000 $data/umi.zarr.zip >"$WORK/file"
kind_of "a zip file without its end" "a zip file that is cut short or damaged"
pack() { python3 -c "import zipfile; zipfile.ZipFile('$WORK/file', 'w').writestr('$1', '{\"zarr_format\": 3}')"; }
pack replay/zarr.json
kind_of "zarr of version 3 in a zip file" "version 3"
pack replay/.zgroup
kind_of "a zarr group of another kind" "a zarr group in a zip file, but none of the forms"
pack replay/not.zgroup
kind_of "another zip file" "a file of another kind"
python3 -c "import zipfile; zipfile.ZipFile('$data/hdf5.zip').extract('libero.hdf5', '$WORK')"
for block in 512 1024 2048 4096; do
    { head -c $block /dev/zero && cat "$WORK/libero.hdf5"; } >"$WORK/file"
    accepts "HDF5 behind $block bytes of a user's" "$TACT" info "$WORK/file"
    holds "its form" grep -q "robomimic" "$WORK/out"
done
refuses "a dataset that is one" "needs no import" "$TACT" import "$WORK/set" --root="$WORK/none"
refuses "a source that is not there" "nowhere.*[Nn]o such file" "$TACT" import "$WORK/nowhere" --root="$WORK/none"
finish

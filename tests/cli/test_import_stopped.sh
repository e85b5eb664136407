#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ctrl-C and SIGTERM in the middle of tact import: the exit code of a program that a signal ended, a line that says
# how to go on, no dataset; the same command then finishes, with the bytes of a conversion that was left alone.
. "$(dirname "$0")/common.sh"

# 4096 frames of 96x96, in zarr chunks of 64.
python3 - "$WORK/source.zarr" <<'P'
import json, os, struct, sys, zlib
root, rows, side, chunk = sys.argv[1], 4096, 96, 64
def put(path, data):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
def array(name, dtype, shape, chunks, parts, codec=None):
    meta = {"zarr_format": 2, "dtype": dtype, "shape": shape, "chunks": chunks, "compressor": codec, "fill_value": 0,
            "order": "C", "filters": None}
    put(name + "/.zarray", json.dumps(meta).encode())
    for key, data in parts:
        put(name + "/" + key, data)
for group in ("", "data/", "meta/"):
    put(group + ".zgroup", b'{"zarr_format": 2}')
for name, dim in (("eef_pos", 3), ("eef_rot_axis_angle", 3), ("gripper_width", 1)):
    numbers = struct.pack("<%df" % (rows * dim), *(i / 1000 for i in range(rows * dim)))
    array("data/robot0_" + name, "<f4", [rows, dim], [rows, dim], [("0.0", numbers)])
frames = ((f"{k}.0.0.0", zlib.compress(bytes((k + i * 7 // 64) % 256 for i in range(side * side * 3)) * chunk, 1))
          for k in range(rows // chunk))
array("data/camera0_rgb", "|u1", [rows, side, side, 3], [chunk, side, side, 3], frames, {"id": "zlib", "level": 1})
array("meta/episode_ends", "<i8", [2], [2], [("0", struct.pack("<2q", rows // 2, rows))])
P
if ! "$TACT" info "$WORK/source.zarr" >/dev/null 2>"$WORK/err"; then
    echo "skipped: $(tail -n 1 "$WORK/err")"
    exit 77
fi
import=("$TACT" import "$WORK/source.zarr" --fps=60 --images=png --threads=1)
accepts "a conversion that is left alone" "${import[@]}" --root="$WORK/whole"

# stopped SIGNAL CODE: sends it when the first part is there.
stopped() {
    local root=$WORK/$1
    "${import[@]}" --root="$root" >"$WORK/out" 2>"$WORK/err" &
    local pid=$!
    until [ -n "$(compgen -G "$root.partial/parts/*.note")" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.01; done
    kill -"$1" $pid
    wait $pid
    local code=$?
    holds "$1: the exit code is $2, not $code" test $code -eq "$2"
    holds "$1: one line says how to go on" test "$(grep -c "$root.partial: .*the same command goes on" "$WORK/err")" -eq 1
    holds "$1: the last line says why" test "$(tail -n 1 "$WORK/err")" = "tact: stopped"
    holds "$1: nothing is printed" test ! -s "$WORK/out"
    holds "$1: no dataset" test ! -e "$root"
    refuses "$1: what is there is none" "INT.partial: .*not finished|TERM.partial: .*not finished" "$TACT" info "$root.partial"
    accepts "$1: the same command" "${import[@]}" --root="$root"
    holds "$1: goes on" grep -qE "of 4096 frames were there already" "$WORK/err"
    holds "$1: with the same bytes" diff -r "$WORK/whole" "$root"
    holds "$1: nothing is left" test ! -e "$root.partial"
}
stopped INT 130
stopped TERM 143
finish

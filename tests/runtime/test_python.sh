#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# python/libtact: its structs are those of the library, its actions equal those of the C interface to the last
# bit in whatever form images come, and it refuses what it should.
. "$(dirname "$0")/common.sh"
find_python
tiny_policy
here=$(cd "$(dirname "$0")" && pwd)

"$BUILD/tests/layout" >"$WORK/layout.c.txt"
accepts "layout" run "$here/layout.py"
holds "the structs are include/tact.h's" diff "$WORK/layout.c.txt" "$WORK/out"

accepts "in C" "$BUILD/tests/consumer" "$POLICY" 11
cp "$WORK/out" "$WORK/c.txt"
holds "eleven actions and a chunk" test "$(sort -u "$WORK/c.txt" | wc -l)" -eq 19
for form in bytes crop reversed channels_first lerobot batch tensor bfloat16 half double; do
    accepts "in Python, images as $form" run "$here/consumer.py" "$POLICY" 11 $form
    holds "the same bits, images as $form" cmp -s "$WORK/c.txt" "$WORK/out"
done
# As `hf download me/pick` leaves it.
snapshot=$WORK/hub/models--me--pick/snapshots/1234567
mkdir -p "$snapshot" "$WORK/hub/models--me--pick/refs"
cp "$POLICY"/checkpoints/last/pretrained_model/* "$snapshot"
printf 1234567 >"$WORK/hub/models--me--pick/refs/main"
HF_HUB_CACHE=$WORK/hub accepts "descriptions" run "$here/describe.py" "$POLICY" me/pick
accepts "smooth" run "$here/smooth.py" "$POLICY"
accepts "refusals" run "$here/refusals.py" "$POLICY"
LIBRARY=$WORK/none.so run -c 'import libtact; libtact.version()' 2>"$WORK/err"
holds "a library that is not there" grep -q "^ImportError: libtact: .*none.so.*name it in TACT_LIBRARY" "$WORK/err"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One program for every x86-64: the level that it takes follows the processor and what oneDNN may use, and a
# processor that is too old is told so. Processors are qemu's, where it is here.
. "$(dirname "$0")/common.sh"
[ "$(uname -m)" = x86_64 ] || { echo "skipped: levels are x86-64's"; exit 77; }

# level: the level that the command takes, which runs tact --version.
level() { "$@" --version 2>/dev/null | sed -n '2s/^oneDNN [0-9.]*, //p'; }
best=$(level "$TACT")
holds "the second line of --version names one" grep -qx 'x86-64-v[234]' <<<"$best"
holds "oneDNN's limit lowers it to v2" test "$(level env ONEDNN_MAX_CPU_ISA=SSE41 "$TACT")" = x86-64-v2
[ "$best" = x86-64-v2 ] ||
    holds "and to v3" test "$(level env ONEDNN_MAX_CPU_ISA=AVX2 "$TACT")" = x86-64-v3
# oneDNN 2.6 numbers AVX2 with VNNI (Intel's Core since its 12th generation) higher than AVX-512 with bfloat16.
holds "AVX2 with VNNI is v3 at most" grep -qx 'x86-64-v[23]' <<<"$(level env ONEDNN_MAX_CPU_ISA=AVX2_VNNI "$TACT")"
refuses "bfloat16 there" "no bfloat16 instructions .*; use float32" \
    env ONEDNN_MAX_CPU_ISA=AVX2_VNNI "$TACT" bench --image=32x48 --batch_size=1 --steps=1 --policy.dtype=bfloat16

# The numbers of two levels agree; those of one level are the same.
loss() { "$@" bench --image=32x48 --batch_size=2 --policy.dim_model=64 --policy.n_heads=2 --policy.dim_feedforward=64 --steps=2 --json 2>/dev/null |
    sed -n 's/.*"loss": \([0-9.e+-]*\).*/\1/p'; }
high=$(loss "$TACT") low=$(loss env ONEDNN_MAX_CPU_ISA=SSE41 "$TACT")
holds "a level repeats to the bit" test "$(loss "$TACT")" = "$high"
holds "v2 learns the same" awk -v a="$high" -v b="$low" 'BEGIN { exit !(a > 0 && b > 0 && (a - b) ^ 2 < (1e-4 * a) ^ 2) }'

qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64)
if [ -z "$qemu" ]; then echo "skipped: no qemu-x86_64 here: other processors are not tried"
elif readelf -d "$TACT" | grep -q 'lib[at]san'; then echo "skipped: sanitizers do not run in qemu"
else
    holds "Nehalem is v2" test "$(level "$qemu" -cpu Nehalem "$TACT")" = x86-64-v2
    holds "Haswell is v3" test "$(level "$qemu" -cpu Haswell "$TACT")" = x86-64-v3
    refuses "a processor without SSE4.2" "this processor is too old: tact needs x86-64-v2" \
        "$qemu" -cpu Conroe "$TACT" bench --image=32x48 --batch_size=1 --steps=1
fi
finish

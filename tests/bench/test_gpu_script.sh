#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench/gpu from the folder of a bundle: it loses nothing when it is ended, and the end of its output is short and
# whole whatever failed. Real programs where they are quick; stand-ins for a card and for what fails.
. "$(dirname "$0")/../cli/common.sh"

tests=$(cd "$(dirname "$TACT")/tests" && pwd) || exit 77
[ -x "$tests/checkops" ] && [ -x "$tests/golden" ] || exit 77
TACT=$(cd "$(dirname "$TACT")" && pwd)/tact
export TMPDIR=$WORK/tmp # where bench/gpu works: what a killed one leaves goes with $WORK
unset BUILD_DIR TACT_CUDA_PATH
mkdir "$WORK/tmp"

# bundle NAME: a folder as the archive unpacks to, with a space in its name; sets at.
bundle() {
    at="$WORK/a $1"
    mkdir -p "$at/bin" "$at/libexec/tact" "$at/tests"
    cp -r bench "$at/"
    cp -r tests/golden "$at/tests/"
}
# program PATH: writes stdin there as an executable script.
program() { { echo '#!/usr/bin/env bash'; cat; } >"$1" && chmod +x "$1"; }
# parses FILE: succeeds where the file is JSON.
parses() {
    if command -v python3 >/dev/null; then python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1"
    else [ "$(head -c 1 "$1")" = '{' ] && [ "$(tail -n 1 "$1")" = '}' ]; fi
}
# end_leftovers: ends the process groups that a killed bench/gpu left behind, which it had written down. Its subshells
# write what became of those before they end too, so the folder goes at the second try or the third.
end_leftovers() {
    local file
    for file in "$WORK"/tmp/*/running/*; do [ ! -s "$file" ] || kill -KILL -- "-$(cat "$file")" 2>/dev/null; done
    until_there rm -rf "$WORK"/tmp/*
}
# until_there COMMAND...: waits for it to succeed, at most 20 s.
until_there() {
    local left=100
    until "$@" >/dev/null 2>&1; do
        [ $((left -= 1)) -gt 0 ] || return 1
        sleep 0.2
    done
}
table_has() { grep -q "$1" "$WORK/out.d/bench_gpu.txt"; }

# ---- the real programs, on the CPU: one op, the smallest golden case --------------------------------

bundle real
program "$at/bin/tact" <<<"exec '$TACT' \"\$@\""
program "$at/libexec/tact/checkops" <<<"exec '$tests/checkops' \"\$@\" --op add --cases 1"
program "$at/libexec/tact/golden" <<<"exec '$tests/golden' \"\$@\""
accepts "a rehearsal of what decides" "$at/bench/gpu" --rehearse --stages decide --output "$WORK/out.d"
holds "both passed" grep -qE '^  golden +pass' "$WORK/out"
holds "checkops too" grep -qE '^  checkops +pass' "$WORK/out"
holds "JSON" parses "$WORK/out.d/bench_gpu.json"
holds "nothing is left" test -z "$(ls "$WORK/tmp")"
refuses_option() { ! "$at/bench/gpu" "$@" >"$WORK/out" 2>&1; }
holds "an unknown stage" refuses_option --stages decide,no
holds "no number" refuses_option --budget many

# ---- killed and ended: stand-ins, one of which does not end -----------------------------------------

bundle slow
program "$at/libexec/tact/checkops" <<<'echo "1 passed, 0 failed"; echo "INFO device cuda: cuBLASLt 13.0 (/there)" >&2'
export GOLDEN=$WORK/golden.pid
program "$at/libexec/tact/golden" <<<'echo $$ >"$GOLDEN"; exec sleep 300'
program "$at/bin/tact" <<<'echo tact 0; [ "$1" = --version ] || sleep 300'
"$at/bench/gpu" --output "$WORK/out.d" >"$WORK/out" 2>"$WORK/err" &
bench=$!
holds "ops are in the table while golden runs" until_there table_has 'checkops  *pass  *pass  *pass'
holds "and what is under way" until_there table_has 'under way.*golden-'
kill -KILL $bench
wait $bench 2>/dev/null
holds "the table after SIGKILL" table_has 'checkops  *pass  *pass  *pass'
holds "the versions in it" table_has 'cuBLASLt 13.0 (/there)'
holds "JSON after SIGKILL" parses "$WORK/out.d/bench_gpu.json"
holds "four files, no more" test "$(ls "$WORK/out.d" | wc -l)" -eq 4
end_leftovers
rm -rf "$WORK/out.d" "$GOLDEN"

"$at/bench/gpu" --output "$WORK/out.d" >"$WORK/out" 2>"$WORK/err" &
bench=$!
holds "again" until_there table_has 'under way.*golden-'
holds "golden runs" until_there test -s "$GOLDEN"
kill -TERM $bench
wait $bench 2>/dev/null
holds "SIGTERM: its status" test $? -eq 143
holds "SIGTERM: the table" grep -q 'checkops  *pass  *pass  *pass' "$WORK/out"
holds "SIGTERM: said so" grep -q 'ENDED BY SIGTERM' "$WORK/out"
holds "SIGTERM: JSON" parses "$WORK/out.d/bench_gpu.json"
sleep 1
# What has ended and waits for its parent to notice (Z) counts as gone.
holds "SIGTERM: what ran is gone" test -z "$(ps -o stat=,pid=,args= -p "$(cat "$GOLDEN")" 2>/dev/null | grep -v '^Z' | tee "$WORK/left")"
[ ! -s "$WORK/left" ] || cat "$WORK/left"
holds "SIGTERM: nothing is left" test -z "$(ls "$WORK/tmp")"

# ---- a card on which everything fails at length -----------------------------------------------------

bundle broken
program "$at/libexec/tact/checkops" <<'EOS'
case "$*" in *"--op zero"*) echo '1 passed, 0 failed'; exit ;; esac
long=$(printf 'x%.0s' $(seq 400))
for op in conv_forward linear_forward attention_backward pool adamw; do
    for i in 1 2 3 4 5 6; do echo "$op FAILED case $i (8x\"64\\32 $long): element 7 is nan $long"; done
    echo "$op   6 of 6 cases FAILED"
done
exit 1
EOS
program "$at/libexec/tact/golden" <<'EOS'
echo "tests/golden/all/ (cuda, $4)"
for i in $(seq 200); do echo "  gradient $i   9.9e-01  (tolerance 1e-04)  worst a.long.name.of.a.tensor.$i  FAILED"; done
exit 1
EOS
program "$at/bin/tact" <<'EOS'
[ "$1" != sample ] || { mkdir -p "${2#--root=}"; exit; }
[ "$1" != --version ] || { echo tact 0; exit; }
echo "tact: cuBLASLt refused linear 16x512x512 bfloat16: $(printf 'y%.0s' $(seq 900))" >&2
exit 1
EOS
mkdir "$WORK/path"
program "$WORK/path/compute-sanitizer" <<'EOS'
case "$*" in *"--op zero"*) echo '1 passed, 0 failed'; exit ;; esac
for i in $(seq 300); do echo "========= Invalid __global__ read of size 4 bytes at kernel_$i(float*)"; done
exit 9
EOS
PATH=$WORK/path:$PATH "$at/bench/gpu" --output "$WORK/out.d" >"$WORK/out" 2>"$WORK/err"
holds "everything fails: status" test $? -eq 1
holds "the table is short" test "$(wc -c <"$WORK/out")" -lt 9000
holds "nothing in it is lost" cmp -s "$WORK/out" "$WORK/out.d/bench_gpu.txt"
holds "an op's first case" grep -qE 'conv_forward FAILED case 1 \(8x"64' "$WORK/out"
holds "checkops at each precision" test "$(grep -cE '^FAIL  checkops-(float32|tf32|bfloat16): ' "$WORK/out")" -eq 3
holds "each failed op again, alone" grep -qE '^  failed ops alone +FAIL +FAIL +FAIL$' "$WORK/out"
holds "golden's case by name" grep -qE '^ +all: gradient 1 9.9e-01' "$WORK/out"
holds "a case of golden comes once" test "$(grep -c 'all: gradient' "$WORK/out")" -le 3
holds "how many more" grep -qE '^and [0-9]+ more that failed: see bench_gpu.log$' "$WORK/out"
holds "the count" grep -qE '^[0-9]+ passed, [3-9][0-9] failed' "$WORK/out"
holds "progress is short" test "$(wc -L <"$WORK/err")" -le 110
holds "everything fails: JSON" parses "$WORK/out.d/bench_gpu.json"

# ---- PyTorch's libraries, found without importing it -------------------------------------------------

if command -v python3 >/dev/null; then
    mkdir -p "$WORK/site/nvidia/cudnn/lib" "$WORK/site/nvidia/nccl/lib" "$WORK/site/nvidia/cufft/lib"
    touch "$WORK/site/nvidia/cudnn/lib/libcudnn.so.9" "$WORK/site/nvidia/nccl/lib/libnccl.so.2" \
        "$WORK/site/nvidia/cufft/lib/libcufft.so.12"
    program "$WORK/python" <<<"PYTHONPATH='$WORK/site' exec python3 \"\$@\""
    bundle path
    program "$at/libexec/tact/checkops" <<<'echo "libcuda says cuDNN, TACT_CUDA_PATH $TACT_CUDA_PATH" >&2; exit 2'
    program "$at/libexec/tact/golden" <<<'exit 0'
    program "$at/bin/tact" <<<'exit 0'
    TACT_CUDA_PATH=/first "$at/bench/gpu" --python "$WORK/python" --output "$WORK/out.d" >"$WORK/out" 2>"$WORK/err"
    holds "its folders, behind what was given" grep -q "says cuDNN, TACT_CUDA_PATH /first:.*site/nvidia/cudnn/lib" "$WORK/out"
    holds "NCCL's, for several cards" grep -q "/first:.*site/nvidia/nccl/lib" "$WORK/out"
    holds "not those of other libraries" test -z "$(grep nvidia/cufft "$WORK/out")"
fi
finish

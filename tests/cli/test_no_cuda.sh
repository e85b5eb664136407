#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nothing of CUDA is loaded, so none of its initialisers runs, until somebody asks for a card: not by the program, and
# not by libtact on the CPU, also where the module is there to be loaded.
set -uo pipefail
tests=$(dirname "$TACT")/tests
fixture=tests/interop/fixtures/processors
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
for folder in "$(dirname "$TACT")/lib/tact" "$tests/emulation/lib/tact"; do
    [ -e "$folder/tact_cuda.so" ] && export TACT_MODULE_PATH=$folder
done

# What the dynamic linker says of the libraries that a command loads.
loaded() {
    rm -f "$here"/said*
    LD_DEBUG=files LD_DEBUG_OUTPUT=$here/said OMP_NUM_THREADS=1 "$@" >"$here/out" 2>&1
    status=$?
    grep -h 'calling init' "$here"/said* >"$here/list"
}

failed=0
check() {
    loaded "$@"
    if [ $status -ne 0 ] || ! grep -q libc.so "$here/list"; then
        echo "failed ($status): $*"; tail -3 "$here/out"; failed=1
    elif grep -iE 'cuda|cublas|cudnn|nccl|nvidia' "$here/list"; then
        echo "loaded by: $*"; failed=1
    fi
}
check "$TACT" help
check "$TACT" help train
check "$TACT" --version
check "$TACT" info "$fixture"
check "$tests/consumer" "$fixture" 3

# The test itself: where there is a module, asking for it is seen.
if [ -n "${TACT_MODULE_PATH:-}" ]; then
    loaded "$tests/checkops" --device cuda --op zero --cases 1
    grep -q tact_cuda "$here/list" ||
        { echo "asked for, tact_cuda was not seen"; failed=1; }
fi
exit $failed

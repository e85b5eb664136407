#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A command that computes has OpenMP's threads wait without spinning for long, unless the user said otherwise; it stays
# the process that was started, with its arguments.
. "$(dirname "$0")/common.sh"

# runs VARIABLE...: a benchmark that does not end, with these in the environment; its own into $WORK/environ.
runs() {
    env -u GOMP_SPINCOUNT -u OMP_WAIT_POLICY "$@" "$TACT" bench --steps=1000 --image=32x32 >"$WORK/out" 2>"$WORK/err" &
    local pid=$!
    for _ in $(seq 100); do
        [ -r "/proc/$pid/environ" ] || break
        # Before it becomes the program, the process has this shell's environment.
        tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1 | grep -qxF "$TACT" || { sleep 0.01; continue; }
        tr '\0' '\n' <"/proc/$pid/environ" >"$WORK/environ"
        grep -qE 'GOMP_SPINCOUNT|OMP_WAIT_POLICY' "$WORK/environ" && break
        sleep 0.05
    done
    : >"$WORK/line"
    [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" >"$WORK/line"
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
}
[ -r /proc/self/environ ] || { echo "skipped: no /proc here"; exit 77; }
runs TACT_NOTHING=1
holds "short waits" grep -qx 'GOMP_SPINCOUNT=1000' "$WORK/environ"
holds "the same command" grep -q 'bench --steps=1000 --image=32x32' "$WORK/line"
runs GOMP_SPINCOUNT=77
holds "what the user said" grep -qx 'GOMP_SPINCOUNT=77' "$WORK/environ"
runs OMP_WAIT_POLICY=active
holds "nor beside another word of theirs" test "$(grep -c GOMP_SPINCOUNT "$WORK/environ")" -eq 0
finish

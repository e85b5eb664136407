#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What cmake/hardening.cmake asks for is in the files that were built, beside the program that TACT names.
set -uo pipefail
build=$(dirname "${TACT:?the program}")
command -v readelf >/dev/null 2>&1 || { echo "skipped: no readelf here"; exit 0; }
bad=0
complain() { echo "$1: $2"; bad=$((bad + 1)); }

checked=0
for file in "$build"/tact "$build"/libtact.so "$build"/lib/tact/*.so; do
    [ -e "$file" ] || continue
    name=${file#"$build"/}
    checked=$((checked + 1))
    segments=$(readelf -lW "$file")
    dynamic=$(readelf -dW "$file")
    grep -q GNU_RELRO <<<"$segments" || complain "$name" "no read-only relocations (RELRO)"
    grep -qE 'BIND_NOW|FLAGS_1.* NOW' <<<"$dynamic" || complain "$name" "functions are looked up late (no BIND_NOW)"
    grep -E 'GNU_STACK' <<<"$segments" | grep -q 'RW *0x' || complain "$name" "its stack can be executed, or nothing says that it cannot"
    grep -qE '^ +LOAD .* RWE ' <<<"$segments" && complain "$name" "a segment can be written and executed"
    grep -q TEXTREL <<<"$dynamic" && complain "$name" "its code is relocated (TEXTREL)"
    # nvcc's and the C++ compiler's own choices are not ours.
    [[ $name == *tact_cuda* ]] && continue
    functions=$(readelf -sW --dyn-syms "$file")
    grep -q '__stack_chk_fail' <<<"$functions" || complain "$name" "no stack protector"
done
[ "$checked" -ge 3 ] || complain "$build" "only $checked files: is this a build?"
readelf -hW "$build/tact" | grep -qE 'Type: +DYN' || complain tact "its addresses are fixed (no PIE)"
grep -qE '^CMAKE_BUILD_TYPE:STRING=(Release|RelWithDebInfo|MinSizeRel)$' "$build/CMakeCache.txt" || {
    echo "skipped: the checked functions of the C library are for builds with optimization"; exit $((bad > 0)); }
# The program has so many calls that are worth a check that one without any is one compiled without checks.
checks=$(readelf -sW --dyn-syms "$build/tact" | grep -cE 'UND __[a-z]+_chk')
[ "$checks" -ge 5 ] || complain tact "$checks checked functions of the C library: no _FORTIFY_SOURCE"
if [ "$(uname -m)" = x86_64 ]; then
    # Its own objects: what the linker says of the whole depends on the system's start files too.
    object=$(find "$build" -path '*formats.dir*' -name 'json.c.o' | head -n 1)
    readelf -nW "$object" | grep -q 'IBT, SHSTK' || complain "$object" "no marks for control-flow enforcement (CET)"
fi
[ "$bad" -eq 0 ] || { echo "$bad findings"; exit 1; }
echo "$checked files"

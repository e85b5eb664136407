#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C, C++ and CUDA file of the tree is as clang-format 14 leaves it: another version has other opinions.
set -uo pipefail
formatter=
for name in clang-format-14 clang-format; do
    "$name" --version 2>/dev/null | grep -q ' 14\.' && { formatter=$name; break; }
done
[ -n "$formatter" ] || { echo "skipped: no clang-format 14 here"; exit 77; }
mapfile -t files < <(git ls-files '*.c' '*.h' '*.cc' '*.cu' '*.def')
[ ${#files[@]} -gt 0 ] || { echo "skipped: not a git tree, so which files are tact's is not known"; exit 77; }
said=$("$formatter" --dry-run -Werror "${files[@]}" 2>&1) && exit 0
bad=$(sed -n 's/^\([^:]*\):.* error: .*/\1/p' <<<"$said" | sort -u)
[ -n "$bad" ] || { echo "$said"; exit 1; }
echo "not formatted (run: $formatter -i FILE):" $bad
exit 1

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exports.sh HEADER LIBRARY...: each library (.so or .a) shows the functions of the header, and nothing else.
set -euo pipefail
declared=$(sed 's://.*::' "$1" | grep -oE 'tact_[a-z_]+\(' | tr -d '(' | LC_ALL=C sort)
for library in "${@:2}"; do
    case $library in *.a) table=-g ;; *) table=-D ;; esac
    shown=$(nm $table --defined-only "$library" | awk 'NF == 3 {print $NF}' | LC_ALL=C sort)
    diff <(echo "$declared") <(echo "$shown")
    echo "$library: $(wc -l <<<"$shown") functions"
done

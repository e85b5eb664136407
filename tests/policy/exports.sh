#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exports.sh LIBRARY HEADER: the library shows the functions of the header, and nothing else.
set -euo pipefail
shown=$(nm -D --defined-only "$1" | awk '{print $NF}' | LC_ALL=C sort)
declared=$(sed 's://.*::' "$2" | grep -oE 'tact_[a-z_]+\(' | tr -d '(' | LC_ALL=C sort)
diff <(echo "$declared") <(echo "$shown") && echo "$(wc -l <<<"$shown") functions"

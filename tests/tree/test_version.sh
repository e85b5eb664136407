#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The version stands in CMakeLists.txt. What cannot read it there says the same.
set -uo pipefail
version=$(sed -n 's/^project(tact VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
minor=${version%.*}
failed=0

# holds PLACE FOUND EXPECTED
holds() {
    [ "$2" = "$3" ] && return
    echo "FAILED: $1 says '$2', CMakeLists.txt $3"
    failed=1
}

holds "the first line of tact --version" "$("$TACT" --version | head -n 1)" "tact $version"
interface=python/libtact/_interface.py
holds $interface "$(sed -n 's/^VERSION = "\([^"]*\)".*/\1/p' $interface)" "$version"
plugin=python/lerobot_policy_tact/pyproject.toml
holds "$plugin" "$(sed -n 's/^version = "\(.*\)"/\1/p' $plugin)" "$version"
holds "CHANGELOG.md's first numbered heading" "$(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)" "$version"
holds examples/CMakeLists.txt "$(sed -n 's/.*find_package(tact \([0-9.]*\) .*/\1/p' examples/CMakeLists.txt)" "$minor"
# The library's soname, wherever it is written down.
found=0
while IFS=: read -r file name; do
    holds "$file" "$name" "so.$minor"
    found=$((found + 1))
done < <(grep -oE '\bso\.[0-9]+\.[0-9]+' python/libtact/*.py tests/*/*.sh | sort -u)
[ "$found" -gt 1 ] || { echo "FAILED: the soname is written down in $found files, which are two at least"; failed=1; }
exit $failed

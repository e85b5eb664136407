#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The map in docs/architecture.md is true. A folder of src/ includes headers of exactly those folders
# that its row names (base/ goes without saying; "all" may use all), no two folders need each other,
# nothing outside a folder within a folder (ops/cuda/) includes that one's headers, and the lists of
# what CMake links name no folder that the map does not.
set -u -o pipefail

# Prints what is wrong with the tree at $1, one line for each fault.
look() {
    (
        cd "$1" || exit
        sed -n 's/^| `src\//row &/p' docs/architecture.md
        find src -mindepth 2 -type f \( -name '*.[ch]' -o -name '*.cu' \) -printf 'file %p\n'
        grep -rnE '^ *# *include +"[^"]+/' --include='*.[ch]' --include='*.cu' src | sed 's/^/include /'
        for list in CMakeLists.txt cmake/*.cmake; do
            sed 's/#.*//' "$list" | tr '\n' ' ' | grep -oE '(tact_library|tact_module|set\(RUNTIME|GLOB [a-z]+ CONFIGURE_DEPENDS)[^)]*' |
                sed "s|^|link $list |"
        done
    ) | awk '
    function wrong(text) { print text }
    # Of a list that CMake links into `who`: what of it is a folder.
    function links(list, who, names, n, i) {
        n = split(names, part, " ")
        for (i = 1; i <= n; i++)
            if (part[i] in here && part[i] != who) linked[list, who, part[i]] = 1
    }
    $1 == "row" {
        n = split($0, cell, "|")
        match(cell[2], /src\/[a-z_]+/)
        name = substr(cell[2], RSTART + 4, RLENGTH - 4)
        rows[name] = cell[n - 2]
        uses = cell[n - 1]
        gsub(/[ –]/, "", uses)
        if (uses == "all") all[name] = 1
        else for (n = split(uses, part, ","); n > 0; n--) may[name, part[n]] = 1
    }
    $1 == "file" {
        n = split($2, part, "/")
        here[part[2]] = 1
        if (n > 3) within[part[2] "/" part[3]] = part[2]
    }
    $1 == "include" {
        where = $2
        sub(/:[^:]*$/, "", where) # file:line
        split(where, from, "/")
        split($0, quoted, "\"")
        n = split(quoted[2], to, "/")
        if (n > 2 && from[2] "/" from[3] != to[1] "/" to[2])
            wrong(where ": includes " quoted[2] ", which is for " to[1] "/" to[2] "/ alone")
        if (to[1] == from[2]) next
        used[from[2], to[1]] = 1
        if (to[1] != "base" && !(from[2] in all) && !((from[2], to[1]) in may))
            wrong(where ": " from[2] "/ may not use " to[1] "/")
    }
    $1 == "link" { link[++links_seen] = $0 }
    END {
        for (name in here) if (!(name in rows)) wrong("src/" name "/: has no row")
        for (name in rows) if (!(name in here)) wrong("src/" name "/: has a row, but no files")
        for (inner in within)
            if (index(rows[within[inner]], "`" substr(inner, length(within[inner]) + 2) "/`") == 0)
                wrong("src/" inner "/: the row of " within[inner] "/ does not name it")
        for (pair in may) {
            split(pair, f, SUBSEP)
            if (f[2] != "base" && !(pair in used))
                wrong("src/" f[1] "/: its row names " f[2] "/, of which it includes nothing")
        }
        # What each folder reaches through others.
        for (pair in used) reach[pair] = 1
        for (k in here) for (a in here) for (b in here)
            if ((a, k) in reach && (k, b) in reach) reach[a, b] = 1
        for (pair in used) {
            split(pair, f, SUBSEP)
            if ((f[2], f[1]) in reach) wrong("src/" f[1] "/: needs " f[2] "/, which needs it")
        }
        for (i = 1; i <= links_seen; i++) {
            list = link[i]
            split(list, word, " ")
            file = word[2]
            if (match(list, /tact_library\([a-z]+/)) {
                who = substr(list, RSTART + 13, RLENGTH - 13)
                links(file, who, substr(list, RSTART + RLENGTH))
            } else if (match(list, /set\(RUNTIME/)) {
                rest = substr(list, RSTART + 11)
                split(rest, part, " ")
                runtime = part[1]
                n = split(rest, part, " ")
                for (k = 2; k <= n; k++)
                    if (part[k] in here && part[k] != "base" && !((runtime, part[k]) in reach))
                        wrong(file ": links " part[k] "/ into libtact, which " runtime "/ does not reach")
            } else if (match(list, /src\/[a-z]+/)) {
                who = substr(list, RSTART + 4, RLENGTH - 4)
                of[file] = who
            }
            if (match(list, /tact_module.* LIBRARIES /)) links(file, of[file], substr(list, RSTART + RLENGTH))
        }
        for (key in linked) {
            split(key, f, SUBSEP)
            if (f[3] != "base" && !(f[2] in all) && !((f[2], f[3]) in may))
                wrong(f[1] ": links " f[3] "/ into " f[2] "/, which may not use it")
        }
    }' | sort
}

failed=0
found=$(look .)
if [ -n "$found" ]; then
    printf 'docs/architecture.md, the map:\n%s\n' "$found"
    failed=1
fi

# The check finds what is wrong in a small tree of three folders.
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{docs,cmake,src/{base,low,high/in}}
write() { # what the map says of high/; what a file of low/ and one of high/ include
    printf '| `src/base/` | b | – |\n| `src/low/` | l | base |\n| `src/high/` | `in/` | %s |\n' "$1" >"$tree/docs/architecture.md"
    printf 'tact_library(base m)\ntact_library(low base)\ntact_library(high\n  base low)\n' >"$tree/CMakeLists.txt"
    echo 'set(RUNTIME high low base)' >"$tree/cmake/library.cmake"
    touch "$tree/src/base/a.h" "$tree/src/high/in/b.h"
    printf '\n#include "%s"\n' "$2" >"$tree/src/low/low.c"
    printf '#include "%s"\n' "$3" >"$tree/src/high/high.c"
}
sees() { # what the look has to say; "": nothing
    local says
    says=$(look "$tree")
    if [ -n "$1" ] && [[ $says == *"$1"* ]] || [ "$1" = "$says" ]; then return; fi
    printf 'line %s: the look says "%s", not "%s"\n' "${BASH_LINENO[0]}" "$says" "$1"
    failed=1
}
write low base/a.h low/c.h
sees ""
write low high/d.h low/c.h
sees "src/low/low.c:2: low/ may not use high/"
sees "src/low/: needs high/, which needs it"
write low base/a.h base/a.h
sees "src/high/: its row names low/, of which it includes nothing"
write "low, base" high/in/b.h low/c.h
sees "src/low/low.c:2: includes high/in/b.h, which is for high/in/ alone"
write – base/a.h base/a.h
sees "CMakeLists.txt: links low/ into high/, which may not use it"
sees "cmake/library.cmake: links low/ into libtact, which high/ does not reach"
write low base/a.h low/c.h
sed -i '/low/d' "$tree/docs/architecture.md"
sees "src/low/: has no row"
write low base/a.h low/c.h
sed -i 's/`in\/`/h/' "$tree/docs/architecture.md"
sees "src/high/in/: the row of high/ does not name it"
write low base/a.h low/c.h
rm -r "$tree/src/low"
sees "src/low/: has a row, but no files"
exit $failed

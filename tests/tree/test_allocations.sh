#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What libtact is made of asks for memory with functions that report (base/memory.h), never with those that end
# the process, and parses JSON with json_parse, which tells want of memory from a wrong text. Of the folders
# that are in the library these files are the program's alone:
set -uo pipefail
program='policy/(convert|policy_write|processors_write)\.c|config/(train_check|train_config|write_json|field_json)\.c'
program+='|formats/(json_memory|parquet_(write|encode|thrift)|video|safetensors_write)|image/resize\.c' # whose callers there give scratch
ends='mem_alloc|mem_strdup|NEW|arena_alloc|arena_strdup|arena_printf|ARRAY_ROOM|ARRAY_ADD|ARENA_ARRAY_ROOM|ARENA_ARRAY_ADD'
ends+='|array_grow|train_config_default|json_loads|json_loadb|json_load_file|abort|exit'
folders=(runtime policy model normalize config ops ops/cpu ops/ref ops/cuda pose image formats)
files=()
for folder in "${folders[@]}"; do
    for file in "src/$folder"/*.c "src/$folder"/*.cu; do
        [ -e "$file" ] || continue
        [[ $file =~ ^src/($program) ]] || files+=("$file")
    done
done
[ ${#files[@]} -gt 80 ] || { echo "only ${#files[@]} files found"; exit 1; }
if grep -nE "\\b($ends)\\(" "${files[@]}"; then
    echo "these end the process where memory is missing; libtact uses mem_try, TRY_NEW, arena_try, ARRAY_TRY_ROOM, json_parse"
    exit 1
fi
echo "${#files[@]} files report"

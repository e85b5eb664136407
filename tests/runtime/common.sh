# SPDX-License-Identifier: Apache-2.0
# Shared by the tests of libtact: $BUILD, $POLICY (a tiny policy with two cameras and an environment state).
. "$(dirname "${BASH_SOURCE[0]}")/../cli/common.sh"
BUILD=$(cd "$(dirname "$TACT")" && pwd)

tiny_policy() {
    POLICY=$WORK/run
    accepts "a dataset" "$TACT" sample --root="$WORK/data" --episodes=2 --frames=12 --height=64 --width=96 \
        --cameras=2 --env_dim=3 --images_in_parquet=true
    accepts "a policy" "$TACT" train --dataset.repo_id=t/t --dataset.root="$WORK/data" "${TINY[@]}" \
        --output_dir="$POLICY" --steps=2
}

# A Python with NumPy in $python, or skipped.
find_python() {
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import numpy' 2>/dev/null && return
    done
    echo "skipped: no python3 with numpy (Debian's python3-numpy)"
    exit 77
}

# What programs that load libtact into a process without the sanitizer's runtime need.
preload() {
    grep -q '^CMAKE_C_FLAGS:.*-fsanitize=address' "$BUILD/CMakeCache.txt" 2>/dev/null || return 0
    echo "LD_PRELOAD=$(cc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0"
}

# run ARGUMENT...: $python with python/libtact and the built library, or $LIBRARY.
run() {
    # shellcheck disable=SC2046
    env $(preload) TACT_LIBRARY="${LIBRARY:-$BUILD/libtact.so.0.2}" PYTHONPATH="$(dirname "${BASH_SOURCE[0]}")/../../python" \
        PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive "$python" "$@"
}

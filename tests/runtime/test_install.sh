#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` gives: a program that uses it is built in four ways and drives a policy.
. "$(dirname "$0")/common.sh"
tiny_policy
root=$(cd "$(dirname "$0")/../.." && pwd) prefix=$WORK/prefix
setting() { sed -n "s/^$1:[A-Z]*=//p" "$BUILD/CMakeCache.txt"; }
cc=$(setting CMAKE_C_COMPILER) generator=$(setting CMAKE_GENERATOR) libdir=$(setting CMAKE_INSTALL_LIBDIR)
flags=$(setting CMAKE_C_FLAGS) # a sanitizer's, which its programs need as well
accepts "install" cmake --install "$BUILD" --prefix "$prefix"
for file in bin/tact include/tact.h "$libdir"/libtact.{a,so,so.0.2} "$libdir/pkgconfig/tact.pc" \
    "$libdir/cmake/tact/tactConfig.cmake" share/tact/python/libtact/policy.py share/tact/examples/control_loop.c \
    share/man/man1/tact{,-train,-sim}.1 share/bash-completion/completions/tact share/zsh/site-functions/_tact \
    share/fish/vendor_completions.d/tact.fish; do
    holds "$file is there" test -s "$prefix/$file"
done
accepts "the installed program" "$prefix/bin/tact" info "$POLICY"

# runs NAME PROGRAM: the program drives the policy for three steps, every time the same.
runs() {
    accepts "$1 runs" "$2" "$POLICY" 3
    holds "$1 steps" test "$(grep -c ' ms ' "$WORK/out")" -eq 3
    sed 's/ *[0-9.]* ms / /; /deadlines/d' "$WORK/out" >"$WORK/actions"
    [ -e "$WORK/first" ] || cp "$WORK/actions" "$WORK/first"
    holds "$1 gives the same actions" cmp -s "$WORK/actions" "$WORK/first"
}
uses_shared() { readelf -d "$1" | grep -q 'NEEDED.*libtact'; }
runs "the tree's" "$BUILD/examples/control_loop"

export PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
source=$prefix/share/tact/examples/control_loop.c
# A program may have functions of the same names as our own.
printf 'int fail(void); int fail(void) { return 1; } int arena_alloc, log_info, mem_free, act_new;\n' >"$WORK/names.c"
build() { "$cc" $flags -D_POSIX_C_SOURCE=200809L "$source" "$WORK/names.c" "$@"; }
# shellcheck disable=SC2046
accepts "pkg-config, shared" build -o "$WORK/shared" $(pkg-config --cflags --libs tact) -Wl,-rpath,"$prefix/$libdir"
# shellcheck disable=SC2046
accepts "pkg-config, static" build -o "$WORK/static" $(pkg-config --cflags --static --libs tact | sed 's/-ltact/-l:libtact.a/')
runs "pkg-config's shared program" "$WORK/shared"
runs "pkg-config's static program" "$WORK/static"
holds "with libtact.so" uses_shared "$WORK/shared"
if uses_shared "$WORK/static"; then bad "libtact.so in a program that was to have libtact.a"; fi

for static in OFF ON; do
    accepts "find_package, static $static" cmake -S "$prefix/share/tact/examples" -B "$WORK/cmake-$static" -G "$generator" \
        -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$flags" -DTACT_STATIC=$static
    accepts "built, static $static" cmake --build "$WORK/cmake-$static"
    runs "find_package's program, static $static" "$WORK/cmake-$static/control_loop"
done
holds "libtact.so by default" uses_shared "$WORK/cmake-OFF/control_loop"
if uses_shared "$WORK/cmake-ON/control_loop"; then bad "libtact.so with TACT_STATIC"; fi

# A policy of an arm with LeRobot's joints.
accepts "joints" "$TACT" sample --root="$WORK/joints" --episodes=1 --frames=12 --joints --images_in_parquet=true
accepts "a policy of joints" "$TACT" train --dataset.repo_id=t/j --dataset.root="$WORK/joints" "${TINY[@]}" \
    --output_dir="$WORK/arm" --steps=2
accepts "joints are moved" "$BUILD/examples/control_loop" "$WORK/arm" 3
holds "by their names" test "$(grep -cE 'shoulder_pan.pos [-0-9.]+  shoulder_lift.pos .* gripper.pos [-0-9.]+$' "$WORK/out")" -eq 3
sed 's/ *[0-9.]* ms / /; /deadlines/d' "$WORK/out" >"$WORK/arm.txt"

# The package finds the library where it was installed, and drives both policies as C does.
python_loop() { # POLICY EXPECTED
    # shellcheck disable=SC2046
    accepts "the Python example" env -u TACT_LIBRARY $(preload) PYTHONPATH="$prefix/share/tact/python" PYTHONDONTWRITEBYTECODE=1 \
        "$python" "$prefix/share/tact/examples/control_loop.py" "$1" 3
    sed 's/ *[0-9.]* ms / /; /deadlines/d' "$WORK/out" >"$WORK/actions"
    holds "the same actions in Python" diff -b "$WORK/actions" "$2"
}
if (find_python) >/dev/null; then
    find_python
    python_loop "$POLICY" "$WORK/first"
    python_loop "$WORK/arm" "$WORK/arm.txt"
else
    echo "skipped: the Python example (no python3 with numpy)"
fi
finish

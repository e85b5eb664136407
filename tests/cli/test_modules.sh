#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The program without its modules: which libraries it needs to start, what still works, and what is said of the
# rest.
. "$(dirname "$0")/common.sh"

# needed FILE: the libraries it names that a bare Debian does not have.
needed() {
    readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
        grep -vE '^(libdnnl|libjansson|libzip|libz|libzstd|libsnappy|liblz4|libbrotlidec|libbrotlicommon|libyaml-0|libgomp|libm|libc|ld-linux.*)\.so'
}
if command -v readelf >/dev/null && ! readelf -d "$TACT" | grep -q 'libasan'; then
    for file in "$TACT" "$(dirname "$TACT")/libtact.so"; do
        holds "what $file needs" test -z "$(needed "$file")"
    done
else echo "skipped: no readelf here, or a build with sanitizers"; fi

mkdir -p "$WORK/bare"
cp "$TACT" "$WORK/bare/tact"
bare=$WORK/bare/tact
data=$WORK/data
accepts "version" "$bare" --version
accepts "help" "$bare" help train
refuses "a dataset with videos" "needs tact_video.so, which is not here.*libavformat-dev" "$bare" sample --root="$data" --episodes=2 --frames=12
holds "nothing is left of it" test ! -e "$data"
refuses "a simulation" "env.type=strawberry: simulation needs tact_sim.so.*libmujoco-dev" "$bare" sim expert --env.type=strawberry --episodes=1
refuses "a recording in zarr" "umi.zarr.zip: a zarr group in a zip file: importing demonstrations needs tact_import.so.*libjxl-dev" \
    "$bare" import tests/import/data/umi.zarr.zip --root="$WORK/imported" --fps=10
refuses "a server" "serving a policy needs tact_serve.so.*libwebsockets-dev, libmsgpack-dev" "$bare" serve --policy.path="$PWD/tests/policy/data/wrapper"
refuses "a card" "policy.device=cuda: CUDA needs tact_cuda.so.*policy.device=cpu" "$bare" bench --policy.device=cuda

# A training whose frames are all in the cache needs no FFmpeg, and is the same to the digit.
if ! "$TACT" sample --root="$data" --episodes=2 --frames=12 --height=64 --width=64 >/dev/null 2>"$WORK/err"; then
    if grep -q 'needs tact_video.so, which is not here' "$WORK/err"; then echo "skipped: tact_video was not built"
    else bad "a dataset with the module:"; cat "$WORK/err"; fi
    finish
    exit
fi
train=(train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" --steps=14 --dataset.frame_cache_dir="$WORK/cache")
losses() { grep -oE '"loss": *[0-9.e+-]+' "$1/metrics.jsonl"; }
refuses "an empty cache" "needs tact_video.so" "$bare" "${train[@]}" --output_dir="$WORK/empty"
accepts "with the module" "$TACT" "${train[@]}" --output_dir="$WORK/with"
accepts "without it" "$bare" "${train[@]}" --output_dir="$WORK/without"
holds "the same losses" test "$(losses "$WORK/with")" = "$(losses "$WORK/without")"
holds "there are losses" test "$(losses "$WORK/with" | wc -l)" -ge 14
refuses "weights" "resnet18-f37072fd.pth: cannot be downloaded.*downloading needs tact_download.so.*put it into" \
    env TORCH_HOME="$WORK/torch" "$bare" train --dataset.repo_id=t/t --dataset.root="$data" "${TINY[@]}" \
    --policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1 --steps=1 --output_dir="$WORK/no"
accepts "info of what came out" "$bare" info "$WORK/without"
accepts "info of the dataset" "$bare" info "$data"
finish

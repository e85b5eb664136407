#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where cuBLASLt, cuDNN and NCCL are found, and what is said when they are not. With libraries of their names
# that hold nothing, in folders laid out as toolkits and Python environments are.
. "$(dirname "$0")/../cli/common.sh"
unset TACT_CUDA_PATH CUDA_HOME CUDA_PATH VIRTUAL_ENV CONDA_PREFIX LD_LIBRARY_PATH

of='' # or nccl: what is looked for
# put FILE FOLDER: copies the stand-in to that folder under the name of that library.
put() {
    mkdir -p "$WORK/$2"
    cp "$1" "$WORK/$2/"
}
# found NAME FILE VARIABLE=VALUE...: both libraries must be found, one of them as FILE.
found() {
    local name=$1 file=$2
    shift 2
    if env "$@" "$LIBRARIES" ${of:+"$of"} >"$WORK/out" 2>&1 && grep -qF "$WORK/$file" "$WORK/out"; then ok; else
        bad "$name:"; cat "$WORK/out"; fi
}
# not_found NAME SAYS VARIABLE=VALUE...
not_found() {
    local name=$1 says=$2
    shift 2
    if env "$@" "$LIBRARIES" ${of:+"$of"} >"$WORK/out" 2>&1; then bad "$name: found"; cat "$WORK/out"
    elif [ "$(wc -l <"$WORK/out")" -eq 1 ] && grep -qE "$says" "$WORK/out"; then ok; else
        bad "$name:"; cat "$WORK/out"; fi
}

blas=$(basename "$BLAS") dnn=$(basename "$DNN") nccl=$(basename "$NCCL")
put "$BLAS" "plain [1]"; put "$DNN" "plain [1]"
put "$BLAS" toolkit/lib64; put "$DNN" toolkit/lib64
site=venv/lib/python3.11/site-packages/nvidia
put "$BLAS" $site/cu$CUDA/lib; put "$DNN" $site/cudnn/lib; put "$NCCL" $site/nccl/lib
put "$BLAS" old/lib; cp "$OLD_DNN" "$WORK/old/lib/$dnn"
put "$BLAS" broken; echo "not a library" >"$WORK/broken/$dnn"
mkdir "$WORK/empty"

not_found "nothing anywhere" "cuBLASLt \($blas\) was not found in TACT_CUDA_PATH \(not set\).*pip install nvidia-cublas"
found "a folder with a pattern in its name" "plain [1]/$blas" "TACT_CUDA_PATH=$WORK/plain [1]"
found "the second folder" "plain [1]/$dnn" "TACT_CUDA_PATH=$WORK/empty:$WORK/plain [1]"
found "two folders, one library each" "$site/cudnn/lib/$dnn" \
    "TACT_CUDA_PATH=$WORK/$site/cu$CUDA/lib:$WORK/$site/cudnn/lib"
found "a Python environment" "$site/cu$CUDA/lib/$blas" "TACT_CUDA_PATH=$WORK/venv"
found "its site-packages" "$site/cudnn/lib/$dnn" "TACT_CUDA_PATH=$WORK/venv/lib/python3.11/site-packages"
found "the active environment" "$site/cudnn/lib/$dnn" "VIRTUAL_ENV=$WORK/venv"
found "conda's" "$site/cudnn/lib/$dnn" "CONDA_PREFIX=$WORK/venv"
found "a toolkit" "toolkit/lib64/$dnn" "CUDA_HOME=$WORK/toolkit"
found "the loader's path" "plain [1]/$dnn" "LD_LIBRARY_PATH=$WORK/plain [1]"
found "TACT_CUDA_PATH first" "$site/cudnn/lib/$dnn" "TACT_CUDA_PATH=$WORK/venv" "CUDA_HOME=$WORK/toolkit"
# AddressSanitizer wants to be the first library that is preloaded.
readelf -d "$LIBRARIES" 2>/dev/null | grep -q libasan ||
    found "what the process has before all" "toolkit/lib64/$dnn" "TACT_CUDA_PATH=$WORK/venv" \
        "LD_PRELOAD=$WORK/toolkit/lib64/$dnn"
rm "$WORK/plain [1]/$dnn"
not_found "no cuDNN" "cuDNN \($dnn\) was not found.*plain.*pip install nvidia-cudnn" "TACT_CUDA_PATH=$WORK/plain [1]"
not_found "an old cuDNN" "$dnn has no cudnn.*older" "TACT_CUDA_PATH=$WORK/old"
not_found "no library" "cuDNN cannot be loaded: .*$dnn" "TACT_CUDA_PATH=$WORK/broken"
not_found "no library, in the loader's path" "cuDNN cannot be loaded: .*$dnn" "LD_LIBRARY_PATH=$WORK/broken"
of=nccl
found "NCCL in a Python environment" "$site/nccl/lib/$nccl" "VIRTUAL_ENV=$WORK/venv"
found "NCCL in its own folder" "$site/nccl/lib/$nccl" "TACT_CUDA_PATH=$WORK/$site/nccl/lib"
not_found "no NCCL" "several processes: NCCL \($nccl\) was not found.*pip install nvidia-nccl-cu$CUDA.*libnccl2.*one card" \
    "VIRTUAL_ENV=$WORK/empty"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the driver, cuDNN and cuBLASLt may refuse: a fused call, an algorithm, every algorithm, a version.
# Either the next best way is taken, said once and right, or one sentence says what is wrong.
. "$(dirname "$0")/../cli/common.sh"

# right NAME REFUSED SAYS OPS...: the ops must be right all the same, and SAYS must be said once.
right() {
    local name=$1 refused=$2 says=$3 dtype op
    shift 3
    for dtype in float32 tf32 bfloat16; do
        for op in "$@"; do
            if EMULATION_REFUSE=$refused "$CHECKOPS" --device cuda --dtype $dtype --op "$op" --first 12 --cases 3 \
                >"$WORK/out" 2>&1 && [ "$(grep -c "$says" "$WORK/out")" -eq 1 ]; then ok; else
                bad "$name ($dtype, $op):"; tail -5 "$WORK/out"; fi
        done
    done
}
# no NAME SAYS VARIABLE...: with these variables the program must fail and say why.
no() {
    local name=$1 says=$2
    shift 2
    if env "$@" "$CHECKOPS" --device cuda --dtype tf32 --op conv_forward --first 12 --cases 1 \
        >"$WORK/out" 2>&1; then bad "$name: no failure"
    elif grep -q "$says" "$WORK/out"; then ok; else bad "$name:"; tail -5 "$WORK/out"; fi
}
opens="cuda: emulated GPU"
unfused="cuDNN refuses bias and activation"
own_bias="cuBLASLt refuses a bias with the product"
own_product="cuBLASLt refuses a product"

right "fused graphs" fused-graphs "$opens" conv_forward
right "every plan of a graph" graph-plans "$opens" conv
right "the heuristics of graphs have nothing" graph-heuristics "$opens" conv
right "graphs do not run" graph-run "$opens" conv_forward
no "a graph that stops running" "convolution (.*kernel .*tf32): cuDNN: .*told to refuse to run graphs" \
    EMULATION_REFUSE=graph-run@2
# Without graphs: the legacy calls.
right "fused convolutions, from the first" graphs,fused "$unfused" conv_forward
right "fused convolutions, when they run" graphs,fused@2 "$unfused" conv_forward
right "the heuristics have nothing" graphs,heuristics "$opens" conv
right "the first algorithm cannot run" graphs,precomp "$opens" conv_forward
right "only with the arithmetic that was listed" graphs,default-math "$opens" conv
own_conv="cuDNN has no algorithm that runs"
right "no algorithm, forward" graphs,forward "$own_conv" conv_forward
right "no algorithm, backward" graphs,data,filter "$own_conv" conv_backward
no "an algorithm that stops running" "convolution (.*kernel .*tf32): cuDNN: .*told to refuse every algorithm" \
    EMULATION_REFUSE=graphs,fused,forward@2
# said NAME SAYS VARIABLE...: with these variables a convolution is right, and its log says so.
said() {
    local name=$1 says=$2
    shift 2
    if env "$@" TACT_LOG_CONV=1 "$CHECKOPS" --device cuda --dtype tf32 --op conv_forward --first 12 --cases 2 \
        >"$WORK/out" 2>&1 && grep -qE "$says" "$WORK/out"; then ok; else bad "$name:"; tail -5 "$WORK/out"; fi
}
said "graphs are taken" "forward graph 63 \(16384 bytes, fused\)" X=
said "the reason why not" "no graph with bias and activation \(CUDNN_STATUS_NOT_SUPPORTED\)" EMULATION_REFUSE=fused-graphs
said "legacy calls, when asked for" "forward algorithm 1 .*fused" TACT_CUDA_CONV=legacy
said "our own kernels, when asked for" "forward algorithm -1" TACT_CUDA_CONV=own
right "no bias by the heuristics" epilogue "$own_bias" linear
right "no bias when it runs" epilogue-run "$own_bias" linear
right "no product by the heuristics" products "$own_product" linear_backward
right "no product when it runs" products-run@3 "$own_product" linear_backward
right "the first product's algorithm cannot run" first-product "$opens" linear

no "no driver" "policy.device=cuda: no NVIDIA driver was found" EMULATION_DRIVER=0
no "an old driver" "the NVIDIA driver is too old: it knows CUDA 11.4, and" EMULATION_DRIVER=11040
no "no card" "no NVIDIA card can be used here" EMULATION_CARDS=0
no "no code for the card" "has no code for emulated GPU, compute capability 9.0" EMULATION_NO_CODE=1
no "another cuDNN" "cuDNN 8.9.7 was found, and this build of tact needs 9.0" EMULATION_CUDNN=8907
finish

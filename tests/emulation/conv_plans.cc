// SPDX-License-Identifier: Apache-2.0
// The graphs of src/ops/cuda/dnn_graph.cu before the real cuDNN, which plans for a card that is not
// there when it is given a description of one (9.8 and newer): whether it takes our calls, and
// which engine it has for each convolution of a ResNet. By hand, since the library is large and
// slow to plan without a card: TACT_CUDA_PATH=FOLDER conv_plans h100.json. Fused engines that cuDNN
// compiles when asked (RUNTIME) need a driver, and are refused here.
#include "ops/cuda/dnn_graph.h"

#include <stdio.h>
#include <string.h>

// Pictures of 480 x 640, eight of them; channels, size, kernel and stride of each convolution that
// a ResNet-18 has.
static const struct Shape {
    int c, k, h, w, kernel, stride;
    bool residual;
} shapes[] = {
    {4, 64, 480, 640, 7, 2, false},   {64, 64, 120, 160, 3, 1, true},
    {64, 128, 120, 160, 3, 2, false}, {64, 128, 120, 160, 1, 2, false},
    {128, 128, 60, 80, 3, 1, true},   {256, 256, 30, 40, 3, 1, true},
    {512, 512, 15, 20, 3, 1, true},
};

static int failures, total;

static DnnConv conv_of(const Shape &s, cudnnDataType_t type, int pass, bool fused) {
    const int padding = s.kernel / 2;
    DnnConv c = {type,
                 8,
                 s.c,
                 s.h,
                 s.w,
                 s.k,
                 (s.h + 2 * padding - s.kernel) / s.stride + 1,
                 (s.w + 2 * padding - s.kernel) / s.stride + 1,
                 s.kernel,
                 s.stride,
                 padding,
                 1,
                 pass,
                 fused,
                 fused && s.residual,
                 fused};
    return c;
}

static void plan(const Shape &s, cudnnDataType_t type, bool whole, int pass, bool fused,
                 cudnnBackendDescriptor_t card) {
    static const char *const names[] = {"forward", "data", "filter"};
    DnnGraph g;
    cudnnStatus_t status = dnn_graph_new(&g, conv_of(s, type, pass, fused), NULL, card);
    int tried = 0, proposals = g.n_proposals;
    bool found = false;
    for (int i = 0; status == CUDNN_STATUS_SUCCESS && !found && i < proposals; i++) {
        cudnnStatus_t plan = dnn_graph_plan(&g, i, whole, (int64_t)256 << 20);
        found = plan == CUDNN_STATUS_SUCCESS;
        if (!found && i + 1 == proposals) status = plan;
        tried++;
    }
    printf("%-8s %4d x %4d x %4d -> %3d, %d x %d / %d  %s%s: ",
           type == CUDNN_DATA_FLOAT ? (whole ? "float32" : "tf32") : "bfloat16", s.c, s.h, s.w, s.k,
           s.kernel, s.kernel, s.stride, names[pass], fused ? " fused" : "");
    if (found)
        printf("engine %ld, %ld bytes, proposal %d of %d\n", (long)g.engine, (long)g.workspace,
               tried, proposals);
    else
        printf("none of %d: %s\n", proposals, cuda_lib.cudnnGetErrorString(status));
    failures += !found && !fused;
    total++;
    dnn_graph_free(&g);
    fflush(stdout);
}

static cudnnBackendDescriptor_t read_card(const char *path) {
#if CUDNN_VERSION >= 90800
    static char text[1 << 16];
    cudnnBackendDescriptor_t card = NULL;
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f) fclose(f);
    if (n > 0 &&
        cuda_lib.cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &card) ==
            CUDNN_STATUS_SUCCESS &&
        cuda_lib.cudnnBackendSetAttribute(card, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                          CUDNN_TYPE_CHAR, (int64_t)n,
                                          text) == CUDNN_STATUS_SUCCESS &&
        cuda_lib.cudnnBackendFinalize(card) == CUDNN_STATUS_SUCCESS)
        return card;
#endif
    fprintf(stderr, "%s: no description of a card that this cuDNN takes\n", path);
    return NULL;
}

int main(int argc, char **argv) {
    Error err;
    if (argc != 2 || !cuda_libraries_load("conv_plans", &err)) {
        fprintf(stderr, "%s\n", argc != 2 ? "conv_plans CARD.json" : err.text);
        return 1;
    }
    printf("cuDNN %zu\n", cuda_lib.cudnnGetVersion());
    cudnnBackendDescriptor_t card = read_card(argv[1]);
    if (!card) return 1;
    for (const Shape &s : shapes)
        for (int precision = 0; precision < 3; precision++) { // bfloat16, tf32, float32
            cudnnDataType_t type = precision == 0 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
            plan(s, type, precision == 2, FORWARD, true, card);
            for (int pass = 0; pass < PASSES; pass++)
                if (pass != DATA || s.c != 4) plan(s, type, precision == 2, pass, false, card);
        }
    cuda_lib.cudnnBackendDestroyDescriptor(card);
    printf("%d graphs, %d without an engine\n", total, failures);
    return failures != 0;
}

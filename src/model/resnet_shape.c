// SPDX-License-Identifier: Apache-2.0
#include "model/resnet_shape.h"

#include <string.h>

bool resnet_shape(const char *name, bool dilate_last, ResNetShape *out, Error *err) {
    static const struct {
        const char *name;
        ResNetShape shape;
    } known[] = {
        {"resnet18", {false, {2, 2, 2, 2}, false}},  {"resnet34", {false, {3, 4, 6, 3}, false}},
        {"resnet50", {true, {3, 4, 6, 3}, false}},   {"resnet101", {true, {3, 4, 23, 3}, false}},
        {"resnet152", {true, {3, 8, 36, 3}, false}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        *out = known[i].shape;
        out->dilate_last = dilate_last;
        if (dilate_last && !out->bottleneck)
            return fail(err,
                        "--policy.replace_final_stride_with_dilation=true needs resnet50, "
                        "resnet101 or resnet152, not %s",
                        name);
        return true;
    }
    return fail(err,
                "--policy.vision_backbone=%s: unknown; use resnet18, resnet34, resnet50, "
                "resnet101 or resnet152",
                name);
}

BlockShape resnet_block(const ResNetShape *r, int s, int b) {
    int width = 64 << s, expansion = r->bottleneck ? 4 : 1, out = width * expansion;
    int in = b > 0 ? out : s == 0 ? 64 : width / 2 * expansion;
    bool dilated = s == RESNET_STAGES - 1 && r->dilate_last;
    int stride = b == 0 && s > 0 && !dilated ? 2 : 1;
    // torchvision gives the first block of a dilated stage the dilation of the stage before.
    int dilation = dilated && b > 0 ? 2 : 1;
    BlockShape shape = {.out_c = out, .downsample = stride != 1 || in != out};
    shape.down = (BlockConv){"downsample.0", "downsample.1", in, out, 1, stride, 0, 1};
    if (r->bottleneck) {
        shape.n = 3;
        shape.convs[0] = (BlockConv){"conv1", "bn1", in, width, 1, 1, 0, 1};
        shape.convs[1] = (BlockConv){"conv2", "bn2", width, width, 3, stride, dilation, dilation};
        shape.convs[2] = (BlockConv){"conv3", "bn3", width, out, 1, 1, 0, 1};
    } else {
        shape.n = 2;
        shape.convs[0] = (BlockConv){"conv1", "bn1", in, out, 3, stride, 1, 1};
        shape.convs[1] = (BlockConv){"conv2", "bn2", out, out, 3, 1, 1, 1};
    }
    return shape;
}

int resnet_channels(const ResNetShape *r) {
    return r->bottleneck ? 2048 : 512;
}

// SPDX-License-Identifier: Apache-2.0
// Norms filled from frames, against a ResNet written anew here: in doubles, with plain loops, each
// convolution followed by a batch norm over its own batch.
#include "base/memory.h"
#include "model/frame_norms.h"
#include "model/resnet_shape.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FRAMES = 2, HEIGHT = 25, WIDTH = 29, CAMERAS = 2 };

// ---- the other ResNet -------------------------------------------------------------------------

typedef struct Map { // (n, c, h, w)
    int n, c, h, w;
    double *x;
} Map;

static Map map_new(int n, int c, int h, int w) {
    return (Map){n, c, h, w, NEW(double, (size_t)n *c *h *w)};
}
static double *at(Map m, int n, int c, int y, int x) {
    return &m.x[(((size_t)n * m.c + c) * m.h + y) * m.w + x];
}
static int64_t map_size(Map m) {
    return (int64_t)m.n * m.c * m.h * m.w;
}

static float *values(const Params *p, const char *prefix, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "model.backbone.%s%s", prefix, name);
    const Param *q = params_find(p, full);
    assert_non_null(q);
    float *out = NEW(float, q->count);
    param_get(p, q, out);
    return out;
}

static Map convolve(Map in, const float *w, int out_c, int k, int stride, int padding) {
    Map out = map_new(in.n, out_c, (in.h + 2 * padding - k) / stride + 1,
                      (in.w + 2 * padding - k) / stride + 1);
    for (int n = 0; n < out.n; n++)
        for (int o = 0; o < out_c; o++)
            for (int y = 0; y < out.h; y++)
                for (int x = 0; x < out.w; x++) {
                    double sum = 0;
                    for (int c = 0; c < in.c; c++)
                        for (int i = 0; i < k; i++)
                            for (int j = 0; j < k; j++) {
                                int yy = y * stride + i - padding, xx = x * stride + j - padding;
                                if (yy < 0 || xx < 0 || yy >= in.h || xx >= in.w) continue;
                                sum += *at(in, n, c, yy, xx) *
                                       (double)w[((o * in.c + c) * k + i) * k + j];
                            }
                    *at(out, n, o, y, x) = sum;
                }
    return out;
}

// Normalises each channel over the batch, and compares mean and variance with those of the model.
static void batch_norm(Map m, const Params *p, const char *prefix, const char *name) {
    char buffer[64];
    snprintf(buffer, sizeof buffer, "%s.running_mean", name);
    float *means = values(p, prefix, buffer);
    snprintf(buffer, sizeof buffer, "%s.running_var", name);
    float *variances = values(p, prefix, buffer);
    for (int c = 0; c < m.c; c++) {
        double mean = 0, variance = 0, count = (double)m.n * m.h * m.w;
        for (int pass = 0; pass < 3; pass++)
            for (int n = 0; n < m.n; n++)
                for (int y = 0; y < m.h; y++)
                    for (int x = 0; x < m.w; x++) {
                        double *v = at(m, n, c, y, x);
                        if (pass == 0) mean += *v / count;
                        if (pass == 1) variance += (*v - mean) * (*v - mean) / count;
                        if (pass == 2) *v = (*v - mean) / sqrt(variance + 1e-5);
                    }
        if (!(fabs(means[c] - mean) <= 1e-3 * sqrt(variance)))
            fail_msg("%s%s, channel %d: mean %g, expected %g", prefix, name, c, (double)means[c],
                     mean);
        if (!(fabs(variances[c] - variance) <= 1e-3 * variance))
            fail_msg("%s%s, channel %d: variance %g, expected %g", prefix, name, c,
                     (double)variances[c], variance);
    }
    mem_free(means);
    mem_free(variances);
}

static void relu(Map m) {
    for (int64_t i = 0; i < map_size(m); i++) m.x[i] = fmax(m.x[i], 0);
}

static Map max_pool(Map in) {
    Map out = map_new(in.n, in.c, (in.h - 1) / 2 + 1, (in.w - 1) / 2 + 1);
    for (int n = 0; n < out.n; n++)
        for (int c = 0; c < out.c; c++)
            for (int y = 0; y < out.h; y++)
                for (int x = 0; x < out.w; x++) {
                    double most = 0; // behind a relu
                    for (int yy = 2 * y - 1; yy <= 2 * y + 1; yy++)
                        for (int xx = 2 * x - 1; xx <= 2 * x + 1; xx++)
                            if (yy >= 0 && xx >= 0 && yy < in.h && xx < in.w)
                                most = fmax(most, *at(in, n, c, yy, xx));
                    *at(out, n, c, y, x) = most;
                }
    return out;
}

static Map conv_norm(Map in, const Params *p, const char *prefix, const BlockConv *b) {
    char name[64];
    snprintf(name, sizeof name, "%s.weight", b->conv);
    float *w = values(p, prefix, name);
    Map out = convolve(in, w, b->out_c, b->kernel, b->stride, b->padding);
    batch_norm(out, p, prefix, b->norm);
    mem_free(w);
    return out;
}

// Checks every norm of a ResNet18 on the way.
static void check_norms(const Params *p, Map frames) {
    static const BlockConv stem = {"conv1", "bn1", 3, 64, 7, 2, 3, 1};
    Error err;
    ResNetShape shape;
    assert_true(resnet_shape("resnet18", false, &shape, &err));
    Map first = conv_norm(frames, p, "", &stem);
    relu(first);
    Map x = max_pool(first);
    mem_free(first.x);
    for (int s = 0; s < RESNET_STAGES; s++)
        for (int b = 0; b < shape.blocks[s]; b++) {
            BlockShape block = resnet_block(&shape, s, b);
            char prefix[32];
            snprintf(prefix, sizeof prefix, "layer%d.%d.", s + 1, b);
            Map middle = conv_norm(x, p, prefix, &block.convs[0]);
            relu(middle);
            Map y = conv_norm(middle, p, prefix, &block.convs[1]);
            Map skip = block.downsample ? conv_norm(x, p, prefix, &block.down) : x;
            for (int64_t i = 0; i < map_size(y); i++) y.x[i] += skip.x[i];
            relu(y);
            if (block.downsample) mem_free(skip.x);
            mem_free(middle.x);
            mem_free(x.x);
            x = y;
        }
    mem_free(x.x);
}

// ---- the tests --------------------------------------------------------------------------------

static void three_cameras(PolicyConfig *p, TrainConfig *c) {
    train_config_default(c);
    *p = c->policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = 2;
    p->state_dim = p->action_dim = 3;
    p->chunk_size = 4;
    p->cameras[0] = (CameraConfig){"a", HEIGHT, WIDTH, HEIGHT, WIDTH, 0, 0};
    p->cameras[1] = (CameraConfig){"b", 32, 32, 32, 32, 0, 0};
    p->cameras[2] = (CameraConfig){"c", HEIGHT, WIDTH, HEIGHT, WIDTH, 0, 0};
    p->n_cameras = 3;
}

// Frames that are nearly the same, as those of a camera are: a ramp, and a spot somewhere else in
// each.
static void draw(uint8_t *rgb, int n, int height, int width, int seed) {
    for (int i = 0; i < n; i++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (int c = 0; c < 3; c++) {
                    int far = abs(y - (7 * (i + seed) + 3) % height) +
                              abs(x - (11 * i + 5 * seed) % width);
                    *rgb++ = (uint8_t)(far < 4 ? 250 - 90 * c : 2 * y + 3 * x + 10 * c);
                }
}

static void filled(const char *device) {
    static const ImageStats stats[3] = {{{0.5f, 0.4f, 0.3f}, {0.2f, 0.3f, 0.25f}},
                                        {{0, 0, 0}, {1, 1, 1}},
                                        {{0.1f, 0.2f, 0.3f}, {0.3f, 0.2f, 0.1f}}};
    TrainConfig config;
    PolicyConfig policy;
    Params params;
    Device *d;
    Error err;
    uint8_t *frames[3];
    three_cameras(&policy, &config);
    for (int i = 0; i < 3; i++) {
        const CameraConfig *c = &policy.cameras[i];
        frames[i] = NEW(uint8_t, (size_t)FRAMES * c->image_height * c->image_width * 3);
        draw(frames[i], FRAMES, c->image_height, c->image_width, i);
    }
    if (!device_open(device, PRECISION_FLOAT32, 2, &d, &err) ||
        !params_init(&params, d, &policy, true, &err))
        fail_msg("%s", err.text);
    params_initialize(&params, 1);
    if (!frame_norms_fill(d, &policy, &params, (const uint8_t *const *)frames, FRAMES, stats, &err))
        fail_msg("%s", err.text);

    Map seen = map_new(CAMERAS * FRAMES, 3, HEIGHT, WIDTH);
    for (int i = 0; i < seen.n; i++) {
        const int camera = i / FRAMES * 2;
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                for (int c = 0; c < 3; c++) {
                    double byte = frames[camera][((i % FRAMES * HEIGHT + y) * WIDTH + x) * 3 + c];
                    *at(seen, i, c, y, x) =
                        (byte / 255 - (double)stats[camera].mean[c]) / (double)stats[camera].std[c];
                }
    }
    check_norms(&params, seen);
    mem_free(seen.x);
    for (int i = 0; i < 3; i++) mem_free(frames[i]);
    params_free(&params);
    device_close(d);
    train_config_free(&config);
}

static void on_ref(void **state) {
    (void)state;
    filled("ref");
}

static void on_cpu(void **state) {
    (void)state;
    filled("cpu");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_ref), cmocka_unit_test(on_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

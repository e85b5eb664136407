// SPDX-License-Identifier: Apache-2.0
// Cameras of several sizes in one model: each size is one batch, nothing is allocated after the
// first step, and frames encoded one by one give the same bits as all at once. The golden cases
// compare the results with LeRobot's.
#include "base/memory.h"
#include "model/act_parts.h"
#include "model/memory.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "../train/one_step.h"

#include <cmocka.h>

enum { TIMES = 2, CHUNK = 4, VALUES = 3 };

static void small_policy(PolicyConfig *p, TrainConfig *c) {
    train_config_default(c);
    *p = c->policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = p->obs_state_horizon = TIMES;
    p->n_encoder_layers = p->n_vae_encoder_layers = 1;
    p->chunk_size = CHUNK;
    p->state_dim = p->action_dim = VALUES;
}

static void add_camera(PolicyConfig *p, int height, int width) {
    p->cameras[p->n_cameras++] = (CameraConfig){"camera", height, width, height, width, 0, 0};
}

typedef struct Model {
    TrainConfig config;
    PolicyConfig policy;
    Precision precision;
    Device *device;
    Params params;
    Act *act;
} Model;

// As a new run begins, but with a table that tells the timesteps apart.
static void initialize(Params *p) {
    params_initialize(p, 1);
    const Param *times = params_find(p, TEMPORAL_TABLE);
    if (!times) return;
    float *values = NEW(float, times->count);
    for (int64_t i = 0; i < times->count; i++) values[i] = sinf((float)i);
    param_set(p, times, values);
    mem_free(values);
}

// slots: of an act_new_stream, or 0 for batches of `batch`.
static void model_open(Model *m, int batch, bool train, int slots) {
    Error err;
    ImageStats stats[MAX_CAMERAS];
    for (int i = 0; i < MAX_CAMERAS; i++) stats[i] = image_stats_imagenet;
    bool ok = device_open("cpu", m->precision, 1, &m->device, &err) &&
              params_init(&m->params, m->device, &m->policy, train, &err);
    if (ok) initialize(&m->params);
    ok = ok &&
         (slots ? act_new_stream(m->device, &m->policy, &m->params, slots, stats, &m->act, &err)
                : act_new(m->device, &m->policy, &m->params, batch, train, stats, &m->act, &err));
    if (!ok) fail_msg("%s", err.text);
}

static void model_close(Model *m) {
    act_free(m->act);
    params_free(&m->params);
    device_close(m->device);
    train_config_free(&m->config);
}

// Frames (times, h, w, 3) of a camera, none like another.
static uint8_t *frames_of(const PolicyConfig *p, int camera, int times) {
    int64_t n =
        (int64_t)p->cameras[camera].image_height * p->cameras[camera].image_width * 3 * times;
    uint8_t *rgb = NEW(uint8_t, n);
    for (int64_t i = 0; i < n; i++) rgb[i] = (uint8_t)(i * i % 251 + i / 97 + 40 * camera);
    return rgb;
}

static void cameras_of_one_size_are_one_batch(void **state) {
    (void)state;
    Model m = {0};
    small_policy(&m.policy, &m.config);
    for (int i = 0; i < 3; i++) add_camera(&m.policy, 64, 96);
    model_open(&m, 2, true, 0);
    assert_int_equal(m.act->images.n_groups, 1);
    assert_int_equal(m.act->images.groups[0].images, 3 * 2 * TIMES);
    model_close(&m);

    m = (Model){0};
    small_policy(&m.policy, &m.config);
    add_camera(&m.policy, 64, 96);
    add_camera(&m.policy, 96, 32);
    add_camera(&m.policy, 64, 96);
    model_open(&m, 2, true, 0);
    assert_int_equal(m.act->images.n_groups, 2);
    assert_int_equal(m.act->images.groups[0].images, 2 * 2 * TIMES);
    assert_int_equal(m.act->images.groups[1].images, 2 * TIMES);
    // Tokens stand in the cameras' order: 2 x 3 of a frame, 3 x 1, 2 x 3.
    const CameraTokens *tokens = m.act->layout.cameras;
    assert_int_equal(tokens[0].start, 1 + TIMES);
    assert_int_equal(tokens[1].start, 1 + TIMES + 6 * TIMES);
    assert_int_equal(tokens[2].start, 1 + TIMES + (6 + 3) * TIMES);
    assert_int_equal(m.act->layout.tokens, 1 + TIMES + (6 + 3 + 6) * TIMES);
    model_close(&m);
}

static void later_steps_allocate_nothing(void **state) {
    (void)state;
    Model m = {0};
    MemoryEstimate estimate;
    Error err;
    float numbers[TIMES * VALUES] = {0.1f, -0.2f}, actions[CHUNK * VALUES] = {0.3f};
    uint8_t pad[CHUNK] = {0}, *rgb[2];
    small_policy(&m.policy, &m.config);
    add_camera(&m.policy, 64, 96);
    add_camera(&m.policy, 96, 64);
    model_open(&m, 1, true, 0);
    for (int i = 0; i < 2; i++) rgb[i] = frames_of(&m.policy, i, TIMES);
    ActInput in = {.batch = 1,
                   .state = numbers,
                   .images = (const uint8_t *const *)rgb,
                   .action = actions,
                   .action_is_pad = pad};
    size_t first = 0;
    for (uint32_t step = 0; step < 4; step++) {
        ActLosses losses;
        if (!train_once(m.device, m.act, &in, 1, step, &losses, &err)) fail_msg("%s", err.text);
        if (step == 0) first = act_activation_bytes(m.act);
        assert_int_equal(act_activation_bytes(m.act), first);
    }
    if (!estimate_memory(&m.policy, 1, true, m.device->backend, m.device->precision, &estimate,
                         &err))
        fail_msg("%s", err.text);
    double ratio = (double)estimate.activations / (double)first;
    print_message("planned %.2f times what a step takes\n", ratio);
    assert_true(ratio > 0.9);
    for (int i = 0; i < 2; i++) mem_free(rgb[i]);
    model_close(&m);
}

// ---- frame by frame -----------------------------------------------------------------------------

enum { MOST_TIMES = 3, WINDOWS = 3, MOST_CAMERAS = 3, ENV = 2 };

// A policy, and how near a prediction from slots comes to the one from whole windows.
typedef struct Variant {
    int times, cameras, env, encoder_layers, decoder_layers;
    bool pre_norm;
    const char *temporal;
    Precision precision;
    double within; // of the largest value
} Variant;

static void variant_open(Model *m, const Variant *v, int slots) {
    static const int sizes[MOST_CAMERAS][2] = {{64, 96}, {96, 32}, {64, 96}};
    small_policy(&m->policy, &m->config);
    m->policy.obs_state_horizon = v->times;
    m->policy.env_dim = v->env;
    m->policy.n_encoder_layers = v->encoder_layers;
    m->policy.n_decoder_layers = v->decoder_layers;
    m->policy.pre_norm = v->pre_norm;
    m->policy.temporal_pos_embed = v->temporal;
    m->precision = v->precision;
    for (int i = 0; i < v->cameras; i++) add_camera(&m->policy, sizes[i][0], sizes[i][1]);
    model_open(m, 1, false, slots);
}

// Window w sees the frames w .. w + T - 1 of an episode, of which all but the newest were seen by
// the window before; its slots are a ring, in no order of the cameras'.
static void variant_compare(const Variant *v) {
    Model whole = {0}, stream = {0};
    Error err;
    enum { FRAMES = MOST_TIMES + WINDOWS };
    const int ring = v->times + 1, T = v->times;
    float state[FRAMES * VALUES], env[ENV] = {0.7f, -1.2f}, want[CHUNK * VALUES],
                                  got[CHUNK * VALUES];
    uint8_t *rgb[MOST_CAMERAS] = {0};
    int64_t bytes[MOST_CAMERAS];
    int slots[MOST_CAMERAS * MOST_TIMES];
    double furthest = 0, largest = 0;
    variant_open(&whole, v, 0);
    variant_open(&stream, v, ring * MOST_CAMERAS);
    for (int i = 0; i < FRAMES * VALUES; i++) state[i] = 0.3f * (float)(i % 7) - 1;
    for (int i = 0; i < v->cameras; i++) {
        rgb[i] = frames_of(&stream.policy, i, FRAMES);
        bytes[i] = (int64_t)stream.policy.cameras[i].image_height *
                   stream.policy.cameras[i].image_width * 3;
    }
    for (int frame = 0; frame < T + WINDOWS - 1; frame++) {
        const uint8_t *window[MOST_CAMERAS] = {0};
        const int w = frame - T + 1;
        for (int i = 0; i < v->cameras; i++) {
            int slot = frame % ring * MOST_CAMERAS + (MOST_CAMERAS - 1 - i);
            if (!act_encode_frame(stream.act, i, rgb[i] + frame * bytes[i], slot, &err))
                fail_msg("%s", err.text);
        }
        if (w < 0) continue;
        for (int i = 0; i < v->cameras; i++) {
            window[i] = rgb[i] + w * bytes[i];
            for (int t = 0; t < T; t++)
                slots[i * T + t] = (w + t) % ring * MOST_CAMERAS + (MOST_CAMERAS - 1 - i);
        }
        ActInput in = {.batch = 1, .state = state + w * VALUES, .env = env, .images = window};
        if (!act_predict(whole.act, &in, want, NULL, &err)) fail_msg("%s", err.text);
        in.images = NULL;
        if (!act_predict_slots(stream.act, &in, slots, got, &err)) fail_msg("%s", err.text);
        for (int i = 0; i < CHUNK * VALUES; i++) {
            assert_true(isfinite(got[i]) && isfinite(want[i]));
            furthest = fmax(furthest, fabs((double)got[i] - want[i]));
            largest = fmax(largest, fabs((double)want[i]));
        }
    }
    print_message("T=%d, %d cameras, env %d, %s, %s, %s: apart %.1e of the largest action\n", T,
                  v->cameras, v->env, v->pre_norm ? "pre-norm" : "post-norm", v->temporal,
                  precision_name(v->precision), furthest / largest);
    assert_true(largest > 0.1);
    assert_true(furthest <= v->within * largest);
    for (int i = 0; i < v->cameras; i++) mem_free(rgb[i]);
    model_close(&whole);
    model_close(&stream);
}

// All but what a device may round: the projections of a token and of its position are added after
// they are made, and in whole windows the token and its position before. A convolution of one frame
// may be another algorithm than that of several, and Winograd's rounds more often (apart by 2.1e-6
// at AVX2).
static void frame_by_frame_is_the_same(void **state) {
    (void)state;
    const double float32 = 5e-6, bfloat16 = 2e-2;
    const Variant variants[] = {
        {2, 3, 0, 1, 1, false, "all", PRECISION_FLOAT32, float32},
        {1, 3, 0, 1, 1, false, "all", PRECISION_FLOAT32, float32},
        {3, 2, ENV, 2, 2, false, "all", PRECISION_FLOAT32, float32},
        {3, 2, ENV, 2, 2, true, "state", PRECISION_FLOAT32, float32},
        {2, 0, ENV, 2, 1, false, "state", PRECISION_FLOAT32, float32},
        {3, 2, 0, 2, 1, false, "all", PRECISION_BFLOAT16, bfloat16},
    };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        Device *d;
        Error err;
        if (!device_open("cpu", variants[i].precision, 1, &d, &err)) {
            print_message("skipped: %s\n", err.text);
            continue;
        }
        device_close(d);
        variant_compare(&variants[i]);
    }
}

// Of few observations nothing more of a frame is kept than its tokens.
static void old_frames_are_projected_once(void **state) {
    (void)state;
    const Variant two = {2, 2, 0, 1, 1, false, "all", PRECISION_FLOAT32, 0};
    const Variant three = {3, 2, 0, 1, 1, false, "all", PRECISION_FLOAT32, 0};
    Model m = {0};
    variant_open(&m, &two, 4);
    const int64_t D = m.policy.dim_model;
    assert_int_equal(m.act->own_slots.shape[2], D);
    model_close(&m);
    m = (Model){0};
    variant_open(&m, &three, 4);
    assert_int_equal(m.act->own_slots.shape[2], 4 * D);
    model_close(&m);
    // Of two old frames of each camera, of 6 and 3 tokens: what makes tokens of 512 channels, their
    // queries, keys and values, and two thirds of the ResNets, which whole windows go through.
    m = (Model){0};
    variant_open(&m, &three, 0);
    const double tokens = 2.0 * 2 * (6 + 3) * (double)D * (3 * (double)D + 512);
    const double resnets = image_tokens_flops(&m.act->images, false) * 2 / 3;
    const double saved = act_forward_flops(m.act) - act_cached_flops(m.act);
    assert_true(fabs(saved - (tokens + resnets)) < 1e-9 * saved);
    model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cameras_of_one_size_are_one_batch),
        cmocka_unit_test(later_steps_allocate_nothing),
        cmocka_unit_test(frame_by_frame_is_the_same),
        cmocka_unit_test(old_frames_are_projected_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Cameras of several sizes in one model: each size is one batch, nothing is allocated after the
// first step, and frames encoded one by one give the same bits as all at once. The golden cases
// compare the results with LeRobot's.
#include "base/memory.h"
#include "model/act_parts.h"
#include "model/memory.h"
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
    p->cameras[p->n_cameras++] = (CameraConfig){"camera", height, width, height, width};
}

typedef struct Model {
    TrainConfig config;
    PolicyConfig policy;
    Device *device;
    Params params;
    Act *act;
} Model;

// slots: of an act_new_stream, or 0 for batches of `batch`.
static void model_open(Model *m, int batch, bool train, int slots) {
    Error err;
    ImageStats stats[MAX_CAMERAS];
    for (int i = 0; i < MAX_CAMERAS; i++) stats[i] = image_stats_imagenet;
    bool ok = device_open("cpu", PRECISION_FLOAT32, 1, &m->device, &err) &&
              params_init(&m->params, m->device, &m->policy, train, &err);
    if (ok) params_initialize(&m->params, 1);
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

// Frames (TIMES, h, w, 3) of every camera, none like another.
static uint8_t *frames_of(const PolicyConfig *p, int camera) {
    int64_t n =
        (int64_t)p->cameras[camera].image_height * p->cameras[camera].image_width * 3 * TIMES;
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
    for (int i = 0; i < 2; i++) rgb[i] = frames_of(&m.policy, i);
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

static void frame_by_frame_is_the_same(void **state) {
    (void)state;
    Model whole = {0}, stream = {0};
    Error err;
    float numbers[TIMES * VALUES] = {0.1f, -0.2f, 0.4f, 0.5f}, want[CHUNK * VALUES],
                          got[CHUNK * VALUES];
    uint8_t *rgb[3];
    int slots[3 * TIMES];
    for (int k = 0; k < 2; k++) {
        Model *m = k ? &stream : &whole;
        small_policy(&m->policy, &m->config);
        add_camera(&m->policy, 64, 96);
        add_camera(&m->policy, 96, 32);
        add_camera(&m->policy, 64, 96);
        model_open(m, 1, false, k ? 3 * TIMES : 0);
    }
    for (int i = 0; i < 3; i++) {
        rgb[i] = frames_of(&stream.policy, i);
        for (int t = 0; t < TIMES; t++) {
            slots[i * TIMES + t] = 3 * TIMES - 1 - (t * 3 + i); // in no order of theirs
            int64_t bytes = (int64_t)stream.policy.cameras[i].image_height *
                            stream.policy.cameras[i].image_width * 3;
            if (!act_encode_frame(stream.act, i, rgb[i] + t * bytes, slots[i * TIMES + t], &err))
                fail_msg("%s", err.text);
        }
    }
    ActInput in = {.batch = 1, .state = numbers, .images = (const uint8_t *const *)rgb};
    if (!act_predict(whole.act, &in, want, NULL, &err)) fail_msg("%s", err.text);
    in.images = NULL;
    if (!act_predict_slots(stream.act, &in, slots, got, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < CHUNK * VALUES; i++) assert_float_equal(got[i], want[i], 1e-6);
    for (int i = 0; i < 3; i++) mem_free(rgb[i]);
    model_close(&whole);
    model_close(&stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cameras_of_one_size_are_one_batch),
        cmocka_unit_test(later_steps_allocate_nothing),
        cmocka_unit_test(frame_by_frame_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

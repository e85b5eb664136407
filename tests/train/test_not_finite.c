// SPDX-License-Identifier: Apache-2.0
// A NaN or an infinity anywhere in the weights stops a run: the loss or the gradient's norm is not
// finite, whatever stands between, and the step changes nothing.
#include "one_step.h"

#include "../dataset/fixture.h"

enum { BATCH = 2, SIDE = 32, STATE = 3, CHUNK = 4, PIXELS = BATCH * SIDE * SIDE * 3 };

typedef struct Fixture {
    TrainConfig config;
    Device *device;
    Params params;
    Optimizer optimizer;
    Act *act;
    float state[BATCH * STATE], action[BATCH * CHUNK * STATE];
    uint8_t pad[BATCH * CHUNK], pixels[PIXELS];
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    train_config_default(&f->config);
    PolicyConfig *p = &f->config.policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = 2;
    p->n_encoder_layers = p->n_vae_encoder_layers = p->n_decoder_layers = 1;
    p->obs_state_horizon = 1;
    p->temporal_pos_embed = "none";
    p->chunk_size = p->n_action_steps = CHUNK;
    p->state_dim = p->action_dim = STATE;
    p->n_cameras = 1;
    p->cameras[0] = (CameraConfig){"observation.images.front", SIDE, SIDE, SIDE, SIDE, 0, 0};
    p->normalization_mapping = (NormMap){"MEAN_STD", "MEAN_STD", "MEAN_STD", NULL};
    p->pose_repr = "none";
    p->pretrained_backbone_weights = NULL;
    OK(device_open("cpu", PRECISION_FLOAT32, 1, &f->device, &err));
    OK(params_init(&f->params, f->device, p, true, &err));
    params_initialize(&f->params, 4);
    OK(optimizer_init(&f->optimizer, &f->params, &f->config, &err));
    OK(act_new(f->device, p, &f->params, BATCH, true, &image_stats_imagenet, &f->act, &err));
    for (int i = 0; i < PIXELS; i++) f->pixels[i] = (uint8_t)(i * 37);
    for (int i = 0; i < BATCH * STATE; i++) f->state[i] = 0.1f * (float)i;
    for (int i = 0; i < BATCH * CHUNK * STATE; i++) f->action[i] = 0.1f * (float)(i % 7);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    act_free(f->act);
    optimizer_free(&f->optimizer);
    params_free(&f->params);
    device_close(f->device);
    train_config_free(&f->config);
    mem_free(f);
    return 0;
}

// Takes one step with the weights as they are. Returns whether it was halted.
static bool halts(Fixture *f) {
    Error err;
    ActLosses losses;
    float halt = 0, zero = 0;
    const uint8_t *images[] = {f->pixels};
    const ActInput in = {.batch = BATCH,
                         .state = f->state,
                         .images = images,
                         .action = f->action,
                         .action_is_pad = f->pad};
    Device *d = f->device;
    act_load_params(f->act);
    OK(train_once(d, f->act, &in, 1, optimizer_begin(&f->optimizer).step, &losses, &err));
    optimizer_ops(&f->optimizer, act_losses(f->act));
    d->download(d, &halt, f->optimizer.halt.data, sizeof halt);
    d->upload(d, f->optimizer.halt.data, &zero, sizeof zero);
    return halt != 0;
}

// Replaces the value `at` of a tensor: the step then halts and leaves every weight as it is.
static void assert_stops(Fixture *f, const Param *p, int64_t at, float bad) {
    float *values = NEW(float, p->count), *after = NEW(float, p->count);
    param_get(&f->params, p, values);
    float good = values[at];
    values[at] = bad;
    param_set(&f->params, p, values);
    if (!halts(f)) fail_msg("%s[%d] = %g does not stop a run", p->name, (int)at, (double)bad);
    param_get(&f->params, p, after);
    assert_memory_equal(values, after, (size_t)p->count * sizeof *values);
    values[at] = good;
    param_set(&f->params, p, values);
    mem_free(values);
    mem_free(after);
}

static void a_nan_in_any_weight_stops_a_run(void **state) {
    Fixture *f = *state;
    assert_false(halts(f));
    int tried = 0;
    for (int i = 0; i < f->params.count; i++) {
        const Param *p = &f->params.list[i];
        if (p->kind == PARAM_BUFFER) continue;
        // The middle of a kernel, since its border may meet nothing but the padding.
        assert_stops(f, p, p->rank == 4 ? p->shape[2] / 2 * p->shape[3] + p->shape[3] / 2 : 0, NAN);
        tried++;
    }
    assert_true(tried > 60);
    assert_false(halts(f));
}

// Weights of 1e38 make infinities, and those make NaN one layer on, which a ReLU must not turn into
// 0.
static void an_overflow_stops_a_run(void **state) {
    Fixture *f = *state;
    static const char *const names[] = {
        "model.backbone.conv1.weight", "model.backbone.layer1.0.conv2.weight",
        "model.backbone.layer3.1.conv1.weight", "model.backbone.layer4.1.conv2.weight"};
    for (int i = 0; i < 4; i++) {
        const Param *p = params_find(&f->params, names[i]);
        float *values = NEW(float, p->count), *huge = NEW(float, p->count);
        param_get(&f->params, p, values);
        for (int64_t k = 0; k < p->count; k++) huge[k] = values[k] < 0 ? -3e38f : 3e38f;
        param_set(&f->params, p, huge);
        if (!halts(f)) fail_msg("%s: an overflow does not stop a run", names[i]);
        param_set(&f->params, p, values);
        mem_free(values);
        mem_free(huge);
    }
    assert_false(halts(f));
}

// A frozen norm is folded into its convolution before the first step.
static void a_frozen_norm_that_is_not_finite_is_refused(void **state) {
    Fixture *f = *state;
    const Param *p = params_find(&f->params, "model.backbone.layer2.0.bn1.running_var");
    Act *act = NULL;
    Error err;
    float values[128];
    assert_int_equal(p->count, 128);
    param_get(&f->params, p, values);
    values[5] = -1;
    param_set(&f->params, p, values);
    assert_false(act_new(f->device, &f->config.policy, &f->params, BATCH, true,
                         &image_stats_imagenet, &act, &err));
    assert_says(&err, "layer2.0.bn1: channel 5 is not finite", "running_var -1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_nan_in_any_weight_stops_a_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_overflow_stops_a_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frozen_norm_that_is_not_finite_is_refused, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

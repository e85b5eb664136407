// SPDX-License-Identifier: Apache-2.0
// The golden cases through include/tact.h: a checkpoint with their weights, frames of bytes,
// numbers as recorded, against what LeRobot's ACT (and the temporal form of it) gives in float64.
//
// The images of tests/golden are float32 noise, which no camera's bytes can be. So
// runtime.safetensors was made for the same cases with bytes (tests/golden/make_runtime.py); and
// the model that tact_open has loaded is given the floats from inside, which must give the cases'
// own eval_action.
#include "tact.h"

#include "../tools/golden_case.h"
#include "formats/safetensors.h"
#include "policy/policy_stats.h"
#include "policy/policy_write.h"
#include "runtime/handle.h"

#include "../dataset/fixture.h"

static const double tolerance = 1e-5; // relative, in float32: docs/testing.md

typedef struct Golden {
    Arena arena;
    json_t *json;
    TrainConfig config;
    PolicyConfig *policy; // of config
    uint64_t salt;
    int batch;
    char *dir;
} Golden;

// ---- a checkpoint -------------------------------------------------------------------------------

static Stats vector_stats(Golden *g, const char *feature, int n, double from, double by, double std,
                          double std_by) {
    Stats s = {.dim = n, .mean = NEW(double, n), .std = NEW(double, n), .count = 9};
    uint64_t mean = stream_start(arena_printf(&g->arena, "stats.%s.mean", feature), g->salt);
    uint64_t deviation = stream_start(arena_printf(&g->arena, "stats.%s.std", feature), g->salt);
    for (int i = 0; i < n; i++) {
        s.mean[i] = (float)(from + by * stream_value(mean, i));
        s.std[i] = (float)(std + std_by * stream_value(deviation, i));
    }
    return s;
}

static PolicyStats all_stats(Golden *g) {
    const PolicyConfig *p = g->policy;
    PolicyStats s = {.state = vector_stats(g, "state", p->state_dim, 0, 1, 1, 0.5),
                     .action = vector_stats(g, "action", p->action_dim, 0, 1, 1, 0.5),
                     .env = vector_stats(g, "env", p->env_dim, 0, 1, 1, 0.5)};
    for (int i = 0; i < p->n_cameras; i++)
        s.cameras[i] =
            vector_stats(g, arena_printf(&g->arena, "image%d", i), 3, 0.45, 0.1, 0.25, 0.05);
    return s;
}

static void fill_config(Golden *g) {
    PolicyConfig *p = g->policy;
    train_config_default(&g->config);
    golden_config(g->json, p);
    p->pretrained_backbone_weights = NULL;
    p->pose_repr = "none";
    p->normalization_mapping = (NormMap){"MEAN_STD", "MEAN_STD", "MEAN_STD", "MEAN_STD"};
    p->fps = 10;
    for (int i = 0; i < p->n_cameras; i++) {
        const char *name = arena_printf(&g->arena, "observation.images.camera%d", i);
        p->cameras[i].name = name;
    }
}

static void write_checkpoint(Golden *g) {
    Error err;
    Device *device;
    Params params;
    PolicyStats stats = all_stats(g);
    OK(device_open("ref", PRECISION_FLOAT32, 1, &device, &err));
    OK(params_init(&params, device, g->policy, false, &err));
    params_initialize(&params, 0);
    for (int i = 0; i < params.count; i++) {
        const Param *q = &params.list[i];
        if (q->init == INIT_SINUSOID) continue; // not of use here
        float *values = NEW(float, q->count);
        const uint64_t s = stream_start(q->name, g->salt);
        const GoldenSpread range = param_range(q);
        for (int64_t k = 0; k < q->count; k++) values[k] = param_element(range, stream_value(s, k));
        param_set(&params, q, values);
        mem_free(values);
    }
    OK(policy_write(g->dir, g->policy, &params, &stats, NULL, &err));
    params_free(&params);
    device_close(device);
    policy_stats_free(&stats);
}

// ---- comparing ----------------------------------------------------------------------------------

static void assert_close(const char *what, const Safetensors *s, const char *name,
                         const double *values, int64_t count) {
    const SafetensorsEntry *e = safetensors_find(s, name);
    double diff = 0, norm = 0;
    assert_non_null(e);
    assert_int_equal(e->count, count);
    for (int64_t i = 0; i < count; i++) {
        double want = safetensors_value(e, i), d = values[i] - want;
        diff += d * d;
        norm += want * want;
    }
    double error = sqrt(diff / norm);
    print_message("  %s: %.1e\n", what, error);
    if (!(error <= tolerance)) fail_msg("%s: off by %.2e", what, error); // NaN too
}

// The golden images, given to the handle's own weights from inside.
static void check_floats(const Golden *g, tact_policy *opened, const Safetensors *expected) {
    static const ImageStats unused[MAX_CAMERAS]; // images come normalised
    const PolicyConfig *p = g->policy;
    int64_t T = p->obs_state_horizon, n = (int64_t)g->batch * p->chunk_size * p->action_dim;
    float *state = generate_input("input.state", g->salt, g->batch * T * p->state_dim);
    float *env = generate_input("input.env", g->salt, (int64_t)g->batch * p->env_dim);
    float *images[MAX_CAMERAS], *actions = NEW(float, n);
    double *values = NEW(double, n);
    Error err;
    Act *act;
    for (int i = 0; i < p->n_cameras; i++) {
        char name[32];
        snprintf(name, sizeof name, "input.image%d", i);
        images[i] = generate_input(name, g->salt, g->batch * T * golden_frame(p, i));
    }
    OK(act_new(opened->device, opened->config, &opened->shared->policy.params, g->batch, false,
               unused, &act, &err));
    ActInput in = {.batch = g->batch,
                   .state = state,
                   .env = env,
                   .image_floats = (const float *const *)images};
    OK(act_predict(act, &in, actions, NULL, &err));
    for (int64_t i = 0; i < n; i++) values[i] = actions[i];
    assert_close("the loaded model on floats", expected, "eval_action", values, n);
    act_free(act);
    for (int i = 0; i < p->n_cameras; i++) mem_free(images[i]);
    void *owned[] = {state, env, actions, values};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) mem_free(owned[i]);
}

// Row `row` of an input, in recorded numbers.
static void recorded(const Golden *g, const char *name, int64_t row, int n, double *out) {
    for (int i = 0; i < n; i++)
        out[i] = (float)stream_value(stream_start(name, g->salt), row * n + i);
}

static void bytes(const Golden *g, int camera, int64_t frame, uint8_t *out) {
    char name[32];
    int64_t n = golden_frame(g->policy, camera);
    snprintf(name, sizeof name, "input.pixels%d", camera);
    uint64_t start = stream_start(name, g->salt);
    for (int64_t i = 0; i < n; i++)
        out[i] = (uint8_t)((stream_value(start, frame * n + i) + 1) * 128);
}

// What the program of a robot does.
static void check_bytes(const Golden *g, tact_policy *p, const Safetensors *expected,
                        const char *name) {
    const PolicyConfig *c = g->policy;
    int64_t chunk = (int64_t)c->chunk_size * c->action_dim;
    double *actions = NEW(double, g->batch *chunk), state[64], env[64];
    uint8_t *rgb[MAX_CAMERAS];
    tact_image images[MAX_CAMERAS];
    assert_true(c->state_dim <= 64 && c->env_dim <= 64 && tact_camera_count(p) == c->n_cameras);
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        rgb[i] = NEW(uint8_t, golden_frame(c, i));
        images[i] = (tact_image){sizeof(tact_image), camera->name,  rgb[i],
                                 camera->height,     camera->width, 0};
    }
    tact_observation o = {
        sizeof o, state, tact_state_size(p), env, tact_env_size(p), images, c->n_cameras, 0, 0};
    for (int b = 0; b < g->batch; b++) {
        assert_int_equal(tact_reset(p), TACT_OK);
        recorded(g, "input.env", b, c->env_dim, env);
        for (int t = 0; t < c->obs_state_horizon; t++) {
            int64_t row = (int64_t)b * c->obs_state_horizon + t;
            recorded(g, "input.state", row, c->state_dim, state);
            for (int i = 0; i < c->n_cameras; i++) bytes(g, i, row, rgb[i]);
            assert_int_equal(tact_observe(p, &o), TACT_OK);
        }
        assert_int_equal(tact_predict_chunk(p, actions + b * chunk), TACT_OK);
    }
    char entry[64];
    snprintf(entry, sizeof entry, "%s.actions", name);
    assert_close("tact_predict_chunk on bytes", expected, entry, actions, g->batch * chunk);
    for (int i = 0; i < c->n_cameras; i++) mem_free(rgb[i]);
    mem_free(actions);
}

// ---- cases --------------------------------------------------------------------------------------

static void check_case(const char *name) {
    Golden g = {0};
    Error err;
    Safetensors *expected, *runtime;
    tact_policy *p;
    tact_options o;
    const char *folder = arena_printf(&g.arena, "tests/golden/%s", name);
    OK(json_read(at(&g.arena, folder, "case.json"), &g.json, &err));
    OK(safetensors_open(at(&g.arena, folder, "expected.safetensors"), &expected, &err));
    OK(safetensors_open("tests/golden/runtime.safetensors", &runtime, &err));
    g.policy = &g.config.policy;
    g.salt = (uint64_t)golden_integer(g.json, "salt");
    g.batch = (int)golden_shape(g.json, "action", 0);
    g.dir = new_folder(&g.arena);
    fill_config(&g);
    write_checkpoint(&g);
    tact_options_default(&o, sizeof o);
    o.threads = 1;
    if (tact_open(g.dir, &o, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    check_floats(&g, p, expected);
    check_bytes(&g, p, runtime, name);
    tact_close(&p);
    OK(remove_tree(g.dir, &err));
    safetensors_close(expected);
    safetensors_close(runtime);
    train_config_free(&g.config);
    json_decref(g.json);
    arena_free(&g.arena);
}

#define CASE(name)                                                                                 \
    static void golden_##name(void **state) {                                                      \
        (void)state;                                                                               \
        check_case(#name);                                                                         \
    }
CASE(single)
CASE(seed)
CASE(state)
CASE(all)
CASE(prenorm)
CASE(novae)
CASE(dilated)
CASE(resnet34)
CASE(env)
CASE(full)
CASE(two_sizes)
CASE(two_sizes_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_single),    cmocka_unit_test(golden_seed),
        cmocka_unit_test(golden_state),     cmocka_unit_test(golden_all),
        cmocka_unit_test(golden_prenorm),   cmocka_unit_test(golden_novae),
        cmocka_unit_test(golden_dilated),   cmocka_unit_test(golden_resnet34),
        cmocka_unit_test(golden_env),       cmocka_unit_test(golden_full),
        cmocka_unit_test(golden_two_sizes), cmocka_unit_test(golden_two_sizes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

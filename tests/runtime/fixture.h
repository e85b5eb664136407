// SPDX-License-Identifier: Apache-2.0
// What tests of the runtime share: a policy of random weights on a small dataset, and what
// training's side predicts with it.
#ifndef TACT_TESTS_RUNTIME_FIXTURE_H
#define TACT_TESTS_RUNTIME_FIXTURE_H

#include "tact.h"

#include "loader/batch_maker.h"
#include "policy/policy_load.h"
#include "policy/policy_stats.h"
#include "policy/policy_write.h"
#include "pose/pose.h"
#include "runtime/handle.h"
#include "runtime/open.h"
#include "train/policy_from_dataset.h"

#include "../dataset/fixture.h"

enum { CAMERAS = 2, HEIGHT = 80, WIDTH = 112, FRAMES = 20, CHUNK = 5, STEPS = 3 };
enum { ACTION = POSE_ROW, ENV = 2 };

typedef struct Scene {
    Arena arena;
    char *dir, *model;
    Dataset *ds;
    FrameReader *frames;
    TrainConfig config;
    uint8_t *rgb[CAMERAS];
    double state[ACTION], env[ENV];
    tact_image images[CAMERAS];
    tact_observation seen;
} Scene;

// ---- the scene ----------------------------------------------------------------------------------

static inline void fill_config(Scene *s) {
    train_config_default(&s->config);
    PolicyConfig *p = &s->config.policy;
    p->dim_model = p->dim_feedforward = 32;
    p->n_heads = 2;
    p->n_encoder_layers = p->n_vae_encoder_layers = 1;
    p->obs_state_horizon = 4;
    p->obs_down_sample_steps = 3;
    p->chunk_size = CHUNK;
    p->n_action_steps = STEPS;
    p->state_dim = p->action_dim = POSE_POLICY_ROW;
    p->arms = 1;
    p->env_dim = ENV;
    p->pose_repr = "relative";
    p->normalization_mapping = (NormMap){"MEAN_STD", "MIN_MAX", "MIN_MAX", "MEAN_STD"};
    p->pretrained_backbone_weights = NULL;
    p->fps = s->ds->fps;
    p->n_cameras = s->ds->n_cameras;
    // Frames are not used as recorded but resized, those of each camera to its own size, and of
    // that the model sees the middle.
    static int64_t resize[] = {60, 80, 81, 51};
    p->resize_shape = (IntList){resize, 4};
    p->resize_filter = "bilinear";
    p->crop_ratio = 0.8;
    p->cameras[0] = (CameraConfig){s->ds->cameras[0]->name, HEIGHT, WIDTH, 48, 64, 60, 80};
    p->cameras[1] = (CameraConfig){s->ds->cameras[1]->name, HEIGHT, WIDTH, 64, 40, 81, 51};
}

static inline void write_policy(Scene *s) {
    Error err;
    Device *device;
    Params params;
    const PolicyConfig *p = &s->config.policy;
    WindowSpec w = policy_window(p);
    PolicyStats stats = {0};
    OK(window_stats(s->ds, &w, NULL, 0, 0, 1, p->state_dim ? &stats.state : NULL, &stats.action,
                    &err));
    bool computed;
    dataset_stats(s->ds, s->ds->env, s->ds->env_data, &stats.env, &computed);
    for (int i = 0; i < CAMERAS; i++) OK(policy_camera_imagenet(&stats.cameras[i], &err));
    stats.cameras[1].mean[0] = 0.3; // no camera's statistics are another's
    policy_stats_round(&stats);
    OK(device_open("ref", PRECISION_FLOAT32, 1, &device, &err));
    OK(params_init(&params, device, p, false, &err));
    params_initialize(&params, 7);
    const Param *times = params_find(&params, "temporal_pos_embed.weight");
    float *values = NEW(float, times->count);
    for (int64_t i = 0; i < times->count; i++) values[i] = sinf((float)i);
    param_set(&params, times, values);
    mem_free(values);
    const Param *given = params_find(&params, ACTION_PREFIX_WEIGHT);
    float *projection = NEW(float, given ? given->count : 0);
    for (int64_t i = 0; given && i < given->count; i++) projection[i] = 0.3f * cosf((float)i);
    if (given) param_set(&params, given, projection);
    mem_free(projection);
    OK(make_dirs(s->model, &err) && policy_write(s->model, p, &params, &stats, NULL, &err));
    params_free(&params);
    device_close(device);
    policy_stats_free(&stats);
}

static inline int scene_new(void **state) {
    Scene *s = NEW(Scene, 1);
    Error err;
    s->dir = new_folder(&s->arena);
    s->model = at(&s->arena, s->dir, "model");
    SampleOptions o = {.root = at(&s->arena, s->dir, "data"),
                       .episodes = 2,
                       .frames = FRAMES,
                       .height = HEIGHT,
                       .width = WIDTH,
                       .cameras = CAMERAS,
                       .fps = 10,
                       .seed = 3,
                       .env_dim = ENV,
                       .images_in_parquet = true};
    OK(sample_dataset_write(&o, &err));
    OK(dataset_open(&(DatasetOptions){.root = o.root}, &s->ds, &err));
    OK(frames_open(s->ds, 0, 0, &s->frames, &err));
    fill_config(s);
    write_policy(s);
    for (int i = 0; i < CAMERAS; i++) {
        s->rgb[i] = NEW(uint8_t, HEIGHT * WIDTH * 3);
        s->images[i] =
            (tact_image){sizeof(tact_image), s->ds->cameras[i]->name, s->rgb[i], HEIGHT, WIDTH, 0};
    }
    s->seen =
        (tact_observation){sizeof s->seen, s->state, ACTION, s->env, ENV, s->images, CAMERAS, 0, 0};
    *state = s;
    return 0;
}

static inline int scene_free(void **state) {
    Scene *s = *state;
    Error err;
    for (int i = 0; i < CAMERAS; i++) mem_free(s->rgb[i]);
    frames_close(s->frames);
    dataset_close(s->ds);
    train_config_free(&s->config);
    if (!remove_tree(s->dir, &err)) return -1;
    arena_free(&s->arena);
    mem_free(s);
    return 0;
}

static inline tact_options options(void) {
    tact_options o;
    tact_options_default(&o, sizeof o);
    o.rate_check = 0; // episodes are replayed
    o.threads = 1;    // threads that wait for each other take long on a busy machine
    return o;
}

// o NULL: the test's defaults.
static inline tact_policy *open_policy(const Scene *s, const tact_options *o) {
    tact_policy *p;
    tact_options plain = options();
    if (tact_open(s->model, o ? o : &plain, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    return p;
}

static inline tact_async_counts async_counts(const tact_policy *p) {
    tact_async_counts n = {.size = sizeof n};
    tact_async(p, &n);
    return n;
}

static inline tact_limit_counts limit_counts(const tact_policy *p) {
    tact_limit_counts n = {.size = sizeof n};
    tact_limits(p, &n);
    return n;
}

static inline tact_camera camera_at(const tact_policy *p, int i) {
    tact_camera c = {.size = sizeof c};
    tact_camera_at(p, i, &c);
    return c;
}

#define WORKS(p, call)                                                                             \
    do {                                                                                           \
        if ((call) != TACT_OK) fail_msg("%s", tact_message(p));                                    \
    } while (0)

// What the robot sees at a row of the dataset.
static inline const tact_observation *look(Scene *s, int64_t row) {
    Error err;
    for (int i = 0; i < ACTION; i++) s->state[i] = s->ds->state_data[row * ACTION + i];
    for (int i = 0; i < ENV; i++) s->env[i] = s->ds->env_data[row * ENV + i];
    for (int i = 0; i < CAMERAS; i++) OK(frames_read(s->frames, i, row, s->rgb[i], &err));
    return &s->seen;
}

// ---- what training's side predicts --------------------------------------------------------------

typedef struct Reference {
    Device *device;
    Policy policy;
    Act *act;
    Normalizer state, env, action;
    FrameSize sizes[CAMERAS];
    FrameCrop crops[CAMERAS];
    LoaderOptions options;
    BatchMaker maker;
    Batch batch;
} Reference;

static inline void reference_open(Reference *r, const Scene *s) {
    static int cameras[CAMERAS];
    Error err;
    *r = (Reference){0};
    OK(device_open("cpu", PRECISION_FLOAT32, 1, &r->device, &err));
    OK(policy_load(s->model, NULL, r->device, &r->policy, &err));
    const PolicyConfig *p = &r->policy.config.policy;
    OK(act_new(r->device, p, &r->policy.params, 1, false, r->policy.stats.images, &r->act, &err));
    OK(policy_normalizers(p, &r->policy.stats, &r->state, &r->env, &r->action, &err));
    policy_find_cameras(p, s->ds, cameras, r->sizes, r->crops);
    r->options = (LoaderOptions){.dataset = s->ds,
                                 .window = policy_window(p),
                                 .state = p->state_dim ? &r->state : NULL,
                                 .env = &r->env,
                                 .action = &r->action,
                                 .cameras = cameras,
                                 .n_cameras = CAMERAS,
                                 .sizes = r->sizes,
                                 .crops = r->crops,
                                 .batch_size = 1};
    OK(batch_maker_init(&r->maker, &r->options, &err));
    OK(batch_alloc(&r->batch, &r->options, &err));
}

static inline void reference_close(Reference *r) {
    batch_free(&r->batch, &r->options);
    batch_maker_free(&r->maker);
    normalizer_free(&r->state);
    normalizer_free(&r->env);
    normalizer_free(&r->action);
    act_free(r->act);
    policy_free(&r->policy);
    device_close(r->device);
}

// Absolute actions (CHUNK, ACTION) that training's evaluation predicts at a row.
static inline void reference_chunk(Reference *r, int64_t row, double *out) {
    Error err;
    float y[CHUNK * POSE_POLICY_ROW];
    double rows[POSE_POLICY_ROW], base[ACTION];
    const Dataset *ds = r->options.dataset;
    r->batch.rows[0] = row;
    OK(batch_maker_fill(&r->maker, &r->batch, &err));
    ActInput in = {.batch = 1,
                   .state = r->batch.state,
                   .env = r->batch.env,
                   .images = (const uint8_t *const *)r->batch.images};
    OK(act_predict(r->act, &in, y, NULL, &err));
    for (int i = 0; i < ACTION; i++) base[i] = ds->state_data[row * ACTION + i];
    for (int i = 0; i < CHUNK; i++) {
        normalizer_invert(&r->action, y + i * POSE_POLICY_ROW, rows, 1);
        pose_row_from_policy(rows, base, 1, out + i * ACTION);
    }
}

// Two actions, rotations compared as rotations.
static inline double distance(const double *a, const double *b) {
    Pose p = pose_from_vector(a), q = pose_from_vector(b), turn = pose_relative(&p, &q);
    double v[6], worst = fabs(a[6] - b[6]);
    pose_to_vector(&turn, v);
    for (int i = 0; i < 3; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return fmax(worst, sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5]));
}

static inline double chunk_distance(const double *a, const double *b, int n) {
    double worst = 0;
    for (int i = 0; i < n; i++) worst = fmax(worst, distance(a + i * ACTION, b + i * ACTION));
    return worst;
}

static inline void not_opened(const char *path, const tact_options *o, tact_status status,
                              const char *says) {
    tact_policy *p = (tact_policy *)&p;
    assert_int_equal(tact_open(path, o, &p), status);
    assert_null(p);
    if (!strstr(tact_message(NULL), says))
        fail_msg("\"%s\" is not in: %s", says, tact_message(NULL));
}

#endif

// SPDX-License-Identifier: Apache-2.0
// The runtime against what training sees: a policy of random weights on a small dataset.
#include "tact.h"

#include "formats/safetensors.h"
#include "loader/prepare.h"
#include "policy/policy.h"
#include "policy/runtime.h"
#include "pose/pose.h"
#include "train/train.h"
#include <malloc.h>
#include <pthread.h>

#include "../dataset/fixture.h"

enum { CAMERAS = 2, HEIGHT = 80, WIDTH = 112, FRAMES = 20, CHUNK = 5, STEPS = 3, ACTION = 7 };
enum { ENV = 2 };

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

static void fill_config(Scene *s) {
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
    p->image_height = 64; // not as recorded: frames are resized
    p->image_width = 96;
    p->n_cameras = s->ds->n_cameras;
    for (int i = 0; i < p->n_cameras; i++)
        p->cameras[i] = (CameraConfig){s->ds->cameras[i]->name, HEIGHT, WIDTH};
}

static void write_policy(Scene *s) {
    Error err;
    Device *device;
    Params params;
    const PolicyConfig *p = &s->config.policy;
    WindowSpec w = policy_window(p);
    PolicyStats stats = {0};
    OK(window_stats(s->ds, &w, NULL, 0, 0, 1, &stats.state, &stats.action, &err));
    OK(env_stats(s->ds, NULL, 0, &stats.env, &err));
    for (int i = 0; i < CAMERAS; i++) stats.images[i] = image_stats_imagenet;
    stats.images[1].mean[0] = 0.3f; // no camera's statistics are another's
    policy_stats_round(&stats);
    OK(device_open("ref", PRECISION_FLOAT32, 1, &device, &err));
    OK(params_init(&params, device, p, false, &err));
    params_initialize(&params, 7);
    const Param *times = params_find(&params, "temporal_pos_embed.weight");
    float *values = NEW(float, times->count);
    for (int64_t i = 0; i < times->count; i++) values[i] = sinf((float)i);
    param_set(&params, times, values);
    mem_free(values);
    OK(make_dirs(s->model, &err) && policy_write(s->model, p, &params, &stats, NULL, &err));
    params_free(&params);
    device_close(device);
    policy_stats_free(&stats);
}

static int scene_new(void **state) {
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
    OK(frames_open(s->ds, 0, 0, NULL, &s->frames, &err));
    fill_config(s);
    write_policy(s);
    for (int i = 0; i < CAMERAS; i++) {
        s->rgb[i] = NEW(uint8_t, HEIGHT * WIDTH * 3);
        s->images[i] = (tact_image){s->ds->cameras[i]->name, s->rgb[i], HEIGHT, WIDTH, 0};
    }
    s->seen = (tact_observation){s->state, ACTION, s->env, ENV, s->images, CAMERAS};
    *state = s;
    return 0;
}

static int scene_free(void **state) {
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

static tact_options options(void) {
    tact_options o;
    tact_options_default(&o, sizeof o);
    o.threads = 1; // threads that wait for each other take long on a busy machine
    return o;
}

// o NULL: the test's defaults.
static tact_policy *open_policy(const Scene *s, const tact_options *o) {
    tact_policy *p;
    tact_options plain = options();
    if (tact_open(s->model, o ? o : &plain, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    return p;
}

#define WORKS(p, call)                                                                             \
    do {                                                                                           \
        if ((call) != TACT_OK) fail_msg("%s", tact_message(p));                                    \
    } while (0)

// What the robot sees at a row of the dataset.
static const tact_observation *look(Scene *s, int64_t row) {
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
    LoaderOptions options;
    Preparer preparer;
    Batch batch;
} Reference;

static void reference_open(Reference *r, const Scene *s) {
    static const int cameras[CAMERAS] = {0, 1};
    Error err;
    *r = (Reference){0};
    OK(device_open("cpu", PRECISION_FLOAT32, 1, &r->device, &err));
    OK(policy_load(s->model, NULL, r->device, &r->policy, &err));
    const PolicyConfig *p = &r->policy.config.policy;
    OK(act_new(r->device, p, &r->policy.params, 1, false, r->policy.stats.images, &r->act, &err));
    OK(policy_normalizers(p, &r->policy.stats, &r->state, &r->env, &r->action, &err));
    r->options = (LoaderOptions){.dataset = s->ds,
                                 .window = policy_window(p),
                                 .state = &r->state,
                                 .env = &r->env,
                                 .action = &r->action,
                                 .cameras = cameras,
                                 .n_cameras = CAMERAS,
                                 .height = p->image_height,
                                 .width = p->image_width,
                                 .batch_size = 1};
    OK(preparer_init(&r->preparer, &r->options, NULL, &err));
    OK(batch_alloc(&r->batch, &r->options, &err));
}

static void reference_close(Reference *r) {
    batch_free(&r->batch, &r->options);
    preparer_free(&r->preparer);
    normalizer_free(&r->state);
    normalizer_free(&r->env);
    normalizer_free(&r->action);
    act_free(r->act);
    policy_free(&r->policy);
    device_close(r->device);
}

// Absolute actions (CHUNK, ACTION) that training's evaluation predicts at a row.
static void reference_chunk(Reference *r, int64_t row, double *out) {
    Error err;
    float y[CHUNK * POSE_POLICY_ROW];
    double rows[POSE_POLICY_ROW], base[ACTION];
    const Dataset *ds = r->options.dataset;
    r->batch.rows[0] = row;
    OK(preparer_fill(&r->preparer, &r->batch, &err));
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
static double distance(const double *a, const double *b) {
    Pose p = pose_from_vector(a), q = pose_from_vector(b), turn = pose_relative(&p, &q);
    double v[6], worst = fabs(a[6] - b[6]);
    pose_to_vector(&turn, v);
    for (int i = 0; i < 3; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return fmax(worst, sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5]));
}

static double chunk_distance(const double *a, const double *b, int n) {
    double worst = 0;
    for (int i = 0; i < n; i++) worst = fmax(worst, distance(a + i * ACTION, b + i * ACTION));
    return worst;
}

static void not_opened(const char *path, const tact_options *o, tact_status status,
                       const char *says) {
    tact_policy *p = (tact_policy *)&p;
    assert_int_equal(tact_open(path, o, &p), status);
    assert_null(p);
    if (!strstr(tact_message(NULL), says))
        fail_msg("\"%s\" is not in: %s", says, tact_message(NULL));
}

// ---- tests --------------------------------------------------------------------------------------

static void it_says_what_it_wants(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    assert_int_equal(tact_state_size(p), ACTION);
    assert_int_equal(tact_action_size(p), ACTION);
    assert_int_equal(tact_env_size(p), ENV);
    assert_int_equal(tact_camera_count(p), CAMERAS);
    tact_camera c = tact_camera_at(p, 1);
    assert_string_equal(c.name, s->ds->cameras[1]->name);
    assert_true(c.height == HEIGHT && c.width == WIDTH && !tact_camera_at(p, CAMERAS).name);
    assert_true(tact_fps(p) == 10 && tact_chunk_size(p) == CHUNK && tact_horizon(p) == 4);
    assert_int_equal(tact_n_action_steps(p), STEPS);
    tact_close(&p);
    assert_null(p);
    tact_close(&p);
}

// Every row of both episodes, so also the first ones, where the window reaches before the episode.
static void it_predicts_what_training_evaluates(void **state) {
    Scene *s = *state;
    Reference r;
    double got[CHUNK * ACTION], want[CHUNK * ACTION], least = INFINITY;
    tact_policy *p = open_policy(s, NULL);
    reference_open(&r, s);
    for (int64_t row = 0; row < s->ds->rows; row++) {
        if (row == s->ds->episodes[s->ds->episode_of[row]].first_row) WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, look(s, row)));
        WORKS(p, tact_predict_chunk(p, got));
        double before = row ? chunk_distance(got, want, CHUNK) : INFINITY;
        reference_chunk(&r, row, want);
        assert_within(chunk_distance(got, want, CHUNK), 0, 1e-6);
        least = fmin(least, before);
    }
    assert_true(least > 1e-4); // other frames give other actions
    reference_close(&r);
    tact_close(&p);
}

static void a_chunk_is_used_up_before_the_next(void **state) {
    Scene *s = *state;
    Reference r;
    double action[ACTION], want[CHUNK * ACTION];
    tact_policy *p = open_policy(s, NULL);
    reference_open(&r, s);
    for (int64_t row = 0; row < FRAMES; row++) {
        WORKS(p, tact_step(p, look(s, row), action));
        if (row % STEPS == 0) reference_chunk(&r, row, want);
        assert_within(distance(action, want + row % STEPS * ACTION), 0, 1e-6);
    }
    // A reset throws the rest away.
    WORKS(p, tact_reset(p));
    assert_int_equal(tact_act(p, action), TACT_ERROR_NOTHING_SEEN);
    WORKS(p, tact_step(p, look(s, 0), action));
    reference_chunk(&r, 0, want);
    assert_within(distance(action, want), 0, 1e-6);
    reference_close(&r);
    tact_close(&p);
}

static void the_frame_cache_changes_no_bit(void **state) {
    Scene *s = *state;
    const int steps[] = {1, 2, STEPS, CHUNK};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        tact_options on = options(), off = options();
        on.n_action_steps = off.n_action_steps = steps[i];
        off.frame_cache = 0;
        tact_policy *p = open_policy(s, &on), *q = open_policy(s, &off);
        double a[ACTION], b[ACTION];
        for (int64_t row = 0; row < FRAMES; row++) {
            WORKS(p, tact_step(p, look(s, row), a));
            WORKS(q, tact_step(q, look(s, row), b));
            assert_memory_equal(a, b, sizeof a);
        }
        tact_close(&p);
        tact_close(&q);
    }
}

static void nothing_grows_after_the_first_step(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    double action[ACTION];
    look(s, 0);
    WORKS(p, tact_step(p, &s->seen, action));
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 12; i++) WORKS(p, tact_step(p, &s->seen, action));
    assert_int_equal(mallinfo2().uordblks, before);
    tact_close(&p);
}

// ---- ensembles ----------------------------------------------------------------------------------

static const SafetensorsEntry *entry(const Safetensors *s, const char *kind, const char *coeff) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", kind, coeff);
    const SafetensorsEntry *e = safetensors_find(s, name);
    assert_non_null(e);
    return e;
}

static void ensembles_are_lerobots(void **state) {
    (void)state;
    enum { N = 20, S = 6, A = 3 };
    static const char *const coeffs[] = {"0.01", "0.0", "-0.1"};
    Safetensors *file;
    Error err;
    OK(safetensors_open("tests/golden/ensemble.safetensors", &file, &err));
    for (int c = 0; c < 3; c++) {
        const SafetensorsEntry *chunks = entry(file, "chunks", coeffs[c]);
        const SafetensorsEntry *actions = entry(file, "actions", coeffs[c]);
        assert_true(chunks->count == N * S * A && actions->count == N * A);
        Ensemble e;
        ensemble_init(&e, S, A, strtod(coeffs[c], NULL));
        for (int n = 0; n < N; n++) {
            double chunk[S * A], out[A];
            for (int i = 0; i < S * A; i++) chunk[i] = safetensors_value(chunks, n * S * A + i);
            ensemble_add(&e, chunk);
            ensemble_take(&e, out);
            for (int i = 0; i < A; i++)
                assert_within(out[i], safetensors_value(actions, n * A + i), 1e-6);
        }
        ensemble_free(&e);
    }
    safetensors_close(file);
}

// The mean of one moment's absolute poses; of two rotations it lies on the way between them.
static void ensembles_average_absolute_poses(void **state) {
    Scene *s = *state;
    Reference r;
    const double coeff = 0.2;
    double chunks[FRAMES][CHUNK * ACTION], action[ACTION];
    tact_options o = options();
    o.temporal_ensemble_coeff = coeff;
    tact_policy *p = open_policy(s, &o);
    reference_open(&r, s);
    for (int row = 0; row < FRAMES; row++) {
        WORKS(p, tact_step(p, look(s, row), action));
        reference_chunk(&r, row, chunks[row]);
        double want[ACTION] = {0}, sum = 0, matrix[3][3] = {{0}};
        int oldest = row < CHUNK ? 0 : row - CHUNK + 1;
        for (int from = oldest; from <= row; from++) {
            const double *one = chunks[from] + (row - from) * ACTION;
            double weight = exp(-coeff * (from - oldest));
            Pose pose = pose_from_vector(one);
            sum += weight;
            for (int i = 0; i < ACTION; i++) want[i] += weight * one[i];
            for (int i = 0; i < 9; i++)
                matrix[i / 3][i % 3] += weight * pose.rotation[i / 3][i % 3];
        }
        for (int i = 0; i < ACTION; i++) want[i] /= sum;
        Pose mean;
        memcpy(mean.position, want, sizeof mean.position);
        memcpy(mean.rotation, matrix, sizeof matrix);
        pose_nearest_rotation(mean.rotation);
        pose_to_vector(&mean, want);
        assert_within(distance(action, want), 0, 1e-6);
    }
    reference_close(&r);
    tact_close(&p);
}

// Joints and an environment state, no camera: what is given out is what the model says, and how is
// the checkpoint's own setting.
static void a_plain_policy_runs(void **state) {
    enum { D = 3, S = 4 };
    Scene *s = *state;
    Error err;
    Device *device;
    Params params;
    Act *act;
    TrainConfig config;
    double mean[] = {0.1, -0.2, 0.3}, std[] = {0.5, 2, 1};
    Stats stats = {.dim = D, .mean = mean, .std = std, .count = 9}, env = stats;
    env.dim = ENV;
    PolicyStats all = {.state = stats, .action = stats, .env = env};
    train_config_default(&config);
    PolicyConfig *p = &config.policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = p->obs_state_horizon = 2;
    p->n_encoder_layers = 1;
    p->use_vae = false;
    p->chunk_size = S;
    p->n_action_steps = 1;
    p->temporal_ensemble_coeff = 0.01;
    p->state_dim = p->action_dim = D;
    p->env_dim = ENV;
    p->pose_repr = "none";
    p->normalization_mapping = (NormMap){"MEAN_STD", "MEAN_STD", "MEAN_STD", "MEAN_STD"};
    p->pretrained_backbone_weights = NULL;
    policy_stats_round(&all);
    OK(device_open("cpu", PRECISION_FLOAT32, 1, &device, &err));
    OK(params_init(&params, device, p, false, &err));
    params_initialize(&params, 2);
    OK(act_new(device, p, &params, 1, false, NULL, &act, &err));
    char *dir = at(&s->arena, s->dir, "plain");
    OK(make_dirs(dir, &err) && policy_write(dir, p, &params, &all, NULL, &err));

    tact_policy *policy;
    tact_options o = options();
    o.max_rotation = 1;
    not_opened(dir, &o, TACT_ERROR_ARGUMENT, "relative poses");
    o = options();
    if (tact_open(dir, &o, &policy) != TACT_OK) fail_msg("%s", tact_message(NULL));
    assert_true(tact_state_size(policy) == D && tact_camera_count(policy) == 0);
    assert_true(tact_n_action_steps(policy) == 1 && tact_limits(policy).workspace == 0);
    double seen[2][D] = {{0.4, 1, 2}, {0.5, -1, 1}}, around[ENV] = {0.2, 0.3}, got[D];
    float said[2][S][D];
    for (int n = 0; n < 2; n++) { // the first observation is its own past
        float rows[2][D], e[ENV];
        for (int i = 0; i < D; i++) {
            rows[0][i] = (float)((seen[0][i] - mean[i]) / (std[i] + 1e-8));
            rows[1][i] = (float)((seen[n][i] - mean[i]) / (std[i] + 1e-8));
        }
        for (int i = 0; i < ENV; i++) e[i] = (float)((around[i] - mean[i]) / (std[i] + 1e-8));
        ActInput in = {.batch = 1, .state = rows[0], .env = e};
        OK(act_predict(act, &in, said[n][0], NULL, &err));
        WORKS(policy,
              tact_step(policy, &(tact_observation){seen[n], D, around, ENV, NULL, 0}, got));
    }
    for (int i = 0; i < D; i++) {
        double w = exp(-0.01), y = ((double)said[0][1][i] + w * (double)said[1][0][i]) / (1 + w);
        assert_within(got[i], y * std[i] + mean[i], 1e-6);
    }
    tact_close(&policy);
    act_free(act);
    params_free(&params);
    device_close(device);
    train_config_free(&config);
}

// ---- poses --------------------------------------------------------------------------------------

// Were the policy perfect, its normalised float32 output would become the pose it was trained on.
static void perfect_predictions_become_the_poses(void **state) {
    (void)state;
    Safetensors *file;
    Error err;
    OK(safetensors_open("tests/golden/pose.safetensors", &file, &err));
    const SafetensorsEntry *pose = safetensors_find(file, "pose");
    const SafetensorsEntry *base = safetensors_find(file, "base");
    const SafetensorsEntry *relative = safetensors_find(file, "relative_pose9d");
    double low[POSE_POLICY_ROW], high[POSE_POLICY_ROW];
    for (int i = 0; i < POSE_POLICY_ROW; i++)
        low[i] = i < 3 ? -3 : i < 9 ? -1 : 0, high[i] = i < 3 ? 5 : 1;
    Stats stats = {.dim = POSE_POLICY_ROW, .min = low, .max = high, .count = 9};
    Normalizer n;
    OK(normalizer_init(&n, "action", NORM_MIN_MAX, &stats, POSE_POLICY_ROW, &err));
    for (int64_t i = 0; i < pose->shape[0]; i++) {
        double row[POSE_POLICY_ROW], want[ACTION], from[ACTION], got[ACTION];
        double scratch[POSE_POLICY_ROW];
        float y[POSE_POLICY_ROW];
        want[6] = from[6] = row[9] = 0.25;
        for (int k = 0; k < 6; k++) want[k] = safetensors_value(pose, 6 * i + k);
        for (int k = 0; k < 6; k++) from[k] = safetensors_value(base, 6 * i + k);
        for (int k = 0; k < 9; k++) row[k] = safetensors_value(relative, 9 * i + k);
        normalizer_apply(&n, row, y, 1);
        actions_from_prediction(&n, y, 1, from, 1, scratch, got);
        assert_within(distance(got, want), 0, 1e-6);
    }
    normalizer_free(&n);
    safetensors_close(file);
}

// ---- limits -------------------------------------------------------------------------------------

static double moved(const double *a, const double *b) {
    return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                (a[2] - b[2]) * (a[2] - b[2]));
}

static double turned(const double *a, const double *b) {
    double from[ACTION] = {0}, to[ACTION] = {0};
    memcpy(from + 3, a + 3, 3 * sizeof *a);
    memcpy(to + 3, b + 3, 3 * sizeof *b);
    return distance(from, to);
}

static void limits_hold_and_count(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.max_translation = 0.002;
    o.max_rotation = 0.01;
    tact_policy *p = open_policy(s, &o), *free_one = open_policy(s, NULL);
    double last[ACTION], action[ACTION], unlimited[ACTION];
    int64_t far = 0;
    memcpy(last, look(s, 0)->state, sizeof last);
    for (int row = 0; row < 8; row++) {
        WORKS(p, tact_step(p, look(s, row), action));
        WORKS(free_one, tact_step(free_one, &s->seen, unlimited));
        far += moved(unlimited, last) > o.max_translation;
        assert_true(moved(action, last) <= o.max_translation * (1 + 1e-9));
        assert_true(turned(action, last) <= o.max_rotation * (1 + 1e-6));
        assert_true(action[6] == unlimited[6]);
        memcpy(last, action, sizeof last);
    }
    tact_limit_counts n = tact_limits(p), none = tact_limits(free_one);
    assert_true(n.translation == far && far > 0 && n.rotation > 0 && n.workspace == 0);
    assert_true(none.translation == 0 && none.rotation == 0 && none.workspace == 0);
    tact_close(&p);
    o = options();
    for (int i = 0; i < 3; i++) o.workspace_min[i] = 0.1, o.workspace_max[i] = 0.2;
    p = open_policy(s, &o);
    for (int row = 0; row < 8; row++) {
        WORKS(p, tact_step(p, look(s, row), action));
        for (int i = 0; i < 3; i++) assert_true(action[i] >= 0.1 && action[i] <= 0.2);
    }
    assert_true(tact_limits(p).workspace > 0);
    tact_close(&p);
    tact_close(&free_one);
}

static void limits_go_just_as_far_as_they_may(void **state) {
    (void)state;
    const double previous[2 * ACTION] = {0, 0, 0, 0, 0, 3.1, 0, 0.5, 0.5, 0.5};
    const double wanted[2 * ACTION] = {0.3, 0, 0.4, 0, 0, -3.1, 1, 0.5, 2, 0.5, 0.2};
    Limits l = {.low = {-1, -1, -1}, .high = {1, 1, 1}, .translation = 0.4, .rotation = 0.06};
    double action[2 * ACTION];
    memcpy(action, wanted, sizeof action);
    limits_apply(&l, previous, 2, action);
    // The first turns through pi; the second is stopped by the box, then on its way to it.
    const double first[ACTION] = {0.24, 0, 0.32, 0, 0, 3.16, 1};
    const double second[ACTION] = {0.5, 0.9, 0.5, 0.06};
    assert_within(distance(action, first), 0, 1e-9);
    assert_within(distance(action + ACTION, second), 0, 1e-9);
    assert_true(l.outside == 1 && l.far == 1 && l.turned == 1);
    l.translation = 0.6, l.rotation = 0.21;
    memcpy(action, wanted, sizeof action);
    limits_apply(&l, previous, 2, action);
    assert_true(action[8] == 1 && action[10] == 0.2 && action[2] == 0.4 && action[5] == -3.1);
    assert_true(l.outside == 2 && l.far == 1 && l.turned == 1);
}

// ---- refusals -----------------------------------------------------------------------------------

static void refused(tact_policy *p, const tact_observation *o, const char *says) {
    double action[ACTION] = {42};
    assert_int_equal(tact_step(p, o, action), TACT_ERROR_OBSERVATION);
    if (!strstr(tact_message(p), says)) fail_msg("\"%s\" is not in: %s", says, tact_message(p));
    assert_true(action[0] == 42);
}

static void bad_observations_leave_no_trace(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double a[ACTION], b[ACTION];
    for (int row = 0; row < 7; row++) {
        WORKS(p, tact_step(p, look(s, row), a));
        WORKS(q, tact_step(q, &s->seen, b));
        assert_memory_equal(a, b, sizeof a);
        tact_observation o = s->seen;
        o.state_size = 6;
        refused(p, &o, "observation.state has 6 values; the policy wants 7");
        o = s->seen, o.env = NULL;
        refused(p, &o, "environment_state has 0 values");
        o = s->seen, o.n_images = 1;
        refused(p, &o, "no image of camera observation.images.");
        s->images[1].width--;
        refused(p, &s->seen, "is 111x80; the policy wants 112x80");
        s->images[1].width++;
        s->images[1].stride = WIDTH * 3 - 1;
        refused(p, &s->seen, "stride 335, but a row has 336 bytes");
        s->images[1].stride = 0;
        s->state[2] = NAN;
        refused(p, &s->seen, "value 2 of observation.state is not finite");
        s->state[2] = INFINITY;
        refused(p, &s->seen, "not finite");
    }
    assert_int_equal(tact_observe(p, NULL), TACT_ERROR_ARGUMENT);
    assert_int_equal(tact_act(p, NULL), TACT_ERROR_ARGUMENT);
    assert_int_equal(tact_act(NULL, a), TACT_ERROR_ARGUMENT);
    tact_close(&p);
    tact_close(&q);
}

// By name in any order, without the prefix, or by place.
static void cameras_are_found(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double a[ACTION], b[ACTION];
    tact_image swapped[] = {{"no_such_camera", NULL, 1, 1, 0}, {0}, {0}}, placed[CAMERAS];
    look(s, 3);
    for (int i = 0; i < CAMERAS; i++) {
        swapped[2 - i] = placed[i] = s->images[i];
        swapped[2 - i].camera += strlen("observation.images.");
        placed[i].camera = NULL;
    }
    tact_observation o = s->seen;
    WORKS(p, tact_step(p, &o, a));
    o.images = swapped, o.n_images = 3;
    WORKS(q, tact_step(q, &o, b));
    assert_memory_equal(a, b, sizeof a);
    WORKS(q, tact_reset(q));
    o.images = placed, o.n_images = CAMERAS;
    WORKS(q, tact_step(q, &o, b));
    assert_memory_equal(a, b, sizeof a);
    tact_close(&p);
    tact_close(&q);
}

// Rows with bytes between them, which are not looked at, and the last row without any behind it.
static void rows_may_lie_apart(void **state) {
    enum { STRIDE = WIDTH * 3 + 13, BYTES = STRIDE * (HEIGHT - 1) + WIDTH * 3 };
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double a[ACTION], b[ACTION], before[ACTION];
    tact_image apart[CAMERAS];
    uint8_t *bytes[CAMERAS];
    WORKS(p, tact_step(p, look(s, 4), before));
    WORKS(p, tact_reset(p));
    WORKS(p, tact_step(p, look(s, 3), a));
    for (int i = 0; i < CAMERAS; i++) {
        bytes[i] = mem_alloc(BYTES);
        memset(bytes[i], 255, BYTES);
        for (int y = 0; y < HEIGHT; y++)
            memcpy(bytes[i] + y * STRIDE, s->rgb[i] + y * WIDTH * 3, WIDTH * 3);
        apart[i] = s->images[i];
        apart[i].rgb = bytes[i], apart[i].stride = STRIDE;
    }
    tact_observation o = s->seen;
    o.images = apart;
    WORKS(q, tact_step(q, &o, b));
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, before, sizeof a); // frames matter
    for (int i = 0; i < CAMERAS; i++) mem_free(bytes[i]);
    tact_close(&p);
    tact_close(&q);
}

static void what_cannot_be_opened_says_why(void **state) {
    Scene *s = *state;
    not_opened(s->dir, NULL, TACT_ERROR_POLICY, "no checkpoint here");
    not_opened(NULL, NULL, TACT_ERROR_ARGUMENT, "may not be NULL");
    tact_options o = options();
    o.device = "abacus";
    not_opened(s->model, &o, TACT_ERROR_DEVICE, "abacus");
    o = options(), o.n_action_steps = CHUNK + 1;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "chunks have 5 actions");
    o = options(), o.n_action_steps = 1, o.temporal_ensemble_coeff = 0.01;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "exclude each other");
    o = options(), o.workspace_min[1] = 1, o.workspace_max[1] = 0;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "workspace");
    o = options(), o.max_rotation = NAN;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "max_rotation");
    o = options(), o.size = sizeof o + 8;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "tact_options");
}

// ---- threads ------------------------------------------------------------------------------------

typedef struct Episode1 {
    tact_policy *policy;
    const tact_observation *seen;
    double actions[FRAMES][ACTION];
    bool ok;
} Episode1;

static void *run_episode(void *argument) {
    Episode1 *e = argument;
    e->ok = true;
    for (int i = 0; i < FRAMES; i++)
        e->ok = e->ok && tact_step(e->policy, e->seen, e->actions[i]) == TACT_OK;
    return NULL;
}

static void two_policies_run_in_two_threads(void **state) {
    Scene *s = *state;
    Episode1 runs[3];
    pthread_t threads[2];
    look(s, 5);
    for (int i = 0; i < 3; i++) {
        tact_options o = options();
        runs[i] = (Episode1){.policy = open_policy(s, &o), .seen = &s->seen};
    }
    for (int i = 0; i < 2; i++)
        assert_false(pthread_create(&threads[i], NULL, run_episode, &runs[i]));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    run_episode(&runs[2]);
    for (int i = 0; i < 3; i++) {
        assert_true(runs[i].ok);
        assert_memory_equal(runs[i].actions, runs[2].actions, sizeof runs[2].actions);
        tact_close(&runs[i].policy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_wants),
        cmocka_unit_test(it_predicts_what_training_evaluates),
        cmocka_unit_test(a_chunk_is_used_up_before_the_next),
        cmocka_unit_test(the_frame_cache_changes_no_bit),
        cmocka_unit_test(nothing_grows_after_the_first_step),
        cmocka_unit_test(ensembles_are_lerobots),
        cmocka_unit_test(ensembles_average_absolute_poses),
        cmocka_unit_test(a_plain_policy_runs),
        cmocka_unit_test(perfect_predictions_become_the_poses),
        cmocka_unit_test(limits_hold_and_count),
        cmocka_unit_test(limits_go_just_as_far_as_they_may),
        cmocka_unit_test(bad_observations_leave_no_trace),
        cmocka_unit_test(cameras_are_found),
        cmocka_unit_test(rows_may_lie_apart),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(two_policies_run_in_two_threads),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}

// SPDX-License-Identifier: Apache-2.0
// The runtime against what training sees.
#include "fixture.h"

#include "formats/safetensors.h"
#include "policy/policy_stats.h"
#include "policy/policy_write.h"
#include <malloc.h>

// ---- tests --------------------------------------------------------------------------------------

static void it_says_what_it_wants(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    assert_int_equal(tact_state_size(p), ACTION);
    assert_int_equal(tact_action_size(p), ACTION);
    assert_int_equal(tact_env_size(p), ENV);
    assert_int_equal(tact_camera_count(p), CAMERAS);
    tact_camera c = camera_at(p, 1);
    assert_string_equal(c.name, s->ds->cameras[1]->name);
    assert_true(c.height == HEIGHT && c.width == WIDTH && !camera_at(p, CAMERAS).name);
    assert_true(tact_fps(p) == 10 && tact_chunk_size(p) == CHUNK && tact_horizon(p) == 4);
    assert_int_equal(tact_n_action_steps(p), STEPS);
    assert_string_equal(tact_path(p), s->model);
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
        if (row == dataset_episode_of(s->ds, row)->first_row) WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, look(s, row)));
        WORKS(p, tact_predict_chunk(p, got));
        double before = row ? chunk_distance(got, want, CHUNK) : INFINITY;
        reference_chunk(&r, row, want);
        assert_within(chunk_distance(got, want, CHUNK), 0, 3e-6);
        least = fmin(least, before);
    }
    assert_true(least > 1e-4); // other frames give other actions
    reference_close(&r);
    tact_close(&p);
}

// Another policy of the scene's, whose model sees no state.
static void hide_state(Scene *s, bool relative) {
    PolicyConfig *p = &s->config.policy;
    p->use_state = false;
    p->state_dim = 0;
    if (!relative) {
        p->arms = 0;
        p->pose_repr = "none";
        p->action_dim = ACTION;
    }
    s->model = at(&s->arena, s->dir, relative ? "unseen" : "blind");
    write_policy(s);
}

// Its model does not see the pose, but the pose has to be there: chunks begin at it. A robot that
// stands somewhere else and sees the same does the same there.
static void poses_may_be_relative_to_one_that_is_not_seen(void **state) {
    Scene *s = *state;
    Reference r;
    double got[CHUNK * ACTION], want[CHUNK * ACTION], least = INFINITY;
    hide_state(s, true);
    tact_policy *p = open_policy(s, NULL);
    assert_int_equal(tact_state_size(p), ACTION);
    reference_open(&r, s);
    assert_null(r.batch.state);
    for (int64_t row = 0; row < s->ds->rows; row++) {
        if (row == dataset_episode_of(s->ds, row)->first_row) WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, look(s, row)));
        WORKS(p, tact_predict_chunk(p, got));
        double before = row ? chunk_distance(got, want, CHUNK) : INFINITY;
        reference_chunk(&r, row, want);
        assert_within(chunk_distance(got, want, CHUNK), 0, 3e-6); // float32, sums in another order
        least = fmin(least, before);
    }
    assert_true(least > 1e-4);
    const double beside[3] = {0.5, -2, 1};
    look(s, s->ds->rows - 1);
    WORKS(p, tact_reset(p));
    WORKS(p, tact_observe(p, &s->seen));
    WORKS(p, tact_predict_chunk(p, want));
    for (int i = 0; i < 3; i++) s->state[i] += beside[i];
    WORKS(p, tact_reset(p));
    WORKS(p, tact_observe(p, &s->seen));
    WORKS(p, tact_predict_chunk(p, got));
    for (int i = 0; i < CHUNK * ACTION; i++)
        assert_within(got[i] - want[i], i % ACTION < 3 ? beside[i % ACTION] : 0, 1e-12);
    s->seen.state = NULL;
    assert_int_equal(tact_observe(p, &s->seen), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(p), "observation.state has 0 values; the policy does not "
                                            "look at it, but its poses are relative"));
    s->seen.state = s->state;
    s->seen.state_size = ACTION - 1;
    assert_int_equal(tact_observe(p, &s->seen), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(p), "has 6 values"));
    s->seen.state_size = ACTION;
    WORKS(p, tact_observe(p, &s->seen));
    reference_close(&r);
    tact_close(&p);
}

static void a_policy_without_a_state_takes_any(void **state) {
    Scene *s = *state;
    double with[CHUNK * ACTION], without[CHUNK * ACTION];
    hide_state(s, false);
    tact_policy *p = open_policy(s, NULL);
    assert_int_equal(tact_state_size(p), 0);
    const double *given[] = {s->state, NULL, s->state};
    const size_t sizes[] = {ACTION, 0, 2};
    for (int i = 0; i < 3; i++) {
        look(s, 4);
        s->seen.state = given[i];
        s->seen.state_size = sizes[i];
        WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, &s->seen));
        WORKS(p, tact_predict_chunk(p, i ? without : with));
        if (i) assert_memory_equal(with, without, sizeof with);
    }
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
        assert_within(distance(action, want + row % STEPS * ACTION), 0, 3e-6);
    }
    // A reset discards the rest of the chunk.
    WORKS(p, tact_reset(p));
    assert_int_equal(tact_act(p, action), TACT_ERROR_NOTHING_SEEN);
    WORKS(p, tact_step(p, look(s, 0), action));
    reference_chunk(&r, 0, want);
    assert_within(distance(action, want), 0, 3e-6);
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
        OK(ensemble_init(&e, S, A, strtod(coeffs[c], NULL), &err));
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

// An ensemble is the mean of the absolute poses of one moment; the mean of two rotations lies on
// the way between them.
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
        assert_within(distance(action, want), 0, 3e-6);
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
    assert_true(tact_n_action_steps(policy) == 1 && limit_counts(policy).workspace == 0);
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
        WORKS(policy, tact_step(policy,
                                &(tact_observation){sizeof(tact_observation), seen[n], D, around,
                                                    ENV, NULL, 0, 0, 0},
                                got));
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
// The preprocessor renames the robot's cameras, here so that each has the other's name: what the
// robot calls by the first camera's name is the second camera's.
static void cameras_by_the_robots_names(void **state) {
    Scene *s = *state;
    Error err;
    double wanted[CHUNK * ACTION], got[CHUNK * ACTION];
    const char *first = s->ds->cameras[0]->name, *second = s->ds->cameras[1]->name;
    char *path = at(&s->arena, s->model, "policy_preprocessor.json");
    tact_policy *p = open_policy(s, NULL);
    const tact_observation *o = look(s, 3);
    WORKS(p, tact_observe(p, o));
    WORKS(p, tact_predict_chunk(p, wanted));
    tact_close(&p);
    json_t *root;
    OK(json_read(path, &root, &err));
    json_t *step = json_array_get(json_object_get(root, "steps"), 0);
    json_object_set_new(step, "config",
                        json_pack("{s:{s:s, s:s}}", "rename_map", first, second, second, first));
    OK(json_write(path, root, 2, &err));
    p = open_policy(s, NULL);
    WORKS(p, tact_observe(p, o)); // by the policy's names: the frames change places
    WORKS(p, tact_predict_chunk(p, got));
    assert_true(chunk_distance(got, wanted, CHUNK) > 1e-3);
    WORKS(p, tact_reset(p));
    tact_image renamed[CAMERAS];
    memcpy(renamed, s->images, sizeof renamed);
    renamed[0].camera = second;
    renamed[1].camera = first + strlen("observation.images."); // also without what all have
    tact_observation robot = *o;
    robot.images = renamed;
    WORKS(p, tact_observe(p, &robot));
    WORKS(p, tact_predict_chunk(p, got));
    assert_true(chunk_distance(got, wanted, CHUNK) < 1e-9);
    tact_close(&p);
    json_object_set_new(step, "config",
                        json_pack("{s:{}}", "rename_map")); // as it was, for the others
    OK(json_write(path, root, 2, &err));
    json_decref(root);
}

static void cameras_are_found(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double a[ACTION], b[ACTION];
    tact_image swapped[] = {{sizeof(tact_image), "no_such_camera", NULL, 1, 1, 0}, {0}, {0}},
               placed[CAMERAS];
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
    o = options(), o.n_action_steps = 2, o.temporal_ensemble_coeff = 0.01;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "n_action_steps 2");
    // exp(-coeff * i) for the last prediction of a chunk is not finite any more.
    static const double too_far[] = {-1e300, -200, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof too_far / sizeof too_far[0]; i++) {
        o = options(), o.temporal_ensemble_coeff = too_far[i];
        not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "beyond all numbers");
    }
    o = options(), o.workspace_min[1] = 1, o.workspace_max[1] = 0;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "workspace");
    o = options(), o.max_rotation = NAN;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "max_rotation");
    // Options of a newer caller, with a member set that this library does not know.
    struct {
        tact_options o;
        char more[8];
    } larger = {options(), "newer"};
    larger.o.size = sizeof larger;
    not_opened(s->model, &larger.o, TACT_ERROR_ARGUMENT, "tact_options");
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
        cmocka_unit_test_setup_teardown(poses_may_be_relative_to_one_that_is_not_seen, scene_new,
                                        scene_free),
        cmocka_unit_test_setup_teardown(a_policy_without_a_state_takes_any, scene_new, scene_free),
        cmocka_unit_test(a_chunk_is_used_up_before_the_next),
        cmocka_unit_test(the_frame_cache_changes_no_bit),
        cmocka_unit_test(nothing_grows_after_the_first_step),
        cmocka_unit_test(ensembles_are_lerobots),
        cmocka_unit_test(ensembles_average_absolute_poses),
        cmocka_unit_test(a_plain_policy_runs),
        cmocka_unit_test(bad_observations_leave_no_trace),
        cmocka_unit_test(cameras_are_found),
        cmocka_unit_test(cameras_by_the_robots_names),
        cmocka_unit_test(rows_may_lie_apart),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(two_policies_run_in_two_threads),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}

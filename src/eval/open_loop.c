// SPDX-License-Identifier: Apache-2.0
#include "eval/open_loop.h"

#include "base/log.h"
#include "dataset/arms.h"
#include "dataset/frames.h"
#include "dataset/window.h"
#include "eval/accumulate.h"
#include "image/image.h"
#include "policy/policy_config.h"
#include "policy/policy_locate.h"
#include "policy/policy_stats.h"
#include "pose/pose.h"
#include "tact.h"
#include <math.h>
#include <string.h>

// What a run needs besides its result.
typedef struct OpenLoop {
    const EvalOptions *options;
    EvalResult *result;
    tact_policy *policy;
    PolicyStats stats;
    Normalizer state_norm, env_norm, action_norm;
    FrameReader *reader;
    int cameras[MAX_CAMERAS];     // positions in the dataset, in the policy's order
    uint8_t *images[MAX_CAMERAS]; // as recorded
    Accumulator sums;
    double *state, *env, *action; // of one frame
    double *predicted;            // (S, A), and room for all steps of a chunk
    int64_t frames_done;
    int budget; // actions of the last prediction that can still be stepped through
} OpenLoop;

// ---- opening ------------------------------------------------------------------------------------

int64_t eval_default_stride(int64_t frames, double fps) {
    int64_t half_second = (int64_t)(fps / 2 + 0.5);
    int64_t stride = frames / EVAL_LEAST_WINDOWS;
    if (stride > half_second) stride = half_second;
    if (stride < 1) stride = 1;
    int64_t least = (frames + EVAL_MOST_WINDOWS - 1) / EVAL_MOST_WINDOWS;
    return stride < least ? least : stride;
}

// Which episodes are wanted where nothing else was asked for; none: all. Into `out`.
static int64_t choose_episodes(const EvalOptions *o, const EvalResult *r, int64_t *out) {
    const Dataset *ds = r->dataset;
    int64_t n = 0;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        bool held_out = eval_seen(&r->training, ds->episodes[i].index) == SEEN_HELD_OUT;
        if (held_out == (o->most_trained == 0)) out[n++] = ds->episodes[i].index;
    }
    if (o->most_trained == 0 || n <= o->most_trained) return n;
    for (int64_t i = 0; i < o->most_trained; i++)
        out[i] = out[(2 * i + 1) * n / (2 * o->most_trained)];
    return o->most_trained;
}

// Opens the dataset, or only the part of it that was held out from training where that is known and
// nothing else was asked for.
CHECKED static bool open_dataset(const EvalOptions *o, EvalResult *r, Error *err) {
    DatasetOptions open = o->dataset;
    open.need_videos = r->config.policy.n_cameras > 0;
    if (!open.rename) { // as in the training, where the dataset has such names
        open.rename = r->config.policy.rename_map;
        open.rename_if_there = true;
    }
    // Video files are opened only for episodes that will be evaluated.
    bool choose = !open.episodes && !o->all;
    open.skip_videos = choose || !open.need_videos;
    if (!dataset_open(&open, &r->dataset, err)) return false;
    eval_training_read(r->policy_dir, r->dataset->root, r->dataset->repo_id, &r->training);
    if (!choose) return true;
    int64_t *chosen = NEW(int64_t, r->dataset->n_episodes), n = choose_episodes(o, r, chosen);
    bool ok = true;
    if (n > 0 || open.need_videos) {
        dataset_close(r->dataset);
        r->dataset = NULL;
        open.skip_videos = !open.need_videos;
        open.episodes = n > 0 ? chosen : NULL;
        open.n_episodes = n;
        ok = dataset_open(&open, &r->dataset, err);
    }
    mem_free(chosen);
    return ok;
}

CHECKED static bool check_vector(const Dataset *ds, const char *name, const Feature *f,
                                 int64_t wanted, Error *err) {
    int64_t size = f ? f->size : 0;
    if (wanted == 0 || size == wanted) return true;
    if (!f)
        return fail(
            err,
            "%s: the policy wants %s, which the dataset does not have; if it is there under "
            "another name: --rename_map='{\"THAT NAME\": \"%s\"}'",
            ds->root, name, name);
    return fail(err,
                "%s: %s has %lld values, but the policy was trained on %lld; evaluate it on a "
                "dataset of the same robot",
                ds->root, name, (long long)size, (long long)wanted);
}

CHECKED static bool find_cameras(OpenLoop *l, Error *err) {
    const Dataset *ds = l->result->dataset;
    const PolicyConfig *p = &l->result->config.policy;
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        int at = 0;
        while (at < ds->n_cameras && strcmp(ds->cameras[at]->name, c->name) != 0) at++;
        if (at == ds->n_cameras)
            return fail(err,
                        "%s: the policy wants camera %s, which the dataset does not have; if it is "
                        "there under another name: --rename_map='{\"THAT NAME\": \"%s\"}'",
                        ds->root, c->name, c->name);
        const Feature *f = ds->cameras[at];
        tact_camera wanted = {.size = sizeof wanted};
        tact_camera_at(l->policy, i, &wanted);
        if (f->height != wanted.height || f->width != wanted.width)
            return fail(err, "%s: frames of %s are %dx%d, but the policy was trained on %dx%d",
                        ds->root, c->name, f->width, f->height, wanted.width, wanted.height);
        l->cameras[i] = at;
        l->images[i] = mem_alloc(image_rgb_bytes(f->height, f->width));
    }
    return true;
}

CHECKED static bool check_fit(OpenLoop *l, Error *err) {
    const EvalResult *r = l->result;
    const Dataset *ds = r->dataset;
    const PolicyConfig *p = &r->config.policy;
    if (!check_vector(ds, "action", ds->action, r->A, err) ||
        !check_vector(ds, "observation.state", ds->state, (int64_t)tact_state_size(l->policy),
                      err) ||
        !check_vector(ds, "observation.environment_state", ds->env, p->env_dim, err) ||
        (p->arms && !arms_check_poses(ds, p->arms, err)) || !find_cameras(l, err))
        return false;
    if (p->fps > 0 && fabs(p->fps - ds->fps) > 1e-3 * p->fps)
        log_warn("%s: %g frames a second, but the policy was trained at %g; its actions are spaced "
                 "differently",
                 ds->root, ds->fps, p->fps);
    return true;
}

CHECKED static bool open_policy(OpenLoop *l, Error *err) {
    const EvalOptions *o = l->options;
    EvalResult *r = l->result;
    tact_options options;
    tact_options_default(&options, sizeof options);
    options.device = o->device;
    options.dtype = o->dtype;
    options.threads = o->threads;
    options.dataset = r->dataset->root;
    options.rate_check = 0; // frames come as fast as they can be read
    // Keys of tokens that were kept are made without positions: a watcher sees whole inputs.
    options.frame_cache = !o->watch;
    // Like a robot that asks for a new chunk every `stride` frames, so that no other frames are
    // encoded.
    int steps = r->S * r->K;
    options.n_action_steps = (int)(r->stride < steps ? r->stride : steps);
    if (tact_open(r->policy_dir, &options, &l->policy) != TACT_OK)
        return fail(err, "%s", tact_message(NULL));
    return policy_read_stats(r->policy_dir, r->dataset->root, &r->config.policy, &l->stats, err) &&
           policy_normalizers(&r->config.policy, &l->stats, &l->state_norm, &l->env_norm,
                              &l->action_norm, err);
}

// Names of an action's values.
static const char *const *action_names(EvalResult *r) {
    const Feature *f = r->dataset->action;
    const char **names = arena_alloc(&r->arena, sizeof *names * (size_t)(r->A + 1));
    for (int i = 0; i < r->A; i++)
        names[i] = f->n_names == r->A ? f->names[i] : arena_printf(&r->arena, "action[%d]", i);
    return names;
}

CHECKED static bool open_loop_prepare(OpenLoop *l, Error *err) {
    const EvalOptions *o = l->options;
    EvalResult *r = l->result;
    const PolicyConfig *p = &r->config.policy;
    train_config_default(&r->config);
    if (!policy_resolve(o->policy_path, r->policy_dir, err) ||
        !policy_read_config(r->policy_dir, false, &r->config, err) || !open_dataset(o, r, err))
        return false;
    r->arms = p->arms;
    r->S = p->chunk_size;
    r->K = p->action_down_sample_steps;
    r->A = p->arms > 0 ? POSE_ROW * p->arms : p->action_dim;
    r->frames = r->dataset->rows;
    r->stride = o->stride > 0        ? o->stride
                : o->predictions > 0 ? (r->frames + o->predictions - 1) / o->predictions
                                     : eval_default_stride(r->frames, r->dataset->fps);
    if (r->stride < 1) r->stride = 1;
    if (!open_policy(l, err) || !check_fit(l, err)) return false;
    r->measures = measures_new(&r->arena, r->arms, r->A, action_names(r));
    size_t S = (size_t)r->S, A = (size_t)r->A;
    l->state = NEW(double, tact_state_size(l->policy));
    l->env = NEW(double, p->env_dim);
    l->action = NEW(double, A);
    l->predicted = NEW(double, S *(size_t)r->K *A);
    return accumulator_init(&l->sums, r, action_names(r), &l->action_norm, err) &&
           (p->n_cameras == 0 || frames_open(r->dataset, 0, 0, &l->reader, err));
}

// ---- running ------------------------------------------------------------------------------------

CHECKED static bool policy_failed(const OpenLoop *l, const Episode *e, int64_t frame, Error *err) {
    return fail(err, "%s: episode %lld, frame %lld: %s", l->result->policy_dir, (long long)e->index,
                (long long)frame, tact_message(l->policy));
}

CHECKED static bool observe_frame(OpenLoop *l, const Episode *e, int64_t frame, double *seconds,
                                  Error *err) {
    const Dataset *ds = l->result->dataset;
    const PolicyConfig *p = &l->result->config.policy;
    int64_t row = e->first_row + frame;
    size_t n_state = tact_state_size(l->policy), n_env = (size_t)p->env_dim;
    tact_image images[MAX_CAMERAS];
    for (size_t i = 0; i < n_state; i++) l->state[i] = ds->state_data[(size_t)row * n_state + i];
    for (size_t i = 0; i < n_env; i++) l->env[i] = ds->env_data[(size_t)row * n_env + i];
    for (int i = 0; i < p->n_cameras; i++) {
        const Feature *f = ds->cameras[l->cameras[i]];
        if (!frames_read(l->reader, l->cameras[i], row, l->images[i], err)) return false;
        // In the policy's order.
        images[i] = (tact_image){sizeof(tact_image), NULL, l->images[i], f->height, f->width, 0};
    }
    const tact_observation now = {.size = sizeof now,
                                  .state = l->state,
                                  .state_size = n_state,
                                  .env = l->env,
                                  .env_size = n_env,
                                  .images = images,
                                  .n_images = p->n_cameras};
    double start = clock_seconds();
    bool ok = tact_observe(l->policy, &now) == TACT_OK;
    *seconds = clock_seconds() - start;
    return ok || policy_failed(l, e, frame, err);
}

CHECKED static bool predict_chunk(OpenLoop *l, int64_t episode, int64_t frame, double observing,
                                  Error *err) {
    EvalResult *r = l->result;
    const Episode *e = &r->dataset->episodes[episode];
    double start = clock_seconds();
    if (tact_predict_chunk(l->policy, l->predicted) != TACT_OK)
        return policy_failed(l, e, frame, err);
    double taken = 1000 * (observing + clock_seconds() - start);
    // What was predicted; the steps between are made of it.
    for (int s = 1; s < r->S; s++)
        memmove(l->predicted + s * r->A, l->predicted + (int64_t)s * r->K * r->A,
                (size_t)r->A * sizeof *l->predicted);
    accumulator_add(&l->sums, episode, frame, l->predicted, taken);
    l->budget = tact_n_action_steps(l->policy);
    return true;
}

CHECKED static bool run_episode(OpenLoop *l, int64_t episode, Error *err) {
    EvalResult *r = l->result;
    const Episode *e = &r->dataset->episodes[episode];
    (void)tact_reset(l->policy);
    l->budget = 0;
    for (int64_t frame = 0; frame < e->length; frame++) {
        double observing;
        if (!observe_frame(l, e, frame, &observing, err)) return false;
        if (frame % r->stride == 0 && !predict_chunk(l, episode, frame, observing, err))
            return false;
        // The robot takes its action, which tells the runtime which frames the next chunk will see.
        if (l->budget > 0 && tact_act(l->policy, l->action) != TACT_OK)
            return policy_failed(l, e, frame, err);
        l->budget--;
        if (l->options->progress)
            l->options->progress(l->options->user, ++l->frames_done, r->frames);
    }
    accumulator_end_episode(&l->sums, episode);
    return true;
}

bool eval_open_loop(const EvalOptions *options, EvalResult *out, Error *err) {
    *out = (EvalResult){0};
    OpenLoop l = {.options = options, .result = out};
    double start = clock_seconds();
    bool ok = open_loop_prepare(&l, err) &&
              (!options->watch || options->watch(options->watcher, l.policy, true, err));
    for (int64_t i = 0; ok && i < out->dataset->n_episodes; i++) ok = run_episode(&l, i, err);
    ok = ok && (!options->watch || options->watch(options->watcher, l.policy, false, err));
    if (ok) accumulator_finish(&l.sums);
    out->seconds = clock_seconds() - start;
    accumulator_free(&l.sums);
    frames_close(l.reader);
    tact_close(&l.policy);
    normalizer_free(&l.state_norm);
    normalizer_free(&l.env_norm);
    normalizer_free(&l.action_norm);
    policy_stats_free(&l.stats);
    for (int i = 0; i < MAX_CAMERAS; i++) mem_free(l.images[i]);
    mem_free(l.state);
    mem_free(l.env);
    mem_free(l.action);
    mem_free(l.predicted);
    return ok;
}

void eval_free(EvalResult *r) {
    dataset_close(r->dataset);
    train_config_free(&r->config);
    eval_training_free(&r->training);
    arena_free(&r->arena);
    *r = (EvalResult){0};
}

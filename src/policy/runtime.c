// SPDX-License-Identifier: Apache-2.0
// The public interface: an observation in, an action out.
#include "tact.h"

#include "formats/image.h"
#include "policy/policy.h"
#include "policy/runtime.h"
#include "pose/pose.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

struct tact_policy {
    Policy policy;
    const PolicyConfig *config; // policy.config.policy
    Device *device;
    Act *act;
    Normalizer state_norm, env_norm, action_norm;
    size_t state_size, action_size; // as recorded
    int n_action_steps;
    bool cache, ensembles;

    History history;
    double *env_row;  // (E) newest
    double *queue;    // (S, A) the chunk that actions are given from
    int queue_at, queue_left;
    Ensemble ensemble;
    bool fresh;       // observed since the ensemble's last prediction
    Limits limits;
    double *last;     // (A) given out before; in use when has_last
    bool has_last;

    // Scratch.
    double *rows;     // (T, D) of the state; one action at a time
    double *action;   // (A)
    double *linear;   // (S, width of the ensemble)
    float *state, *env, *predicted; // (T, D), (E), (S, D) normalised
    int *slots;       // (cameras, T)
    void *resize;
    Error error;
};

static _Thread_local Error open_error; // the only place to keep the message of a handle that is not there

// ---- opening ------------------------------------------------------------------------------------

static tact_options default_options(void) {
    return (tact_options){.size = sizeof(tact_options),
                          .temporal_ensemble_coeff = NAN,
                          .frame_cache = 1,
                          .workspace_min = {-INFINITY, -INFINITY, -INFINITY},
                          .workspace_max = {INFINITY, INFINITY, INFINITY},
                          .max_translation = INFINITY,
                          .max_rotation = INFINITY};
}

void tact_options_default(tact_options *options, size_t size) {
    tact_options o = default_options();
    if (!options) return;
    memset(options, 0, size);
    memcpy(options, &o, size < sizeof o ? size : sizeof o);
    if (size >= sizeof o.size) options->size = size;
}

// What the caller's version of the struct lacks keeps its default.
CHECKED static bool take_options(const tact_options *given, tact_options *o, Error *err) {
    *o = default_options();
    if (!given) return true;
    if (given->size < sizeof given->size || given->size > sizeof *o)
        return fail(err, "tact_options: size %zu; fill it with tact_options_default of this version",
                    given->size);
    memcpy(o, given, given->size);
    return true;
}

// How actions come from chunks: the caller's wish, else the checkpoint's.
CHECKED static bool choose_actions(tact_policy *p, const tact_options *o, Error *err) {
    const PolicyConfig *c = p->config;
    double coeff = o->temporal_ensemble_coeff;
    if (o->n_action_steps > 0 && !isnan(coeff))
        return fail(err, "n_action_steps and temporal_ensemble_coeff exclude each other");
    if (o->n_action_steps < 0 || o->n_action_steps > c->chunk_size)
        return fail(err, "n_action_steps %d: the policy's chunks have %d actions", o->n_action_steps,
                    c->chunk_size);
    if (isinf(coeff)) return fail(err, "temporal_ensemble_coeff must be a number");
    bool as_trained = isnan(coeff) && o->n_action_steps == 0;
    if (as_trained && c->temporal_ensemble_coeff != CONFIG_NULL_NUMBER)
        coeff = c->temporal_ensemble_coeff;
    p->ensembles = !isnan(coeff);
    p->n_action_steps = p->ensembles ? 1 : o->n_action_steps ? o->n_action_steps : c->n_action_steps;
    if (p->n_action_steps < 1 || p->n_action_steps > c->chunk_size)
        return fail(err, "%s: n_action_steps %d, but chunks have %d actions", p->policy.dir,
                    p->n_action_steps, c->chunk_size);
    int width = c->arms ? LINEAR_ARM * c->arms : c->action_dim;
    if (!p->ensembles) return true;
    p->linear = NEW(double, (size_t)c->chunk_size * (size_t)width);
    ensemble_init(&p->ensemble, c->chunk_size, width, coeff);
    return true;
}

CHECKED static bool allocate(tact_policy *p, Error *err) {
    const PolicyConfig *c = p->config;
    size_t T = (size_t)c->obs_state_horizon, S = (size_t)c->chunk_size, scratch = 0;
    size_t widest = (size_t)(c->state_dim > c->action_dim ? c->state_dim : c->action_dim);
    p->env_row = NEW(double, c->env_dim);
    p->queue = NEW(double, S * p->action_size);
    p->last = NEW(double, p->action_size);
    p->action = NEW(double, p->action_size);
    p->rows = NEW(double, T * widest);
    p->state = NEW(float, T * (size_t)c->state_dim);
    p->env = NEW(float, c->env_dim);
    p->predicted = NEW(float, S * (size_t)c->action_dim);
    p->slots = NEW(int, (size_t)c->n_cameras * T);
    for (int i = 0; i < c->n_cameras; i++) {
        size_t needed = image_resize_scratch(c->cameras[i].height, c->cameras[i].width,
                                             c->image_height, c->image_width);
        scratch = needed > scratch ? needed : scratch;
    }
    p->resize = mem_alloc(scratch);
    size_t frame_bytes = (size_t)c->image_height * (size_t)c->image_width * 3;
    return history_init(&p->history, c->obs_state_horizon, c->obs_down_sample_steps, c->n_cameras,
                        p->state_size, c->n_cameras ? frame_bytes : 0, err);
}

CHECKED static bool open_device(tact_policy *p, const tact_options *o, Error *err) {
    const char *name = o->device ? o->device : "cpu";
    Precision precision;
    return precision_named(o->dtype, name, &precision, err) &&
           device_open(name, precision, o->threads, &p->device, err);
}

// The model looks at one history, of which a frame is one slot.
CHECKED static bool plan(tact_policy *p, Error *err) {
    int slots = p->history.length * p->history.cameras;
    return act_new_stream(p->device, p->config, &p->policy.params, slots > 0 ? slots : 1,
                          p->policy.stats.images, &p->act, err);
}

CHECKED static bool load(tact_policy *p, const char *path, const char *dataset, Error *err) {
    if (!policy_load(path, dataset, p->device, &p->policy, err)) return false;
    const PolicyConfig *c = p->config;
    p->action_size = (size_t)(c->arms ? POSE_ROW * c->arms : c->action_dim);
    // Relative actions need the pose they are relative to, even where the policy does not see it.
    p->state_size = c->arms ? p->action_size : (size_t)c->state_dim;
    return policy_normalizers(c, &p->policy.stats, &p->state_norm, &p->env_norm, &p->action_norm,
                              err);
}

static tact_status open_all(tact_policy *p, const char *path, const tact_options *given,
                            Error *err) {
    tact_options o;
    if (!take_options(given, &o, err)) return TACT_ERROR_ARGUMENT;
    p->cache = o.frame_cache != 0;
    p->limits = (Limits){.translation = o.max_translation, .rotation = o.max_rotation};
    memcpy(p->limits.low, o.workspace_min, sizeof p->limits.low);
    memcpy(p->limits.high, o.workspace_max, sizeof p->limits.high);
    if (!open_device(p, &o, err)) return TACT_ERROR_DEVICE;
    if (!load(p, path, o.dataset, err)) return TACT_ERROR_POLICY;
    if (!choose_actions(p, &o, err) || !limits_check(&p->limits, p->config->arms, err))
        return TACT_ERROR_ARGUMENT;
    return allocate(p, err) && plan(p, err) ? TACT_OK : TACT_ERROR_DEVICE;
}

tact_status tact_open(const char *path, const tact_options *options, tact_policy **policy) {
    if (policy) *policy = NULL;
    if (!path || !policy) {
        snprintf(open_error.text, sizeof open_error.text, "tact_open: path and policy may not be NULL");
        return TACT_ERROR_ARGUMENT;
    }
    int threads = omp_get_max_threads();
    tact_policy *p = NEW(tact_policy, 1);
    p->config = &p->policy.config.policy;
    tact_status status = open_all(p, path, options, &open_error);
    omp_set_num_threads(threads); // the caller's
    if (status == TACT_OK) *policy = p;
    else tact_close(&p);
    return status;
}

void tact_close(tact_policy **policy) {
    tact_policy *p = policy ? *policy : NULL;
    if (!p) return;
    *policy = NULL;
    act_free(p->act);
    policy_free(&p->policy);
    normalizer_free(&p->state_norm);
    normalizer_free(&p->env_norm);
    normalizer_free(&p->action_norm);
    history_free(&p->history);
    ensemble_free(&p->ensemble);
    void *owned[] = {p->env_row, p->queue, p->last,      p->rows,  p->action, p->linear,
                     p->state,   p->env,   p->predicted, p->slots, p->resize};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) mem_free(owned[i]);
    device_close(p->device);
    mem_free(p);
}

// ---- observing ----------------------------------------------------------------------------------

CHECKED static bool check_vector(const char *name, const double *values, size_t size, size_t wanted,
                                 Error *err) {
    if (wanted == 0) return true;
    if (!values || size != wanted)
        return fail(err, "%s has %zu values; the policy wants %zu", name, values ? size : 0, wanted);
    for (size_t i = 0; i < size; i++)
        if (!isfinite(values[i])) return fail(err, "value %zu of %s is not finite", i, name);
    return true;
}

static bool is_camera(const char *given, const char *name) {
    static const char prefix[] = "observation.images.";
    const size_t n = sizeof prefix - 1;
    return strcmp(given, name) == 0 || (strncmp(name, prefix, n) == 0 && strcmp(given, name + n) == 0);
}

static const tact_image *find_image(const tact_observation *o, int camera, const char *name) {
    for (int i = 0; i < o->n_images; i++) {
        const char *given = o->images[i].camera;
        if (given ? is_camera(given, name) : i == camera) return &o->images[i];
    }
    return NULL;
}

CHECKED static bool check_image(const tact_observation *o, int camera, const CameraConfig *c,
                                Error *err) {
    const tact_image *image = find_image(o, camera, c->name);
    if (!image || !image->rgb) return fail(err, "no image of camera %s", c->name);
    if (image->height != c->height || image->width != c->width)
        return fail(err, "the image of camera %s is %dx%d; the policy wants %dx%d as recorded",
                    c->name, image->width, image->height, c->width, c->height);
    return true;
}

CHECKED static bool check_observation(const tact_policy *p, const tact_observation *o, Error *err) {
    const PolicyConfig *c = p->config;
    if (o->n_images > 0 && !o->images) return fail(err, "%d images, but none given", o->n_images);
    if (!check_vector("observation.state", o->state, o->state_size, p->state_size, err) ||
        !check_vector("observation.environment_state", o->env, o->env_size, (size_t)c->env_dim, err))
        return false;
    for (int i = 0; i < c->n_cameras; i++)
        if (!check_image(o, i, &c->cameras[i], err)) return false;
    return true;
}

CHECKED static bool encode(tact_policy *p, int place, int camera, Error *err) {
    int slot = history_slot(&p->history, place, camera);
    if (p->history.encoded[slot]) return true;
    p->history.encoded[slot] =
        act_encode_frame(p->act, camera, history_frame(&p->history, slot), slot, err);
    return p->history.encoded[slot];
}

// The newest frames now rather than at the prediction that needs them, which then is as quick as others.
CHECKED static bool encode_newest(tact_policy *p, Error *err) {
    History *h = &p->history;
    if (!p->cache || !history_wanted(h, p->queue_left, p->n_action_steps)) return true;
    for (int c = 0; c < h->cameras; c++)
        if (!encode(p, history_place(h, h->horizon - 1), c, err)) return false;
    return true;
}

static void remember(tact_policy *p, const tact_observation *o) {
    const PolicyConfig *c = p->config;
    int place = history_next(&p->history);
    if (p->state_size)
        memcpy(history_state(&p->history, place), o->state, p->state_size * sizeof *o->state);
    if (c->env_dim) memcpy(p->env_row, o->env, (size_t)c->env_dim * sizeof *o->env);
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        uint8_t *frame = history_frame(&p->history, history_slot(&p->history, place, i));
        image_resize(frame, c->image_height, c->image_width, find_image(o, i, camera->name)->rgb,
                     camera->height, camera->width, p->resize);
    }
    history_add(&p->history);
    p->fresh = true;
}

static tact_status refuse(tact_policy *p, tact_status status, const char *text) {
    snprintf(p->error.text, sizeof p->error.text, "%s", text);
    return status;
}

tact_status tact_reset(tact_policy *p) {
    if (!p) return TACT_ERROR_ARGUMENT;
    p->history.count = 0;
    p->queue_left = p->ensemble.left = 0;
    p->fresh = p->has_last = false;
    return TACT_OK;
}

tact_status tact_observe(tact_policy *p, const tact_observation *observation) {
    if (!p) return TACT_ERROR_ARGUMENT;
    if (!observation) return refuse(p, TACT_ERROR_ARGUMENT, "observation may not be NULL");
    if (!check_observation(p, observation, &p->error)) return TACT_ERROR_OBSERVATION;
    remember(p, observation);
    int threads = omp_get_max_threads();
    omp_set_num_threads(p->device->threads);
    bool ok = encode_newest(p, &p->error);
    omp_set_num_threads(threads);
    return ok ? TACT_OK : TACT_ERROR_DEVICE;
}

// ---- predicting ---------------------------------------------------------------------------------

static const double *newest_state(const tact_policy *p) {
    return history_state(&p->history, history_place(&p->history, p->history.horizon - 1));
}

// The window as training makes it: dataset/window.c and loader/prepare.c.
static void fill_inputs(tact_policy *p) {
    const PolicyConfig *c = p->config;
    const History *h = &p->history;
    int T = h->horizon;
    for (int t = 0; t < T; t++) {
        int place = history_place(h, t);
        double *row = p->rows + (size_t)t * (size_t)c->state_dim;
        const double *recorded = history_state(h, place);
        for (int i = 0; i < h->cameras; i++) p->slots[i * T + t] = history_slot(h, place, i);
        if (!c->state_dim) continue;
        if (c->arms) pose_row_to_policy(recorded, newest_state(p), c->arms, row);
        else memcpy(row, recorded, p->state_size * sizeof *row);
    }
    if (c->state_dim) normalizer_apply(&p->state_norm, p->rows, p->state, T);
    if (c->env_dim) normalizer_apply(&p->env_norm, p->env_row, p->env, 1);
}

CHECKED static bool run_model(tact_policy *p, Error *err) {
    History *h = &p->history;
    if (!p->cache) memset(h->encoded, 0, (size_t)h->length * (size_t)h->cameras);
    for (int t = 0; t < h->horizon; t++)
        for (int c = 0; c < h->cameras; c++)
            if (!encode(p, history_place(h, t), c, err)) return false;
    ActInput in = {.batch = 1, .state = p->state, .env = p->env};
    return act_predict_slots(p->act, &in, p->slots, p->predicted, err);
}

// out (S, A)
static tact_status predict(tact_policy *p, double *out) {
    const PolicyConfig *c = p->config;
    if (p->history.count == 0)
        return refuse(p, TACT_ERROR_NOTHING_SEEN, "no observation yet; give one before asking for an action");
    fill_inputs(p);
    int threads = omp_get_max_threads();
    omp_set_num_threads(p->device->threads);
    bool ok = run_model(p, &p->error);
    omp_set_num_threads(threads);
    if (!ok) return TACT_ERROR_DEVICE;
    for (int i = 0; i < c->chunk_size * c->action_dim; i++)
        if (!isfinite(p->predicted[i]))
            return refuse(p, TACT_ERROR_PREDICTION, "the policy's output is not finite");
    actions_from_prediction(&p->action_norm, p->predicted, c->chunk_size,
                            c->arms ? newest_state(p) : NULL, c->arms, p->rows, out);
    return TACT_OK;
}

tact_status tact_predict_chunk(tact_policy *p, double *actions) {
    if (!p) return TACT_ERROR_ARGUMENT;
    if (!actions) return refuse(p, TACT_ERROR_ARGUMENT, "actions may not be NULL");
    return predict(p, actions);
}

static tact_status next_of_queue(tact_policy *p, double *out) {
    if (p->queue_left == 0) {
        tact_status status = predict(p, p->queue);
        if (status != TACT_OK) return status;
        p->queue_at = 0;
        p->queue_left = p->n_action_steps;
    }
    memcpy(out, p->queue + (size_t)p->queue_at * p->action_size, p->action_size * sizeof *out);
    p->queue_at++;
    p->queue_left--;
    return TACT_OK;
}

static tact_status next_of_ensemble(tact_policy *p, double *out) {
    const int width = (int)p->action_size, arms = p->config->arms;
    Ensemble *e = &p->ensemble;
    if (p->fresh || e->left == 0) {
        tact_status status = predict(p, p->queue);
        if (status != TACT_OK) return status;
        for (int i = 0; i < e->chunk; i++)
            action_to_linear(p->queue + i * width, width, arms, p->linear + i * e->width);
        ensemble_add(e, p->linear);
        p->fresh = false;
    }
    ensemble_take(e, p->linear);
    action_from_linear(p->linear, width, arms, out);
    return TACT_OK;
}

tact_status tact_act(tact_policy *p, double *action) {
    if (!p) return TACT_ERROR_ARGUMENT;
    if (!action) return refuse(p, TACT_ERROR_ARGUMENT, "action may not be NULL");
    tact_status status = p->ensembles ? next_of_ensemble(p, p->action) : next_of_queue(p, p->action);
    if (status != TACT_OK) return status;
    limits_apply(&p->limits, p->has_last ? p->last : newest_state(p), p->config->arms, p->action);
    memcpy(p->last, p->action, p->action_size * sizeof *action);
    memcpy(action, p->action, p->action_size * sizeof *action);
    p->has_last = true;
    return TACT_OK;
}

tact_status tact_step(tact_policy *p, const tact_observation *observation, double *action) {
    tact_status status = tact_observe(p, observation);
    return status == TACT_OK ? tact_act(p, action) : status;
}

// ---- describing ---------------------------------------------------------------------------------

const char *tact_message(const tact_policy *p) {
    return p ? p->error.text : open_error.text;
}

const char *tact_version(void) {
    return TACT_VERSION;
}

size_t tact_state_size(const tact_policy *p) {
    return p->state_size;
}

size_t tact_env_size(const tact_policy *p) {
    return (size_t)p->config->env_dim;
}

size_t tact_action_size(const tact_policy *p) {
    return p->action_size;
}

int tact_camera_count(const tact_policy *p) {
    return p->config->n_cameras;
}

tact_camera tact_camera_at(const tact_policy *p, int i) {
    if (i < 0 || i >= p->config->n_cameras) return (tact_camera){0};
    const CameraConfig *c = &p->config->cameras[i];
    return (tact_camera){c->name, c->height, c->width};
}

double tact_fps(const tact_policy *p) {
    return p->config->fps;
}

int tact_chunk_size(const tact_policy *p) {
    return p->config->chunk_size;
}

int tact_n_action_steps(const tact_policy *p) {
    return p->n_action_steps;
}

int tact_horizon(const tact_policy *p) {
    return p->config->obs_state_horizon;
}

tact_limit_counts tact_limits(const tact_policy *p) {
    return (tact_limit_counts){p->limits.outside, p->limits.far, p->limits.turned};
}

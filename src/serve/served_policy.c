// SPDX-License-Identifier: Apache-2.0
#include "serve/served_policy.h"

#include "base/log.h"
#include "base/memory.h"
#include "runtime/open.h"

static tact_options options_of_policy(const ServeOptions *o) {
    tact_options t;
    tact_options_default(&t, sizeof t);
    if (o) {
        t.device = o->device;
        t.dtype = o->dtype;
        t.threads = o->threads;
        t.dataset = o->dataset;
    }
    t.rate_check = 0; // a client that plays chunks shows a frame once a chunk
    return t;
}

static bool episode_open(void *user, void **episode, Error *err) {
    const ServedPolicy *p = user;
    tact_policy *opened;
    tact_options t = options_of_policy(NULL);
    if (policy_open_episode(p->first, &t, &opened) != TACT_OK)
        return fail(err, "%s", tact_message(NULL));
    *episode = opened;
    return true;
}

static void episode_close(void *episode) {
    tact_policy *p = episode;
    tact_close(&p);
}

static void episode_reset(void *episode) {
    (void)tact_reset(episode);
}

static bool episode_observe(void *episode, const tact_observation *o, Error *err) {
    return tact_observe(episode, o) == TACT_OK || fail(err, "%s", tact_message(episode));
}

static bool episode_predict(void *episode, double *actions, Error *err) {
    return tact_predict_chunk(episode, actions) == TACT_OK ||
           fail(err, "%s", tact_message(episode));
}

// A prediction from black frames, which allocates and plans what all later ones use.
static void policy_prepare(void *user) {
    ServedPolicy *p = user;
    const ServeWants *w = &p->table.wants;
    size_t most = 1;
    for (int i = 0; i < w->n_cameras; i++) {
        size_t bytes = (size_t)w->cameras[i].height * (size_t)w->cameras[i].width * 3;
        most = bytes > most ? bytes : most;
    }
    uint8_t *black = mem_alloc(most);
    double *zeros = NEW(double, w->state_size + w->env_size + 1);
    double *actions = NEW(double, (size_t)w->chunk_size * w->action_size);
    tact_image *images = NEW(tact_image, w->n_cameras);
    for (int i = 0; i < w->n_cameras; i++)
        images[i] = (tact_image){sizeof *images,       w->cameras[i].name,  black,
                                 w->cameras[i].height, w->cameras[i].width, 0};
    const tact_observation o = {.size = sizeof o,
                                .state = zeros,
                                .state_size = w->state_size,
                                .env = zeros,
                                .env_size = w->env_size,
                                .images = images,
                                .n_images = (size_t)w->n_cameras};
    if (tact_observe(p->first, &o) != TACT_OK || tact_predict_chunk(p->first, actions) != TACT_OK)
        log_warn("a prediction from black frames failed: %s", tact_message(p->first));
    mem_free(images);
    mem_free(actions);
    mem_free(zeros);
    mem_free(black);
}

bool served_policy_open(ServedPolicy *p, const ServeOptions *options, Error *err) {
    *p = (ServedPolicy){0};
    tact_options t = options_of_policy(options);
    if (tact_open(options->policy_path, &t, &p->first) != TACT_OK)
        return fail(err, "%s", tact_message(NULL));
    const tact_policy *first = p->first;
    int n = tact_camera_count(first);
    p->cameras = NEW(tact_camera, n);
    for (int i = 0; i < n; i++) {
        p->cameras[i].size = sizeof *p->cameras;
        tact_camera_at(first, i, &p->cameras[i]);
    }
    p->table = (ServePolicy){.wants = {.cameras = p->cameras,
                                       .n_cameras = n,
                                       .state_size = tact_state_size(first),
                                       .env_size = tact_env_size(first),
                                       .action_size = tact_action_size(first),
                                       .chunk_size = tact_chunk_size(first),
                                       .n_action_steps = tact_n_action_steps(first),
                                       .horizon = tact_horizon(first),
                                       .fps = tact_fps(first)},
                             .user = p,
                             .prepare = policy_prepare,
                             .open = episode_open,
                             .close = episode_close,
                             .reset = episode_reset,
                             .observe = episode_observe,
                             .predict = episode_predict};
    return true;
}

void served_policy_close(ServedPolicy *p) {
    mem_free(p->cameras);
    tact_close(&p->first);
    *p = (ServedPolicy){0};
}

// SPDX-License-Identifier: Apache-2.0
// Whether a policy and a simulated task fit each other: cameras, vectors, steps a second.
#include "eval/closed_loop_internal.h"

#include "base/log.h"
#include "base/text.h"
#include "pose/pose.h"
#include <math.h>
#include <string.h>

Wants wants_of_handle(const tact_policy *p, const char *who) {
    Wants w = {.who = who, .height = 96, .width = 96};
    w.state = tact_state_size(p);
    w.env = tact_env_size(p);
    w.action = tact_action_size(p);
    w.fps = tact_fps(p);
    for (; w.n_cameras < tact_camera_count(p); w.n_cameras++) {
        tact_camera camera = {.size = sizeof camera};
        tact_camera_at(p, w.n_cameras, &camera);
        w.cameras[w.n_cameras] = camera.name;
        if (w.n_cameras > 0) continue;
        w.height = camera.height;
        w.width = camera.width;
    }
    return w;
}

static Wants wants_of_config(const PolicyConfig *p) {
    // Poses as recorded, whatever the policy makes of them.
    Wants w = {.who = "the policy", .height = 96, .width = 96};
    w.state = p->arms ? (size_t)p->arms * POSE_ROW : (size_t)p->state_dim;
    w.env = (size_t)p->env_dim;
    w.action = p->arms ? (size_t)p->arms * POSE_ROW : (size_t)p->action_dim;
    w.fps = p->fps;
    for (; w.n_cameras < p->n_cameras; w.n_cameras++)
        w.cameras[w.n_cameras] = p->cameras[w.n_cameras].name;
    if (w.n_cameras) {
        w.height = p->cameras[0].height;
        w.width = p->cameras[0].width;
    }
    return w;
}

bool wants_check(const EnvSpec *spec, const Wants *w, Error *err) {
    if (w->action != ENV_DIM || (w->state && w->state != ENV_DIM))
        return fail(err,
                    "%s: has %zu values of state and %zu of action; --env.type=%s has %d of both",
                    w->who, w->state, w->action, spec->type, ENV_DIM);
    if (w->env)
        return fail(err,
                    "%s: wants observation.environment_state, which --env.type=%s does not have",
                    w->who, spec->type);
    for (int i = 0; i < w->n_cameras; i++) {
        const char *wanted = after_last(w->cameras[i], '.');
        bool found = false;
        for (int c = 0; c < spec->n_cameras; c++)
            found = found || strcmp(wanted, after_last(spec->cameras[c], '.')) == 0;
        if (!found)
            return fail(err, "%s: wants a camera \"%s\", which --env.type=%s does not have", w->who,
                        wanted, spec->type);
    }
    return true;
}

void wants_warn_rate(const EnvSpec *spec, const Wants *w) {
    if (w->fps > 0 && fabs(w->fps - spec->fps) > 1e-3 * w->fps)
        log_warn(
            "%s: trained at %g steps a second, but --env.type=%s takes %d; it sees and moves at "
            "another speed than it learnt",
            w->who, w->fps, spec->type, spec->fps);
}

bool closed_loop_check(const char *env_type, const PolicyConfig *policy, Error *err) {
    const EnvSpec *spec;
    Env *env = NULL;
    Wants wants = wants_of_config(policy);
    bool ok = env_find(env_type, &spec, err) &&
              env_open(env_type, wants.height, wants.width, &env, err) &&
              wants_check(spec, &wants, err);
    if (ok) wants_warn_rate(spec, &wants);
    env_close(&env);
    return ok;
}

// SPDX-License-Identifier: Apache-2.0
#include "eval/closed_loop.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "env/env.h"
#include "eval/html.h"
#include "formats/video.h"
#include "ops/ops.h"
#include "pose/pose.h"
#include "runtime/handle.h"
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <string.h>

enum { VIDEO_HEIGHT = 240, VIDEO_WIDTH = 320, VIDEO_GOP = 10, VIDEO_CRF = 32 };

void wilson_interval(int64_t successes, int64_t n, double *low, double *high) {
    const double z = 1.959963984540054;
    double p = (double)successes / (double)n, z2 = z * z / (double)n;
    double centre = (p + z2 / 2) / (1 + z2);
    double half = z / (1 + z2) * sqrt(p * (1 - p) / (double)n + z2 / (4 * (double)n));
    *low = successes > 0 ? centre - half : 0; // exactly, not but for rounding
    *high = successes < n ? centre + half : 1;
}

// ---- opening ------------------------------------------------------------------------------------

typedef struct Loop {
    const ClosedLoopOptions *options;
    const tact_policy *first; // another loop's, whose weights this one shares; or NULL
    Env *env;
    const EnvSpec *spec;
    tact_policy *policy;
    uint8_t *frames[ENV_MAX_CAMERAS];
    tact_image images[ENV_MAX_CAMERAS];
    uint8_t *picture; // of a video
} Loop;

CHECKED static bool open_policy(Loop *l, Error *err) {
    const ClosedLoopOptions *o = l->options;
    tact_options t;
    tact_options_default(&t, sizeof t);
    t.device = o->device;
    t.dtype = o->dtype;
    t.threads = 1;
    t.n_action_steps = o->n_action_steps;
    if (o->temporal_ensemble_coeff != CONFIG_NULL_NUMBER)
        t.temporal_ensemble_coeff = o->temporal_ensemble_coeff;
    t.rate_check = 0; // the simulation waits for the policy
    tact_status status = l->first ? policy_open_beside(l->first, &t, &l->policy)
                                  : tact_open(o->policy_path, &t, &l->policy);
    return status == TACT_OK || fail(err, "%s", tact_message(NULL));
}

// What a policy wants and gives, as recorded.
typedef struct Wants {
    const char *who; // of messages
    size_t state, env, action;
    double fps; // of training; 0: unknown
    int n_cameras;
    const char *cameras[MAX_CAMERAS];
    int height, width; // of the first camera; the environment's images are made that large
} Wants;

static Wants wants_of_handle(const tact_policy *p, const char *who) {
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
    w.state = p->arms && p->state_dim ? (size_t)p->arms * POSE_ROW : (size_t)p->state_dim;
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

CHECKED static bool check_fit(const EnvSpec *spec, const Wants *w, Error *err) {
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

static void tell_rate(const EnvSpec *spec, const Wants *w) {
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
              check_fit(spec, &wants, err);
    if (ok) tell_rate(spec, &wants);
    env_close(&env);
    return ok;
}

CHECKED static bool open_loop(Loop *l, Error *err) {
    const ClosedLoopOptions *o = l->options;
    if (!env_find(o->env_type, &l->spec, err) || !open_policy(l, err)) return false;
    Wants wants = wants_of_handle(l->policy, o->policy_path);
    const int height = wants.height, width = wants.width;
    if (!check_fit(l->spec, &wants, err) || !env_open(o->env_type, height, width, &l->env, err))
        return false;
    for (int c = 0; c < l->spec->n_cameras; c++) {
        l->frames[c] = NEW(uint8_t, (int64_t)height * width * 3);
        l->images[c] =
            (tact_image){sizeof(tact_image), l->spec->cameras[c], l->frames[c], height, width, 0};
    }
    l->picture = NEW(uint8_t, VIDEO_HEIGHT * VIDEO_WIDTH * 3);
    return true;
}

static void close_loop(Loop *l) {
    env_close(&l->env);
    tact_close(&l->policy);
    for (int c = 0; c < ENV_MAX_CAMERAS; c++) mem_free(l->frames[c]);
    mem_free(l->picture);
}

// ---- episodes -----------------------------------------------------------------------------------

CHECKED static bool film(Loop *l, VideoWriter *video, Error *err) {
    return !video || (env_render(l->env, "scene", VIDEO_HEIGHT, VIDEO_WIDTH, l->picture, err) &&
                      video_writer_add(video, l->picture, err));
}

CHECKED static bool one_step(Loop *l, Error *err) {
    double state[ENV_DIM], action[ENV_DIM];
    tact_observation seen = {.size = sizeof seen,
                             .state = state,
                             .state_size = tact_state_size(l->policy) ? ENV_DIM : 0,
                             .images = l->images,
                             .n_images = (size_t)l->spec->n_cameras};
    if (!env_observe(l->env, state, l->frames, err)) return false;
    if (tact_step(l->policy, &seen, action) != TACT_OK)
        return fail(err, "%s", tact_message(l->policy));
    return env_step(l->env, action, err);
}

static bool stopping(const Loop *l) {
    return l->options->stop && *l->options->stop;
}

// A stop leaves the episode unfinished.
CHECKED static bool run_episode(Loop *l, ClosedLoopEpisode *e, VideoWriter *video, Error *err) {
    if (!env_reset(l->env, e->seed, err)) return false;
    if (tact_reset(l->policy) != TACT_OK) return fail(err, "%s", tact_message(l->policy));
    bool ok = film(l, video, err);
    while (ok && !env_done(l->env) && !stopping(l)) ok = one_step(l, err) && film(l, video, err);
    e->success = env_success(l->env);
    e->outcome = env_outcome(l->env);
    e->steps = env_steps(l->env);
    return ok;
}

CHECKED static bool filmed_episode(Loop *l, ClosedLoopEpisode *e, Error *err) {
    char path[4096];
    VideoWriter *video;
    snprintf(e->video, sizeof e->video, "episode_%06llu.mp4", (unsigned long long)e->seed);
    snprintf(path, sizeof path, "%s/%s", l->options->videos, e->video);
    if (!video_writer_open(path, NULL, VIDEO_HEIGHT, VIDEO_WIDTH, l->spec->fps, VIDEO_GOP,
                           VIDEO_CRF, &video, err))
        return false;
    bool ok = run_episode(l, e, video, err);
    if (ok && !stopping(l)) return video_writer_close(video, err);
    video_writer_abort(video);
    return ok;
}

// ---- several at a time --------------------------------------------------------------------------

// Every thread has a simulation and a policy of its own, which computes in that thread alone: what
// comes of an episode does not depend on how many there are.
typedef struct Round {
    const ClosedLoopOptions *options;
    const tact_policy *policy; // of the thread that began it; the others share its weights
    ClosedLoopEpisode *episodes;
    bool *finished;
    pthread_mutex_t lock;
    int64_t taken, done;
    bool failed;
    Error err; // the first
} Round;

static void give_up(Round *r, const Error *err) {
    pthread_mutex_lock(&r->lock);
    if (!r->failed) r->err = *err;
    r->failed = true;
    pthread_mutex_unlock(&r->lock);
}

// The number of the next episode, or -1 when there is none.
static int64_t take_episode(Round *r) {
    pthread_mutex_lock(&r->lock);
    int64_t i = r->failed || r->taken >= r->options->episodes ? -1 : r->taken++;
    pthread_mutex_unlock(&r->lock);
    return i;
}

static void count_episode(Round *r, int64_t i) {
    const ClosedLoopOptions *o = r->options;
    pthread_mutex_lock(&r->lock);
    r->finished[i] = true;
    r->done++;
    if (o->progress) o->progress(o->user, r->done, o->episodes);
    pthread_mutex_unlock(&r->lock);
}

static void run_episodes(Round *r, Loop *l) {
    const ClosedLoopOptions *o = r->options;
    Error err;
    for (int64_t i; !stopping(l) && (i = take_episode(r)) >= 0;) {
        ClosedLoopEpisode *e = &r->episodes[i];
        e->seed = o->seed + (uint64_t)i;
        bool filmed = o->videos && i < o->max_videos;
        if (!(filmed ? filmed_episode(l, e, &err) : run_episode(l, e, NULL, &err))) {
            give_up(r, &err);
            return;
        }
        if (!stopping(l)) count_episode(r, i);
    }
}

static void *work(void *round) {
    Round *r = round;
    Loop l = {.options = r->options, .first = r->policy};
    Error err;
    if (open_loop(&l, &err))
        run_episodes(r, &l);
    else
        give_up(r, &err);
    close_loop(&l);
    return NULL;
}

// This thread with `own`, and as many others as there is use for. A thread that cannot be started
// is done without.
static void run_round(Round *r, Loop *own) {
    const ClosedLoopOptions *o = r->options;
    const Backend *backend;
    Error none; // the policy of `own` runs on it already
    bool share =
        backend_find(o->device ? o->device : "cpu", &backend, NULL, &none) && backend->side_by_side;
    r->policy = own->policy;
    int64_t n = !share ? 1 : o->threads > 0 ? o->threads : omp_get_num_procs();
    if (n > o->episodes) n = o->episodes;
    pthread_t *threads = NEW(pthread_t, n);
    int64_t others = 0;
    while (others < n - 1 && pthread_create(&threads[others], NULL, work, r) == 0) others++;
    run_episodes(r, own);
    for (int64_t i = 0; i < others; i++) pthread_join(threads[i], NULL);
    mem_free(threads);
}

// A failure is only known when it is over; the same seed is the same episode, so it is run once
// more.
CHECKED static bool film_failures(Round *r, Loop *l, Error *err) {
    const ClosedLoopOptions *o = r->options;
    int64_t left = o->videos ? o->max_failures : 0;
    for (int64_t i = o->max_videos; left > 0 && i < o->episodes; i++) {
        if (!r->finished[i] || r->episodes[i].success || stopping(l)) continue;
        ClosedLoopEpisode again = r->episodes[i];
        if (!filmed_episode(l, &again, err)) return false;
        if (!stopping(l)) r->episodes[i] = again;
        left--;
    }
    return true;
}

static void sum_up(const Round *r, ClosedLoopResult *out) {
    double steps = 0;
    for (int64_t i = 0; i < r->options->episodes; i++) {
        if (!r->finished[i]) continue;
        const ClosedLoopEpisode *e = &r->episodes[i];
        out->succeeded += e->success;
        steps += e->steps;
        out->episodes[out->count++] = *e;
    }
    if (!out->count) return;
    out->mean_steps = steps / (double)out->count;
    wilson_interval(out->succeeded, out->count, &out->low, &out->high);
}

bool eval_closed_loop(const ClosedLoopOptions *o, ClosedLoopResult *out, Error *err) {
    Loop own = {.options = o};
    Round r = {.options = o,
               .episodes = NEW(ClosedLoopEpisode, o->episodes),
               .finished = NEW(bool, o->episodes),
               .lock = PTHREAD_MUTEX_INITIALIZER};
    *out = (ClosedLoopResult){.episodes = r.episodes};
    bool ok = open_loop(&own, err);
    if (ok) {
        const Wants wants = wants_of_handle(own.policy, o->policy_path);
        tell_rate(own.spec, &wants);
        run_round(&r, &own);
        if (r.failed) *err = r.err;
        ok = !r.failed && film_failures(&r, &own, err);
    }
    if (ok) {
        out->env_type = own.spec->type;
        sum_up(&r, out);
    }
    close_loop(&own);
    mem_free(r.finished);
    if (!ok) closed_loop_free(out);
    return ok;
}

void closed_loop_free(ClosedLoopResult *r) {
    mem_free(r->episodes);
    *r = (ClosedLoopResult){0};
}

// ---- what comes of it ---------------------------------------------------------------------------

json_t *closed_loop_to_json(const ClosedLoopResult *r) {
    json_t *episodes = json_array();
    for (int64_t i = 0; i < r->count; i++) {
        const ClosedLoopEpisode *e = &r->episodes[i];
        json_t *one = json_pack("{s:I, s:b, s:s, s:i}", "seed", (json_int_t)e->seed, "success",
                                e->success, "outcome", e->outcome, "steps", e->steps);
        if (e->video[0]) json_object_set_new(one, "video", json_string(e->video));
        json_array_append_new(episodes, one);
    }
    // pc_success is LeRobot's name and unit.
    return json_pack("{s:s, s:I, s:I, s:f, s:[f, f], s:f, s:o}", "env_type", r->env_type,
                     "n_episodes", (json_int_t)r->count, "successes", (json_int_t)r->succeeded,
                     "pc_success", 100.0 * (double)r->succeeded / (double)r->count, "pc_success_95",
                     100 * r->low, 100 * r->high, "mean_steps", r->mean_steps, "episodes",
                     episodes);
}

void closed_loop_print(const ClosedLoopResult *r, FILE *out) {
    fprintf(out,
            "%s: %lld of %lld episodes succeeded, %.1f %% (95 %%: %.1f to %.1f), %.1f steps on "
            "average\n",
            r->env_type, (long long)r->succeeded, (long long)r->count,
            100.0 * (double)r->succeeded / (double)r->count, 100 * r->low, 100 * r->high,
            r->mean_steps);
    for (int64_t i = 0; i < r->count; i++)
        if (!r->episodes[i].success)
            fprintf(out, "  seed %llu: %s after %d steps\n",
                    (unsigned long long)r->episodes[i].seed, r->episodes[i].outcome,
                    r->episodes[i].steps);
}

static const char page_style[] =
    ":root{color-scheme:light dark}body{font:16px/1.5 "
    "system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 "
    "1rem}h1{font-size:1.4rem}.rate{font-size:3rem;font-weight:600}table{border-collapse:collapse}"
    "td,th{padding:.2rem .8rem .2rem "
    "0;text-align:left}.bar{height:.6rem;background:#8884;position:relative}"
    ".bar i{position:absolute;top:0;bottom:0;background:#2a7}.videos{display:grid;gap:1rem;"
    "grid-template-columns:repeat(auto-fill,minmax(16rem,1fr))}video{width:100%}";

bool closed_loop_report(const char *path, const ClosedLoopResult *r, const char *policy,
                        Error *err) {
    AtomicFile f;
    if (!atomic_open(&f, path, err)) return false;
    FILE *s = f.stream;
    fprintf(s,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            "content=\"width=device-width\"><title>%s</title><style>%s</style><h1>",
            r->env_type, page_style);
    html_text(s, policy);
    fprintf(s,
            " in %s</h1><p class=rate>%.0f %%</p><p>%lld of %lld episodes succeeded; with 95 %% "
            "confidence the rate lies between %.1f and %.1f %%.</p><div class=bar><i "
            "style=\"left:%.1f%%;width:%.1f%%\">"
            "</i></div><p>%.1f steps an episode on average.</p><h2>Videos</h2><div class=videos>",
            r->env_type, 100.0 * (double)r->succeeded / (double)r->count, (long long)r->succeeded,
            (long long)r->count, 100 * r->low, 100 * r->high, 100 * r->low,
            100 * (r->high - r->low), r->mean_steps);
    for (int64_t i = 0; i < r->count; i++)
        if (r->episodes[i].video[0])
            fprintf(s,
                    "<figure><video controls loop muted src=\"%s\"></video><figcaption>seed %llu: "
                    "%s, %d steps</figcaption></figure>",
                    r->episodes[i].video, (unsigned long long)r->episodes[i].seed,
                    r->episodes[i].outcome, r->episodes[i].steps);
    fputs("</div><h2>Episodes</h2><table><tr><th>seed<th>outcome<th>steps</tr>", s);
    for (int64_t i = 0; i < r->count; i++)
        fprintf(s, "<tr><td>%llu<td>%s<td>%d</tr>", (unsigned long long)r->episodes[i].seed,
                r->episodes[i].outcome, r->episodes[i].steps);
    fputs("</table></html>\n", s);
    return atomic_commit(&f, err);
}

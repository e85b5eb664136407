// SPDX-License-Identifier: Apache-2.0
// Rules about cameras and state beside each other in time: when the robot moves faster, more
// changes in the pictures, whether the camera is on it or looks at it.
#include "check/pictures.h"

#include <math.h>

enum { MOTION_EPISODES = 5, LARGEST_LAG = 60 };

// ---- what moves ---------------------------------------------------------------------------------

// Changes in units of what is usual; a jump counts as no more than thrice that.
static float speed_at(const Vector *v, int64_t row) {
    double speed = 0;
    for (int d = 0; d < v->n; d++) {
        if (!(v->dims[d].step > 0) || v->dims[d].gripper) continue;
        double step = fabs(value_at(v, row, d) - value_at(v, row - 1, d)) / v->dims[d].step;
        speed += step < 3 ? step : 3;
    }
    return (float)speed;
}

// The MOTION_ROWS rows over which the speed varies most, or -1 where an episode is shorter.
static int64_t liveliest(const float *speed, int64_t length) {
    double sum = 0, squares = 0, most = -1;
    int64_t best = -1;
    for (int64_t i = 1; i < length; i++) {
        sum += (double)speed[i], squares += (double)speed[i] * (double)speed[i];
        int64_t from = i - MOTION_ROWS + 1; // whose change is no change within the rows
        if (from < 0) continue;
        sum -= (double)speed[from], squares -= (double)speed[from] * (double)speed[from];
        double spread = squares - sum * sum / (MOTION_ROWS - 1);
        if (spread > most) most = spread, best = from;
    }
    return best;
}

void motion_prepare(Check *c, Motion *m) {
    const Dataset *ds = c->ds;
    const Vector *v = c->state.n > 0 ? &c->state : &c->action;
    size_t rows = (size_t)ds->rows, frames = rows * (size_t)ds->n_cameras;
    *m = (Motion){.speed = arena_alloc(&c->arena, sizeof *m->speed * rows),
                  .pictures = arena_alloc(&c->arena, sizeof *m->pictures * frames),
                  .from = arena_alloc(&c->arena, sizeof *m->from * (size_t)ds->n_episodes)};
    for (size_t i = 0; i < frames; i++) m->pictures[i] = NAN;
    int64_t every = (ds->n_episodes + MOTION_EPISODES - 1) / MOTION_EPISODES;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        for (int64_t i = 1; i < episode->length; i++)
            m->speed[episode->first_row + i] = speed_at(v, episode->first_row + i);
        m->from[e] =
            e % every == 0 ? liveliest(m->speed + episode->first_row, episode->length) : -1;
    }
}

// ---- lags ---------------------------------------------------------------------------------------

// Products of two sequences about their means.
typedef struct Products {
    double both, pictures, speed;
} Products;

// Of the rows that there are of both, by how many steps the pictures come later, from -largest to
// largest.
typedef struct Fit {
    int largest;
    Products at[2 * LARGEST_LAG + 1];
    bool any;
} Fit;

// Codecs draw every second or tenth frame anew, which a mean over neighbours hides.
static void smooth(const float *from, int64_t n, double most, double *out) {
    for (int64_t i = 0; i < n; i++) {
        double now = fmin((double)from[i], most);
        double before = i > 0 ? fmin((double)from[i - 1], most) : now;
        double after = i + 1 < n ? fmin((double)from[i + 1], most) : now;
        out[i] = (before + 2 * now + after) / 4;
    }
}

static void add_products(Products *p, const double *pictures, const double *speed, int64_t n) {
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0, many = (double)n;
    for (int64_t i = 0; i < n; i++) {
        x += pictures[i], y += speed[i];
        xx += pictures[i] * pictures[i], yy += speed[i] * speed[i];
        xy += pictures[i] * speed[i];
    }
    p->both += xy - x * y / many;
    p->pictures += xx - x * x / many;
    p->speed += yy - y * y / many;
}

static void add_fit(Fit *fit, const double *pictures, const double *speed, int64_t n) {
    fit->any = true;
    for (int k = -fit->largest; k <= fit->largest; k++) {
        int64_t later = k > 0 ? k : 0, sooner = k < 0 ? -k : 0;
        add_products(&fit->at[k + fit->largest], pictures + later, speed + sooner,
                     n - later - sooner);
    }
}

// A frame that is black or another's is no movement: no change counts as more than four usual ones.
static double most_of(const float *pictures, int64_t n, double *room) {
    for (int64_t i = 0; i < n; i++) room[i] = (double)pictures[i];
    return 4 * middle_of(room, n);
}

// Fills a fit from the rows of an episode whose pictures were looked at one after the other.
static void fit_episode(const Check *c, const Motion *m, int camera, int64_t e, double *room,
                        Fit *fit) {
    const Episode *episode = &c->ds->episodes[e];
    const float *pictures = m->pictures + camera * c->ds->rows + episode->first_row;
    int64_t from = 1, end;
    while (from < episode->length && isnan(pictures[from])) from++;
    for (end = from; end < episode->length && !isnan(pictures[end]);) end++;
    int64_t n = end - from;
    if (n < 2 * fit->largest || n < MOTION_ROWS / 2) return;
    double most = most_of(pictures + from, n, room);
    smooth(pictures + from, n, most > 0 ? most : (double)INFINITY, room);
    smooth(m->speed + episode->first_row + from, n, (double)INFINITY, room + n);
    add_fit(fit, room, room + n, n);
}

static double correlation(const Products *p) {
    return p->pictures > 0 && p->speed > 0 ? p->both / sqrt(p->pictures * p->speed) : 0;
}

// The lag at which the two fit best; false where they do not.
static bool lag_of(const Fit *fit, double least, double *lag) {
    double values[2 * LARGEST_LAG + 1];
    int n = 2 * fit->largest + 1;
    for (int i = 0; i < n; i++) values[i] = correlation(&fit->at[i]);
    if (!best_lag(values, n, 1, least, lag)) return false;
    *lag -= fit->largest;
    return true;
}

// The best fit at any lag.
static double likeness(const Fit *fit) {
    double most = 0;
    for (int i = 0; i <= 2 * fit->largest; i++) most = fmax(most, correlation(&fit->at[i]));
    return most;
}

static int largest_lag(const Check *c) {
    int lag = (int)ceil(2 * check_rules[RULE_camera_lag].limit * c->ds->fps) + 2;
    int most = c->options->decode == CHECK_DECODE_ALL ? LARGEST_LAG : MOTION_ROWS / 3;
    return lag < most ? lag : most;
}

// Slow movements fit at many lags: that of an episode counts where it fits clearly better than the
// usual one.
static void find_apart(Check *c, int camera, const Fit *fits, double usual) {
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        double lag;
        if (!fits[e].any || !lag_of(&fits[e], 0.6, &lag)) continue;
        const Products *there = &fits[e].at[(int)lround(usual) + fits[e].largest];
        if (likeness(&fits[e]) - correlation(there) < 0.15) continue;
        if (fabs(lag - usual) > check_rules[RULE_camera_lag_apart].limit)
            find(c, RULE_camera_lag_apart, e, -1, c->ds->cameras[camera]->name, fabs(lag - usual),
                 "%.1f steps after the state, usually %.1f", lag, usual);
    }
}

static void find_unrelated(Check *c, int camera, const Fit *fits) {
    const int64_t n = c->ds->n_episodes;
    double *alike = NEW(double, n);
    if (c->options->decode == CHECK_DECODE_ALL && n >= FEWEST_EPISODES) {
        for (int64_t e = 0; e < n; e++) alike[e] = likeness(&fits[e]);
        if (middle_of(alike, n) > 0.6) {
            for (int64_t e = 0; e < n; e++) {
                double little = 1 - likeness(&fits[e]);
                if (fits[e].any && little > check_rules[RULE_camera_unrelated].limit)
                    find(c, RULE_camera_unrelated, e, -1, c->ds->cameras[camera]->name, little,
                         "a correlation of %.2f at most", 1 - little);
            }
        }
    }
    mem_free(alike);
}

void check_motion(Check *c, const Motion *m) {
    const Dataset *ds = c->ds;
    int64_t longest = 1;
    for (int64_t e = 0; e < ds->n_episodes; e++)
        if (ds->episodes[e].length > longest) longest = ds->episodes[e].length;
    double *room = NEW(double, 2 * longest);
    Fit *fits = NEW(Fit, ds->n_episodes);
    for (int k = 0; k < ds->n_cameras; k++) {
        Fit all = {.largest = largest_lag(c)};
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            Fit *fit = &fits[e];
            *fit = (Fit){.largest = all.largest};
            fit_episode(c, m, k, e, room, fit);
            for (int i = 0; i <= 2 * all.largest; i++) {
                all.at[i].both += fit->at[i].both;
                all.at[i].pictures += fit->at[i].pictures;
                all.at[i].speed += fit->at[i].speed;
            }
        }
        double usual;
        if (lag_of(&all, 0.5, &usual)) {
            double seconds = fabs(usual) / ds->fps;
            if (seconds > check_rules[RULE_camera_lag].limit)
                find(c, RULE_camera_lag, -1, -1, ds->cameras[k]->name, seconds,
                     "%.1f steps (%.0f ms) %s the state", fabs(usual), 1e3 * seconds,
                     usual > 0 ? "after" : "before");
            find_apart(c, k, fits, usual);
        }
        find_unrelated(c, k, fits);
    }
    mem_free(fits);
    mem_free(room);
}

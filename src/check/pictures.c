// SPDX-License-Identifier: Apache-2.0
// Rules about pictures.
#include "check/pictures.h"

#include "check/series.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Middles over the episodes.
typedef struct Usual {
    double sharpness, light, light_apart, red, blue, cut;
} Usual;

typedef struct Pictures {
    Check *c;
    View *views;
    float (*usual)[GRID]; // (n_cameras) the middle of the episodes' grids, cell by cell
    Usual *of;            // (n_cameras)
} Pictures;

static View *view_of(const Pictures *p, int64_t episode, int camera) {
    return &p->views[episode * p->c->ds->n_cameras + camera];
}

static double distance(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < GRID; i++) sum += fabs((double)a[i] - (double)b[i]);
    return sum / GRID;
}

// The grid of a picture whose top is its bottom, whose left is its right, or both: half a turn.
static void turn(const float *grid, bool over, bool around, float *out) {
    for (int y = 0; y < GRID_ROWS; y++)
        for (int x = 0; x < GRID_COLUMNS; x++) {
            int from_y = over ? GRID_ROWS - 1 - y : y, from_x = around ? GRID_COLUMNS - 1 - x : x;
            out[y * GRID_COLUMNS + x] = grid[from_y * GRID_COLUMNS + from_x];
        }
}

// Mean brightness of what was looked at.
static double light_of(const View *v) {
    double sum = 0;
    for (int i = 0; i < GRID; i++) sum += (double)v->grid[i];
    return sum / GRID;
}

// values: room for one an episode.
static void find_usual_of(Pictures *p, int k, double *values) {
    Usual *u = &p->of[k];
    double *const found[] = {&u->sharpness, &u->light, &u->light_apart, &u->red, &u->blue, &u->cut};
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        int64_t n = 0;
        for (int64_t e = 0; e < p->c->ds->n_episodes; e++) {
            const View *v = view_of(p, e, k);
            const double of[] = {v->sharpness, light_of(v), fabs(light_of(v) - u->light),
                                 v->red,       v->blue,     v->cut};
            if (v->looked_at) values[n++] = of[i];
        }
        *found[i] = middle_of(values, n);
    }
}

static void find_usual(Pictures *p) {
    const Dataset *ds = p->c->ds;
    double *values = NEW(double, ds->n_episodes);
    for (int k = 0; k < ds->n_cameras; k++) {
        int64_t n = 0;
        for (int cell = 0; cell < GRID; cell++) {
            n = 0;
            for (int64_t e = 0; e < ds->n_episodes; e++)
                if (view_of(p, e, k)->looked_at) values[n++] = (double)view_of(p, e, k)->grid[cell];
            p->usual[k][cell] = (float)middle_of(values, n);
        }
        find_usual_of(p, k, values);
    }
    mem_free(values);
}

static void check_light(const Pictures *p, int64_t e, int k) {
    const View *v = view_of(p, e, k);
    const char *camera = p->c->ds->cameras[k]->name;
    if (v->dark < check_rules[RULE_picture_dark].limit)
        find(p->c, RULE_picture_dark, e, v->dark_at, camera, v->dark, "a mean of %.1f of 255",
             v->dark);
    if (v->bright > check_rules[RULE_picture_bright].limit)
        find(p->c, RULE_picture_bright, e, v->bright_at, camera, v->bright,
             "%.0f %% of the pixels are white", 100 * v->bright);
    if (v->step > check_rules[RULE_exposure_step].limit)
        find(p->c, RULE_exposure_step, e, v->step_at, camera, v->step,
             "the mean changes by %.0f of 255 from one row to the next", v->step);
}

static void check_frozen(const Pictures *p, int64_t e, int k) {
    const View *v = view_of(p, e, k);
    const Dataset *ds = p->c->ds;
    double seconds = (double)v->same_longest / ds->fps;
    if (seconds > check_rules[RULE_picture_frozen].limit)
        find(p->c, RULE_picture_frozen, e, v->same_at, ds->cameras[k]->name, seconds,
             "the same picture for %.1f s while the robot moves", seconds);
    double share = v->pairs > 0 ? (double)v->repeated / (double)v->pairs : 0;
    if (v->pairs > 20 && share > check_rules[RULE_picture_repeated].limit)
        find(p->c, RULE_picture_repeated, e, -1, ds->cameras[k]->name, share,
             "%.0f %% of the rows have the picture of the row before", 100 * share);
}

static void check_sharpness(const Pictures *p, int64_t e, int k) {
    const View *v = view_of(p, e, k);
    double usual = p->of[k].sharpness, share = usual > 0 ? v->sharpness / usual : 1;
    if (share < check_rules[RULE_picture_blurred].limit)
        find(p->c, RULE_picture_blurred, e, v->dullest_at, p->c->ds->cameras[k]->name, share,
             "%.0f %% of the usual contrast of neighbouring pixels", 100 * share);
}

// Red and blue of an episode that fit the camera's usual blue and red clearly better. The least
// distance keeps scenes out that are nearly grey.
static void check_colours(const Pictures *p, int64_t e, int k) {
    const View *v = view_of(p, e, k);
    const Usual *u = &p->of[k];
    double own = fabs(v->red - u->red) + fabs(v->blue - u->blue);
    double exchanged = fabs(v->red - u->blue) + fabs(v->blue - u->red);
    if (own > 10 && exchanged < check_rules[RULE_colours_exchanged].limit * own)
        find(p->c, RULE_colours_exchanged, e, 0, p->c->ds->cameras[k]->name, exchanged / own,
             "red %.0f and blue %.0f, where %.0f and %.0f are usual", v->red, v->blue, u->red,
             u->blue);
}

// Light that differs far more from the usual than that of the other episodes does.
static void check_exposure(const Pictures *p, int64_t e, int k) {
    double light = light_of(view_of(p, e, k)), usual = p->of[k].light, off = fabs(light - usual);
    if (light < check_rules[RULE_picture_dark].limit) return; // picture_dark's
    if (off > check_rules[RULE_exposure_apart].limit && off > 6 * p->of[k].light_apart)
        find(p->c, RULE_exposure_apart, e, -1, p->c->ds->cameras[k]->name, off,
             "a mean of %.0f of 255, where %.0f is usual", light, usual);
}

// Neighbouring frames of which one shows something else altogether.
static void check_cut(const Pictures *p, int64_t e, int k) {
    const View *v = view_of(p, e, k);
    if (v->cut > check_rules[RULE_picture_cut].limit && v->cut > 6 * p->of[k].cut)
        find(p->c, RULE_picture_cut, e, v->cut_at, p->c->ds->cameras[k]->name, v->cut,
             "the picture changes by %.0f of 255 from one row to the next, %.1f is usual", v->cut,
             p->of[k].cut);
}

// A view that fits another camera's usual one, or its own turned by 180 degrees or mirrored,
// clearly better than its own. True where there is one.
static bool check_place(const Pictures *p, int64_t e, int k) {
    const Dataset *ds = p->c->ds;
    const View *v = view_of(p, e, k);
    const char *camera = ds->cameras[k]->name;
    double own = distance(v->grid, p->usual[k]);
    bool found = false;
    for (int other = 0; other < ds->n_cameras; other++) {
        double off = other == k ? INFINITY : distance(v->grid, p->usual[other]);
        if (off >= check_rules[RULE_camera_swapped].limit * own) continue;
        found = true;
        find(p->c, RULE_camera_swapped, e, 0, camera, off / own, "it looks like %s",
             ds->cameras[other]->name);
    }
    static const char *const how[] = {"mirrored, left is right", "mirrored, top is bottom",
                                      CHECK_UPSIDE_DOWN};
    // Of a scene that is nearly symmetric more than one fits: the nearest is what happened.
    double nearest = check_rules[RULE_picture_turned].limit * own;
    int is = -1;
    for (int i = 0; i < 3; i++) {
        float turned[GRID];
        turn(v->grid, i != 0, i != 1, turned);
        double off = distance(turned, p->usual[k]);
        if (off < nearest) nearest = off, is = i;
    }
    if (is < 0) return found;
    find(p->c, RULE_picture_turned, e, 0, camera, nearest / own, "%s", how[is]);
    return true;
}

static void check_static(const Pictures *p, int k) {
    const Dataset *ds = p->c->ds;
    double change = 0, apart = 0;
    int64_t n = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const View *v = view_of(p, e, k);
        if (!v->looked_at) continue;
        change += v->change;
        apart += distance(v->grid, p->usual[k]);
        n++;
    }
    double least = n > 0 ? fmax(change, apart) / (double)n : INFINITY;
    if (least < check_rules[RULE_camera_static].limit)
        find(p->c, RULE_camera_static, -1, -1, ds->cameras[k]->name, least,
             "frames differ by %.2f of 255", least);
}

typedef struct Shown {
    const View *view;
    int64_t episode;
} Shown;

static int by_grid(const void *a, const void *b) {
    const Shown *x = a, *y = b;
    int order = memcmp(x->view->grid, y->view->grid, sizeof x->view->grid);
    if (order != 0) return order;
    return (x->episode > y->episode) - (x->episode < y->episode);
}

// Pictures of another episode: what is seen over time is the same to the last bit, which it is not
// by chance. Where the rows are the same too it is episode_twice's.
static void check_twice(const Pictures *p, int k) {
    const Dataset *ds = p->c->ds;
    Shown *shown = NEW(Shown, ds->n_episodes);
    int64_t n = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const View *v = view_of(p, e, k);
        if (v->looked_at && v->change > check_rules[RULE_camera_static].limit)
            shown[n++] = (Shown){v, e};
    }
    qsort(shown, (size_t)n, sizeof *shown, by_grid);
    for (int64_t i = 1; i < n; i++) {
        const Episode *a = &ds->episodes[shown[i - 1].episode],
                      *b = &ds->episodes[shown[i].episode];
        if (memcmp(shown[i - 1].view->grid, shown[i].view->grid, sizeof shown[i].view->grid) != 0 ||
            same_rows(p->c, a, b))
            continue;
        find(p->c, RULE_pictures_twice, shown[i].episode, -1, ds->cameras[k]->name,
             (double)shown[i].view->looked_at, "it shows what episode %lld shows, with other rows",
             (long long)a->index);
    }
    mem_free(shown);
}

bool check_pictures(Check *c, Error *err) {
    const Dataset *ds = c->ds;
    if (c->options->decode == CHECK_DECODE_NONE || ds->n_cameras == 0) return true;
    Pictures p = {.c = c,
                  .views = NEW(View, ds->n_episodes * ds->n_cameras),
                  .usual = mem_alloc(sizeof *p.usual * (size_t)ds->n_cameras),
                  .of = NEW(Usual, ds->n_cameras)};
    Motion motion;
    motion_prepare(c, &motion);
    const Looking looking = {.moves = c->state_moves, .views = p.views, .motion = &motion};
    bool ok = views_gather(ds, c->options, &looking, c->report, err);
    if (ok) check_motion(c, &motion);
    if (ok) find_usual(&p);
    for (int k = 0; ok && k < ds->n_cameras; k++) {
        check_static(&p, k);
        check_twice(&p, k);
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            if (!view_of(&p, e, k)->looked_at) continue;
            check_light(&p, e, k);
            check_frozen(&p, e, k);
            check_sharpness(&p, e, k);
            if (ds->n_episodes < FEWEST_EPISODES) continue;
            check_colours(&p, e, k);
            check_cut(&p, e, k);
            if (!check_place(&p, e, k)) check_exposure(&p, e, k);
        }
    }
    mem_free(p.of);
    mem_free(p.usual);
    mem_free(p.views);
    return ok;
}

// SPDX-License-Identifier: Apache-2.0
// Rules about pictures.
#include "check/pictures.h"

#include "check/series.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// What is less apart than so many levels may be so by chance.
static const double CLEARLY = 4;

typedef struct Pictures {
    Check *c;
    View *views;
    float (*usual)[GRID];  // (n_cameras) the middle of the episodes' grids, cell by cell
    float (*colour)[GRID]; // the same of their colours
    double *sharpness;     // (n_cameras) the middle of the episodes'
    double *clipped, *cut;
    double *light, *light_apart; // (n_cameras) mean brightness; how far it usually is from that
} Pictures;

static View *view_of(const Pictures *p, int64_t episode, int camera) {
    return &p->views[episode * p->c->ds->n_cameras + camera];
}

static double distance(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < GRID; i++) sum += fabs((double)a[i] - (double)b[i]);
    return sum / GRID;
}

// The grid of a picture that is turned by 180 degrees.
static void turn(const float *grid, float *out) {
    for (int i = 0; i < GRID; i++) out[i] = grid[GRID - 1 - i];
}

static void mirror(const float *grid, float *out) {
    for (int i = 0; i < GRID; i++) out[i] = grid[i - 2 * (i % GRID_COLUMNS) + GRID_COLUMNS - 1];
}

static void swap_colours(const float *colour, float *out) {
    for (int i = 0; i < GRID; i++) out[i] = -colour[i];
}

// The middle over the episodes of what `of` gives of a view.
static double middle_view(const Pictures *p, int k, double (*of)(const View *v, int i), int i,
                          double *room) {
    int64_t n = 0;
    for (int64_t e = 0; e < p->c->ds->n_episodes; e++)
        if (view_of(p, e, k)->looked_at) room[n++] = of(view_of(p, e, k), i);
    return middle_of(room, n);
}

static double grid_of(const View *v, int i) {
    return (double)v->grid[i];
}
static double colour_of(const View *v, int i) {
    return (double)v->colour[i];
}
static double sharpness_of(const View *v, int i) {
    (void)i;
    return v->sharpness;
}
static double clipped_of(const View *v, int i) {
    (void)i;
    return v->clipped;
}
static double cut_of(const View *v, int i) {
    (void)i;
    return v->cut;
}
// Mean brightness of what was looked at.
static double light_of(const View *v, int i) {
    double sum = 0;
    for (i = 0; i < GRID; i++) sum += (double)v->grid[i];
    return sum / GRID;
}

static double middle_apart(const Pictures *p, int k, double *room) {
    int64_t n = 0;
    for (int64_t e = 0; e < p->c->ds->n_episodes; e++)
        if (view_of(p, e, k)->looked_at)
            room[n++] = fabs(light_of(view_of(p, e, k), 0) - p->light[k]);
    return middle_of(room, n);
}

static void find_usual(Pictures *p) {
    double *room = NEW(double, p->c->ds->n_episodes);
    for (int k = 0; k < p->c->ds->n_cameras; k++) {
        for (int cell = 0; cell < GRID; cell++) {
            p->usual[k][cell] = (float)middle_view(p, k, grid_of, cell, room);
            p->colour[k][cell] = (float)middle_view(p, k, colour_of, cell, room);
        }
        p->sharpness[k] = middle_view(p, k, sharpness_of, 0, room);
        p->clipped[k] = middle_view(p, k, clipped_of, 0, room);
        p->cut[k] = middle_view(p, k, cut_of, 0, room);
        p->light[k] = middle_view(p, k, light_of, 0, room);
        p->light_apart[k] = middle_apart(p, k, room);
    }
    mem_free(room);
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
    double usual = p->sharpness[k], share = usual > 0 ? v->sharpness / usual : 1;
    if (share < check_rules[RULE_picture_blurred].limit)
        find(p->c, RULE_picture_blurred, e, v->dullest_at, p->c->ds->cameras[k]->name, share,
             "%.0f %% of the usual contrast of neighbouring pixels", 100 * share);
}

// A view that fits another camera's usual one, or its own turned by 180 degrees, clearly better
// than its own.
static void check_place(const Pictures *p, int64_t e, int k) {
    const Dataset *ds = p->c->ds;
    const View *v = view_of(p, e, k);
    const char *camera = ds->cameras[k]->name;
    double own = distance(v->grid, p->usual[k]);
    float turned[GRID];
    for (int other = 0; other < ds->n_cameras; other++) {
        double off = other == k ? INFINITY : distance(v->grid, p->usual[other]);
        if (off < check_rules[RULE_camera_swapped].limit * own)
            find(p->c, RULE_camera_swapped, e, 0, camera, off / own, "it looks like %s",
                 ds->cameras[other]->name);
    }
    turn(v->grid, turned);
    double off = distance(turned, p->usual[k]);
    if (off < check_rules[RULE_picture_turned].limit * own)
        find(p->c, RULE_picture_turned, e, 0, camera, off / own, "upside down");
    mirror(v->grid, turned);
    off = distance(turned, p->usual[k]);
    if (off < check_rules[RULE_picture_mirrored].limit * own && own > CLEARLY)
        find(p->c, RULE_picture_mirrored, e, 0, camera, off / own, "left and right changed places");
    own = distance(v->colour, p->colour[k]);
    swap_colours(v->colour, turned);
    off = distance(turned, p->colour[k]);
    if (off < check_rules[RULE_colours_swapped].limit * own && own > CLEARLY)
        find(p->c, RULE_colours_swapped, e, 0, camera, off / own, "red and blue changed places");
}

// An episode whose light or scene is not the camera's usual.
static void check_scene(const Pictures *p, int64_t e, int k) {
    const View *v = view_of(p, e, k);
    const char *camera = p->c->ds->cameras[k]->name;
    double clipped = v->clipped - p->clipped[k], usual = fmax(p->cut[k], CLEARLY);
    if (clipped > check_rules[RULE_picture_clipped].limit)
        find(p->c, RULE_picture_clipped, e, -1, camera, clipped,
             "%.0f %% of the values are at the top, usually %.0f %%", 100 * v->clipped,
             100 * p->clipped[k]);
    // Six times as far as usual, so that a camera at a window has no finding every other day.
    double light = light_of(v, 0), off = fabs(light - p->light[k]);
    if (off > check_rules[RULE_exposure_apart].limit && off > 6 * p->light_apart[k])
        find(p->c, RULE_exposure_apart, e, -1, camera, off,
             "a mean of %.0f of 255, where %.0f is usual", light, p->light[k]);
    // A black frame is picture_dark's.
    if (v->dark >= check_rules[RULE_picture_dark].limit &&
        v->cut > check_rules[RULE_picture_cut].limit * usual)
        find(p->c, RULE_picture_cut, e, v->cut_at, camera, v->cut / usual,
             "another scene from here on: %.0f of 255 apart, usually %.1f", v->cut, p->cut[k]);
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

static bool same_rows(const Vector *v, const Episode *a, const Episode *b) {
    const float *x = v->data + a->first_row * v->n, *y = v->data + b->first_row * v->n;
    return v->n == 0 ||
           (a->length == b->length && memcmp(x, y, sizeof *x * (size_t)(a->length * v->n)) == 0);
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
            (same_rows(&p->c->state, a, b) && same_rows(&p->c->action, a, b)))
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
                  .colour = mem_alloc(sizeof *p.colour * (size_t)ds->n_cameras),
                  .sharpness = NEW(double, ds->n_cameras),
                  .clipped = NEW(double, ds->n_cameras),
                  .cut = NEW(double, ds->n_cameras),
                  .light = NEW(double, ds->n_cameras),
                  .light_apart = NEW(double, ds->n_cameras)};
    Motion motion;
    motion_prepare(c, &motion);
    const Looking looking = {.moves = c->moves, .views = p.views, .motion = &motion};
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
            check_place(&p, e, k);
            check_scene(&p, e, k);
        }
    }
    mem_free(p.light_apart);
    mem_free(p.light);
    mem_free(p.cut);
    mem_free(p.clipped);
    mem_free(p.sharpness);
    mem_free(p.colour);
    mem_free(p.usual);
    mem_free(p.views);
    return ok;
}

// SPDX-License-Identifier: Apache-2.0
// What the page shows beside the report: all episodes in brief, the worst ones with their curves
// and frames, and how values are distributed.
#include "check/check.h"

#include "check/series.h"
#include "dataset/arms.h"
#include "dataset/frames.h"
#include "image/image.h"
#include "report/describe.h"
#include "report/jpeg_url.h"
#include "report/page.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const unsigned char check_page[]; // the template, which the build embeds

enum {
    BRIEF = 48,  // points of an episode in brief
    CURVE = 240, // points of a curve
    WORST = 8,   // episodes that are shown with curves and frames
    CURVES = 16, // values of each
    STRIP = 8,   // frames of each camera
    STRIP_WIDTH = 160,
    BARS = 32,
    MOST_BRIEF = 2000 // episodes in brief: evenly spaced ones of more
};

// A number of the page: five digits are more than a pixel shows, and half of the bytes.
static json_t *rounded(double x) {
    if (!isfinite(x)) return json_null();
    if (x == 0) return json_integer(0);
    double power = pow(10, 5 - ceil(log10(fabs(x))));
    return json_real(round(x * power) / power);
}

// ---- all episodes -------------------------------------------------------------------------------

// How fast the robot moves: the mean over its values of the change from row to row, each beside
// what is fast for it, over each of at most BRIEF parts of the
// episode.
static json_t *speeds_json(const Check *c, const Episode *episode) {
    json_t *list = json_array();
    const Vector *v = c->state.n > 0 ? &c->state : &c->action;
    int64_t steps = episode->length - 1, parts = steps < BRIEF ? steps : BRIEF;
    for (int64_t part = 0; part < parts; part++) {
        int64_t from = 1 + part * steps / parts, to = 1 + (part + 1) * steps / parts;
        double sum = 0;
        for (int64_t i = from; i < to; i++)
            for (int d = 0; d < v->n; d++) {
                int64_t row = episode->first_row + i;
                double step = fabs(value_at(v, row, d) - value_at(v, row - 1, d));
                sum += v->dims[d].step > 0 ? fmin(step / v->dims[d].step, 3) : 0;
            }
        double n = (double)((to - from) * v->n);
        json_array_append_new(list, n > 0 ? rounded(sum / n) : json_null());
    }
    return list;
}

static json_t *row_json(const Vector *v, int64_t row) {
    json_t *list = json_array();
    for (int d = 0; d < v->n; d++) json_array_append_new(list, rounded(value_at(v, row, d)));
    return list;
}

static json_t *episodes_json(const Check *c) {
    const Dataset *ds = c->ds;
    json_t *list = json_array();
    const Vector *v = c->state.n > 0 ? &c->state : &c->action;
    int64_t apart = (ds->n_episodes + MOST_BRIEF - 1) / MOST_BRIEF;
    for (int64_t e = 0; e < ds->n_episodes; e += apart) {
        const Episode *episode = &ds->episodes[e];
        json_t *o = json_object();
        json_object_set_new(o, "index", json_integer(episode->index));
        json_object_set_new(o, "length", json_integer(episode->length));
        json_object_set_new(o, "task", describe_path(episode->task ? episode->task : ""));
        json_object_set_new(o, "speeds", speeds_json(c, episode));
        if (c->arms > 0) {
            int64_t last = episode->first_row + episode->length - 1;
            json_object_set_new(o, "start", row_json(v, episode->first_row));
            json_object_set_new(o, "end", row_json(v, last));
        }
        json_array_append_new(list, o);
    }
    return list;
}

// ---- how values are distributed -----------------------------------------------------------------

static json_t *dim_json(const Check *c, const Vector *v, int d) {
    const Dim *dim = &v->dims[d];
    int64_t counts[BARS] = {0};
    json_t *list = json_array();
    for (int64_t row = 0; row < c->ds->rows; row++) {
        double at = (value_at(v, row, d) - dim->min) / (dim->max - dim->min) * BARS;
        if (dim->max > dim->min) counts[at >= BARS ? BARS - 1 : (int)at]++;
    }
    for (int i = 0; i < BARS; i++) json_array_append_new(list, json_integer(counts[i]));
    json_t *o = json_object();
    json_object_set_new(o, "name", describe_path(dim->name));
    json_object_set_new(o, "low", rounded(dim->min));
    json_object_set_new(o, "high", rounded(dim->max));
    json_object_set_new(o, "counts", list);
    return o;
}

static json_t *dims_json(const Check *c) {
    json_t *list = json_array();
    const Vector *both[] = {&c->state, &c->action};
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < both[i]->n && d < 2 * CURVES; d++)
            json_array_append_new(list, dim_json(c, both[i], d));
    return list;
}

// ---- the worst episodes -------------------------------------------------------------------------

typedef struct Score {
    int64_t episode; // its position
    double score;
} Score;

static int compare_scores(const void *a, const void *b) {
    const Score *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->episode < y->episode ? -1 : x->episode > y->episode;
}

// The episodes with findings, the worst first; returns how many.
static int64_t rank_episodes(const Check *c, Score *scores) {
    static const double weights[] = {1, 10, 100};
    const Dataset *ds = c->ds;
    int64_t n = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) scores[e] = (Score){e, 0};
    for (int64_t i = 0; i < c->report->count; i++) {
        const CheckFinding *f = &c->report->findings[i];
        for (int64_t e = 0; f->episode >= 0 && e < ds->n_episodes; e++)
            if (ds->episodes[e].index == f->episode)
                scores[e].score += weights[check_rules[f->rule].severity];
    }
    qsort(scores, (size_t)ds->n_episodes, sizeof *scores, compare_scores);
    while (n < ds->n_episodes && scores[n].score > 0) n++;
    return n;
}

static json_t *curve_of(const Vector *v, const Episode *episode, int d) {
    if (d >= v->n) return json_null();
    json_t *list = json_array();
    int64_t n = episode->length < CURVE ? episode->length : CURVE;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = n > 1 ? i * (episode->length - 1) / (n - 1) : 0;
        json_array_append_new(list, rounded(value_at(v, episode->first_row + at, d)));
    }
    return list;
}

// State and action of each value, side by side where both have the same values.
static json_t *curves_json(const Check *c, const Episode *episode) {
    json_t *list = json_array();
    bool both = c->state.n == c->action.n;
    const Vector *v = c->state.n > 0 ? &c->state : &c->action;
    for (int d = 0; d < v->n && d < CURVES; d++) {
        json_t *o = json_object();
        json_object_set_new(o, "name", describe_path(v->dims[d].name));
        json_object_set_new(o, "state", curve_of(&c->state, episode, d));
        json_object_set_new(o, "action", both ? curve_of(&c->action, episode, d) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

CHECKED static bool strip_json(const Check *c, FrameReader *reader, int64_t e, int camera,
                               json_t *strips, Error *err) {
    const Feature *f = c->ds->cameras[camera];
    const Episode *episode = &c->ds->episodes[e];
    Image image = {f->height, f->width, mem_alloc(image_rgb_bytes(f->height, f->width))};
    json_t *frames = json_array(), *strip = json_object();
    bool ok = true;
    for (int k = 0; ok && k < STRIP; k++) {
        int64_t at = k * (episode->length - 1) / (STRIP - 1);
        char *url;
        ok = frames_read(reader, camera, episode->first_row + at, image.rgb, err) &&
             jpeg_url_of(&image, STRIP_WIDTH, &url, err);
        if (!ok) break;
        json_array_append_new(frames,
                              json_pack("{s:I, s:s}", "frame", (json_int_t)at, "jpeg", url));
        mem_free(url);
    }
    json_object_set_new(strip, "camera", describe_path(f->name));
    json_object_set_new(strip, "frames", frames);
    json_array_append_new(strips, strip);
    image_free(&image);
    return ok;
}

// Frames that cannot be read are left out: that they cannot is a finding.
static json_t *worst_json(const Check *c) {
    const Dataset *ds = c->ds;
    Score *scores = NEW(Score, ds->n_episodes);
    int64_t n = rank_episodes(c, scores);
    json_t *list = json_array();
    FrameReader *reader = NULL;
    Error ignored;
    bool frames =
        c->options->decode != CHECK_DECODE_NONE && frames_open(ds, 0, 0, &reader, &ignored);
    for (int64_t i = 0; i < n && i < WORST; i++) {
        const Episode *episode = &ds->episodes[scores[i].episode];
        json_t *o = json_object(), *strips = json_array();
        for (int k = 0; frames && k < ds->n_cameras; k++)
            (void)!strip_json(c, reader, scores[i].episode, k, strips, &ignored);
        json_object_set_new(o, "index", json_integer(episode->index));
        json_object_set_new(o, "length", json_integer(episode->length));
        json_object_set_new(o, "curves", curves_json(c, episode));
        json_object_set_new(o, "strips", strips);
        json_array_append_new(list, o);
    }
    frames_close(reader);
    mem_free(scores);
    return list;
}

bool check_write_page(const Dataset *ds, const CheckOptions *options, CheckReport *report,
                      const char *path, Error *err) {
    Check c = {.ds = ds, .options = options, .report = report};
    json_t *o = json_object();
    if (ds) {
        bool known = arms_detect(ds, false, &c.arms, err);
        if (!known) c.arms = 0;
        series_gather(&c);
        json_object_set_new(o, "root", describe_path(ds->root));
        json_object_set_new(o, "robot", describe_path(ds->robot_type ? ds->robot_type : ""));
        json_object_set_new(o, "version", describe_path(ds->version));
        json_object_set_new(o, "fps", json_real(ds->fps));
        json_object_set_new(o, "arms", json_integer(c.arms));
        json_object_set_new(o, "all_episodes", json_integer(ds->total_episodes));
        json_object_set_new(o, "episodes", episodes_json(&c));
        json_object_set_new(o, "dims", dims_json(&c));
        json_object_set_new(o, "worst", worst_json(&c));
    }
    json_object_set_new(o, "tact", json_string(TACT_VERSION));
    json_object_set_new(o, "checked", describe_time(time(NULL)));
    json_object_set_new(o, "report", check_report_json(ds, report));
    bool ok = page_write(path, check_page, o, err);
    json_decref(o);
    arena_free(&c.arena);
    return ok;
}

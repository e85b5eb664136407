// SPDX-License-Identifier: Apache-2.0
// Single episodes on the page: all of them in brief, and the worst ones with curves and frames.
#include "check/frame_source.h"
#include "check/page_data.h"
#include "check/thumbs.h"

#include "image/image.h"
#include "report/describe.h"
#include "report/jpeg_url.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BRIEF = 48,  // points of an episode in brief
    CURVE = 480, // points of a curve
    WORST = 8,   // episodes that are shown with curves and frames
    STRIP = 8,   // frames of each camera
    MOMENTS = 4, // of them at most so many because of a finding
    STRIP_WIDTH = 160
};

// ---- all episodes in brief ----------------------------------------------------------------------

// How fast the robot moves: the mean over its values of the change from row to row, each beside
// what is fast for it, over each of at most BRIEF parts of the episode.
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
        // Hundredths are enough for a curve of 26 pixels.
        json_array_append_new(list, n > 0 ? json_real(round(100 * sum / n) / 100) : json_null());
    }
    return list;
}

static json_t *pictures_json(const Check *c, int64_t e) {
    const CheckThumbs *t = c->report->thumbs;
    json_t *cameras = json_array();
    for (int k = 0; t && k < t->cameras; k++) {
        json_t *moments = json_array();
        for (int m = 0; m < t->moments; m++) {
            const char *url = thumbs_url(t, e, k, m);
            json_array_append_new(moments, url ? json_string(url) : json_null());
        }
        json_array_append_new(cameras, moments);
    }
    return cameras;
}

// What the episode is called in a source of tact import.
static void set_name(const Check *c, json_t *o, int64_t index) {
    const CheckSource *source = c->report->source;
    if (source) json_object_set_new(o, "name", describe_path(source->names[index]));
}

static json_t *cell_json(const Check *c, int64_t e, const Standing *s) {
    const Episode *episode = &c->ds->episodes[e];
    json_t *o = json_object();
    json_object_set_new(o, "index", json_integer(episode->index));
    set_name(c, o, episode->index);
    json_object_set_new(o, "length", json_integer(episode->length));
    json_object_set_new(o, "task", describe_path(episode->task ? episode->task : ""));
    json_object_set_new(o, "worst",
                        s->worst < 0 ? json_null()
                                     : json_string(check_severity_name((CheckSeverity)s->worst)));
    json_object_set_new(o, "findings", json_integer(s->findings));
    json_object_set_new(o, "speeds", speeds_json(c, episode));
    json_object_set_new(o, "pictures", pictures_json(c, e));
    return o;
}

typedef struct Ranked {
    int64_t episode; // its position
    double score;
} Ranked;

static int compare_ranked(const void *a, const void *b) {
    const Ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->episode < y->episode ? -1 : x->episode > y->episode;
}

// The episodes with findings, the worst first: *out (mem_free) has n_episodes elements.
static int64_t rank_episodes(const Check *c, const Standing *standings, Ranked **out) {
    int64_t n = 0;
    *out = NEW(Ranked, c->ds->n_episodes + 1);
    for (int64_t e = 0; e < c->ds->n_episodes; e++)
        if (standings[e].score > 0) (*out)[n++] = (Ranked){e, standings[e].score};
    if (n > 1) qsort(*out, (size_t)n, sizeof **out, compare_ranked);
    return n;
}

json_t *page_cells(const Check *c, const Standing *standings) {
    const int64_t n = c->ds->n_episodes;
    json_t *list = json_array();
    bool *shown = NEW(bool, n + 1);
    int64_t apart = (n + CELLS_MOST - 1) / CELLS_MOST;
    for (int64_t e = 0; e < n; e += apart) shown[e] = true;
    if (apart > 1) {
        Ranked *ranked;
        int64_t flagged = rank_episodes(c, standings, &ranked);
        for (int64_t i = 0; i < flagged && i < CELLS_MOST / 2; i++) shown[ranked[i].episode] = true;
        mem_free(ranked);
    }
    for (int64_t e = 0; e < n; e++)
        if (shown[e]) json_array_append_new(list, cell_json(c, e, &standings[e]));
    mem_free(shown);
    return list;
}

// ---- curves -------------------------------------------------------------------------------------

// The rows of a part of an episode that a curve shows: its least and its largest, in their order,
// so that a slip of one row is seen in an episode of any length.
static void add_part(const Vector *v, int64_t first, int64_t end, int d, json_t *list) {
    int64_t low = first, high = first;
    for (int64_t row = first + 1; row < end; row++) {
        if (value_at(v, row, d) < value_at(v, low, d)) low = row;
        if (value_at(v, row, d) > value_at(v, high, d)) high = row;
    }
    json_array_append_new(list, page_number(value_at(v, low < high ? low : high, d)));
    json_array_append_new(list, page_number(value_at(v, low < high ? high : low, d)));
}

static json_t *curve_of(const Vector *v, const Episode *episode, int d) {
    if (d >= v->n) return json_null();
    json_t *list = json_array();
    const int64_t n = episode->length, parts = CURVE / 2;
    for (int64_t i = 0; n <= CURVE && i < n; i++)
        json_array_append_new(list, page_number(value_at(v, episode->first_row + i, d)));
    for (int64_t part = 0; n > CURVE && part < parts; part++)
        add_part(v, episode->first_row + part * n / parts,
                 episode->first_row + (part + 1) * n / parts, d, list);
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
        if (both) json_object_set_new(o, "other", describe_path(c->action.dims[d].name));
        json_object_set_new(o, "state", curve_of(&c->state, episode, d));
        json_object_set_new(
            o, "action", both || c->state.n == 0 ? curve_of(&c->action, episode, d) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

// ---- strips of frames ---------------------------------------------------------------------------

static bool is_camera(const Dataset *ds, const char *where) {
    for (int k = 0; k < ds->n_cameras; k++)
        if (strcmp(ds->cameras[k]->name, where) == 0) return true;
    return false;
}

// Puts a moment into the place of the evenly spaced frame that is nearest to it.
static void place_moment(int64_t *frames, bool *taken, int n, int64_t moment) {
    int nearest = -1;
    for (int i = 0; i < n; i++) {
        if (frames[i] == moment) nearest = i;
        if (taken[i] || (nearest >= 0 && frames[nearest] == moment)) continue;
        if (nearest < 0 || llabs(frames[i] - moment) < llabs(frames[nearest] - moment)) nearest = i;
    }
    if (nearest < 0) return;
    frames[nearest] = moment;
    taken[nearest] = true;
}

static int compare_frames(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// Which frames of an episode a strip shows: evenly spaced ones and the moments of its findings, but
// for those of another camera. Returns how many, each once, ascending.
static int choose_frames(const Check *c, const Episode *episode, const char *camera,
                         int64_t frames[STRIP]) {
    bool taken[STRIP] = {0};
    int n = episode->length < STRIP ? (int)episode->length : STRIP, moments = 0;
    for (int i = 0; i < n; i++) frames[i] = n > 1 ? i * (episode->length - 1) / (n - 1) : 0;
    for (int64_t i = 0; i < c->report->count && moments < MOMENTS; i++) {
        const CheckFinding *f = &c->report->findings[i];
        if (f->episode != episode->index || f->frame < 0 || f->frame >= episode->length) continue;
        if (is_camera(c->ds, f->where) && strcmp(f->where, camera) != 0) continue;
        place_moment(frames, taken, n, f->frame);
        moments++;
    }
    qsort(frames, (size_t)n, sizeof *frames, compare_frames);
    return n;
}

CHECKED static bool strip_json(const Check *c, FrameSource *source, int64_t e, int camera,
                               json_t *strips, Error *err) {
    const Feature *f = c->ds->cameras[camera];
    const Episode *episode = &c->ds->episodes[e];
    Image image = {f->height, f->width, mem_alloc(image_rgb_bytes(f->height, f->width))};
    json_t *frames = json_array(), *strip = json_object();
    int64_t chosen[STRIP];
    const int n = choose_frames(c, episode, f->name, chosen);
    bool ok = true;
    for (int k = 0; ok && k < n; k++) {
        char *url;
        ok = frame_source_read(source, camera, episode, chosen[k], image.rgb, err) &&
             jpeg_url_of(&image, STRIP_WIDTH, &url, err);
        if (!ok) break;
        json_array_append_new(frames,
                              json_pack("{s:I, s:s}", "frame", (json_int_t)chosen[k], "jpeg", url));
        mem_free(url);
    }
    json_object_set_new(strip, "camera", describe_path(f->name));
    json_object_set_new(strip, "frames", frames);
    json_array_append_new(strips, strip);
    image_free(&image);
    return ok;
}

// Frames that cannot be read are left out: that they cannot is a finding.
json_t *page_worst(const Check *c, const Standing *standings) {
    const Dataset *ds = c->ds;
    Ranked *ranked;
    int64_t n = rank_episodes(c, standings, &ranked);
    json_t *list = json_array();
    FrameSource source = {0};
    Error ignored;
    bool frames = c->options->decode != CHECK_DECODE_NONE &&
                  frame_source_open(ds, c->report->source, &source, &ignored);
    for (int64_t i = 0; i < n && i < WORST; i++) {
        const Episode *episode = &ds->episodes[ranked[i].episode];
        json_t *o = json_object(), *strips = json_array();
        for (int k = 0; frames && k < ds->n_cameras; k++)
            (void)!strip_json(c, &source, ranked[i].episode, k, strips, &ignored);
        json_object_set_new(o, "index", json_integer(episode->index));
        set_name(c, o, episode->index);
        json_object_set_new(o, "length", json_integer(episode->length));
        json_object_set_new(o, "curves", curves_json(c, episode));
        json_object_set_new(o, "strips", strips);
        json_array_append_new(list, o);
    }
    frame_source_close(&source);
    mem_free(ranked);
    return list;
}

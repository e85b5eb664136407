// SPDX-License-Identifier: Apache-2.0
// What the page shows beside the report.
#include "check/page_data.h"
#include "check/thumbs.h"

#include "dataset/arms.h"
#include "report/describe.h"
#include "report/page.h"
#include <math.h>
#include <stdlib.h>

extern const unsigned char check_page[]; // the template, which the build embeds

enum {
    BARS = 32,           // of a distribution
    LENGTHS_MOST = 5000, // episodes whose length is drawn, and whose ends are
    ENDS_MOST = 2500,
    ENDS_VALUES = 32 // values of a row
};

json_t *page_number(double x) {
    if (!isfinite(x)) return json_null();
    if (x == 0) return json_integer(0);
    double power = pow(10, 5 - ceil(log10(fabs(x))));
    return json_real(round(x * power) / power);
}

json_t *page_row(const Vector *v, int64_t row, int most) {
    json_t *list = json_array();
    for (int d = 0; d < v->n && d < most; d++)
        json_array_append_new(list, page_number(value_at(v, row, d)));
    return list;
}

// ---- how episodes stand -------------------------------------------------------------------------

typedef struct Place {
    int64_t index, position;
} Place;

static int compare_places(const void *a, const void *b) {
    const Place *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

Standing *page_standings(const Check *c) {
    static const double weights[] = {1, 10, 100};
    const int64_t n = c->ds->n_episodes;
    Standing *standings = NEW(Standing, n + 1);
    Place *places = NEW(Place, n + 1);
    for (int64_t e = 0; e < n; e++) {
        standings[e].worst = -1;
        places[e] = (Place){c->ds->episodes[e].index, e};
    }
    if (n > 1) qsort(places, (size_t)n, sizeof *places, compare_places);
    for (int64_t i = 0; i < c->report->count; i++) {
        const CheckFinding *f = &c->report->findings[i];
        const Place wanted = {f->episode, 0};
        const Place *place =
            f->episode < 0 ? NULL
                           : bsearch(&wanted, places, (size_t)n, sizeof *places, compare_places);
        if (!place) continue; // of the whole dataset, or of an episode that cannot be opened
        Standing *s = &standings[place->position];
        const CheckSeverity severity = check_rules[f->rule].severity;
        s->score += weights[severity];
        s->findings++;
        if ((int)severity > s->worst) s->worst = (int)severity;
    }
    mem_free(places);
    return standings;
}

// ---- lengths, begins and ends -------------------------------------------------------------------

// Every so many episodes of so many that `most` of them are drawn; those with an error or a warning
// too, where they are no more than that.
typedef struct Thinning {
    int64_t apart;
    bool flagged;
} Thinning;

static int64_t count_touched(const Check *c, const Standing *standings) {
    int64_t n = 0;
    for (int64_t e = 0; e < c->ds->n_episodes; e++) n += standings[e].worst > CHECK_NOTE;
    return n;
}

static Thinning thin_to(const Check *c, const Standing *standings, int64_t most) {
    const int64_t n = c->ds->n_episodes;
    return (Thinning){(n + most - 1) / most, count_touched(c, standings) <= most};
}

static bool is_drawn(const Thinning *t, int64_t e, const Standing *s) {
    return e % t->apart == 0 || (t->flagged && s->worst > CHECK_NOTE);
}

// {"index": [...], "length": [...]}
static json_t *lengths_json(const Check *c, const Standing *standings) {
    const Thinning thin = thin_to(c, standings, LENGTHS_MOST);
    json_t *index = json_array(), *length = json_array();
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        if (!is_drawn(&thin, e, &standings[e])) continue;
        json_array_append_new(index, json_integer(c->ds->episodes[e].index));
        json_array_append_new(length, json_integer(c->ds->episodes[e].length));
    }
    return json_pack("{s:o, s:o}", "index", index, "length", length);
}

// {"index": [...], "worst": [...], "names": [...], "start": [[...]], "end": [[...]]}: the first and
// the last state, or action where there is no state.
static json_t *ends_json(const Check *c, const Standing *standings) {
    const Dataset *ds = c->ds;
    const Vector *v = c->state.n > 0 ? &c->state : &c->action;
    json_t *index = json_array(), *names = json_array(), *start = json_array(), *end = json_array();
    json_t *worst = json_array();
    const Thinning thin = thin_to(c, standings, ENDS_MOST);
    for (int d = 0; d < v->n && d < ENDS_VALUES; d++)
        json_array_append_new(names, describe_path(v->dims[d].name));
    for (int64_t e = 0; e < ds->n_episodes && v->n > 0; e++) {
        const Episode *episode = &ds->episodes[e];
        if (!is_drawn(&thin, e, &standings[e])) continue;
        json_array_append_new(index, json_integer(episode->index));
        json_array_append_new(worst, json_integer(standings[e].worst));
        json_array_append_new(start, page_row(v, episode->first_row, ENDS_VALUES));
        json_array_append_new(end,
                              page_row(v, episode->first_row + episode->length - 1, ENDS_VALUES));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "index", index, "worst", worst, "names", names,
                     "start", start, "end", end);
}

// ---- how values are distributed -----------------------------------------------------------------

static json_t *dim_json(const Check *c, const Vector *v, int d) {
    const Dim *dim = &v->dims[d];
    int64_t counts[BARS] = {0};
    json_t *list = json_array();
    for (int64_t row = 0; row < c->ds->rows && dim->max > dim->min; row++) {
        double at = (value_at(v, row, d) - dim->min) / (dim->max - dim->min) * BARS;
        counts[at >= BARS ? BARS - 1 : (int)at]++;
    }
    for (int i = 0; i < BARS; i++) json_array_append_new(list, json_integer(counts[i]));
    json_t *o = json_object();
    json_object_set_new(o, "name", describe_path(dim->name));
    json_object_set_new(o, "low", page_number(dim->min));
    json_object_set_new(o, "high", page_number(dim->max));
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

// ---- the whole ----------------------------------------------------------------------------------

// Which frames the findings about pictures go by; null without cameras.
static json_t *looked_json(const Check *c) {
    static const char *const texts[] = {"none looked at", "eight moments an episode",
                                        "every frame"};
    return c->ds->n_cameras > 0 ? json_string(texts[c->options->decode]) : json_null();
}

static void set_dataset(Check *c, json_t *o) {
    const Dataset *ds = c->ds;
    Error ignored;
    if (!arms_detect(ds, false, &c->arms, &ignored)) c->arms = 0;
    series_gather(c);
    Standing *standings = page_standings(c);
    const CheckThumbs *thumbs = c->report->thumbs;
    json_t *cameras = json_array();
    for (int k = 0; thumbs && k < thumbs->cameras; k++)
        json_array_append_new(cameras, describe_path(ds->cameras[k]->name));
    json_object_set_new(o, "root", describe_path(ds->root));
    json_object_set_new(o, "robot", describe_path(ds->robot_type ? ds->robot_type : ""));
    const CheckSource *source = c->report->source;
    json_object_set_new(
        o, "format",
        describe_path(source ? source->form : arena_printf(&c->arena, "LeRobot %s", ds->version)));
    json_object_set_new(o, "source", json_boolean(source != NULL));
    json_object_set_new(o, "looked", looked_json(c));
    json_object_set_new(o, "fps", json_real(ds->fps));
    json_object_set_new(o, "arms", json_integer(c->arms));
    json_object_set_new(o, "touched", json_integer(count_touched(c, standings)));
    json_object_set_new(o, "cameras", cameras);
    json_object_set_new(o, "moments", json_integer(thumbs ? thumbs->moments : 0));
    json_object_set_new(o, "cells", page_cells(c, standings));
    json_object_set_new(o, "lengths", lengths_json(c, standings));
    json_object_set_new(o, "ends", ends_json(c, standings));
    json_object_set_new(o, "dims", dims_json(c));
    json_object_set_new(o, "worst", page_worst(c, standings));
    mem_free(standings);
}

bool check_write_page(const Dataset *ds, const CheckOptions *options, CheckReport *report,
                      const char *path, Error *err) {
    Check c = {.ds = ds, .options = options, .report = report};
    json_t *o = json_object();
    if (ds) set_dataset(&c, o);
    json_object_set_new(o, "tact", json_string(TACT_VERSION));
    json_object_set_new(o, "checked", describe_time(time(NULL)));
    json_object_set_new(o, "report", page_report(ds, report, FINDINGS_OF_RULE));
    bool ok = page_write(path, check_page, o, err);
    json_decref(o);
    arena_free(&c.arena);
    return ok;
}

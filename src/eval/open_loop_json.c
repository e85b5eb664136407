// SPDX-License-Identifier: Apache-2.0
#include "eval/open_loop.h"

#include "eval/describe.h"
#include "pose/pose.h"
#include <stddef.h>
#include <string.h>

// Keys of a Summary and where they stand in it.
static const struct {
    const char *key;
    size_t offset;
} parts[] = {{"mean", offsetof(Summary, mean)},
             {"median", offsetof(Summary, median)},
             {"p95", offsetof(Summary, p95)},
             {"p99", offsetof(Summary, p99)},
             {"max", offsetof(Summary, max)}};
enum { PARTS = sizeof parts / sizeof parts[0] };

static double part_of(const Summary *s, int part) {
    return *(const double *)((const char *)s + parts[part].offset);
}

static json_t *summary_json(const Summary *s) {
    json_t *o = json_pack("{s:I}", "count", (json_int_t)s->count);
    for (int i = 0; i < PARTS; i++)
        json_object_set_new(o, parts[i].key, describe_number(part_of(s, i)));
    return o;
}

// Every part as a list over the steps.
static json_t *horizon_json(const Summary *s, int S) {
    json_t *o = json_object();
    for (int i = 0; i < PARTS; i++) {
        json_t *list = json_array();
        for (int k = 0; k < S; k++) json_array_append_new(list, describe_number(part_of(&s[k], i)));
        json_object_set_new(o, parts[i].key, list);
    }
    return o;
}

static json_t *measure_json(const EvalResult *r, int m) {
    const Measure *measure = &r->measures.of[m];
    json_t *counts = json_array();
    for (int k = 0; k < r->S; k++)
        json_array_append_new(counts, json_integer(r->error[m * r->S + k].count));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "name", measure->name, "unit",
                     measure->unit, "policy", summary_json(&r->error_all[m]), "stay",
                     summary_json(&r->stay_all[m]), "windows_by_step", counts, "policy_by_step",
                     horizon_json(r->error + m * r->S, r->S), "stay_by_step",
                     horizon_json(r->stay + m * r->S, r->S));
}

// The mean of each measure, by the measure's name.
static json_t *means_json(const Measures *m, const double *means) {
    json_t *o = json_object();
    for (int i = 0; i < m->count; i++)
        json_object_set_new(o, m->of[i].name, describe_number(means[i]));
    return o;
}

static json_t *episode_json(const EvalResult *r, const EvalEpisode *e) {
    return json_pack("{s:I, s:I, s:I, s:s, s:o, s:o}", "index", (json_int_t)e->index, "frames",
                     (json_int_t)e->length, "windows", (json_int_t)e->windows, "training",
                     eval_seen_name(e->seen), "policy", means_json(&r->measures, e->error), "stay",
                     means_json(&r->measures, e->stay));
}

static json_t *window_json(const EvalResult *r, const EvalWindow *w) {
    return json_pack("{s:I, s:I, s:I, s:i, s:o, s:o}", "episode",
                     (json_int_t)r->episodes[w->episode].index, "frame", (json_int_t)w->frame,
                     "index", (json_int_t)dataset_index_of(r->dataset, w->row), "steps", w->valid,
                     "policy", means_json(&r->measures, w->error), "stay",
                     means_json(&r->measures, w->stay));
}

static json_t *dimensions_json(const EvalResult *r) {
    json_t *list = json_array();
    for (int i = 0; i < r->A; i++) {
        const EvalDimension *d = &r->dimensions[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:s}", "name", json_bytes(d->name), "l1",
                            describe_number(d->l1), "mse", describe_number(d->mse), "stay_l1",
                            describe_number(d->stay_l1), "stay_mse", describe_number(d->stay_mse),
                            "unit", eval_unit(r, i)));
    }
    return list;
}

// How many latencies fall into which interval; the slowest hundredth is left out.
static json_t *histogram_json(const EvalResult *r) {
    enum { BINS = 24 };
    double low = r->latencies[0], high = r->latency.p99;
    double margin = high > low ? 0.02 * (high - low) : 0.5;
    int64_t counts[BINS] = {0};
    low -= margin;
    high += margin;
    for (int64_t i = 0; i < r->latency.count; i++) {
        int bin = (int)((r->latencies[i] - low) / (high - low) * BINS);
        if (bin < BINS) counts[bin]++;
    }
    json_t *list = json_array();
    for (int i = 0; i < BINS; i++) json_array_append_new(list, json_integer(counts[i]));
    return json_pack("{s:f, s:f, s:o}", "from", low, "to", high, "counts", list);
}

static json_t *latency_json(const EvalResult *r) {
    json_t *latency = summary_json(&r->latency);
    json_object_set_new(latency, "first", describe_number(r->first_latency));
    if (r->latency.count > 0) json_object_set_new(latency, "histogram", histogram_json(r));
    return latency;
}

// Which data the policy was trained on.
static json_t *trained_on_json(const EvalTraining *t) {
    const char *name = t->repo_id ? t->repo_id : t->root;
    return json_pack("{s:b, s:b, s:o}", "known", t->known, "same_dataset", t->same_dataset,
                     "dataset", name ? describe_path(name) : json_null());
}

const char *eval_unit(const EvalResult *r, int dimension) {
    int at = dimension % POSE_ROW;
    return r->arms == 0 || at == 6 ? "" : at < 3 ? "m" : "rad";
}

json_t *eval_to_json(const EvalResult *r) {
    json_t *measures = json_array(), *episodes = json_array(), *worst = json_array();
    for (int m = 0; m < r->measures.count; m++) json_array_append_new(measures, measure_json(r, m));
    for (int64_t i = 0; i < r->dataset->n_episodes; i++)
        json_array_append_new(episodes, episode_json(r, &r->episodes[i]));
    for (int i = 0; i < r->n_worst; i++) json_array_append_new(worst, window_json(r, &r->worst[i]));
    return json_pack(
        "{s:i, s:s, s:s, s:o, s:{s:o, s:o, s:f}, s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:o, "
        "s:o, s:f, s:s, s:o}",
        "version", 1, "kind", "open_loop", "tact", TACT_VERSION, "policy",
        describe_policy(r->policy_dir, r->training.step, &r->config.policy), "dataset", "root",
        describe_path(r->dataset->root), "repo_id", describe_path(r->dataset->repo_id), "fps",
        r->dataset->fps, "stride", (json_int_t)r->stride, "windows", (json_int_t)r->windows,
        "frames", (json_int_t)r->frames, "stay_holds", r->stays, "measures", measures, "dimensions",
        dimensions_json(r), "episodes", episodes, "worst", worst, "latency_ms", latency_json(r),
        "seconds", r->seconds, "headline", r->measures.of[r->measures.headline].name, "trained_on",
        trained_on_json(&r->training));
}

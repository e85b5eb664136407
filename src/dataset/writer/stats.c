// SPDX-License-Identifier: Apache-2.0
// Statistics: what they are made of, and meta/stats.json.
#include "dataset/writer/writer_state.h"

#include "formats/json.h"

// ---- of vectors ---------------------------------------------------------------------------------

int writer_stats_dim(const WriterFeature *f) {
    return f->rank > 1 ? (int)f->shape[f->rank - 1] : f->dim;
}

int64_t writer_stats_values(const DatasetWriter *w, const WriterFeature *f, int64_t episode, int j,
                            double *out) {
    const WriterEpisode *e = &w->episodes[episode];
    int64_t n = 0;
    for (int64_t row = e->from; row < e->from + e->length; row++)
        for (int i = j; i < f->dim; i += writer_stats_dim(f))
            out[n++] = writer_value(w, f, episode, row, i);
    return n;
}

// ---- of cameras ---------------------------------------------------------------------------------

void dataset_writer_pixels(DatasetWriter *w, int camera, const PixelCounts *p) {
    pixels_sum(&w->pixels[camera], p);
}

void dataset_writer_camera_stats(DatasetWriter *w, int camera, json_t *stats) {
    json_decref(w->camera_stats[camera]);
    w->camera_stats[camera] = json_incref(stats);
}

void dataset_writer_episode_camera(DatasetWriter *w, int64_t episode, int camera,
                                   const CameraStats *s) {
    w->episodes[episode].cameras[camera] = *s;
}

void writer_end_pixels(DatasetWriter *w, int64_t episode) {
    for (int c = 0; c < w->o.n_cameras; c++) {
        const CameraStats s = camera_stats(&w->counting[c]);
        dataset_writer_episode_camera(w, episode, c, &s);
        dataset_writer_pixels(w, c, &w->counting[c]);
        w->counting[c] = (PixelCounts){0};
    }
}

bool writer_has_camera_stats(const DatasetWriter *w, int camera) {
    const int n = w->episodes[0].cameras[camera].n_channels;
    for (int64_t e = 0; e < w->n_episodes; e++) {
        const CameraStats *s = &w->episodes[e].cameras[camera];
        if (s->frames == 0 || s->n_channels != n) return false;
    }
    return true;
}

// ---- stats.json -------------------------------------------------------------------------------

// Puts `value` at root[key], inside `nesting` arrays of one, appended to what is there.
static void append_value(json_t *root, const char *key, double value, int nesting) {
    json_t *list = json_object_get(root, key);
    if (!list) {
        list = json_array();
        json_object_set_new(root, key, list);
    }
    json_t *item = json_real(value);
    for (int i = 0; i < nesting; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, item);
        item = outer;
    }
    json_array_append_new(list, item);
}

static void append_stats(json_t *feature, const ValueStats *s, int nesting) {
    append_value(feature, "min", s->min, nesting);
    append_value(feature, "max", s->max, nesting);
    append_value(feature, "mean", s->mean, nesting);
    append_value(feature, "std", s->std, nesting);
    for (int q = 0; q < N_QUANTILES; q++)
        append_value(feature, quantile_names[q], s->quantiles[q], nesting);
}

static void set_stats_count(json_t *feature, int64_t count) {
    json_t *list = json_array();
    json_array_append_new(list, json_integer(count));
    json_object_set_new(feature, "count", list);
}

static json_t *vector_json(const DatasetWriter *w, const WriterFeature *f) {
    const int dim = writer_stats_dim(f);
    json_t *feature = json_object();
    double *values = NEW(double, w->rows *(f->dim / dim));
    for (int j = 0; j < dim; j++) {
        int64_t n = 0;
        for (int64_t e = 0; e < w->n_episodes; e++)
            n += writer_stats_values(w, f, e, j, values + n);
        ValueStats s = value_stats(values, n);
        append_stats(feature, &s, 0);
    }
    mem_free(values);
    set_stats_count(feature, w->rows);
    return feature;
}

// NULL: nothing is known of its frames.
static json_t *camera_json(const DatasetWriter *w, int camera) {
    if (w->camera_stats[camera]) return json_incref(w->camera_stats[camera]);
    CameraStats s = camera_stats(&w->pixels[camera]);
    if (s.frames == 0 && writer_has_camera_stats(w, camera))
        for (int64_t e = 0; e < w->n_episodes; e++)
            s = camera_stats_join(&s, &w->episodes[e].cameras[camera]);
    if (s.frames == 0) return NULL;
    json_t *feature = json_object();
    for (int c = 0; c < s.n_channels; c++) append_stats(feature, &s.channels[c], 2);
    set_stats_count(feature, s.frames);
    return feature;
}

bool writer_write_stats(DatasetWriter *w, Error *err) {
    json_t *root = json_object();
    for (int i = 0; i < w->n_features; i++)
        json_object_set_new_nocheck(root, w->features[i].name, vector_json(w, &w->features[i]));
    for (int c = 0; c < w->o.n_cameras; c++) {
        json_t *feature = camera_json(w, c);
        if (feature) json_object_set_new_nocheck(root, w->o.cameras[c].name, feature);
    }
    const char *path = arena_printf(&w->arena, "%s/meta/stats.json", w->temporary);
    bool ok = json_write(path, root, 4, err);
    json_decref(root);
    return ok;
}

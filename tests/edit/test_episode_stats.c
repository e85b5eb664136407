// SPDX-License-Identifier: Apache-2.0
// The statistics of cameras that an edited dataset has, of single episodes and of all.
#include "../dataset/folder_fixture.h"
#include "dataset/episode_stats.h"
#include "edit/edit.h"

#include "../ok.h"

static const SampleOptions sample = {
    .episodes = 3, .frames = 20, .height = 64, .width = 96, .cameras = 2, .fps = 10};

static Dataset *open_source(const char *root) {
    Error err;
    Dataset *ds;
    const DatasetOptions o = {.root = root, .need_videos = true, .depth_maps = true};
    OK(dataset_open(&o, &ds, &err));
    return ds;
}

static const char *write_source(Fixture *f, const char *name, uint64_t seed) {
    Error err;
    SampleOptions o = sample;
    o.root = at(&f->arena, f->dir, name);
    o.seed = seed;
    OK(sample_dataset_write(&o, &err));
    return o.root;
}

// The first episodes of each source, the very first without its first rows where `cut`.
static Dataset *edit_all(Fixture *f, Dataset *const *sources, int n, int64_t episodes, bool cut,
                         const char *name) {
    Error err;
    EditResult result;
    EditPiece pieces[16];
    EditOptions o = {.sources = sources,
                     .n_sources = n,
                     .pieces = pieces,
                     .root = at(&f->arena, f->dir, name),
                     .threads = 2};
    for (int s = 0; s < n; s++)
        for (int64_t e = 0; e < episodes; e++)
            pieces[o.n_pieces++] =
                (EditPiece){.source = s, .episode = e, .length = sources[s]->episodes[e].length};
    if (cut) pieces[0].first = 7, pieces[0].length -= 7;
    OK(edit_write(&o, &result, &err));
    return open_source(o.root);
}

static EpisodeStats stats_of(const Dataset *ds, int camera) {
    Error err;
    EpisodeStats s;
    const Feature *f = ds->cameras[camera];
    OK(episode_stats_read(ds, &f, 1, &s, &err));
    return s;
}

static void assert_same(const EpisodeStats *a, int64_t x, const EpisodeStats *b, int64_t y) {
    const size_t size = sizeof(double) * (size_t)a->dim;
    assert_int_equal(a->dim, b->dim);
    x *= a->dim, y *= a->dim;
    assert_memory_equal(a->min + x, b->min + y, size);
    assert_memory_equal(a->max + x, b->max + y, size);
    assert_memory_equal(a->mean + x, b->mean + y, size);
    assert_memory_equal(a->std + x, b->std + y, size);
    for (int q = 0; q < N_QUANTILES; q++)
        assert_memory_equal(a->quantiles[q] + x, b->quantiles[q] + y, size);
    assert_true(a->count[x / a->dim] == b->count[y / a->dim]);
}

// Of eight frames of an episode, and of about the brightness that another statistic says.
static void assert_counted(const EpisodeStats *s, int64_t e, const double *means) {
    assert_true(s->count[e] == 8);
    for (int64_t c = 3 * e; c < 3 * e + 3; c++) {
        assert_true(s->min[c] >= 0 && s->max[c] <= 1 && s->std[c] > 0);
        assert_within(s->mean[c], means[c - 3 * e], 0.05);
        assert_true(s->quantiles[0][c] <= s->quantiles[2][c]);
        assert_true(s->quantiles[2][c] <= s->quantiles[4][c]);
    }
}

static void test_whole_and_cut(void **state) {
    Fixture *f = *state;
    Dataset *old = open_source(write_source(f, "old", 3));
    Dataset *new = edit_all(f, &old, 1, 3, true, "new");
    for (int c = 0; c < 2; c++) {
        EpisodeStats a = stats_of(old, c), b = stats_of(new, c);
        assert_true(a.count[1] == 6); // of 21 frames every fourth
        for (int e = 1; e < 3; e++) assert_same(&a, e, &b, e);
        assert_counted(&b, 0, a.mean);
        episode_stats_free(&a);
        episode_stats_free(&b);
    }
    dataset_close(old);
    dataset_close(new);
}

// A line of v2.1's statistics: all values are x, and quantiles where there are to be some.
static void add_line(FILE *lines, const char *camera, int episode, double x, bool quantiles) {
    static const char *const names[] = {"min", "max", "mean", "std", "q01",
                                        "q10", "q50", "q90",  "q99"};
    fprintf(lines, "{\"episode_index\": %d, \"stats\": {\"%s\": {\"count\": [%d]", episode, camera,
            7 + episode);
    for (int k = 0; k < (quantiles ? 9 : 4); k++)
        fprintf(lines, ", \"%s\": [[[%g]], [[%g]], [[%g]]]", names[k], x, x, x);
    fprintf(lines, "}}}\n");
}

// As a v2.1 dataset, whose second camera is a depth map or not.
static Dataset *open_v21(Fixture *f, const char *name, bool depth, const double *values,
                         bool quantiles) {
    const char *v30 = write_source(f, at(&f->arena, name, "v30"), 5);
    const char *root = at(&f->arena, f->dir, name);
    Dataset *ds = open_source(v30);
    v21_write(root, v30, ds);
    FILE *lines = fopen(at(&f->arena, root, "meta/episodes_stats.jsonl"), "w");
    assert_non_null(lines);
    for (int e = 0; e < 3; e++)
        add_line(lines, ds->cameras[1]->name, e, values[e], quantiles && e < 2);
    assert_int_equal(fclose(lines), 0);
    if (depth)
        edit_feature(root, ds->cameras[1]->name, "info", json_pack("{s:b}", "is_depth_map", 1));
    dataset_close(ds);
    return open_source(root);
}

// What cannot be the statistics of an image, or is not whole, is not taken over.
static void test_odd_ones(void **state) {
    Fixture *f = *state;
    const double values[] = {0.5, 255, 0.5};
    Dataset *old = open_v21(f, "old", false, values, true),
            *as_written = open_source(at(&f->arena, f->dir, "old/v30"));
    Dataset *new = edit_all(f, &old, 1, 3, false, "new");
    EpisodeStats a = stats_of(old, 1), b = stats_of(new, 1), right = stats_of(as_written, 1);
    assert_same(&a, 0, &b, 0);
    assert_true(b.count[0] == 7 && b.mean[2] == 0.5 && b.quantiles[4][1] == 0.5);
    for (int e = 1; e < 3; e++) assert_counted(&b, e, right.mean + 3 * e);
    episode_stats_free(&a);
    episode_stats_free(&b);
    episode_stats_free(&right);
    dataset_close(old);
    dataset_close(new);
    dataset_close(as_written);
}

static double stat(const Dataset *ds, const char *kind) {
    const json_t *item = json_object_get(json_object_get(ds->stats, ds->cameras[1]->name), kind);
    assert_non_null(item);
    while (json_is_array(item)) item = json_array_get(item, 0);
    return json_number_value(item);
}

// Nobody decodes a depth map: what the sources say of the episodes is put together.
static void test_depth(void **state) {
    Fixture *f = *state;
    const double near[] = {500, 900, 700}, far[] = {2000, 3000, 7000};
    Dataset *all[] = {open_v21(f, "a", true, near, true), open_v21(f, "b", true, far, true)};
    // Of the third episodes quantiles are missing.
    Dataset *new = edit_all(f, all, 2, 2, true, "new");
    EpisodeStats s = stats_of(new, 1);
    assert_true(s.mean[0] == 500 && s.mean[3 * 3] == 3000 && s.count[3] == 8);
    assert_true(stat(new, "min") == 500 && stat(new, "max") == 3000 && stat(new, "count") == 30);
    const double mean = (7 * 500.0 + 8 * 900 + 7 * 2000 + 8 * 3000) / 30;
    assert_within(stat(new, "mean"), mean, 1e-9);
    assert_within(stat(new, "q90"), mean, 1e-9);
    double squares = 0; // each episode's std is its mean
    for (int e = 0; e < 2; e++)
        squares += (7 + e) * (pow(near[e], 2) + pow(near[e] - mean, 2) + pow(far[e], 2) +
                              pow(far[e] - mean, 2));
    assert_within(stat(new, "std"), sqrt(squares / 30), 1e-9);
    episode_stats_free(&s);
    dataset_close(new);
    // Where an episode lacks some, one dataset's own stay, and several have none together.
    new = edit_all(f, all, 1, 3, false, "one");
    assert_within(stat(new, "mean"), stat(all[0], "mean"), 1e-9);
    dataset_close(new);
    new = edit_all(f, all, 2, 3, false, "two");
    assert_null(json_object_get(new->stats, new->cameras[1]->name));
    assert_non_null(json_object_get(new->stats, new->cameras[0]->name));
    dataset_close(new);
    for (int i = 0; i < 2; i++) dataset_close(all[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_and_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_depth, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

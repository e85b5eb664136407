// SPDX-License-Identifier: Apache-2.0
// Which rows belong to an episode: their numbers decide, whatever the tables of files say. Also
// recordings that broke off, and the order and the statistics of v2.1 and v2.0.
#include "base/rng.h"
#include "dataset/reader/data_files.h"

#include "folder_fixture.h"

static char *data_file(Fixture *f, int number) {
    return arena_printf(&f->arena, "%s/data/chunk-000/file-%03d.parquet", f->root, number);
}

static void assert_all_rows(const char *root) {
    Dataset *ds = open_all(root);
    assert_int_equal(ds->rows, TINY_ROWS);
    for (int64_t r = 0; r < ds->rows; r++) {
        assert_int_equal(dataset_index_of(ds, r), r);
        if (!(ds->state_data[2 * r + 1] == tiny_state(r, 1) &&
              ds->action_data[r] == tiny_action(r)))
            fail_msg("row %d holds another one's values", (int)r);
    }
    dataset_close(ds);
}

// Rows of the tiny dataset in the files first[0] .. first[1]-1, first[1] .. first[2]-1, ...
static void split_data(Fixture *f, const int64_t *first, int n_files) {
    for (int i = 0; i < n_files; i++)
        tiny_data(data_file(f, i), first[i], first[i + 1], TINY_GOOD, false);
}

static void stale_file_numbers_do_not_matter(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_STALE, false);
    assert_all_rows(f->root);
    Error err;
    Dataset *ds;
    const int64_t picks[] = {2, 0};
    OK(dataset_open(&(DatasetOptions){.root = f->root, .episodes = picks, .n_episodes = 2}, &ds,
                    &err));
    if (!(ds->action_data[0] == tiny_action(9) && ds->action_data[6] == tiny_action(0)))
        fail_msg("selected rows");
    dataset_close(ds);
    // An episode lies across three files, which the table does not know.
    split_data(f, (const int64_t[]){0, 6, 10, 11, 15}, 4);
    assert_all_rows(f->root);
    assert_int_equal(unlink(data_file(f, 2)), 0);
    assert_root_refused(f->root, "no data file here holds frames 9 to 14, which episode 2 has",
                        "--dataset.episodes=[0,1]");
}

static void rows_that_no_episode_lists_do_not_matter(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    tiny_data(data_file(f, 1), 9, 18, TINY_GOOD, false); // three rows too many
    assert_all_rows(f->root);
    // A recording that broke off at the end of file 0; the next one counts on from the same number.
    tiny_data(data_file(f, 0), 0, 12, TINY_GOOD, false);
    Dataset *ds = open_all(f->root);
    const Episode *last = &ds->episodes[2];
    assert_string_equal(ds->data_files[last->data_file].path, data_file(f, 1));
    assert_int_equal(last->data_row, 0);
    dataset_close(ds);
    assert_all_rows(f->root);
    // Rows in between with other numbers belong to no episode.
    tiny_write(f->root, TINY_INDEX, false);
    assert_root_refused(f->root, "row 6 has index 7", "6 must be");
}

// What a plain look at every file says, in the order of their names.
static int64_t scan_for_file(const Source *s, const Listed *e, const char *named) {
    int64_t found = -1, position = 0;
    for (int64_t i = 0; i < s->n_scanned; i++) {
        const DataFile *f = &s->scanned[i];
        int64_t end = f->first + f->rows, last = i;
        while (end < e->from + e->length && ++last < s->n_scanned && s->scanned[last].first == end)
            end += s->scanned[last].rows;
        if (f->first <= e->from && e->from < f->first + f->rows && end >= e->from + e->length) {
            if (strcmp(f->path, named) == 0) return i;
            if (found < 0 || f->first == position) found = i;
        }
        position += f->rows;
    }
    return found;
}

// Files that go on counting, that begin again at a number before, and that leave numbers out.
static void draw_files(Source *s, Arena *arena, DataFile *files, RngStream *rng) {
    int64_t next = 0;
    for (int64_t i = 0; i < s->n_scanned; i++) {
        uint64_t kind = rng_below(rng, 6);
        if (kind == 0) next = (int64_t)rng_below(rng, (uint64_t)next + 1);
        if (kind == 1) next += 1 + (int64_t)rng_below(rng, 5);
        files[i] = (DataFile){.path = arena_printf(arena, "set/data/%03d", (int)i),
                              .first = next,
                              .rows = 1 + (int64_t)rng_below(rng, 12)};
        next += files[i].rows;
    }
    s->scanned = files;
    data_files_index(s);
}

static void files_are_found_as_by_looking_at_every_one(void **state) {
    (void)state;
    enum { MOST = 60 };
    RngStream rng = {.key = {.seed = 8}};
    int there = 0, missing = 0, named = 0;
    for (int round = 0; round < 200; round++) {
        DataFile files[MOST];
        Dataset ds = {.root = "set"};
        Source s = {.ds = &ds, .v30 = true, .data_template = "data/{file_index:03d}"};
        s.n_scanned = (int64_t)rng_below(&rng, MOST);
        draw_files(&s, &s.scratch, files, &rng);
        for (int64_t from = 0; from < 150; from++) {
            Listed e = {.from = from, .length = 1 + (int64_t)rng_below(&rng, 20)};
            e.file = (int64_t)rng_below(&rng, MOST);
            const char *path = arena_printf(&s.scratch, "set/data/%03d", (int)e.file);
            int64_t wanted = scan_for_file(&s, &e, path);
            assert_int_equal(data_files_find(&s, &e), wanted);
            there += wanted >= 0;
            missing += wanted < 0;
            named += wanted == e.file;
        }
        arena_free(&s.scratch);
    }
    assert_true(there > 1000 && missing > 1000 && named > 100);
}

static void what_a_broken_recording_left_is_usable(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    edit_info(f->root, "total_episodes", json_integer(5));
    edit_info(f->root, "total_frames", json_integer(40));
    assert_root_refused(f->root, "5 episodes with 40 frames", "--dataset.episodes=[0,1,2]");
    tiny_data(data_file(f, 1), 9, 12, TINY_GOOD, false);
    assert_root_refused(f->root, "broke off", "--dataset.episodes=[0,1]");
    Error err;
    Dataset *ds;
    const int64_t picks[] = {0, 1};
    OK(dataset_open(&(DatasetOptions){.root = f->root, .episodes = picks, .n_episodes = 2}, &ds,
                    &err));
    assert_int_equal(ds->rows, 9);
    if (!(ds->action_data[8] == tiny_action(8))) fail_msg("rows of what is left");
    dataset_close(ds);
}

static void labels_of_another_version_are_named(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    edit_info(f->root, "codebase_version", json_string("v2.1"));
    assert_root_refused(f->root, "says v2.1, but the files are v3.0's", "\"v3.0\"");
    Error err;
    OK(remove_tree(at(&f->arena, f->root, "meta/episodes"), &err));
    OK(file_write(at(&f->arena, f->root, "meta/episodes.jsonl"), "{}\n", 3, &err));
    edit_info(f->root, "codebase_version", json_string("v3.0"));
    assert_root_refused(f->root, "says v3.0, but the files are v2.1's", "\"v2.1\"");
}

// ---- v2.1 -------------------------------------------------------------------------------------

static void write_joints_sample(const Fixture *f, int episodes) {
    Error err;
    const SampleOptions o = {.root = f->root,
                             .episodes = episodes,
                             .frames = 5,
                             .height = 64,
                             .width = 64,
                             .cameras = 1,
                             .fps = 10,
                             .joints = true};
    OK(sample_dataset_write(&o, &err));
}

static void v21_order_and_index_do_not_matter(void **state) {
    Fixture *f = *state;
    Error err;
    write_joints_sample(f, 3);
    char *old = at(&f->arena, f->dir, "old"), *lines = at(&f->arena, old, "meta/episodes.jsonl");
    Dataset *new = open_all(f->root);
    // Every episode's `index` begins at 0, as some recorders write it.
    for (int64_t e = 0; e < new->n_episodes; e++) new->episodes[e].first_index = 0;
    v21_write(old, f->root, new);
    FILE *out = fopen(lines, "w");
    assert_non_null(out);
    const int order[] = {2, 0, 1};
    for (int i = 0; i < 3; i++)
        fprintf(out, "\n{\"episode_index\": %d, \"tasks\": [\"task %d\"], \"length\": %d}\n",
                order[i], order[i], (int)new->episodes[order[i]].length);
    assert_int_equal(fclose(out), 0);
    Dataset *ds = open_all(old);
    assert_int_equal(ds->rows, new->rows);
    assert_memory_equal(ds->state_data, new->state_data, sizeof(float) * 6 * (size_t)ds->rows);
    for (int64_t r = 0; r < ds->rows; r++) assert_int_equal(dataset_index_of(ds, r), r);
    assert_string_equal(ds->episodes[1].task, "task 1");
    assert_int_equal(ds->episodes[2].length, new->episodes[2].length);
    dataset_close(ds);
    dataset_close(new);
    static const char twice[] = "{\"episode_index\": 0, \"length\": 5}\n"
                                "{\"episode_index\": 0, \"length\": 5}\n";
    OK(file_write(lines, twice, sizeof twice - 1, &err));
    assert_root_refused(old, "episodes.jsonl: line 2", "episode 0 a second time");
}

static double number_at(const json_t *stats, const char *feature, const char *kind, size_t i) {
    const json_t *v = json_array_get(json_object_get(json_object_get(stats, feature), kind), i);
    while (json_is_array(v)) v = json_array_get(v, 0);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

// Weighted by the counts: the mean is (10 * 1 + 30 * 4) / 40. The variance is the mean of the
// episodes' own variances and of the squared distances of their means from that mean.
// Several threads read files. Of those that are wrong the first is named, whoever comes to it when;
// one without its episode's rows says what can be done.
static void the_first_wrong_file_is_named(void **state) {
    Fixture *f = *state;
    Error err;
    write_joints_sample(f, 3);
    char *old = at(&f->arena, f->dir, "old");
    Dataset *new = open_all(f->root);
    v21_write(old, f->root, new);
    const char *data[3];
    for (int i = 0; i < 3; i++)
        data[i] = arena_printf(&f->arena, "%s/data/chunk-%03d/episode_%06d.parquet", old, i / 2, i);
    for (int i = 1; i < 3; i++) OK(file_write(data[i], "PAR1 and no table PAR1", 22, &err));
    for (int i = 0; i < 30; i++) assert_root_refused(old, data[1], "damaged");
    Episode other = new->episodes[1], cut = other;
    other.index = 0;
    v21_data(data[1], new, &other);
    assert_root_refused(old, data[1], "row 0 has episode_index 0 where 1 must be");
    cut.length -= 2;
    v21_data(data[1], new, &cut);
    for (int i = 0; i < 30; i++)
        assert_root_refused(old, data[1],
                            "choose the episodes that are here: --dataset.episodes=[0]");
    dataset_close(new);
}

static void v21_statistics_are_put_together(void **state) {
    Fixture *f = *state;
    Error err;
    write_joints_sample(f, 2);
    char *old = at(&f->arena, f->dir, "old");
    Dataset *ds = open_all(f->root);
    v21_write(old, f->root, ds);
    dataset_close(ds);
    static const char lines[] =
        "{\"episode_index\": 1, \"stats\": {\"action\": {\"min\": [0, -5], \"max\": [6, NaN], "
        "\"mean\": [4, 2], \"std\": [1, 0], \"count\": [30]}, \"camera\": {\"min\": [[[0.5]]], "
        "\"max\": [[[1]]], \"mean\": [[[0.75]]], \"std\": [[[0.5]]], \"count\": [4]}, "
        "\"odd\": {\"min\": [1], \"max\": [1], \"mean\": [1], \"std\": [0], \"count\": [1]}}}\n"
        "{\"episode_index\": 0, \"stats\": {\"action\": {\"min\": [-1, 2], \"max\": [3, 2], "
        "\"mean\": [1, 2], \"std\": [2, 0], \"count\": [10]}, \"camera\": {\"min\": [[[0.25]]], "
        "\"max\": [[[0.5]]], \"mean\": [[[0.25]]], \"std\": [[[0]]], \"count\": [4]}, "
        "\"odd\": {\"min\": [1, 2], \"max\": [1, 2], \"mean\": [1, 2], \"std\": [0, 0], "
        "\"count\": [1]}}}\n";
    OK(file_write(at(&f->arena, old, "meta/episodes_stats.jsonl"), lines, sizeof lines - 1, &err));
    ds = open_all(old);
    const json_t *s = ds->stats;
    assert_string_equal(dataset_stats_name(ds), "meta/episodes_stats.jsonl");
    assert_within(number_at(s, "action", "mean", 0), 3.25, 1e-12);
    assert_within(number_at(s, "action", "std", 0), sqrt(3.4375), 1e-12);
    assert_within(number_at(s, "action", "min", 0), -1, 0);
    assert_within(number_at(s, "action", "max", 0), 6, 0);
    assert_within(number_at(s, "action", "count", 0), 40, 0);
    assert_within(number_at(s, "action", "mean", 1), 2, 0);
    assert_within(number_at(s, "action", "min", 1), -5, 0);
    assert_true(isnan(number_at(s, "action", "max", 1)));
    assert_within(number_at(s, "camera", "mean", 0), 0.5, 1e-12);
    assert_within(number_at(s, "camera", "std", 0), sqrt(0.125 + 0.0625), 1e-12);
    // The nesting stays that of v3.0, and statistics that do not go together are left out.
    const json_t *mean = json_object_get(json_object_get(s, "camera"), "mean");
    assert_true(json_is_array(json_array_get(json_array_get(mean, 0), 0)));
    assert_true(isnan(number_at(s, "odd", "mean", 0)));
    dataset_close(ds);
}

// v2.0 is v2.1 with the statistics of v3.0's file, without counts: rows and frames are the same,
// and what stands in v2.1's file is not looked at.
static void v20_has_the_statistics_of_all_episodes(void **state) {
    Fixture *f = *state;
    Error err;
    write_joints_sample(f, 3);
    char *old = at(&f->arena, f->dir, "old");
    Dataset *new = open_all(f->root);
    v21_write(old, f->root, new);
    edit_info(old, "codebase_version", json_string("v2.0"));
    static const char stats[] =
        "{\"action\": {\"max\": [6, NaN], \"min\": [-1, 2], \"mean\": [3.25, 2], \"std\": [2, 0]}, "
        "\"camera\": {\"max\": [[[1.0]]], \"min\": [[[0.25]]], \"mean\": [[[0.5]]], "
        "\"std\": [[[0.5]]]}}";
    OK(file_write(at(&f->arena, old, "meta/stats.json"), stats, sizeof stats - 1, &err));
    static const char line[] =
        "{\"episode_index\": 0, \"stats\": {\"action\": {\"min\": [9, 9], \"max\": [9, 9], "
        "\"mean\": [9, 9], \"std\": [9, 9], \"count\": [1]}}}\n";
    OK(file_write(at(&f->arena, old, "meta/episodes_stats.jsonl"), line, sizeof line - 1, &err));
    Dataset *ds = open_all(old);
    assert_string_equal(ds->version, "v2.0");
    assert_string_equal(dataset_stats_name(ds), "meta/stats.json");
    assert_within(number_at(ds->stats, "action", "mean", 0), 3.25, 0);
    assert_within(number_at(ds->stats, "action", "min", 1), 2, 0);
    assert_true(isnan(number_at(ds->stats, "action", "max", 1)));
    assert_within(number_at(ds->stats, "camera", "mean", 0), 0.5, 0);
    assert_int_equal(ds->rows, new->rows);
    assert_int_equal(ds->n_cameras, new->n_cameras);
    assert_memory_equal(ds->state_data, new->state_data, sizeof(float) * 6 * (size_t)ds->rows);
    assert_memory_equal(ds->action_data, new->action_data, sizeof(float) * 6 * (size_t)ds->rows);
    assert_string_equal(ds->episodes[2].task, new->episodes[2].task);
    if (!(ds->episodes[2].videos[0].from == 0)) fail_msg("a video an episode");
    dataset_close(ds);
    dataset_close(new);
    OK(remove_tree(at(&f->arena, old, "meta/stats.json"), &err));
    ds = open_all(old);
    assert_null(ds->stats);
    dataset_close(ds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(stale_file_numbers_do_not_matter),
        TEST(rows_that_no_episode_lists_do_not_matter),
        TEST(files_are_found_as_by_looking_at_every_one),
        TEST(what_a_broken_recording_left_is_usable),
        TEST(labels_of_another_version_are_named),
        TEST(v21_order_and_index_do_not_matter),
        TEST(the_first_wrong_file_is_named),
        TEST(v21_statistics_are_put_together),
        TEST(v20_has_the_statistics_of_all_episodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Opening datasets: what is read, and what is selected.
#include "base/rng.h"
#include "dataset/reader/paths.h"

#include "folder_fixture.h"

// ---- reading ----------------------------------------------------------------------------------

static void assert_tiny_rows(const Dataset *ds, int64_t row, int64_t index, int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        assert_int_equal(dataset_index_of(ds, row + k), index + k);
        assert_int_equal(dataset_row_of(ds, index + k), row + k);
        for (int64_t j = 0; j < 2; j++) {
            float expected = tiny_state(index + k, j);
            if (!(ds->state_data[(row + k) * 2 + j] == expected))
                fail_msg("state at row %d", (int)row);
        }
        if (!(ds->action_data[row + k] == tiny_action(index + k))) fail_msg("action");
        if (!(fabs(ds->timestamp[row + k] - (double)k / 10) < 1e-6)) fail_msg("timestamp");
    }
}

static void several_files_are_read(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    Dataset *ds = open_all(f->root);
    assert_int_equal(ds->rows, TINY_ROWS);
    assert_int_equal(ds->n_episodes, TINY_EPISODES);
    assert_int_equal(ds->total_frames, TINY_ROWS);
    assert_string_equal(ds->version, "v3.0");
    assert_string_equal(ds->repo_id, "set");
    assert_null(ds->env);
    assert_null(ds->env_data);
    for (int64_t e = 0; e < TINY_EPISODES; e++) {
        int64_t from = tiny_from[e], n = tiny_from[e + 1] - from;
        assert_int_equal(ds->episodes[e].first_row, from);
        assert_int_equal(ds->episodes[e].length, n);
        assert_int_equal(dataset_episode_of(ds, from + n - 1) - ds->episodes, e);
        assert_tiny_rows(ds, from, from, n);
    }
    assert_int_equal(ds->n_tasks, 2);
    assert_string_equal(ds->episodes[1].task, "second");
    assert_ptr_equal(ds->episodes[0].task, ds->episodes[2].task);
    assert_int_equal(dataset_row_of(ds, TINY_ROWS), -1);
    assert_int_equal(dataset_row_of(ds, -1), -1);
    dataset_close(ds);
}

// A look at a dataset checks every row, and keeps none.
static void an_overview_keeps_no_rows(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    Error err;
    Dataset *ds;
    const DatasetOptions overview = {.root = f->root, .overview = true};
    OK(dataset_open(&overview, &ds, &err));
    assert_int_equal(ds->rows, TINY_ROWS);
    assert_int_equal(dataset_index_of(ds, 9), 9);
    assert_true(!ds->state_data && !ds->action_data && !ds->timestamp && !ds->stats);
    assert_true(ds->state && ds->action);
    dataset_close(ds);
    OK(remove_tree(f->root, &err));
    tiny_write(f->root, TINY_NAN, false);
    assert_false(dataset_open(&overview, &ds, &err));
    assert_says(&err, "file-000.parquet: row 6", "is nan");
}

static void float64_columns_are_read(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, true);
    Dataset *ds = open_all(f->root);
    assert_tiny_rows(ds, 9, 9, 6);
    dataset_close(ds);
}

static void selection_keeps_its_order(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    Error err;
    Dataset *ds;
    const int64_t picks[] = {2, 0};
    OK(dataset_open(&(DatasetOptions){.root = f->root, .episodes = picks, .n_episodes = 2}, &ds,
                    &err));
    assert_int_equal(ds->rows, 10);
    assert_int_equal(ds->episodes[0].index, 2);
    assert_tiny_rows(ds, 0, 9, 6);
    assert_tiny_rows(ds, 6, 0, 4);
    assert_int_equal(dataset_episode_of(ds, 6) - ds->episodes, 1);
    assert_int_equal(dataset_row_of(ds, 5), -1);
    dataset_close(ds);
    // Files of other episodes are not needed.
    assert_int_equal(unlink(at(&f->arena, f->root, "data/chunk-000/file-001.parquet")), 0);
    OK(dataset_open(&(DatasetOptions){.root = f->root, .episodes = picks + 1, .n_episodes = 1}, &ds,
                    &err));
    assert_tiny_rows(ds, 0, 0, 4);
    dataset_close(ds);
    assert_root_refused(f->root, "file-001.parquet: the file is missing",
                        "--dataset.episodes=[0,1]");
}

static void v21_reads_as_v30_does(void **state) {
    Fixture *f = *state;
    SampleOptions o = small_sample;
    o.joints = true;
    write_sample(f, o);
    char *root = at(&f->arena, f->dir, "old");
    Dataset *new = open_all(f->root);
    v21_write(root, f->root, new);
    Dataset *old = open_all(root);
    assert_int_equal(old->rows, new->rows);
    assert_int_equal(old->state->size, 6);
    assert_int_equal(old->state->n_names, 6);
    assert_string_equal(old->state->names[5], "gripper.pos");
    assert_memory_equal(old->state_data, new->state_data, sizeof(float) * 6 * (size_t) new->rows);
    assert_memory_equal(old->action_data, new->action_data, sizeof(float) * 6 * (size_t) new->rows);
    for (int64_t r = 0; r < new->rows; r++)
        assert_int_equal(dataset_index_of(old, r), dataset_index_of(new, r));
    assert_memory_equal(old->timestamp, new->timestamp, sizeof(double) * (size_t) new->rows);
    assert_string_equal(old->episodes[1].task, new->episodes[1].task);
    assert_null(old->stats);
    assert_non_null(new->stats);
    if (!(old->episodes[2].videos[1].from == 0 && new->episodes[2].videos[1].from > 0))
        fail_msg("video start times");
    dataset_close(old);
    dataset_close(new);
    // Of a partial copy the first missing file is named, and the sentence says what can be done.
    assert_int_equal(unlink(at(&f->arena, root, "data/chunk-000/episode_000000.parquet")), 0);
    assert_root_refused(root, "episode_000000.parquet: the file is missing",
                        "--dataset.episodes=[1,2]");
    Error err;
    OK(file_write(at(&f->arena, root, "meta/episodes.jsonl"), "{\"episode_index\": 1}\n", 21,
                  &err));
    assert_root_refused(root, "episodes.jsonl: line 1", "describes episode 1");
}

// GR00T's datasets have no column of frame numbers, and without videos no times are needed.
static void columns_that_nothing_needs_may_lack(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_FEWER, false);
    Dataset *ds = open_all(f->root);
    for (int64_t e = 0; e < ds->n_episodes; e++)
        for (int64_t k = 0; k < ds->episodes[e].length; k++)
            assert_within(ds->timestamp[ds->episodes[e].first_row + k], (double)k / 10, 1e-12);
    dataset_close(ds);
}

static void features_are_described(void **state) {
    Fixture *f = *state;
    SampleOptions o = small_sample;
    o.env_dim = 4;
    write_sample(f, o);
    json_error_t problem;
    edit_feature(f->root, "action", "names",
                 json_loads("{\"arm\": [\"x\", [\"y\", \"z\"]], \"hand\": {\"g\": 0, \"h\": 1}}", 0,
                            &problem));
    edit_feature(f->root, "observation.images.wrist", "info",
                 json_loads("{\"video.is_depth_map\": true}", 0, &problem));
    Dataset *ds = open_all(f->root);
    assert_int_equal(ds->n_features, 10);
    assert_int_equal(ds->n_cameras, 1); // a depth map is no camera
    assert_string_equal(ds->cameras[0]->name, "observation.images.front");
    assert_int_equal(ds->cameras[0]->height, 64);
    assert_int_equal(ds->cameras[0]->width, 96);
    assert_int_equal(ds->cameras[0]->channels, 3);
    assert_int_equal(ds->action->n_names, 5);
    assert_string_equal(ds->action->names[2], "z");
    assert_string_equal(ds->action->names[4], "h");
    assert_int_equal(ds->env->size, 4);
    assert_string_equal(ds->robot_type, "tact_sample");
    // The environment state holds the target: the same in all frames of an episode.
    const Episode *e = &ds->episodes[1];
    for (int64_t k = 0; k < e->length; k++) {
        assert_memory_equal(ds->env_data + (e->first_row + k) * 4, ds->env_data + e->first_row * 4,
                            16);
    }
    assert_memory_not_equal(ds->env_data, ds->env_data + e->first_row * 4, 16);
    dataset_close(ds);
    // The shape has channels first, as some writers store it.
    edit_feature(f->root, "observation.images.front", "shape",
                 json_loads("[3, 64, 96]", 0, &problem));
    edit_feature(f->root, "observation.images.front", "names",
                 json_loads("[\"channels\", \"height\", \"width\"]", 0, &problem));
    ds = open_all(f->root);
    assert_int_equal(ds->cameras[0]->height, 64);
    assert_int_equal(ds->cameras[0]->width, 96);
    dataset_close(ds);
    // Where the names say nothing about the order of the axes, the shape decides.
    edit_feature(f->root, "observation.images.front", "names",
                 json_loads("[\"c\", \"h\", \"w\"]", 0, &problem));
    ds = open_all(f->root);
    assert_int_equal(ds->cameras[0]->channels, 3);
    assert_int_equal(ds->cameras[0]->width, 96);
    dataset_close(ds);
    // And where they name a side the channels that cannot be it.
    edit_feature(f->root, "observation.images.front", "shape",
                 json_loads("[64, 96, 3]", 0, &problem));
    edit_feature(f->root, "observation.images.front", "names",
                 json_loads("[\"channel\", \"height\", \"width\"]", 0, &problem));
    ds = open_all(f->root);
    assert_int_equal(ds->cameras[0]->channels, 3);
    assert_int_equal(ds->cameras[0]->height, 64);
    dataset_close(ds);
}

// A feature that is not used is listed, whatever its form. A NaN in the statistics, as Python
// writes it, is no reason to refuse a dataset.
static void odd_things_beside_the_data_are_no_error(void **state) {
    Fixture *f = *state;
    Error err;
    json_error_t problem;
    static const char nan[] = "{\"other\": {\"mean\": [NaN], \"std\": [Infinity]}}";
    tiny_write(f->root, TINY_GOOD, false);
    json_t *features = json_loads(
        "{\"observation.state\": {\"dtype\": \"float32\", \"shape\": [2], \"names\": null},"
        "\"action\": {\"dtype\": \"float32\", \"shape\": [1], \"names\": null},"
        "\"grid\": {\"dtype\": \"float32\", \"shape\": [2, 3, 4, 5, 6], \"names\": null}}",
        0, &problem);
    edit_info(f->root, "features", features);
    OK(file_write(at(&f->arena, f->root, "meta/stats.json"), nan, sizeof nan - 1, &err));
    // The same in info.json.
    char *info = at(&f->arena, f->root, "meta/info.json"), *text;
    size_t size;
    OK(file_read(info, &text, &size, &err));
    assert_int_equal(text[0], '{');
    char *with = arena_printf(&f->arena, "{\"score\": NaN, %s", text + 1);
    mem_free(text);
    OK(file_write(info, with, strlen(with), &err));
    Dataset *ds = open_all(f->root);
    assert_int_equal(ds->n_features, 3);
    assert_int_equal(ds->features[2].rank, 5);
    assert_int_equal(ds->features[2].shape[4], 6);
    assert_int_equal(ds->features[2].size, 720);
    // What is not a number is read as NaN; the other numbers are read.
    json_t *other = json_object_get(ds->stats, "other");
    assert_int_equal(json_array_size(json_object_get(other, "mean")), 1);
    assert_false(json_is_number(json_array_get(json_object_get(other, "mean"), 0)));
    dataset_close(ds);
}

static void split_holds_out_the_last_of_every_task(void **state) {
    (void)state;
    const char *tasks[] = {"a", "b"};
    Episode episodes[8] = {{0}};
    for (int i = 0; i < 8; i++) episodes[i].task = i == 7 ? NULL : tasks[i % 2];
    // a: 0 2 4 6, b: 1 3 5, none: 7
    Dataset ds = {.n_tasks = 2, .tasks = tasks, .n_episodes = 8, .episodes = episodes};
    uint8_t held[8];
    dataset_split(&ds, 0.5, held);
    assert_memory_equal(held, ((uint8_t[]){0, 0, 0, 1, 1, 1, 1, 0}), 8);
    dataset_split(&ds, 0.1, held);
    assert_memory_equal(held, ((uint8_t[]){0, 0, 0, 0, 0, 1, 1, 0}), 8);
    // However many are asked for, each task keeps its first episode.
    dataset_split(&ds, 0.99, held);
    assert_memory_equal(held, ((uint8_t[]){0, 0, 1, 1, 1, 1, 1, 0}), 8);
    dataset_split(&ds, 0, held);
    assert_memory_equal(held, ((uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0}), 8);
}

// The same by plain counting, task by task, for random tasks of which many are alone.
static void split_is_the_same_as_by_counting(void **state) {
    (void)state;
    enum { MOST = 300, NAMES = 60 };
    const char names[NAMES] = {0};
    Episode episodes[MOST];
    RngStream rng = {.key = {.seed = 3}};
    for (int round = 0; round < 200; round++) {
        const int64_t n = 1 + (int64_t)rng_below(&rng, MOST);
        const double split = rng_double(&rng) * 1.1;
        uint8_t held[MOST], wanted[MOST] = {0};
        for (int64_t i = 0; i < n; i++) {
            uint64_t name = rng_below(&rng, 1 + rng_below(&rng, NAMES));
            episodes[i] = (Episode){.task = name ? &names[name] : NULL};
        }
        for (int64_t i = 0; i < n; i++) { // held out: few enough of its task follow it
            int64_t all = 0, after = 0;
            for (int64_t k = 0; k < n; k++) {
                all += episodes[k].task == episodes[i].task;
                after += k > i && episodes[k].task == episodes[i].task;
            }
            wanted[i] = after < (int64_t)ceil((double)all * fmin(split, 1)) && after < all - 1;
        }
        dataset_split(&(Dataset){.n_episodes = n, .episodes = episodes}, split, held);
        assert_memory_equal(held, wanted, (size_t)n);
    }
}

static void templates_expand(void **state) {
    Fixture *f = *state;
    const PathValue values[] = {{"chunk_index", NULL, 7}, {"key", "a.b", 0}};
    const struct {
        const char *pattern, *path; // NULL: refused
    } cases[] = {
        {"data/chunk-{chunk_index:03d}/{key}.mp4", "data/chunk-007/a.b.mp4"},
        {"{chunk_index}_{chunk_index:d}_{chunk_index:4d}", "7_7_   7"},
        {"{{{chunk_index:01}}}", "{7}"},
        {"{nothing}", NULL},
        {"{chunk_index:03x}", NULL},
        {"{chunk_index:999d}", NULL},
        {"{chunk_index", NULL},
        {"../{key}", NULL},
        {"a/../../{key}", NULL},
        {"/etc/{key}", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Error err = {""};
        const char *path = NULL;
        bool ok = path_expand("info.json", cases[i].pattern, values, 2, &f->arena, &path, &err);
        if (cases[i].path)
            assert_string_equal(path, cases[i].path);
        else
            assert_says(&err, "info.json: ", "template");
        assert_int_equal(ok, cases[i].path != NULL);
    }
}

static void videos_are_looked_for(void **state) {
    Fixture *f = *state;
    write_sample(f, small_sample);
    char *video = at(&f->arena, f->root, "videos/observation.images.front/chunk-000/file-000.mp4");
    cut_file(video, 0.4);
    assert_root_refused(f->root, video, "cut short");
    Dataset *ds;
    FrameReader *frames;
    Error err = {""};
    uint8_t rgb[64 * 96 * 3];
    assert_int_equal(unlink(video), 0);
    assert_root_refused(f->root, video, "missing");
    // A reader that wants no frames of this video, or no frames at all, can read the rest.
    OK(dataset_open(&(DatasetOptions){.root = f->root}, &ds, &err));
    OK(frames_open(ds, 0, 0, &frames, &err));
    assert_false(frames_read(frames, 0, ds->rows - 1, rgb, &err));
    assert_says(&err, video, "No such file");
    OK(frames_read(frames, 1, 0, rgb, &err));
    frames_close(frames);
    dataset_close(ds);
    OK(dataset_open(&(DatasetOptions){.root = f->root, .skip_videos = true}, &ds, &err));
    assert_int_equal(ds->episodes[0].videos[1].rule, FRAMES_UNKNOWN);
    dataset_close(ds);
}

// ---- real recordings --------------------------------------------------------------------------

// The shared copy's info.json was cut at 4096 bytes, within the feature `index`. Such a file is
// refused; a view of the dataset with the sentence ended serves for the rest of the test.
static char *mended_v21(Fixture *f, const char *root) {
    Error err;
    json_t *info = NULL;
    char *text, *info_path = at(&f->arena, root, "meta/info.json");
    size_t size;
    if (json_read(info_path, &info, &err)) {
        json_decref(info);
        return arena_strdup(&f->arena, root);
    }
    assert_root_refused(root, info_path, "JSON");
    print_message("%s is cut short; the test goes on with a mended copy\n", info_path);
    OK(file_read(info_path, &text, &size, &err));
    char *mended = arena_printf(&f->arena, "%s\"shape\": [1], \"names\": null}}}", text);
    mem_free(text);
    OK(make_dirs(at(&f->arena, f->root, "meta"), &err));
    OK(file_write(at(&f->arena, f->root, "meta/info.json"), mended, strlen(mended), &err));
    const char *const links[] = {"data", "videos", "meta/episodes.jsonl"};
    char base[4096];
    assert_non_null(realpath(root, base));
    for (int i = 0; i < 3; i++) {
        char *target = at(&f->arena, base, links[i]);
        assert_int_equal(symlink(target, at(&f->arena, f->root, links[i])), 0);
    }
    return f->root;
}

static void real_v21_needs_a_selection(void **state) {
    Fixture *f = *state;
    char *root = mended_v21(f, shared(&f->arena, "data/g1_bottle_v21"));
    assert_root_refused(root, "episode_000000.parquet: the file is missing",
                        "--dataset.episodes=[10,12]");
    const int64_t picks[] = {10, 12};
    Error err;
    Dataset *ds;
    const DatasetOptions o = {
        .root = root, .episodes = picks, .n_episodes = 2, .need_videos = true};
    OK(dataset_open(&o, &ds, &err));
    assert_int_equal(ds->rows, 290 + 372);
    assert_int_equal(ds->total_episodes, 100);
    assert_int_equal(ds->state->size, 26);
    assert_int_equal(ds->state->n_names, 26);
    assert_string_equal(ds->state->names[25], "kRightHandThumbRotation");
    assert_int_equal(dataset_index_of(ds, 0), 4236);
    assert_int_equal(dataset_index_of(ds, 290), 4947);
    assert_int_equal(ds->n_tasks, 1);
    dataset_close(ds);
}

static void real_v30_without_videos(void **state) {
    Fixture *f = *state;
    char *root = shared(&f->arena, "data/so101_meta_v30");
    assert_root_refused(root, "observation.images.front", ".mp4: the file is missing");
    Error err;
    Dataset *ds;
    OK(dataset_open(&(DatasetOptions){.root = root}, &ds, &err));
    assert_int_equal(ds->rows, 1492);
    assert_int_equal(ds->n_cameras, 2);
    assert_string_equal(ds->episodes[3].task, "Pick the orange cube and place it in the box");
    assert_int_equal(ds->episodes[1].first_row, 373);
    // The recorder's own statistics are the columns' extremes.
    const json_t *max = json_object_get(json_object_get(ds->stats, "action"), "max");
    for (size_t j = 0; j < 6; j++) {
        double largest = -1e9;
        for (int64_t r = 0; r < ds->rows; r++)
            largest = fmax(largest, (double)ds->action_data[r * 6 + (int)j]);
        if (!(fabs(largest - json_number_value(json_array_get(max, j))) < 1e-5))
            fail_msg("column %zu", j);
    }
    dataset_close(ds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(several_files_are_read),
        TEST(an_overview_keeps_no_rows),
        TEST(float64_columns_are_read),
        TEST(selection_keeps_its_order),
        TEST(v21_reads_as_v30_does),
        TEST(columns_that_nothing_needs_may_lack),
        TEST(features_are_described),
        TEST(odd_things_beside_the_data_are_no_error),
        TEST(split_holds_out_the_last_of_every_task),
        TEST(split_is_the_same_as_by_counting),
        TEST(templates_expand),
        TEST(videos_are_looked_for),
        TEST(real_v21_needs_a_selection),
        TEST(real_v30_without_videos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

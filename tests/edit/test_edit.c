// SPDX-License-Identifier: Apache-2.0
// New datasets of the episodes of others, held against the old ones: every value, text, time and
// frame.
#include "../dataset/folder_fixture.h"
#include "dataset/writer.h"
#include "edit/edit.h"

#include "../ok.h"

enum { EPISODES = 5, FRAMES = 20 };

static SampleOptions sample(const char *root) {
    return (SampleOptions){.root = root,
                           .episodes = EPISODES,
                           .frames = FRAMES,
                           .height = 64,
                           .width = 96,
                           .cameras = 2,
                           .fps = 10,
                           .seed = 3,
                           .env_dim = 3};
}

static void write_at(SampleOptions o) {
    Error err;
    OK(sample_dataset_write(&o, &err));
}

static Dataset *open_source(const char *root, const char *rename) {
    Error err;
    Dataset *ds;
    const DatasetOptions o = {
        .root = root, .rename = rename, .need_videos = true, .depth_maps = true};
    OK(dataset_open(&o, &ds, &err));
    return ds;
}

static bool edit(Dataset *const *sources, int n, const EditPiece *pieces, int64_t n_pieces,
                 const char *root, Error *err) {
    EditResult result;
    const EditOptions o = {.sources = sources,
                           .n_sources = n,
                           .pieces = pieces,
                           .n_pieces = n_pieces,
                           .root = root,
                           .threads = 2};
    return edit_write(&o, &result, err);
}

// ---- old against new ----------------------------------------------------------------------------

static void assert_rows(const float *a, int64_t row_a, const float *b, int64_t row_b, int64_t n,
                        int64_t width) {
    if (n && width)
        assert_memory_equal(a + row_a * width, b + row_b * width, sizeof *a * (size_t)(n * width));
}

static void assert_frames(const Dataset *old, int64_t row_old, const Dataset *new, int64_t row_new,
                          int64_t n, uint64_t turned) {
    Error err;
    FrameReader *a, *b;
    OK(frames_open(old, 0, 0, &a, &err));
    OK(frames_open(new, 0, 0, &b, &err));
    for (int c = 0; c < old->n_cameras; c++) {
        const size_t size = (size_t)old->cameras[c]->height * (size_t)old->cameras[c]->width * 3;
        uint8_t *x = mem_alloc(size), *y = mem_alloc(size);
        int64_t differ = 0;
        for (int64_t k = 0; k < n; k++) {
            OK(frames_read(a, c, row_old + k, x, &err));
            OK(frames_read(b, c, row_new + k, y, &err));
            if (!(turned >> c & 1)) {
                assert_memory_equal(x, y, size);
                continue;
            }
            for (size_t i = 0; i < size; i++) // pixels from the end, channels in their order
                differ += abs(x[i] - y[size - 3 - i / 3 * 3 + i % 3]);
        }
        if (turned >> c & 1) // encoded anew
            assert_true(differ < 6 * n * (int64_t)size);
        mem_free(x);
        mem_free(y);
    }
    frames_close(a);
    frames_close(b);
}

// Holds an edited dataset against the pieces that it was made of.
static void assert_made_of(const char *root, Dataset *const *sources, const EditPiece *pieces,
                           int64_t n) {
    Dataset *ds = open_all(root);
    int64_t row = 0;
    assert_int_equal(ds->n_episodes, n);
    assert_string_equal(ds->version, "v3.0");
    for (int64_t p = 0; p < n; p++) {
        const EditPiece *piece = &pieces[p];
        const Dataset *old = sources[piece->source];
        const Episode *e = &old->episodes[piece->episode];
        int64_t from = e->first_row + piece->first;
        assert_int_equal(ds->episodes[p].length, piece->length);
        assert_string_equal(ds->episodes[p].task, e->task);
        assert_rows(old->state_data, from, ds->state_data, row, piece->length, old->state->size);
        assert_rows(old->action_data, from, ds->action_data, row, piece->length, old->action->size);
        if (old->env)
            assert_rows(old->env_data, from, ds->env_data, row, piece->length, old->env->size);
        for (int64_t k = 0; k < piece->length; k++)
            assert_within(ds->timestamp[row + k], (double)k / ds->fps, 1e-6);
        assert_frames(old, from, ds, row, piece->length, piece->turned);
        row += piece->length;
    }
    assert_int_equal(ds->rows, row);
    dataset_close(ds);
}

static void test_drop_trim_reorder(void **state) {
    Fixture *f = *state;
    Error err;
    write_at(sample(at(&f->arena, f->dir, "old")));
    Dataset *old = open_source(at(&f->arena, f->dir, "old"), NULL);
    const EditPiece pieces[] = {{.episode = 3, .length = old->episodes[3].length},
                                {.episode = 0, .first = 5, .length = 9},
                                {.episode = 4, .first = 0, .length = 1},
                                {.episode = 0, .first = 4, .length = FRAMES - 4}};
    const char *root = at(&f->arena, f->dir, "new");
    OK(edit(&old, 1, pieces, 4, root, &err));
    assert_made_of(root, &old, pieces, 4);
    // What is there is left alone, and nothing is left behind beside it.
    assert_false(edit(&old, 1, pieces, 4, root, &err));
    assert_says(&err, root, "already exists");
    assert_false(edit(&old, 1, pieces, 0, at(&f->arena, f->dir, "none"), &err));
    assert_says(&err, "none", "no episode is left");
    dataset_close(old);
}

static void test_merge_and_versions(void **state) {
    Fixture *f = *state;
    Error err;
    const char *a = at(&f->arena, f->dir, "a"), *b = at(&f->arena, f->dir, "b");
    SampleOptions other = sample(b);
    const char *c = at(&f->arena, f->dir, "c");
    other.seed = 4;
    write_at(sample(a));
    write_at(other);
    other.root = c;
    other.env_dim = 0;
    write_at(other);
    Dataset *source = open_all(c);
    const char *v21 = at(&f->arena, f->dir, "v21");
    v21_write(v21, c, source);
    dataset_close(source);
    Dataset *sources[] = {open_source(a, NULL), open_source(v21, NULL), open_source(b, NULL)};
    EditPiece pieces[3 * EPISODES];
    for (int i = 0; i < 3 * EPISODES; i++) {
        Dataset *ds = sources[i % 3];
        pieces[i] = (EditPiece){.source = i % 3, .episode = i / 3};
        pieces[i].length = ds->episodes[i / 3].length;
    }
    assert_false(edit(sources, 3, pieces, 3 * EPISODES, at(&f->arena, f->dir, "all"), &err));
    assert_says(&err, "observation.environment_state", v21);
    Dataset *same[] = {sources[0], sources[2]};
    for (int i = 0; i < 3 * EPISODES; i++) pieces[i].source = i % 3 == 0 ? 0 : 1;
    for (int i = 0; i < 3 * EPISODES; i++)
        pieces[i].length = same[pieces[i].source]->episodes[pieces[i].episode].length;
    OK(edit(same, 2, pieces, 3 * EPISODES, at(&f->arena, f->dir, "two"), &err));
    assert_made_of(at(&f->arena, f->dir, "two"), same, pieces, 3 * EPISODES);
    EditPiece alone[EPISODES];
    for (int i = 0; i < EPISODES; i++)
        alone[i] = (EditPiece){.episode = i, .length = sources[1]->episodes[i].length};
    OK(edit(&sources[1], 1, alone, EPISODES, at(&f->arena, f->dir, "from_v21"), &err));
    assert_made_of(at(&f->arena, f->dir, "from_v21"), &sources[1], alone, EPISODES);
    for (int i = 0; i < 3; i++) dataset_close(sources[i]);
}

// A sample whose second camera is said to be a depth map.
static Dataset *open_depth(const char *root, const char *key, const char *info) {
    SampleOptions o = sample(root);
    json_error_t problem;
    o.episodes = 2;
    write_at(o);
    Dataset *ds = open_all(root);
    edit_feature(root, ds->cameras[1]->name, "video_info", json_null());
    edit_feature(root, ds->cameras[1]->name, "info", json_null());
    edit_feature(root, ds->cameras[1]->name, key, json_loads(info, 0, &problem));
    dataset_close(ds);
    return open_source(root, NULL);
}

static void test_depth_of_several(void **state) {
    static const char *const infos[] = {
        "{\"is_depth_map\": true, \"depth_unit\": \"mm\", \"video.depth_max\": 10, \"video.crf\": "
        "1}",
        "{\"is_depth_map\": true, \"depth_unit\": \"m\", \"video.depth_max\": 10.0}",
        "{\"is_depth_map\": true, \"depth_unit\": \"mm\", \"video.depth_max\": 2.0}",
        "{\"is_depth_map\": true, \"depth_unit\": \"mm\"}",
        "{\"video.crf\": 1}",
        "{\"video.is_depth_map\": true, \"depth_unit\": \"mm\", \"video.depth_max\": 10.0, "
        "\"video.crf\": 30, \"video.shift\": null}"};
    static const char *const said[][2] = {{"depth_unit \"m\"", "\"mm\""},
                                          {"video.depth_max 2.0", "10"},
                                          {"video.depth_max not said", "10"},
                                          {"no depth map", "it is one"}};
    enum { N = sizeof infos / sizeof infos[0] };
    Fixture *f = *state;
    Error err;
    Dataset *all[N];
    for (int i = 0; i < N; i++)
        all[i] = open_depth(arena_printf(&f->arena, "%s/%d", f->dir, i),
                            i == N - 1 ? "video_info" : "info", infos[i]);
    for (int i = 1; i < N - 1; i++) {
        assert_false(edit_check_sources((Dataset *const[]){all[0], all[i]}, 2, &err));
        assert_says(&err, all[i]->root, all[0]->cameras[1]->name);
        assert_says(&err, said[i - 1][0], said[i - 1][1]);
    }
    assert_false(edit_check_sources((Dataset *const[]){all[3], all[0]}, 2, &err));
    assert_says(&err, "video.depth_max 10", "not said");
    // An encoder's settings, and how a setting is spelled, are no difference.
    OK(edit_check_sources((Dataset *const[]){all[0], all[N - 1]}, 2, &err));
    for (int i = 0; i < N; i++) dataset_close(all[i]);
}

static void test_images_and_turned(void **state) {
    Fixture *f = *state;
    Error err;
    SampleOptions o = sample(at(&f->arena, f->dir, "images"));
    o.images_in_parquet = true;
    write_at(sample(at(&f->arena, f->dir, "videos")));
    write_at(o);
    for (int i = 0; i < 2; i++) {
        Dataset *old = open_source(at(&f->arena, f->dir, i ? "images" : "videos"), NULL);
        const EditPiece pieces[] = {{.episode = 1, .first = 2, .length = 12},
                                    {.episode = 2, .length = 10, .turned = 2},
                                    {.episode = 3, .first = 1, .length = 6}};
        const char *root = at(&f->arena, f->dir, i ? "new_images" : "new_videos");
        OK(edit(&old, 1, pieces, 3, root, &err));
        assert_made_of(root, &old, pieces, 3);
        dataset_close(old);
    }
}

static void test_names(void **state) {
    Fixture *f = *state;
    Error err;
    const char *old_root = at(&f->arena, f->dir, "old"), *root = at(&f->arena, f->dir, "new");
    write_at(sample(old_root));
    Dataset *old = open_source(old_root, NULL);
    const char *camera = old->cameras[0]->name, *other = old->cameras[1]->name;
    const char *map = arena_printf(&f->arena, "{\"%s\": \"observation.images.top\"}", camera);
    Dataset *renamed = open_source(old_root, map);
    const EditPiece piece = {.episode = 1, .length = old->episodes[1].length};
    const char *removed[] = {other, "observation.environment_state"};
    EditResult result;
    EditOptions o = {.sources = &renamed,
                     .n_sources = 1,
                     .pieces = &piece,
                     .n_pieces = 1,
                     .root = root,
                     .removed = removed,
                     .n_removed = 2,
                     .threads = 1};
    OK(edit_write(&o, &result, &err));
    Dataset *new = open_all(root);
    assert_int_equal(new->n_cameras, 1);
    assert_string_equal(new->cameras[0]->name, "observation.images.top");
    assert_string_equal(new->cameras[0]->disk_name, "observation.images.top");
    assert_null(new->env);
    assert_non_null(json_object_get(new->stats, "observation.images.top"));
    dataset_close(new);
    removed[0] = "observation.images.no";
    o.root = at(&f->arena, f->dir, "other");
    assert_false(edit_write(&o, &result, &err));
    assert_says(&err, "observation.images.no", "no feature");
    removed[0] = "index";
    assert_false(edit_write(&o, &result, &err));
    assert_says(&err, "index", "every dataset has");
    dataset_close(old);
    dataset_close(renamed);
}

// ---- features of all kinds ----------------------------------------------------------------------

static const char *const texts_name = "comment";

static json_t *feature_json(const char *dtype, int64_t a, int64_t b) {
    json_t *shape = json_array();
    json_array_append_new(shape, json_integer(a));
    if (b) json_array_append_new(shape, json_integer(b));
    return json_pack("{s:s, s:o, s:n}", "dtype", dtype, "shape", shape, "names");
}

static const double largest_whole = 9007199254740991; // that is not also its neighbour

// most: the largest of the whole numbers.
static void write_kinds(const char *root, const char *temporary, double first_time, double most) {
    static const int64_t grid[] = {2, 3};
    static const WriterVector vectors[] = {
        {.name = "action", .dtype = "float32", .dim = 2},
        {.name = "grid", .dtype = "float64", .dim = 6, .shape = grid, .rank = 2},
        {.name = "mode", .dtype = "int64", .dim = 1},
        {.name = "done", .dtype = "bool", .dim = 1}};
    Error err;
    json_t *features = json_object();
    json_object_set_new(features, "action", feature_json("float32", 2, 0));
    json_object_set_new(features, "grid", feature_json("float64", 2, 3));
    json_object_set_new(features, "mode", feature_json("int64", 1, 0));
    json_object_set_new(features, texts_name, feature_json("string", 1, 0));
    json_object_set_new(features, "done", feature_json("bool", 1, 0));
    DatasetWriter *w;
    const WriterOptions o = {.root = root,
                             .fps = 10,
                             .extras = vectors,
                             .n_extras = 4,
                             .folder = temporary,
                             .features = features,
                             .texts = &texts_name,
                             .n_texts = 1};
    OK(dataset_writer_open(&o, &w, &err));
    enum { N = 6 };
    for (int e = 0; e < 2; e++) {
        double action[2 * N], cells[6 * N], mode[N], done[N], times[N];
        const char *tasks[N];
        for (int k = 0; k < N; k++) {
            for (int j = 0; j < 2; j++) action[2 * k + j] = e + 0.25 * k + j;
            for (int j = 0; j < 6; j++) cells[6 * k + j] = k == 2 && j == 4 ? NAN : e - k + j / 7.0;
            mode[k] = most - k - e; // beyond float32
            done[k] = k == N - 1;
            times[k] = first_time + k / 10.0 + (e && k == 3 ? 0.02 : 0);
            tasks[k] = k < 3 ? "lift" : "lower";
        }
        const double *const values[] = {action, cells, mode, done};
        OK(dataset_writer_rows_of(w, N, values, times, tasks, &err));
        dataset_writer_place(w, e, -1, 0, 0);
    }
    OK(dataset_writer_data_open(w, 0, &err));
    for (int e = 0; e < 2; e++) {
        char text[N][16];
        ParquetBytes comments[N];
        const ParquetBytes *bytes[] = {comments};
        for (int k = 0; k < N; k++) {
            snprintf(text[k], sizeof text[k], "\xc3\xa9 %d.%d", e, k);
            comments[k] = (ParquetBytes){(const uint8_t *)text[k], strlen(text[k])};
        }
        OK(dataset_writer_data_rows(w, e, 0, N, bytes, &err));
    }
    OK(dataset_writer_data_close(w, &err));
    OK(dataset_writer_close(w, &err));
    json_decref(features);
}

static ParquetColumn read_whole(Fixture *f, const char *root, const char *column) {
    Error err;
    ParquetFile *file;
    ParquetColumn c;
    OK(parquet_open(at(&f->arena, root, "data/chunk-000/file-000.parquet"), &file, &err));
    OK(parquet_read(file, parquet_find(file, column, NULL), 0, -1, &c, &err));
    parquet_close(file);
    return c;
}

static void test_kinds(void **state) {
    Fixture *f = *state;
    Error err;
    const char *root = at(&f->arena, f->dir, "old"), *new = at(&f->arena, f->dir, "new");
    write_kinds(root, at(&f->arena, f->dir, "growing"), 0, largest_whole);
    Dataset *old = open_source(root, NULL);
    assert_string_equal(old->episodes[1].task, "lift");
    const EditPiece pieces[] = {{.episode = 1, .first = 1, .length = 5},
                                {.episode = 0, .length = 6}};
    OK(edit(&old, 1, pieces, 2, new, &err));
    const int64_t rows[] = {7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5};
    static const char *const numbers[] = {"grid", "mode", "done", "action"};
    static const int widths[] = {6, 1, 1, 2};
    for (int i = 0; i < 4; i++) {
        ParquetColumn a = read_whole(f, root, numbers[i]), b = read_whole(f, new, numbers[i]);
        assert_int_equal(b.count, 11 * widths[i]);
        for (int k = 0; k < 11; k++)
            assert_memory_equal(a.numbers + rows[k] * widths[i], b.numbers + k * widths[i],
                                sizeof(double) * (size_t)widths[i]);
        parquet_column_free(&a);
        parquet_column_free(&b);
    }
    ParquetColumn text = read_whole(f, new, texts_name), task = read_whole(f, new, "task_index");
    assert_memory_equal(text.bytes[0].data, "\xc3\xa9 1.1", 6);
    assert_int_equal(text.bytes[0].size, 6);
    assert_memory_equal(text.bytes[10].data, "\xc3\xa9 0.5", 6);
    for (int k = 0; k < 11; k++) // "lift" is the first, "lower" the second
        assert_true(task.numbers[k] == (rows[k] % 6 < 3 ? 0 : 1));
    parquet_column_free(&text);
    parquet_column_free(&task);
    Dataset *made = open_all(new);
    // As LeRobot's, over all axes but the last: a column's are of both rows of the grid.
    const json_t *grid = json_object_get(made->stats, "grid"), *max = json_object_get(grid, "max");
    assert_int_equal(json_array_size(max), 3);
    assert_within(json_number_value(json_array_get(max, 2)), 5 / 7.0, 1e-9);
    assert_within(json_number_value(json_array_get(json_object_get(grid, "mean"), 0)),
                  -25 / 11.0 + 1.5 / 7, 1e-9);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(grid, "count"), 0)), 11);
    dataset_close(made);
    // A dtype that nobody can copy is refused by name, unless it is left out.
    edit_feature(root, "mode", "dtype", json_string("language"));
    dataset_close(old);
    old = open_source(root, NULL);
    assert_false(edit(&old, 1, pieces, 2, at(&f->arena, f->dir, "third"), &err));
    assert_says(&err, "'mode'", "--remove_features=mode");
    dataset_close(old);
    // 2^53 may have been 2^53 + 1 in the file.
    root = at(&f->arena, f->dir, "large");
    write_kinds(root, at(&f->arena, f->dir, "growing"), 0, largest_whole + 1);
    old = open_source(root, NULL);
    assert_false(edit(&old, 1, pieces, 2, at(&f->arena, f->dir, "third"), &err));
    assert_says(&err, "'mode' has 9.0072e+15 among its whole numbers", "--remove_features");
    dataset_close(old);
}

static void test_times(void **state) {
    Fixture *f = *state;
    Error err;
    const char *root = at(&f->arena, f->dir, "old"), *new = at(&f->arena, f->dir, "new");
    write_kinds(root, at(&f->arena, f->dir, "growing"), 3.5, 7); // the clock went on from before
    Dataset *old = open_source(root, NULL);
    const EditPiece pieces[] = {{.episode = 0, .length = 6}, {.episode = 1, .length = 6}};
    OK(edit(&old, 1, pieces, 2, new, &err));
    Dataset *made = open_all(new);
    for (int k = 0; k < 6; k++) assert_within(made->timestamp[k], k / 10.0, 1e-6);
    assert_within(made->timestamp[9], 0.32, 1e-6); // what is off the grid stays
    dataset_close(made);
    EditResult result;
    const EditOptions o = {.sources = &old,
                           .n_sources = 1,
                           .pieces = pieces,
                           .n_pieces = 2,
                           .root = at(&f->arena, f->dir, "by_frame"),
                           .by_frame = true,
                           .threads = 1};
    OK(edit_write(&o, &result, &err));
    assert_int_equal(result.retimed, 1);
    assert_within(result.farthest, 0.02, 1e-6);
    made = open_all(o.root);
    for (int k = 0; k < 12; k++) assert_within(made->timestamp[k], k % 6 / 10.0, 1e-6);
    dataset_close(made);
    dataset_close(old);
}

static void test_stopped(void **state) {
    Fixture *f = *state;
    Error err;
    write_at(sample(at(&f->arena, f->dir, "old")));
    Dataset *old = open_source(at(&f->arena, f->dir, "old"), NULL);
    const EditPiece piece = {.episode = 1, .length = 4};
    EditResult result;
    const atomic_int stop = 1;
    const EditOptions o = {.sources = &old,
                           .n_sources = 1,
                           .pieces = &piece,
                           .n_pieces = 1,
                           .root = at(&f->arena, f->dir, "new"),
                           .threads = 1,
                           .stop = &stop};
    assert_false(edit_write(&o, &result, &err));
    assert_says(&err, "new", "stopped");
    assert_false(dir_exists(o.root));
    char pattern[4200];
    snprintf(pattern, sizeof pattern, "%s.tmp.%ld", o.root, (long)getpid());
    assert_false(dir_exists(pattern));
    dataset_close(old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_drop_trim_reorder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_merge_and_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_depth_of_several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_images_and_turned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

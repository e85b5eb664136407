// SPDX-License-Identifier: Apache-2.0
// The writer and the synthetic dataset: what is written is read back, statistics are right, and a
// dataset appears whole or not at all.
#include "dataset/writer.h"

#include "../formats/parquet_metadata.h"
#include "folder_fixture.h"
#include "pose/pose.h"

static int set_up_below(void **state) {
    int result = set_up(state);
    Fixture *f = *state;
    f->root = at(&f->arena, f->dir, "new/set"); // its parent has to be made too
    return result;
}

enum { HEIGHT = 64, WIDTH = 64 };
static const char *const state_names[] = {"one", "two", "three"};
static const WriterCamera camera = {"observation.images.cam", HEIGHT, WIDTH, false};

static WriterOptions options(const Fixture *f) {
    return (WriterOptions){.root = f->root,
                           .robot_type = "arm",
                           .fps = 20,
                           .state_dim = 3,
                           .action_dim = 1,
                           .env_dim = 2,
                           .state_names = state_names,
                           .cameras = &camera,
                           .n_cameras = 1,
                           .images_in_parquet = true};
}

static float value(int64_t row, int j) {
    return (float)sin((double)(row * 7 + j)) * 3;
}

static bool add_frame(DatasetWriter *w, int64_t row, Error *err) {
    static uint8_t rgb[HEIGHT * WIDTH * 3];
    const uint8_t *images[] = {rgb};
    float state[3] = {value(row, 0), value(row, 1), value(row, 2)};
    float env[2] = {value(row, 3), value(row, 4)}, action[1] = {value(row, 5)};
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        rgb[i * 3] = 51; // 0.2
        rgb[i * 3 + 1] = i < HEIGHT * WIDTH / 4 ? 255 : 0;
        rgb[i * 3 + 2] = (uint8_t)row;
    }
    return dataset_writer_frame(w, state, env, action, images, err);
}

// Episodes of 3, 4 and 5 frames; the middle one has another task.
static void write_set(const Fixture *f, const WriterOptions *o) {
    Error err;
    DatasetWriter *w;
    int64_t row = 0;
    OK(dataset_writer_open(o, &w, &err));
    for (int e = 0; e < 3; e++) {
        for (int k = 0; k < 3 + e; k++) OK(add_frame(w, row++, &err));
        OK(dataset_writer_episode(w, e == 1 ? "other" : "task", &err));
    }
    assert_false(dir_exists(f->root));
    OK(dataset_writer_close(w, &err));
}

// Whether the parent of root holds nothing (but root itself when `with_root`).
static void assert_nothing_else(Fixture *f, bool with_root) {
    if (with_root) assert_int_equal(rename(f->root, at(&f->arena, f->dir, "kept")), 0);
    char *parent = at(&f->arena, f->dir, "new");
    if (dir_exists(parent)) assert_int_equal(rmdir(parent), 0);
}

static void written_is_read_back(void **state) {
    Fixture *f = *state;
    WriterOptions o = options(f);
    write_set(f, &o);
    Dataset *ds = open_all(f->root);
    assert_int_equal(ds->rows, 12);
    assert_int_equal(ds->total_episodes, 3);
    if (!(ds->fps == 20)) fail_msg("fps");
    assert_string_equal(ds->robot_type, "arm");
    assert_string_equal(ds->state->names[2], "three");
    assert_int_equal(ds->action->n_names, 0);
    assert_int_equal(ds->n_tasks, 2);
    assert_string_equal(ds->episodes[1].task, "other");
    for (int64_t r = 0; r < 12; r++) {
        const Episode *e = dataset_episode_of(ds, r);
        for (int j = 0; j < 3; j++) assert_true(ds->state_data[r * 3 + j] == value(r, j));
        for (int j = 0; j < 2; j++) assert_true(ds->env_data[r * 2 + j] == value(r, 3 + j));
        assert_true(ds->action_data[r] == value(r, 5));
        if (!(fabs(ds->timestamp[r] - (double)(r - e->first_row) / 20) < 1e-6))
            fail_msg("timestamp");
    }
    FrameReader *frames;
    Error err;
    uint8_t rgb[HEIGHT * WIDTH * 3];
    OK(frames_open(ds, 0, 0, &frames, &err));
    OK(frames_read(frames, 0, 7, rgb, &err));
    assert_memory_equal(rgb, ((uint8_t[]){51, 255, 7}), 3);
    frames_close(frames);
    dataset_close(ds);
    assert_nothing_else(f, true);
}

static double stat(const Dataset *ds, const char *feature, const char *name, size_t j) {
    const json_t *item =
        json_array_get(json_object_get(json_object_get(ds->stats, feature), name), j);
    while (json_is_array(item)) item = json_array_get(item, 0);
    assert_true(json_is_number(item));
    return json_number_value(item);
}

static void statistics_are_right(void **state) {
    Fixture *f = *state;
    WriterOptions o = options(f);
    write_set(f, &o);
    Dataset *ds = open_all(f->root);
    for (int j = 0; j < 3; j++) {
        double sum = 0, squares = 0, low = 1e9, high = -1e9;
        for (int r = 0; r < 12; r++) {
            double x = (double)value(r, j);
            sum += x;
            low = fmin(low, x);
            high = fmax(high, x);
        }
        for (int r = 0; r < 12; r++) squares += pow((double)value(r, j) - sum / 12, 2);
        assert_within(stat(ds, "observation.state", "min", (size_t)j), low, 1e-9);
        assert_within(stat(ds, "observation.state", "max", (size_t)j), high, 1e-9);
        assert_within(stat(ds, "observation.state", "mean", (size_t)j), sum / 12, 1e-9);
        assert_within(stat(ds, "observation.state", "std", (size_t)j), sqrt(squares / 12), 1e-9);
    }
    assert_within(stat(ds, "observation.state", "count", 0), 12, 1e-9);
    // 0 .. 11: the quantiles by interpolation.
    assert_within(stat(ds, "index", "q01", 0), 0.11, 1e-9);
    assert_within(stat(ds, "index", "q50", 0), 5.5, 1e-9);
    assert_within(stat(ds, "index", "q90", 0), 9.9, 1e-9);
    assert_within(stat(ds, "frame_index", "max", 0), 4, 1e-9);
    assert_within(stat(ds, "task_index", "max", 0), 1, 1e-9);
    // Images: constant red, a quarter of full green, blue by frame, of which each episode's first
    // and fifth count; as fractions of 255.
    assert_within(stat(ds, camera.name, "mean", 0), 0.2, 1e-9);
    assert_within(stat(ds, camera.name, "std", 0), 0, 1e-9);
    assert_within(stat(ds, camera.name, "mean", 1), 0.25, 1e-9);
    assert_within(stat(ds, camera.name, "std", 1), sqrt(0.1875), 1e-9);
    assert_within(stat(ds, camera.name, "q50", 1), 0, 1e-9);
    assert_within(stat(ds, camera.name, "q90", 1), 1, 1e-9);
    assert_within(stat(ds, camera.name, "max", 2), 11.0 / 255, 1e-9);
    assert_within(stat(ds, camera.name, "count", 0), 4, 1e-9);
    const json_t *nested = json_object_get(json_object_get(ds->stats, camera.name), "min");
    assert_int_equal(json_array_size(nested), 3); // (3, 1, 1)
    assert_int_equal(json_array_size(json_array_get(json_array_get(nested, 2), 0)), 1);
    dataset_close(ds);
}

static void lerobot_columns_are_there(void **state) {
    Fixture *f = *state;
    WriterOptions o = options(f);
    WriterCamera even = camera;
    o.images_in_parquet = false;
    o.cameras = &even;
    write_set(f, &o);
    Error err;
    ParquetFile *p;
    OK(parquet_open(at(&f->arena, f->root, "meta/episodes/chunk-000/file-000.parquet"), &p, &err));
    const char *const columns[] = {"episode_index",
                                   "tasks",
                                   "length",
                                   "data/chunk_index",
                                   "data/file_index",
                                   "dataset_from_index",
                                   "dataset_to_index",
                                   "videos/observation.images.cam/chunk_index",
                                   "videos/observation.images.cam/file_index",
                                   "videos/observation.images.cam/from_timestamp",
                                   "videos/observation.images.cam/to_timestamp",
                                   "stats/observation.state/mean",
                                   "stats/action/q99",
                                   "stats/index/count",
                                   "meta/episodes/chunk_index",
                                   "meta/episodes/file_index"};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (parquet_find(p, columns[i], NULL) < 0) fail_msg("no column %s", columns[i]);
    ParquetColumn c;
    OK(parquet_read(p, parquet_find(p, columns[10], NULL), 0, -1, &c, &err));
    assert_within(c.numbers[1], 7.0 / 20, 1e-9);
    parquet_column_free(&c);
    OK(parquet_read(p, parquet_find(p, "stats/observation.state/mean", NULL), 0, -1, &c, &err));
    assert_int_equal(c.count, 9);
    assert_within(
        c.numbers[5],
        ((double)value(3, 2) + (double)value(4, 2) + (double)value(5, 2) + (double)value(6, 2)) / 4,
        1e-9);
    parquet_column_free(&c);
    parquet_close(p);
    // Without this entry LeRobot takes the task's number for its text.
    OK(parquet_open(at(&f->arena, f->root, "meta/tasks.parquet"), &p, &err));
    json_error_t problem;
    json_t *pandas = json_loads(parquet_metadata(p, "pandas"), 0, &problem);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(pandas, "index_columns"), 0)), "task");
    json_decref(pandas);
    parquet_close(p);
    Dataset *ds = open_all(f->root);
    assert_within(ds->episodes[2].videos[0].from, 7.0 / 20, 1e-9);
    dataset_close(ds);
}

// A resumed recording of LeRobot's needs the same columns in all of its tables.
static void cameras_have_columns_too(void **state) {
    static const char *const stats[] = {"min", "max", "mean", "std", "count",
                                        "q01", "q10", "q50",  "q90", "q99"};
    Fixture *f = *state;
    WriterOptions o = options(f);
    Error err;
    ParquetFile *p;
    ParquetColumn c;
    write_set(f, &o);
    OK(parquet_open(at(&f->arena, f->root, "meta/episodes/chunk-000/file-000.parquet"), &p, &err));
    int first = parquet_find(p, "stats/observation.images.cam/min", NULL);
    for (int k = 0; k < 10; k++) { // in LeRobot's order
        ParquetLeaf leaf = parquet_leaf(p, first + k);
        assert_string_equal(leaf.field,
                            arena_printf(&f->arena, "stats/observation.images.cam/%s", stats[k]));
        OK(parquet_read(p, first + k, 0, -1, &c, &err));
        assert_int_equal(c.count, k == 4 ? 3 : 9);
        assert_true(leaf.list && c.offsets[1] == (k == 4 ? 1 : 3));
        if (k == 1)
            for (int e = 0; e < 3; e++) // blue is the row: 0; 3; 7 and 11
                assert_within(c.numbers[3 * e + 2], (e == 0 ? 0 : e == 1 ? 3 : 11) / 255.0, 1e-9);
        if (k == 2) assert_within(c.numbers[3 * 2 + 2], 9 / 255.0, 1e-9);
        if (k == 4) assert_true(c.numbers[0] == 1 && c.numbers[1] == 1 && c.numbers[2] == 2);
        parquet_column_free(&c);
    }
    parquet_close(p);
}

static void unfinished_datasets_leave_nothing(void **state) {
    Fixture *f = *state;
    WriterOptions o = options(f);
    Error err = {""};
    DatasetWriter *w;
    OK(dataset_writer_open(&o, &w, &err)); // aborted
    OK(add_frame(w, 0, &err));
    OK(dataset_writer_episode(w, "task", &err));
    dataset_writer_abort(w);
    assert_nothing_else(f, false);
    OK(dataset_writer_open(&o, &w, &err)); // empty
    assert_false(dataset_writer_episode(w, "task", &err));
    assert_says(&err, "episode 0", "no frames");
    assert_false(dataset_writer_close(w, &err));
    assert_nothing_else(f, false);
    OK(dataset_writer_open(&o, &w, &err)); // an episode not ended
    OK(add_frame(w, 0, &err));
    OK(dataset_writer_episode(w, "task", &err));
    OK(add_frame(w, 1, &err));
    assert_false(dataset_writer_close(w, &err));
    assert_says(&err, f->root, "not ended");
    assert_nothing_else(f, false);
}

static void bad_input_is_refused(void **state) {
    Fixture *f = *state;
    WriterOptions o = options(f);
    Error err = {""};
    DatasetWriter *w = NULL;
    o.fps = 0;
    assert_false(dataset_writer_open(&o, &w, &err));
    assert_null(w);
    o = options(f);
    WriterCamera slash = {"observation/cam", HEIGHT, WIDTH, false};
    o.cameras = &slash;
    assert_false(dataset_writer_open(&o, &w, &err));
    assert_says(&err, "observation/cam", "'/'");
    // Nor one with the name of another camera, a vector, an extra or a text.
    const WriterVector extra = {.name = "observation.images.extra", .dtype = "float32", .dim = 1};
    static const char *const text = "observation.images.text";
    const char *const taken[] = {camera.name, "action", "timestamp", extra.name, text};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        const WriterCamera two[] = {camera, {taken[i], HEIGHT, WIDTH, false}};
        o.cameras = two;
        o.n_cameras = 2;
        o.extras = &extra;
        o.texts = &text;
        o.n_extras = o.n_texts = 1;
        assert_false(dataset_writer_open(&o, &w, &err));
        assert_says(&err, taken[i], "a name of its own");
    }
    o = options(f);
    OK(dataset_writer_open(&o, &w, &err));
    const float bad[3] = {0, NAN, 0};
    static const uint8_t rgb[HEIGHT * WIDTH * 3];
    assert_false(dataset_writer_frame(w, bad, bad, bad, (const uint8_t *const[]){rgb}, &err));
    assert_says(&err, "'observation.state'", "nan");
    dataset_writer_abort(w);
    write_set(f, &o);
    assert_false(dataset_writer_open(&o, &w, &err)); // does not write over it
    assert_says(&err, f->root, "already exists");
}

static void samples_are_repeatable(void **state) {
    Fixture *f = *state;
    char *again = at(&f->arena, f->dir, "again"), *other = at(&f->arena, f->dir, "other");
    SampleOptions o = {.root = f->root,
                       .episodes = 4,
                       .frames = 20,
                       .height = 64,
                       .width = 96,
                       .cameras = 1,
                       .fps = 10,
                       .seed = 1,
                       .images_in_parquet = true};
    Error err;
    OK(sample_dataset_write(&o, &err));
    o.root = again;
    OK(sample_dataset_write(&o, &err));
    o.root = other;
    o.seed = 2;
    OK(sample_dataset_write(&o, &err));
    Dataset *a = open_all(f->root), *b = open_all(again), *c = open_all(other);
    size_t bytes = sizeof(float) * POSE_ROW * (size_t)a->rows;
    assert_int_equal(a->rows, 20 + 21 + 22 + 23);
    assert_memory_equal(a->state_data, b->state_data, bytes);
    assert_memory_not_equal(a->state_data, c->state_data, bytes);
    for (int64_t i = 0; i < a->n_episodes; i++) {
        const Episode *e = &a->episodes[i];
        const float *state_data = a->state_data + e->first_row * POSE_ROW;
        const float *action = a->action_data + e->first_row * POSE_ROW;
        // The action is the pose of the next frame, and the gripper ends closed, low and turned.
        assert_memory_equal(action, state_data + POSE_ROW,
                            sizeof(float) * POSE_ROW * (size_t)(e->length - 1));
        const float *last = state_data + (e->length - 1) * POSE_ROW;
        assert_true(last[6] < 0.2f && state_data[6] > 0.8f && last[2] < 0.03f);
        assert_true(fabsf(last[5] - state_data[5]) > 1e-4f);
    }
    assert_string_equal(a->action->names[6], "gripper");
    dataset_close(a);
    dataset_close(b);
    dataset_close(c);
    o.frames = 1;
    assert_false(sample_dataset_write(&o, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_below, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(written_is_read_back),
        TEST(statistics_are_right),
        TEST(lerobot_columns_are_there),
        TEST(cameras_have_columns_too),
        TEST(unfinished_datasets_leave_nothing),
        TEST(bad_input_is_refused),
        TEST(samples_are_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Datasets that cannot be opened: what is refused, and how clearly.
#include "folder_fixture.h"

static void bad_selections_are_refused(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    const struct {
        int64_t episodes[2], n;
        const char *says;
    } cases[] = {{{3}, 1, "no episode 3"},
                 {{0, -1}, 2, "no episode -1"},
                 {{1, 1}, 2, "twice"},
                 {{0}, 0, "empty"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const DatasetOptions o = {
            .root = f->root, .episodes = cases[i].episodes, .n_episodes = cases[i].n};
        assert_refused(&o, "--dataset.episodes", cases[i].says);
    }
}

static void missing_datasets_say_where(void **state) {
    Fixture *f = *state;
    assert_root_refused(f->root, f->root, "meta/info.json");
    assert_refused(&(DatasetOptions){0}, "--dataset.root", "");
    setenv("HF_LEROBOT_HOME", f->dir, 1);
    assert_refused(&(DatasetOptions){.repo_id = "some/where"}, at(&f->arena, f->dir, "some/where,"),
                   "hf download --repo-type dataset some/where");
    tiny_write(f->root, TINY_GOOD, false);
    Error err;
    Dataset *ds;
    OK(dataset_open(&(DatasetOptions){.repo_id = "set"}, &ds, &err));
    assert_string_equal(ds->root, f->root);
    dataset_close(ds);
    // People often give the folder above the dataset.
    assert_refused(&(DatasetOptions){.root = f->dir, .repo_id = "set"}, "there is one in", f->root);
    unsetenv("HF_LEROBOT_HOME");
    assert_refused(&(DatasetOptions){.repo_id = "some/where"}, "lerobot/some/where,",
                   "hub/datasets--some--where)");
}

static void other_versions_are_refused(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    const char *const cases[][2] = {{"v1.6", "convert_dataset_v1_to_v2 of LeRobot 0.3.3"},
                                    {"v2.2", "not supported"},
                                    {"v4.0", "newer"},
                                    {"three", "not a version"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        edit_info(f->root, "codebase_version", json_string(cases[i][0]));
        assert_root_refused(f->root, cases[i][0], cases[i][1]);
    }
    edit_info(f->root, "codebase_version", NULL);
    assert_root_refused(f->root, "info.json", "codebase_version");
    edit_info(f->root, "codebase_version", json_string("v3.1"));
    dataset_close(open_all(f->root));
}

static void bad_info_is_refused(void **state) {
    Fixture *f = *state;
    tiny_write(f->root, TINY_GOOD, false);
    json_error_t problem;
    edit_info(f->root, "fps", json_integer(0));
    assert_root_refused(f->root, "info.json", "fps");
    edit_info(f->root, "fps", json_integer(10));
    edit_info(f->root, "total_episodes", json_integer(4));
    assert_root_refused(f->root, "4 episodes", "has 3");
    edit_info(f->root, "total_episodes", NULL);
    edit_feature(f->root, "action", "shape", json_loads("[1, 2]", 0, &problem));
    assert_root_refused(f->root, "'action'", "vector");
    edit_feature(f->root, "action", "shape", json_loads("[-1]", 0, &problem));
    assert_root_refused(f->root, "'action'", "impossible shape");
    edit_feature(f->root, "action", "shape", json_loads("[4097]", 0, &problem));
    assert_root_refused(f->root, "'action'", "4097 values");
    edit_feature(f->root, "action", "shape", json_loads("[1]", 0, &problem));
    edit_feature(f->root, "action", "dtype", json_string("string"));
    assert_root_refused(f->root, "'action'", "dtype");
    edit_info(f->root, "features", NULL);
    assert_root_refused(f->root, "info.json", "features");
}

static void bad_columns_are_refused(void **state) {
    Fixture *f = *state;
    const struct {
        TinyFault fault;
        const char *first, *second;
    } cases[] = {
        {TINY_NAN, "file-000.parquet: row 6 (episode 1, frame 2)", "'observation.state' is nan"},
        {TINY_INFINITE, "row 6", "'action' is inf"},
        {TINY_RAGGED, "row 6 of column 'observation.state'", "1 values, the rows before it 2"},
        {TINY_WIDE, "'observation.state' has 3 values", "info.json says 2"},
        {TINY_INDEX, "row 6 has index 7", "6 must be"},
        {TINY_EPISODE, "row 6 has episode_index 2", "1 must be"},
        {TINY_FRAME, "row 6 has frame_index 3", "2 must be"},
        {TINY_NO_STATE, "no column 'observation.state'", "file-000.parquet"},
        {TINY_LENGTH, "no data file here holds frames 10 to 15, which episode 2 has", "=[0,1]"},
        {TINY_TEXT_ACTION, "'action'", "numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Error err;
        tiny_write(f->root, cases[i].fault, false);
        assert_root_refused(f->root, cases[i].first, cases[i].second);
        OK(remove_tree(f->root, &err));
    }
    // The fault is in episode 1: the others can be had without it.
    tiny_write(f->root, TINY_NAN, false);
    Error err;
    Dataset *ds;
    const int64_t good[] = {0, 2};
    OK(dataset_open(&(DatasetOptions){.root = f->root, .episodes = good, .n_episodes = 2}, &ds,
                    &err));
    dataset_close(ds);
}

static void damaged_files_are_refused(void **state) {
    Fixture *f = *state;
    write_sample(f, small_sample);
    char *data = at(&f->arena, f->root, "data/chunk-000/file-000.parquet");
    char *whole;
    size_t size;
    Error err;
    OK(file_read(data, &whole, &size, &err));
    cut_file(data, 0.7);
    assert_root_refused(f->root, data, "");
    OK(file_write(data, whole, size, &err));
    flip_byte(data, 200); // within the first pages
    assert_root_refused(f->root, data, "");
    OK(file_write(data, whole, size, &err));
    mem_free(whole);
    dataset_close(open_all(f->root));
    cut_file(at(&f->arena, f->root, "meta/info.json"), 0.5);
    assert_root_refused(f->root, "info.json", "JSON");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bad_selections_are_refused), TEST(missing_datasets_say_where),
        TEST(other_versions_are_refused), TEST(bad_info_is_refused),
        TEST(bad_columns_are_refused),    TEST(damaged_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// DatasetOptions.rename: a dataset with other names reads as one with LeRobot's.
#include <ftw.h>

#include "folder_fixture.h"

static const struct {
    const char *usual, *other; // of one length, so that they can change places within a file
} names[] = {{"observation.state", "observation.joint"},
             {"action", "target"},
             {"observation.images.front", "observation.images.above"}};

static const char map[] = "{\"observation.joint\": \"observation.state\", \"target\": \"action\", "
                          "\"observation.images.above\": \"observation.images.front\"}";

static void replace_in_file(const char *path) {
    char *data;
    size_t size;
    Error err;
    OK(file_read(path, &data, &size, &err));
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        size_t n = strlen(names[k].usual);
        for (size_t i = 0; i + n <= size; i++)
            if (memcmp(data + i, names[k].usual, n) == 0) memcpy(data + i, names[k].other, n);
    }
    OK(file_write(path, data, size, &err));
    mem_free(data);
}

static int replace_names(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)at;
    const char *end = strrchr(path, '.');
    if (type == FTW_F && end && strcmp(end, ".mp4") != 0) replace_in_file(path);
    return 0;
}

// The same dataset as the one in f->root, with the other names.
static char *other_root(Fixture *f) {
    return at(&f->arena, f->dir, "other");
}

static int set_up_both(void **state) {
    Error err;
    if (set_up(state) != 0) return -1;
    Fixture *f = *state;
    const char *other = other_root(f), *videos = at(&f->arena, other, "videos");
    SampleOptions o = {
        .episodes = 2, .frames = 4, .height = 64, .width = 96, .cameras = 2, .fps = 10};
    o.root = f->root;
    OK(sample_dataset_write(&o, &err));
    o.root = other;
    OK(sample_dataset_write(&o, &err));
    nftw(other, replace_names, 16, FTW_PHYS);
    return rename(at(&f->arena, videos, names[2].usual), at(&f->arena, videos, names[2].other));
}

static void reads_as_the_usual_one(void **state) {
    Fixture *f = *state;
    Error err;
    Dataset *usual = open_all(f->root), *other;
    OK(dataset_open(&(DatasetOptions){.root = other_root(f), .rename = map, .need_videos = true},
                    &other, &err));
    assert_int_equal(other->rows, usual->rows);
    assert_string_equal(other->state->name, "observation.state");
    assert_string_equal(other->state->disk_name, "observation.joint");
    size_t rows = (size_t)usual->rows;
    assert_memory_equal(other->state_data, usual->state_data,
                        rows * (size_t)usual->state->size * sizeof(float));
    assert_memory_equal(other->action_data, usual->action_data,
                        rows * (size_t)usual->action->size * sizeof(float));
    FrameReader *a = NULL, *b = NULL;
    OK(frames_open(usual, 0, 0, &a, &err));
    OK(frames_open(other, 0, 0, &b, &err));
    enum { PIXELS = 64 * 96 * 3 };
    uint8_t one[PIXELS], two[PIXELS];
    for (int camera = 0; camera < 2; camera++) {
        assert_string_equal(other->cameras[camera]->name, usual->cameras[camera]->name);
        assert_non_null(json_object_get(other->stats, other->cameras[camera]->name));
        OK(frames_read(a, camera, 5, one, &err));
        OK(frames_read(b, camera, 5, two, &err));
        assert_memory_equal(one, two, PIXELS);
    }
    frames_close(a);
    frames_close(b);
    dataset_close(usual);
    dataset_close(other);
}

static void names_change_places(void **state) {
    Fixture *f = *state;
    Error err;
    Dataset *usual = open_all(f->root), *swapped;
    const DatasetOptions o = {.root = f->root,
                              .rename =
                                  "{\"observation.images.front\": \"observation.images.wrist\", "
                                  "\"observation.images.wrist\": \"observation.images.front\"}"};
    OK(dataset_open(&o, &swapped, &err));
    assert_string_equal(swapped->cameras[0]->name, usual->cameras[1]->name);
    assert_string_equal(swapped->cameras[0]->disk_name, usual->cameras[0]->name);
    const char *front = "observation.images.front", *wrist = "observation.images.wrist";
    assert_true(
        json_equal(json_object_get(swapped->stats, front), json_object_get(usual->stats, wrist)));
    assert_false(
        json_equal(json_object_get(swapped->stats, front), json_object_get(usual->stats, front)));
    dataset_close(usual);
    dataset_close(swapped);
}

static void what_does_not_fit_is_refused(void **state) {
    Fixture *f = *state;
    assert_refused(&(DatasetOptions){.root = f->root, .rename = map}, "has no 'observation.joint'",
                   "it has observation.state, action, observation.images.front");
    assert_refused(
        &(DatasetOptions){.root = other_root(f), .rename = "{\"target\": \"observation.joint\"}"},
        "'target'", "would both be 'observation.joint'");
    assert_refused(&(DatasetOptions){.root = other_root(f), .rename = "{\"target\": \"a/b\"}"},
                   "contains '/'", "a/b");
    assert_refused(&(DatasetOptions){.root = other_root(f), .rename = "{\"target\": 3}"},
                   "--rename_map", "OLD");
    Error err;
    Dataset *ds; // the names of the training, on data that has the usual ones
    const DatasetOptions o = {.root = f->root, .rename = map, .rename_if_there = true};
    OK(dataset_open(&o, &ds, &err));
    assert_non_null(ds->action);
    dataset_close(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_as_the_usual_one, set_up_both, tear_down),
        cmocka_unit_test_setup_teardown(names_change_places, set_up_both, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, set_up_both, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

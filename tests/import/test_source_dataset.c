// SPDX-License-Identifier: Apache-2.0
// A source as a dataset in memory against the dataset that is made of it: features and their names,
// rows, times, tasks; what cannot be read is left out and told.
#include "import/source_dataset.h"

#include <string.h>

#include "fake_source.h"

#include "../ok.h"

typedef struct Told {
    int64_t episodes[FAKE_EPISODES];
    int n;
    char why[200];
} Told;

static void tell(void *user, int64_t episode, const char *why) {
    Told *t = user;
    t->episodes[t->n++] = episode;
    snprintf(t->why, sizeof t->why, "%s", why);
}

static Dataset *look(Fake *f, const ConvertOptions *o, Told *told) {
    Error err;
    Dataset *ds;
    *told = (Told){0};
    OK(source_dataset_open(&f->source, o, tell, told, &ds, &err));
    return ds;
}

static void compare_feature(const Feature *a, const Feature *b) {
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->rank, b->rank);
    for (int i = 0; i < a->rank; i++) assert_int_equal(a->shape[i], b->shape[i]);
    if (a->kind == FEATURE_VISUAL) {
        assert_int_equal(a->height, b->height);
        assert_int_equal(a->width, b->width);
        return;
    }
    assert_string_equal(a->dtype, b->dtype);
    assert_int_equal(a->n_names, b->n_names);
    for (int i = 0; i < a->n_names; i++) assert_string_equal(a->names[i], b->names[i]);
}

// The features of a dataset on disk, without those that count rows.
static bool counts(const Feature *f) {
    static const char *const own[] = {"timestamp", "frame_index", "episode_index", "index",
                                      "task_index"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(f->name, own[i]) == 0) return true;
    return false;
}

static void compare_features(const Dataset *a, const Dataset *b) {
    int at = 0;
    for (int i = 0; i < b->n_features; i++) {
        if (counts(&b->features[i])) continue;
        assert_true(at < a->n_features);
        compare_feature(&a->features[at++], &b->features[i]);
    }
    assert_int_equal(at, a->n_features);
    assert_int_equal(a->n_cameras, b->n_cameras);
    for (int i = 0; i < a->n_cameras; i++)
        assert_string_equal(a->cameras[i]->name, b->cameras[i]->name);
}

static void compare_column(const Dataset *ds, const Feature *f, const float *a, const float *b) {
    assert_int_equal(f != NULL, a != NULL);
    if (f) assert_memory_equal(a, b, sizeof *a * (size_t)(ds->rows * f->size));
}

// Looks at a source and converts it; both datasets must be the same.
static void compare(Fixture *place, Fake *f, const char *name, ConvertOptions o) {
    Error err;
    ConvertResult result;
    Dataset *made;
    Told told;
    o.root = arena_printf(&place->arena, "%s/%s", place->dir, name);
    o.images = CONVERT_PNG;
    o.threads = 2;
    Dataset *ds = look(f, &o, &told);
    assert_int_equal(told.n, 0);
    fake_convert(f, &o, &result);
    OK(dataset_open(&(DatasetOptions){.root = o.root}, &made, &err));
    compare_features(ds, made);
    assert_string_equal(ds->robot_type, made->robot_type);
    assert_true(ds->fps == made->fps);
    assert_int_equal(ds->rows, made->rows);
    assert_int_equal(ds->n_episodes, made->n_episodes);
    assert_int_equal(ds->n_tasks, made->n_tasks);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        assert_int_equal(ds->episodes[e].first_row, made->episodes[e].first_row);
        assert_int_equal(ds->episodes[e].length, made->episodes[e].length);
        assert_string_equal(ds->episodes[e].task, made->episodes[e].task);
    }
    compare_column(ds, ds->state, ds->state_data, made->state_data);
    compare_column(ds, ds->env, ds->env_data, made->env_data);
    compare_column(ds, ds->action, ds->action_data, made->action_data);
    assert_memory_equal(ds->timestamp, made->timestamp, sizeof *ds->timestamp * (size_t)ds->rows);
    assert_null(ds->stats);
    dataset_close(made);
    dataset_close(ds);
}

static void test_is_what_is_made(void **state) {
    Arena a = {0};
    Fake *f = fake_new(&a);
    f->episodes[0].task = "lift the cup";
    f->episodes[3].task = "lift the cup";
    compare(*state, f, "plain", (ConvertOptions){.task = "another"});
    compare(*state, f, "some", (ConvertOptions){.episodes = (int64_t[]){1, 3}, .n_episodes = 2});
    f->vectors[1].role = IMPORT_ENVIRONMENT;
    compare(*state, f, "environment", (ConvertOptions){.fps = 29.97});
    arena_free(&a);
}

// Actions that are states, of the same row and of the next.
static void test_states_as_actions(void **state) {
    Arena a = {0};
    Fake *f = fake_new(&a);
    f->vectors[2].role = IMPORT_STATE;
    f->source.action_is_state = true;
    compare(*state, f, "same", (ConvertOptions){0});
    compare(*state, f, "next", (ConvertOptions){.next_action = true});
    arena_free(&a);
}

// Episodes that are written in the order of their splits keep the source's numbers.
static void test_numbers_of_the_source(void **state) {
    Arena a = {0};
    Told told;
    Fake *f = fake_new(&a);
    f->episodes[0].split = f->episodes[2].split = "valid";
    f->episodes[1].split = f->episodes[3].split = "train";
    compare(*state, f, "splits", (ConvertOptions){0});
    static const int64_t order[] = {1, 3, 0, 2};
    Dataset *ds = look(f, &(ConvertOptions){0}, &told);
    for (int e = 0; e < FAKE_EPISODES; e++) assert_int_equal(ds->episodes[e].index, order[e]);
    dataset_close(ds);
    arena_free(&a);
}

static void test_unreadable_episode(void **state) {
    (void)state;
    Arena a = {0};
    Told told;
    Fake *f = fake_new(&a);
    f->nan = true;
    Dataset *ds = look(f, &(ConvertOptions){0}, &told);
    assert_int_equal(told.n, 1);
    assert_int_equal(told.episodes[0], 1);
    assert_non_null(strstr(told.why, "vector b, episode 1, row 3"));
    assert_int_equal(ds->n_episodes, 3);
    assert_int_equal(ds->episodes[1].index, 2);
    assert_int_equal(ds->episodes[1].first_row, 60);
    assert_int_equal(ds->rows, 60 + 1 + 33);
    // The row behind the gap is the next episode's own.
    assert_true(ds->state_data[60 * 4] == (float)fake_value(f, 2, 0, 0, 0));
    dataset_close(ds);
    // Of that episode alone nothing is left.
    assert_null(look(f, &(ConvertOptions){.episodes = (int64_t[]){1}, .n_episodes = 1}, &told));
    assert_int_equal(told.n, 1);
    arena_free(&a);
}

static void test_refused(void **state) {
    (void)state;
    Arena a = {0};
    Error err;
    Dataset *ds;
    Told told = {0};
    Fake *f = fake_new(&a);
    f->source.fps = 0;
    assert_false(source_dataset_open(&f->source, &(ConvertOptions){0}, tell, &told, &ds, &err));
    assert_non_null(strstr(err.text, "--fps=N"));
    assert_null(ds);
    f->source.fps = 20;
    f->vectors[0].dim = MAX_VECTOR + 1;
    f->vectors[0].names = NULL;
    assert_false(source_dataset_open(&f->source, &(ConvertOptions){0}, tell, &told, &ds, &err));
    assert_non_null(strstr(err.text, "observation.state has 4098 values"));
    arena_free(&a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_is_what_is_made),
        TEST(test_states_as_actions),
        TEST(test_numbers_of_the_source),
        TEST(test_unreadable_episode),
        TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

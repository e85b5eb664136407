// SPDX-License-Identifier: Apache-2.0
// Batches hold every frame once an epoch and what was recorded; they are the same for any number of
// workers and after a resume.
#include "loader/loader.h"
#include "loader/sampler.h"

#include "../dataset/fixture.h"
#include "../dataset/sample_number.h"

enum { T = 2, H = 3, BATCH = 4, SIDE = 64 };

typedef struct Fixture {
    Arena arena;
    char *dir, *root;
    Dataset *ds; // 3 episodes of 9, 10 and 11 frames, one camera, an environment state
    WindowSpec window;
    Normalizer state, env, action;
    int64_t *rows;
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    f->root = at(&f->arena, f->dir, "set");
    const SampleOptions o = {.root = f->root,
                             .episodes = 3,
                             .frames = 9,
                             .height = SIDE,
                             .width = SIDE,
                             .cameras = 1,
                             .fps = 10,
                             .seed = 3,
                             .env_dim = 2,
                             .joints = true};
    OK(sample_dataset_write(&o, &err));
    f->ds = open_all(f->root);
    f->window =
        (WindowSpec){.horizon = T, .down_sample = 3, .chunk_size = H, .action_down_sample = 1};
    OK(normalizer_init(&f->state, "state", NORM_IDENTITY, NULL, (int)f->ds->state->size, &err));
    OK(normalizer_init(&f->env, "env", NORM_IDENTITY, NULL, 2, &err));
    OK(normalizer_init(&f->action, "action", NORM_IDENTITY, NULL, (int)f->ds->action->size, &err));
    f->rows = NEW(int64_t, f->ds->rows);
    for (int64_t i = 0; i < f->ds->rows; i++) f->rows[i] = i;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    normalizer_free(&f->state), normalizer_free(&f->env), normalizer_free(&f->action);
    dataset_close(f->ds);
    mem_free(f->rows);
    return remove_fixture(f, &f->arena, f->dir);
}

static LoaderOptions options(const Fixture *f, int workers) {
    static const int cameras[] = {0};
    static const FrameSize sizes[] = {{SIDE, SIDE, IMAGE_AREA}};
    return (LoaderOptions){.dataset = f->ds,
                           .window = f->window,
                           .state = &f->state,
                           .env = &f->env,
                           .action = &f->action,
                           .cameras = cameras,
                           .n_cameras = 1,
                           .sizes = sizes,
                           .rows = f->rows,
                           .n_rows = f->ds->rows,
                           .batch_size = BATCH,
                           .num_workers = workers,
                           .prefetch = 2,
                           .shuffle = true,
                           .seed = 11};
}

static Loader *open_loader(const LoaderOptions *o) {
    Error err;
    Loader *l;
    OK(loader_open(o, &l, &err));
    return l;
}

static const Batch *next(Loader *l) {
    Error err;
    const Batch *b;
    OK(loader_next(l, &b, &err));
    return b;
}

// ---- what is in a batch -----------------------------------------------------------------------

static void assert_sample(const Fixture *f, const Batch *b, int i) {
    const Dataset *ds = f->ds;
    int64_t row = b->rows[i], seen[T];
    int D = (int)ds->state->size, A = (int)ds->action->size;
    double state[T * 8], action[H * 8];
    uint8_t pad[H];
    window_rows(ds, &f->window, row, seen);
    window_state(ds, &f->window, row, state);
    window_action(ds, &f->window, row, action, pad);
    for (int k = 0; k < T * D; k++) assert_true(b->state[i * T * D + k] == (float)state[k]);
    for (int k = 0; k < H * A; k++) assert_true(b->action[i * H * A + k] == (float)action[k]);
    assert_memory_equal(b->action_is_pad + i * H, pad, H);
    for (int k = 0; k < 2; k++) assert_true(b->env[2 * i + k] == ds->env_data[2 * row + k]);
    for (int t = 0; t < T; t++) {
        const uint8_t *rgb = b->images[0] + (size_t)(i * T + t) * SIDE * SIDE * 3;
        assert_int_equal(sample_frame_number(rgb, SIDE, SIDE), dataset_index_of(ds, seen[t]));
    }
}

static void batches_hold_what_was_recorded(void **state) {
    const Fixture *f = *state;
    LoaderOptions o = options(f, 2);
    Loader *l = open_loader(&o);
    assert_int_equal(loader_steps_per_epoch(l), (30 + BATCH - 1) / BATCH);
    for (int n = 0; n < 8; n++) {
        const Batch *b = next(l);
        assert_int_equal(b->size, n == 7 ? 2 : BATCH);
        for (int i = 0; i < b->size; i++) assert_sample(f, b, i);
    }
    loader_close(l);
}

static void batches_are_normalised(void **state) {
    const Fixture *f = *state;
    Error err;
    Normalizer n;
    Stats s;
    OK(window_stats(f->ds, &f->window, NULL, 0, 0, 1, NULL, &s, &err));
    OK(normalizer_init(&n, "action", NORM_MIN_MAX, &s, s.dim, &err));
    LoaderOptions o = options(f, 0);
    o.action = &n;
    Loader *l = open_loader(&o);
    const Batch *b = next(l);
    int A = s.dim;
    for (int i = 0; i < b->size; i++)
        for (int k = 0; k < A; k++) {
            double raw = (double)f->ds->action_data[b->rows[i] * A + k];
            double want = 2 * (raw - s.min[k]) / (s.max[k] - s.min[k]) - 1;
            assert_within((double)b->action[i * H * A + k], want, 1e-5);
        }
    loader_close(l);
    normalizer_free(&n);
    stats_free(&s);
}

// ---- order ------------------------------------------------------------------------------------

// A digest of batch after batch.
static uint64_t follow(const Fixture *f, const LoaderOptions *o, int batches) {
    Loader *l = open_loader(o);
    uint64_t h = 0xcbf29ce484222325u;
    size_t state_bytes = T * (size_t)f->ds->state->size * sizeof(float);
    for (int n = 0; n < batches; n++) {
        const Batch *b = next(l);
        const void *parts[] = {b->rows, b->state, b->images[0]};
        size_t sizes[] = {sizeof *b->rows, state_bytes, T * SIDE * SIDE * 3};
        for (int k = 0; k < 3; k++)
            for (size_t i = 0; i < sizes[k] * (size_t)b->size; i++)
                h = (h ^ ((const uint8_t *)parts[k])[i]) * 0x100000001b3u;
    }
    loader_close(l);
    return h;
}

static void batches_do_not_depend_on_the_workers(void **state) {
    const Fixture *f = *state;
    enum { BATCHES = 20 }; // over two epochs
    LoaderOptions none = options(f, 0), other = none;
    uint64_t want = follow(f, &none, BATCHES);
    for (int workers = 1; workers <= 5; workers += 2) {
        LoaderOptions o = options(f, workers);
        assert_true(follow(f, &o, BATCHES) == want);
    }
    other.seed = 12;
    assert_true(follow(f, &other, BATCHES) != want);
}

// Of the rows before a grasp (here: all even ones) a part has its newest observation T times, and
// the actions it has anyway.
static void frames_before_a_grasp_are_repeated(void **state) {
    const Fixture *f = *state;
    enum { EPOCHS = 12 };
    bool before[30];
    RepeatFrames repeat = {.probability = 0.5, .seed = 3, .before = before};
    LoaderOptions o = options(f, 0);
    WindowSpec still = f->window;
    Fixture stands = *f;
    int64_t repeated = 0, again = 0;
    bool first[30] = {false};
    still.down_sample = 0;
    stands.window = still;
    assert_int_equal(f->ds->rows, 30);
    for (int i = 0; i < 30; i++) before[i] = i % 2 == 0;
    o.repeat = &repeat;
    Loader *l = open_loader(&o);
    for (int64_t n = 0; n < EPOCHS * loader_steps_per_epoch(l); n++) {
        const Batch *b = next(l);
        for (int i = 0; i < b->size; i++) {
            const int64_t row = b->rows[i];
            const bool stood = repeat_frames_at(&repeat, b->epoch, row);
            assert_true(before[row] || !stood);
            assert_sample(stood ? &stands : f, b, i);
            repeated += stood;
            if (b->epoch == 0) first[row] = stood;
            again += stood && first[row];
        }
    }
    loader_close(l);
    assert_true(repeated > 60 && repeated < 120); // of 12 * 15
    assert_true(again > 10 && again < repeated);  // not the same ones in every epoch
    const uint64_t want = follow(f, &o, 20);
    o.num_workers = 3;
    assert_true(follow(f, &o, 20) == want);
    o.repeat = NULL;
    assert_true(follow(f, &o, 20) != want);
}

static void a_resumed_loader_goes_on(void **state) {
    const Fixture *f = *state;
    LoaderOptions o = options(f, 2);
    Loader *whole = open_loader(&o);
    o.first_batch = 11;
    Loader *rest = open_loader(&o);
    for (int n = 0; n < 11; n++) next(whole);
    for (int n = 0; n < 6; n++) {
        const Batch *a = next(whole), *b = next(rest);
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->rows, b->rows, (size_t)a->size * sizeof *a->rows);
    }
    loader_close(whole);
    loader_close(rest);
}

static void an_epoch_has_every_row_once(void **state) {
    (void)state;
    enum { N = 101 };
    int64_t rows[N], got[8], first[N];
    for (int i = 0; i < N; i++) rows[i] = 1000 + 3 * i;
    Sampler s = {.rows = rows, .n_rows = N, .batch_size = 8, .shuffle = true, .seed = 5};
    sampler_init(&s);
    int64_t batches = sampler_steps_per_epoch(&s), moved = 0, differs = 0;
    assert_int_equal(batches, 13);
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        int seen[N] = {0}, at_row = 0;
        for (int64_t n = 0; n < batches; n++) {
            int size = sampler_batch(&s, epoch * batches + n, got);
            assert_int_equal(size, n == 12 ? 5 : 8);
            for (int i = 0; i < size; i++, at_row++) {
                seen[(got[i] - 1000) / 3]++;
                moved += got[i] != rows[at_row];
                if (epoch == 0)
                    first[at_row] = got[i];
                else
                    differs += got[i] != first[at_row];
            }
        }
        for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
    }
    assert_true(moved > 2 * N && differs > N);
    sampler_free(&s);
}

static void partial_batches_can_be_left_out(void **state) {
    (void)state;
    const int64_t rows[] = {4, 5, 6, 7, 8};
    int64_t got[2];
    Sampler s = {.rows = rows, .n_rows = 5, .batch_size = 2, .drop_last = true};
    sampler_init(&s);
    assert_int_equal(sampler_steps_per_epoch(&s), 2);
    assert_int_equal(sampler_batch(&s, 1, got), 2);
    assert_int_equal(got[0], 6);
    assert_int_equal(sampler_batch(&s, 2, got), 2);
    assert_int_equal(got[0], 4);
    sampler_free(&s);
}

// Three processes of two pieces of four samples take the rows of one process of 24 samples.
static void pieces_and_processes_share_a_large_batch(void **state) {
    (void)state;
    enum { N = 77, B = 4, PIECES = 2, PROCESSES = 3, STEP = B * PIECES * PROCESSES };
    int64_t rows[N], whole[STEP], got[B], n;
    for (int i = 0; i < N; i++) rows[i] = 5 * i;
    Sampler one = {
        .rows = rows, .n_rows = N, .batch_size = STEP, .shuffle = true, .drop_last = true};
    sampler_init(&one);
    assert_int_equal(sampler_steps_per_epoch(&one), 3);
    for (int process = 0; process < PROCESSES; process++) {
        Sampler s = {.rows = rows,
                     .n_rows = N,
                     .batch_size = B,
                     .pieces = PIECES,
                     .processes = PROCESSES,
                     .process = process,
                     .shuffle = true,
                     .drop_last = true};
        sampler_init(&s);
        assert_int_equal(sampler_steps_per_epoch(&s), 3);
        for (int64_t step = 0; step < 7; step++) { // into the third epoch
            assert_int_equal(sampler_batch(&one, step, whole), STEP);
            for (int piece = 0; piece < PIECES; piece++) {
                assert_int_equal(sampler_batch(&s, step * PIECES + piece, got), B);
                int first = sampler_first_sample(&s, step * PIECES + piece);
                assert_int_equal(first, (piece * PROCESSES + process) * B);
                assert_memory_equal(got, whole + first, sizeof got);
                assert_memory_equal(sampler_step_rows(&s, &n), whole, sizeof whole);
                assert_int_equal(n, STEP);
            }
        }
        sampler_free(&s);
    }
    sampler_free(&one);
}

// ---- errors -----------------------------------------------------------------------------------

static void a_workers_error_comes_out_at_its_batch(void **state) {
    Fixture *f = *state;
    const char *video = f->ds->episodes[0].videos[0].path;
    char *data;
    size_t size;
    Error err;
    OK(file_read(video, &data, &size, &err));
    for (int workers = 0; workers <= 2; workers += 2) {
        LoaderOptions o = options(f, workers);
        const Batch *b;
        OK(file_write(video, "no video", 8, &err));
        Loader *l = open_loader(&o);
        assert_false(loader_next(l, &b, &err));
        assert_says(&err, video, "");
        assert_false(loader_next(l, &b, &err)); // and again
        loader_close(l);
        OK(file_write(video, data, size, &err));
    }
    mem_free(data);
}

static void impossible_options_are_refused(void **state) {
    const Fixture *f = *state;
    Error err;
    Loader *l;
    LoaderOptions o = options(f, 0);
    o.batch_size = 0;
    assert_false(loader_open(&o, &l, &err));
    assert_says(&err, "--batch_size=0", "at least 1");
    o = options(f, -1);
    assert_false(loader_open(&o, &l, &err));
    assert_says(&err, "--num_workers=-1", "negative");
    o = options(f, 0);
    o.batch_size = 31;
    o.drop_last = true;
    assert_false(loader_open(&o, &l, &err));
    assert_says(&err, "30 frames", "31");
}

static void closing_early_joins_the_workers(void **state) {
    const Fixture *f = *state;
    for (int n = 0; n < 3; n++) {
        LoaderOptions o = options(f, 3);
        Loader *l = open_loader(&o);
        for (int k = 0; k < n; k++) next(l);
        loader_close(l);
    }
    loader_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_hold_what_was_recorded),
        cmocka_unit_test(batches_are_normalised),
        cmocka_unit_test(batches_do_not_depend_on_the_workers),
        cmocka_unit_test(frames_before_a_grasp_are_repeated),
        cmocka_unit_test(a_resumed_loader_goes_on),
        cmocka_unit_test(an_epoch_has_every_row_once),
        cmocka_unit_test(partial_batches_can_be_left_out),
        cmocka_unit_test(pieces_and_processes_share_a_large_batch),
        cmocka_unit_test(a_workers_error_comes_out_at_its_batch),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(closing_early_joins_the_workers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

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

// Normalised like the chunk's, and counted among the actions of the step.
static void past_actions_are_in_a_batch(void **state) {
    const Fixture *f = *state;
    enum { N = 4, Q = H + N };
    LoaderOptions o = options(f, 2);
    Normalizer n;
    Stats s;
    Error err;
    o.window.past = N;
    o.drop_last = true;
    OK(window_stats(f->ds, &o.window, NULL, 0, 0, 1, NULL, &s, &err));
    OK(normalizer_init(&n, "action", NORM_MIN_MAX, &s, s.dim, &err));
    o.action = &n;
    Loader *l = open_loader(&o);
    const int A = s.dim;
    for (int k = 0; k < 5; k++) {
        const Batch *b = next(l);
        int64_t unpadded = 0;
        for (int i = 0; i < b->size; i++) {
            double action[Q * 8];
            float want[Q * 8];
            uint8_t pad[Q];
            window_action(f->ds, &o.window, b->rows[i], action, pad);
            normalizer_apply(&n, action, want, Q);
            assert_memory_equal(b->action + i * Q * A, want, (size_t)(Q * A) * sizeof *want);
            assert_memory_equal(b->action_is_pad + i * Q, pad, Q);
            for (int q = 0; q < Q; q++) unpadded += !pad[q];
        }
        assert_int_equal(b->step_actions, unpadded);
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

// A part of the samples has zeros for all its states, and the actions it has anyway. Which is a
// matter of seed, epoch and row, whatever batch, piece or process a row is in.
static void states_are_dropped(void **state) {
    const Fixture *f = *state;
    enum { EPOCHS = 40 };
    LoaderOptions o = options(f, 0);
    const int D = (int)f->ds->state->size;
    const double P = 0.3, n = EPOCHS * 30, spread = sqrt(n * P * (1 - P));
    float zeros[T * 8] = {0};
    bool first[30] = {false};
    int64_t dropped = 0, again = 0;
    o.state_dropout = (StateDropout){P, 3};
    assert_int_equal(f->ds->rows, 30);
    Loader *l = open_loader(&o);
    for (int64_t k = 0; k < EPOCHS * loader_steps_per_epoch(l); k++) {
        const Batch *b = next(l);
        for (int i = 0; i < b->size; i++) {
            const int64_t row = b->rows[i];
            const bool drop = state_dropout_at(o.state_dropout, b->epoch, row);
            float *seen = b->state + (ptrdiff_t)i * T * D;
            if (drop) {
                assert_memory_equal(seen, zeros, (size_t)(T * D) * sizeof *seen);
                double recorded[T * 8]; // the rest of the sample is as ever
                window_state(f->ds, &f->window, row, recorded);
                for (int j = 0; j < T * D; j++) seen[j] = (float)recorded[j];
            }
            assert_sample(f, b, i);
            dropped += drop;
            if (b->epoch == 0) first[row] = drop;
            again += drop && first[row];
        }
    }
    loader_close(l);
    assert_true(fabs((double)dropped - n * P) < 4 * spread);
    assert_true(again > 0 && again < dropped); // not the same ones in every epoch
    const uint64_t want = follow(f, &o, 20);
    o.num_workers = 3;
    assert_true(follow(f, &o, 20) == want);
    o.state_dropout.seed = 4;
    assert_true(follow(f, &o, 20) != want);
    o.state_dropout = (StateDropout){0, 3};
    const uint64_t none = follow(f, &o, 20);
    o.state_dropout.probability = 1;
    assert_true(follow(f, &o, 20) != none && follow(f, &o, 20) != want);
    // Zeros are what the model sees, not what is normalised.
    Error err;
    Stats s;
    Normalizer scaled;
    OK(window_stats(f->ds, &f->window, NULL, 0, 0, 1, &s, NULL, &err));
    OK(normalizer_init(&scaled, "state", NORM_MIN_MAX, &s, s.dim, &err));
    o.state = &scaled;
    l = open_loader(&o);
    assert_memory_equal(next(l)->state, zeros, sizeof(float) * (size_t)(T * D));
    loader_close(l);
    normalizer_free(&scaled);
    stats_free(&s);
    for (int64_t row = 0; row < 30; row++) {
        assert_true(state_dropout_at((StateDropout){1, 3}, 5, row));
        assert_false(state_dropout_at((StateDropout){0, 3}, 5, row));
    }
}

// The samples of a step are those of one large batch, with the same states dropped.
static void pieces_and_processes_drop_the_same(void **state) {
    const Fixture *f = *state;
    enum { PARTS = 2 };
    const int D = (int)f->ds->state->size;
    const size_t bytes = sizeof(float) * (size_t)(T * D);
    LoaderOptions large = options(f, 0);
    large.drop_last = true;
    large.state_dropout = (StateDropout){0.5, 3};
    for (int processes = 1; processes <= 2; processes++) {
        LoaderOptions part = large;
        part.batch_size = BATCH / PARTS;
        part.pieces = PARTS / processes;
        part.processes = processes;
        Loader *whole = open_loader(&large), *parts[PARTS] = {0};
        for (int p = 0; p < processes; p++) {
            part.process = p;
            parts[p] = open_loader(&part);
        }
        for (int step = 0; step < 14; step++) { // two epochs
            const Batch *a = next(whole);
            for (int k = 0; k < PARTS; k++) {
                const Batch *b = next(parts[processes == 1 ? 0 : k]);
                for (int i = 0; i < b->size; i++) {
                    const int at = b->first_sample + i;
                    assert_int_equal(a->rows[at], b->rows[i]);
                    assert_memory_equal(a->state + (ptrdiff_t)at * T * D,
                                        b->state + (ptrdiff_t)i * T * D, bytes);
                }
            }
        }
        loader_close(whole);
        for (int p = 0; p < processes; p++) loader_close(parts[p]);
    }
}

// ---- actions that are given --------------------------------------------------------------------

static void actions_given_are_drawn_evenly(void **state) {
    (void)state;
    enum { ROWS = 20000, MOST = 4 };
    int count[MOST + 1] = {0}, again = 0;
    for (int64_t row = 0; row < ROWS; row++) {
        const int n = action_prefix_at(5, MOST, 3, row);
        assert_true(n >= 0 && n <= MOST);
        count[n]++;
        assert_int_equal(action_prefix_at(5, MOST, 3, row), n);
        again += n == action_prefix_at(5, MOST, 4, row);
        again += n == action_prefix_at(6, MOST, 3, row);
        assert_int_equal(action_prefix_at(5, 0, 3, row), 0);
    }
    // Five deviations of the numbers of draws that are right by chance.
    for (int n = 0; n <= MOST; n++) assert_true(abs(count[n] - ROWS / 5) < 5 * 57);
    assert_true(abs(again - 2 * ROWS / 5) < 5 * 80); // another epoch or seed has others
}

// Of all processes, pieces and workers a row has the same, and the step's count is that of all.
static void actions_given_are_a_rows(void **state) {
    const Fixture *f = *state;
    enum { MOST = H - 1, PROCESSES = 2, PIECES = 2, SMALL = 3, BATCHES = 8 };
    for (int process = 0; process < PROCESSES; process++) {
        LoaderOptions o = options(f, process);
        o.batch_size = SMALL;
        o.pieces = PIECES, o.processes = PROCESSES, o.process = process;
        o.drop_last = true;
        o.max_action_prefix = MOST;
        Loader *l = open_loader(&o);
        Sampler s = loader_sampler(&o);
        int64_t rows[SMALL];
        sampler_init(&s);
        for (int64_t n = 0; n < BATCHES; n++) {
            const Batch *b = next(l);
            int64_t samples, left = 0;
            sampler_batch(&s, n, rows);
            assert_memory_equal(rows, b->rows, sizeof rows);
            for (int i = 0; i < SMALL; i++)
                assert_int_equal(b->action_prefix[i],
                                 action_prefix_at(o.seed, MOST, b->epoch, b->rows[i]));
            const int64_t *all = sampler_step_rows(&s, &samples);
            assert_int_equal(samples, SMALL * PIECES * PROCESSES);
            for (int64_t i = 0; i < samples; i++) {
                uint8_t pad[H];
                window_action(f->ds, &f->window, all[i], NULL, pad);
                for (int k = action_prefix_at(o.seed, MOST, b->epoch, all[i]); k < H; k++)
                    left += !pad[k];
            }
            assert_int_equal(b->step_actions, left);
        }
        sampler_free(&s);
        loader_close(l);
    }
    LoaderOptions none = options(f, 0);
    Loader *l = open_loader(&none);
    assert_null(next(l)->action_prefix);
    loader_close(l);
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
        cmocka_unit_test(past_actions_are_in_a_batch),
        cmocka_unit_test(batches_do_not_depend_on_the_workers),
        cmocka_unit_test(frames_before_a_grasp_are_repeated),
        cmocka_unit_test(states_are_dropped),
        cmocka_unit_test(pieces_and_processes_drop_the_same),
        cmocka_unit_test(actions_given_are_drawn_evenly),
        cmocka_unit_test(actions_given_are_a_rows),
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

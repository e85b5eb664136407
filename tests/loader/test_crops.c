// SPDX-License-Identifier: Apache-2.0
// Parts of frames: at a random place in training, the same one whoever makes the batch, and the
// middle elsewhere.
#include "cache_fixture.h"
#include "loader/frame_crop.h"

enum { EPOCH = (ROWS + BATCH - 1) / BATCH };

// Odd numbers of rows and columns are left over, and of one camera no row.
static const FrameCrop crops[CAMERAS] = {{41, 39}, {SIDE / 4 * 3, 47}};

static LoaderOptions crop_options(const Fixture *f, int workers) {
    return (LoaderOptions){
        .dataset = f->ds,
        .window = {.horizon = T, .down_sample = 3, .chunk_size = 3, .action_down_sample = 1},
        .state = &f->state,
        .action = &f->action,
        .cameras = cameras,
        .n_cameras = CAMERAS,
        .sizes = frame_sizes,
        .crops = crops,
        .random_crops = true,
        .rows = f->rows,
        .n_rows = ROWS,
        .batch_size = BATCH,
        .num_workers = workers,
        .prefetch = 2,
        .shuffle = true,
        .seed = 11};
}

// All frames of a sample and camera are the part of what was recorded that begins at `place`.
static void assert_part(const Fixture *f, const LoaderOptions *o, const Batch *b, int i, int camera,
                        CropPlace place) {
    int64_t rows[T];
    const FrameCrop part = crops[camera];
    const size_t given = (size_t)(part.height * part.width * 3);
    uint8_t *wanted = NEW(uint8_t, given);
    assert_in_range(place.top, 0, frame_sizes[camera].height - part.height);
    assert_in_range(place.left, 0, frame_sizes[camera].width - part.width);
    window_rows(f->ds, &o->window, b->rows[i], rows);
    for (int t = 0; t < T; t++) {
        const uint8_t *whole = f->frames + ((size_t)(camera * ROWS) + (size_t)rows[t]) * FRAME;
        for (int y = 0; y < part.height; y++)
            memcpy(wanted + y * part.width * 3,
                   whole + ((place.top + y) * frame_sizes[camera].width + place.left) * 3,
                   (size_t)part.width * 3);
        assert_memory_equal(b->images[camera] + (size_t)(i * T + t) * given, wanted, given);
    }
    mem_free(wanted);
}

// Every sample of some epochs has its part, which is that of the options `as`.
static void assert_parts(const Fixture *f, const LoaderOptions *o, const LoaderOptions *as,
                         int batches) {
    Loader *l;
    Error err;
    OK(loader_open(o, &l, &err));
    for (int n = 0; n < batches; n++) {
        const Batch *b;
        OK(loader_next(l, &b, &err));
        for (int i = 0; i < b->size; i++)
            for (int c = 0; c < CAMERAS; c++)
                assert_part(f, o, b, i, c, frame_crop_place(as, b->epoch, b->rows[i], c));
    }
    loader_close(l);
}

static void samples_see_parts(void **state) {
    const Fixture *f = *state;
    const LoaderOptions one = crop_options(f, 0);
    for (int workers = 0; workers <= 3; workers += 3) {
        LoaderOptions o = crop_options(f, workers);
        assert_parts(f, &o, &one, 2 * EPOCH);
        o.first_batch = EPOCH + 3; // resumed
        assert_parts(f, &o, &one, 3);
        FrameCacheOptions kept = options(f, "memory");
        frame_cache_open(&kept, &o.cache);
        assert_non_null(o.cache);
        o.first_batch = 0;
        assert_parts(f, &o, &one, 2 * EPOCH);
        frame_cache_close(o.cache);
    }
}

// The second of two processes, whose batches are a quarter of a step each.
static void pieces_and_processes_see_the_same(void **state) {
    const Fixture *f = *state;
    const LoaderOptions one = crop_options(f, 0);
    LoaderOptions o = one;
    o.batch_size = 1;
    o.pieces = o.processes = 2;
    o.process = 1;
    o.drop_last = true;
    assert_parts(f, &o, &one, 20);
}

static void elsewhere_it_is_the_middle(void **state) {
    const Fixture *f = *state;
    static const CropPlace middle[CAMERAS] = {{4, 4}, {0, 8}}; // of 7 and 9 left over; of 0 and 17
    LoaderOptions o = crop_options(f, 0);
    Loader *l;
    Error err;
    const Batch *b;
    o.random_crops = false;
    OK(loader_open(&o, &l, &err));
    OK(loader_next(l, &b, &err));
    for (int i = 0; i < b->size; i++)
        for (int c = 0; c < CAMERAS; c++) assert_part(f, &o, b, i, c, middle[c]);
    loader_close(l);
}

// Every place is as likely, for each camera, row, epoch and seed anew.
static void places_are_random(void **state) {
    const Fixture *f = *state;
    enum { EPOCHS = 300, TOPS = SIDE - 41 + 1, LEFTS = SIDE - 39 + 1 };
    LoaderOptions o = crop_options(f, 0), other = o;
    int tops[TOPS] = {0}, lefts[LEFTS] = {0}, both = 0, as_before = 0, as_camera = 0, as_seed = 0;
    other.seed = 12;
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (int64_t row = 0; row < ROWS; row++) {
            const CropPlace p = frame_crop_place(&o, epoch, row, 0);
            tops[p.top]++;
            lefts[p.left]++;
            both += p.top == 0 && p.left == 0;
            as_before += p.left == frame_crop_place(&o, epoch + 1, row, 0).left;
            as_camera += p.left == frame_crop_place(&o, epoch, row, 1).left;
            as_seed += p.left == frame_crop_place(&other, epoch, row, 0).left;
        }
    // Within six standard deviations of what even chances give.
    const int n = EPOCHS * ROWS;
    for (int i = 0; i < TOPS; i++) assert_in_range(tops[i], n / TOPS - 200, n / TOPS + 200);
    for (int i = 0; i < LEFTS; i++) assert_in_range(lefts[i], n / LEFTS - 180, n / LEFTS + 180);
    assert_in_range(both, 48, 178); // 112: the two sides are drawn apart
    assert_in_range(as_before, n / LEFTS - 180, n / LEFTS + 180);
    assert_in_range(as_seed, n / LEFTS - 180, n / LEFTS + 180);
    assert_in_range(as_camera, n / 18 - 140, n / 18 + 140); // of its 18 places
}

// What is cut out is a part of the whole frame after its transforms.
static void transforms_come_first(void **state) {
    const Fixture *f = *state;
    ImageTransforms t;
    LoaderOptions o = crop_options(f, 0), whole = o;
    Loader *part_loader, *whole_loader;
    Error err;
    image_transforms_default(&t);
    t.max_num_transforms = 6; // with the one that moves pixels
    t.seed = 5;
    o.transforms = whole.transforms = &t;
    whole.crops = NULL;
    OK(loader_open(&o, &part_loader, &err));
    OK(loader_open(&whole, &whole_loader, &err));
    for (int n = 0; n < EPOCH; n++) {
        const Batch *a, *b;
        OK(loader_next(part_loader, &a, &err));
        OK(loader_next(whole_loader, &b, &err));
        for (int i = 0; i < a->size * T * CAMERAS; i++) {
            const int c = i % CAMERAS, at = i / CAMERAS;
            uint8_t part[FRAME];
            const size_t given = (size_t)(crops[c].height * crops[c].width * 3);
            frame_crop_copy(&o, c, frame_crop_place(&o, a->epoch, a->rows[at / T], c),
                            b->images[c] + (size_t)at * FRAME, part);
            assert_memory_equal(a->images[c] + (size_t)at * given, part, given);
        }
    }
    loader_close(part_loader);
    loader_close(whole_loader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_see_parts),
        cmocka_unit_test(pieces_and_processes_see_the_same),
        cmocka_unit_test(elsewhere_it_is_the_middle),
        cmocka_unit_test(places_are_random),
        cmocka_unit_test(transforms_come_first),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

// SPDX-License-Identifier: Apache-2.0
// Batches from the frame cache, augmented or not, are the same as without it.
#include "cache_fixture.h"

static LoaderOptions loader_options(const Fixture *f, int workers, FrameCache *c,
                                    const ImageTransforms *t) {
    return (LoaderOptions){
        .dataset = f->ds,
        .window = {.horizon = T, .down_sample = 3, .chunk_size = 3, .action_down_sample = 1},
        .state = &f->state,
        .action = &f->action,
        .cameras = cameras,
        .n_cameras = CAMERAS,
        .sizes = frame_sizes,
        .rows = f->rows,
        .n_rows = ROWS,
        .batch_size = BATCH,
        .num_workers = workers,
        .prefetch = 2,
        .shuffle = true,
        .seed = 11,
        .cache = c,
        .transforms = t};
}

// All images of some batches, one after the other. The caller frees.
static uint8_t *images(const LoaderOptions *o, int batches) {
    Loader *l;
    Error err;
    size_t part = BATCH * T * FRAME;
    uint8_t *all = NEW(uint8_t, (size_t)batches * CAMERAS * part);
    OK(loader_open(o, &l, &err));
    for (int n = 0; n < batches; n++) {
        const Batch *b;
        OK(loader_next(l, &b, &err));
        for (int k = 0; k < CAMERAS; k++)
            memcpy(all + ((size_t)n * CAMERAS + (size_t)k) * part, b->images[k],
                   (size_t)b->size * T * FRAME);
    }
    loader_close(l);
    return all;
}

static void assert_same_images(const Fixture *f, FrameCache *c, int workers,
                               const ImageTransforms *t, const uint8_t *want) {
    enum { BATCHES = 20 }; // over two epochs
    LoaderOptions o = loader_options(f, workers, c, t);
    uint8_t *got = images(&o, BATCHES);
    assert_memory_equal(got, want, (size_t)BATCHES * CAMERAS * BATCH * T * FRAME);
    mem_free(got);
}

static void check_batches(const Fixture *f, const ImageTransforms *t) {
    static const char *const modes[] = {"memory", "file"};
    LoaderOptions none = loader_options(f, 0, NULL, t);
    uint8_t *want = images(&none, 20);
    for (int i = 0; i < 2; i++)
        for (int workers = 0; workers <= 3; workers++) {
            FrameCacheOptions o = options(f, modes[i]);
            FrameCache *c;
            if (workers == 3 && i == 0) o.limit_gb = 11 * CAMERAS * FRAME / 1e9; // not all rows fit
            frame_cache_open(&o, &c);
            assert_same_images(f, NULL, workers, t, want);
            assert_same_images(f, c, workers, t, want); // cold
            assert_same_images(f, c, workers, t, want); // warm
            right_ones(f, c);
            frame_cache_close(c);
            if (i) flip(a_file(f), 8192 + (int64_t)workers * FRAME + 100);
        }
    mem_free(want);
}

static void batches_are_the_same_with_and_without(void **state) {
    check_batches(*state, NULL);
}

static void augmented_batches_are_the_same_too(void **state) {
    ImageTransforms t;
    image_transforms_default(&t);
    t.seed = 8;
    check_batches(*state, &t);
}

// ---- a disk that is swapped under it ------------------------------------------------------------

// What may become of the cache's folder while a training reads from it and writes to it.
static void swap_disk(const Fixture *f, int how) {
    char paths[8][4096], command[4300];
    Error err;
    int n = list_files(f, paths);
    for (int i = 0; i < n; i++) {
        if (how == 0) assert_int_equal(truncate(paths[i], 0), 0);
        if (how == 1) assert_int_equal(truncate(paths[i], 9000), 0);
        if (how == 2) { // other bytes in the same file, its header and its table among them
            snprintf(command, sizeof command, "yes | head -c 300000 >'%s'", paths[i]);
            assert_int_equal(system(command), 0);
        }
    }
    if (how == 3) OK(remove_tree(f->cache, &err));
    if (how == 4) { // another folder of the same name, with files of the same names
        snprintf(command, sizeof command, "cp -r '%s' '%s.2' && rm -r '%s' && mv '%s.2' '%s'",
                 f->cache, f->cache, f->cache, f->cache, f->cache);
        assert_int_equal(system(command), 0);
        list_files(f, paths);
        for (int i = 0; i < n; i++) flip(paths[i], 8192 + 3 * FRAME + 7);
    }
    if (how == 5) { // a file where the folder was
        OK(remove_tree(f->cache, &err));
        OK(file_write(f->cache, "no folder", 9, &err));
    }
}

static void a_swapped_disk_changes_nothing(void **state) {
    const Fixture *f = *state;
    enum { BATCHES = 20, PART = BATCH * T * FRAME };
    LoaderOptions none = loader_options(f, 0, NULL, NULL);
    uint8_t *want = images(&none, BATCHES);
    for (int how = 0; how <= 5; how++) {
        Error err;
        Loader *l;
        const Batch *b;
        FrameCache *c = open_cache(f, "file");
        put_all(f, c);
        LoaderOptions o = loader_options(f, 2, c, NULL);
        o.prefetch = 1;
        OK(loader_open(&o, &l, &err));
        for (int n = 0; n < BATCHES; n++) {
            if (n == 3 || n == 9) swap_disk(f, how);
            OK(loader_next(l, &b, &err));
            for (int k = 0; k < CAMERAS; k++)
                assert_memory_equal(b->images[k], want + (size_t)(n * CAMERAS + k) * PART,
                                    (size_t)b->size * T * FRAME);
        }
        loader_close(l);
        frame_cache_close(c);
        // Nor does what is left of it harm the next run.
        frame_cache_open(&(FrameCacheOptions){.dataset = f->ds,
                                              .cameras = cameras,
                                              .n_cameras = CAMERAS,
                                              .sizes = frame_sizes,
                                              .mode = "file",
                                              .dir = f->cache,
                                              .limit_gb = 1},
                         &c);
        assert_same_images(f, c, 2, NULL, want);
        frame_cache_close(c);
        unlink(f->cache);
        OK(remove_tree(f->cache, &err));
    }
    mem_free(want);
}

// Workers that wait for the training fill the cache.
static void workers_fill_while_they_wait(void **state) {
    const Fixture *f = *state;
    FrameCache *c = open_cache(f, "file");
    LoaderOptions o = loader_options(f, 2, c, NULL);
    o.prefetch = 1;
    Loader *l;
    Error err;
    const Batch *b;
    OK(loader_open(&o, &l, &err));
    OK(loader_next(l, &b, &err));
    for (int i = 0; i < 2000 && frame_cache_count(c, 0) + frame_cache_count(c, 1) < CAMERAS * ROWS;
         i++)
        usleep(10000);
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
    loader_close(l);
    frame_cache_close(c);
}

// All T frames of a sample get the same augmentation; different samples and cameras get different
// ones.
static void frames_of_a_window_are_alike(void **state) {
    Fixture *f = *state;
    ImageTransforms t = {.count = 1,
                         .max_num_transforms = 1,
                         .seed = 8,
                         .list = {{.kind = TRANSFORM_AFFINE,
                                   .weight = 1,
                                   .low = -30,
                                   .high = 30,
                                   .translate = {0.2, 0.2}}}};
    LoaderOptions o = loader_options(f, 0, NULL, &t);
    o.window.down_sample = 0; // the same row T times
    Loader *l;
    Error err;
    const Batch *b;
    int differ = 0;
    OK(loader_open(&o, &l, &err));
    OK(loader_next(l, &b, &err));
    for (int k = 0; k < CAMERAS; k++)
        for (int i = 0; i < b->size; i++) {
            const uint8_t *window = b->images[k] + (size_t)i * T * FRAME;
            assert_memory_equal(window, window + FRAME, FRAME);
            DrawnTransform d[MAX_IMAGE_TRANSFORMS];
            uint8_t want[FRAME], scratch[FRAME];
            const int height = frame_sizes[k].height, width = frame_sizes[k].width;
            image_transforms_draw(&t, 0, b->rows[i], k, height, width, d);
            memcpy(want, frame(f, k, b->rows[i]), FRAME);
            image_transform_apply(d, want, height, width, scratch);
            assert_memory_equal(window, want, FRAME);
            differ += memcmp(want, frame(f, k, b->rows[i]), FRAME) != 0;
        }
    assert_int_equal(differ, CAMERAS * BATCH);
    loader_close(l);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, no_files)
    const struct CMUnitTest tests[] = {
        TEST(batches_are_the_same_with_and_without), TEST(augmented_batches_are_the_same_too),
        TEST(a_swapped_disk_changes_nothing),        TEST(workers_fill_while_they_wait),
        TEST(frames_of_a_window_are_alike),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

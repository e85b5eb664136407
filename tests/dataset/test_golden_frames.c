// SPDX-License-Identifier: Apache-2.0
// Frames of a real recording against block means that another decoder gave.
#include "formats/safetensors.h"

#include "fixture.h"

enum { ROWS = 12, COLUMNS = 16, BLOCK = 40, HEIGHT = ROWS * BLOCK, WIDTH = COLUMNS * BLOCK };

// Mean of each block of 40x40 pixels, by channel, against the expected (12, 16, 3).
static void assert_blocks(const uint8_t *rgb, const SafetensorsEntry *expected) {
    for (int y = 0; y < ROWS; y++) {
        for (int x = 0; x < COLUMNS; x++) {
            for (int c = 0; c < 3; c++) {
                double sum = 0;
                for (int i = 0; i < BLOCK * BLOCK; i++) {
                    int py = y * BLOCK + i / BLOCK, px = x * BLOCK + i % BLOCK;
                    sum += rgb[(py * WIDTH + px) * 3 + c];
                }
                double mean = sum / (BLOCK * BLOCK);
                double wanted = safetensors_value(expected, (y * COLUMNS + x) * 3 + c);
                if (!(fabs(mean - wanted) <= 1.5)) {
                    fail_msg("%s, block %d %d channel %d: %f, expected %f", expected->name, y, x, c,
                             mean, wanted);
                }
            }
        }
    }
}

static void frames_are_as_another_decoder_sees_them(void **state) {
    (void)state;
    Arena a = {0};
    Error err;
    Safetensors *golden;
    FrameReader *frames;
    char *root = shared(&a, "data/g1_bottle_ee");
    OK(safetensors_open(shared(&a, "golden/g1_bottle_ee.safetensors"), &golden, &err));
    Dataset *ds = open_all(root);
    assert_int_equal(ds->rows, 2238);
    assert_int_equal(ds->n_episodes, 6);
    OK(frames_open(ds, 0, 0, &frames, &err));
    uint8_t *rgb = mem_alloc(HEIGHT * WIDTH * 3);
    int compared = 0;
    // Backwards, so that nearly every frame is a jump.
    for (int i = safetensors_count(golden) - 1; i >= 0; i--) {
        const SafetensorsEntry *e = safetensors_entry(golden, i);
        long long index;
        char rest;
        if (sscanf(e->name, "frame.%lld%c", &index, &rest) != 1) continue;
        assert_int_equal(e->count, ROWS * COLUMNS * 3);
        OK(frames_read(frames, 0, dataset_row_of(ds, index), rgb, &err));
        assert_blocks(rgb, e);
        compared++;
    }
    assert_true(compared >= 9);
    mem_free(rgb);
    frames_close(frames);
    dataset_close(ds);
    safetensors_close(golden);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(frames_are_as_another_decoder_sees_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

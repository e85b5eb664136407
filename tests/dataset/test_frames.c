// SPDX-License-Identifier: Apache-2.0
// Every frame carries its number: reading must give the frame that was asked for, in any order,
// across the edges of episodes, from either form of storage and at another size.
#include "base/rng.h"

#include "fixture.h"
#include "sample_number.h"

enum { HEIGHT = 96, WIDTH = 160, EPISODES = 3, FRAMES = 12 };

typedef struct Fixture {
    Arena arena;
    char *dir, *video_root, *image_root;
    Dataset *video, *image;
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    f->dir = new_folder(&f->arena);
    f->video_root = at(&f->arena, f->dir, "video");
    f->image_root = at(&f->arena, f->dir, "image");
    SampleOptions o = {.root = f->video_root,
                       .episodes = EPISODES,
                       .frames = FRAMES,
                       .height = HEIGHT,
                       .width = WIDTH,
                       .cameras = 2,
                       .fps = 30,
                       .seed = 3};
    Error err;
    OK(sample_dataset_write(&o, &err));
    o.root = f->image_root;
    o.images_in_parquet = true;
    OK(sample_dataset_write(&o, &err));
    f->video = open_all(f->video_root);
    f->image = open_all(f->image_root);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    dataset_close(f->video);
    dataset_close(f->image);
    return remove_fixture(f, &f->arena, f->dir);
}

static void assert_frame(FrameReader *r, const Dataset *ds, int camera, int64_t row, int height,
                         int width) {
    static uint8_t rgb[HEIGHT * WIDTH * 3 + 1];
    size_t size = (size_t)height * (size_t)width * 3;
    Error err;
    rgb[size] = 0xA5;
    OK(frames_read(r, camera, row, rgb, &err));
    assert_int_equal(rgb[size], 0xA5);
    int number = sample_frame_number(rgb, height, width);
    if (number != dataset_index_of(ds, row))
        fail_msg("camera %d row %d shows frame %d", camera, (int)row, number);
}

// Reads all rows in order, then many at random; the cameras take turns.
static void read_everything(const Dataset *ds, int height, int width) {
    FrameReader *r;
    Error err;
    OK(frames_open(ds, height, width, &r, &err));
    int h = height ? height : HEIGHT, w = width ? width : WIDTH;
    for (int64_t row = 0; row < ds->rows; row++)
        for (int c = 0; c < ds->n_cameras; c++) assert_frame(r, ds, c, row, h, w);
    RngStream rng = {.key = {.seed = 5}};
    for (int i = 0; i < 120; i++)
        assert_frame(r, ds, i % ds->n_cameras, (int64_t)rng_below(&rng, (uint64_t)ds->rows), h, w);
    for (int64_t row = ds->rows - 1; row >= 0; row -= 5) assert_frame(r, ds, 0, row, h, w);
    frames_close(r);
}

static void video_frames_are_the_right_ones(void **state) {
    Fixture *f = *state;
    assert_int_equal(f->video->rows, 12 + 13 + 14);
    assert_true(f->video->cameras[0]->video);
    read_everything(f->video, 0, 0);
}

static void resized_frames_are_the_right_ones(void **state) {
    Fixture *f = *state;
    read_everything(f->video, HEIGHT / 2, WIDTH / 2);
    read_everything(f->image, HEIGHT / 2, WIDTH / 2);
}

static void each_camera_has_its_own_size(void **state) {
    Fixture *f = *state;
    const Dataset *sets[] = {f->video, f->image};
    FrameReader *r;
    Error err;
    for (int i = 0; i < 2; i++) {
        OK(frames_open(sets[i], HEIGHT / 2, WIDTH / 2, &r, &err));
        OK(frames_resize(r, 1, (FrameSize){HEIGHT, WIDTH - 16, IMAGE_AREA}, &err));
        for (int64_t row = 0; row < sets[i]->rows; row += 3) {
            assert_frame(r, sets[i], 0, row, HEIGHT / 2, WIDTH / 2);
            assert_frame(r, sets[i], 1, row, HEIGHT, WIDTH - 16);
        }
        assert_false(frames_resize(r, 0, (FrameSize){HEIGHT, 0, IMAGE_AREA}, &err));
        OK(frames_resize(r, 1, (FrameSize){0}, &err)); // as recorded again
        assert_frame(r, sets[i], 1, 5, HEIGHT, WIDTH);
        frames_close(r);
    }
}

static void image_columns_are_the_right_ones(void **state) {
    Fixture *f = *state;
    assert_false(f->image->cameras[0]->video);
    assert_null(f->image->episodes[0].videos[0].path);
    read_everything(f->image, 0, 0);
}

// The video is a lossy copy of what the images hold exactly.
static void both_forms_show_the_same(void **state) {
    Fixture *f = *state;
    FrameReader *videos, *images;
    Error err;
    static uint8_t a[HEIGHT * WIDTH * 3], b[HEIGHT * WIDTH * 3];
    OK(frames_open(f->video, 0, 0, &videos, &err));
    OK(frames_open(f->image, 0, 0, &images, &err));
    for (int64_t row = 0; row < f->video->rows; row += 6) {
        OK(frames_read(videos, 1, row, a, &err));
        OK(frames_read(images, 1, row, b, &err));
        double sum = 0;
        for (size_t i = 0; i < sizeof a; i++) sum += abs(a[i] - b[i]);
        if (!(sum / (double)sizeof a < 4))
            fail_msg("row %d: off by %f", (int)row, sum / (double)sizeof a);
    }
    frames_close(videos);
    frames_close(images);
}

static void selections_read_their_own_frames(void **state) {
    Fixture *f = *state;
    const int64_t picks[] = {2, 0};
    const char *const roots[] = {f->video_root, f->image_root};
    for (int i = 0; i < 2; i++) {
        Dataset *ds;
        Error err;
        const DatasetOptions o = {.root = roots[i], .episodes = picks, .n_episodes = 2};
        OK(dataset_open(&o, &ds, &err));
        assert_int_equal(dataset_index_of(ds, 0), 25);
        read_everything(ds, 0, 0);
        dataset_close(ds);
    }
}

// Every episode has a file of its own, and there are more files than are kept open.
static void many_video_files(void **state) {
    Fixture *f = *state;
    Error err;
    char *root = at(&f->arena, f->dir, "many"), *old = at(&f->arena, f->dir, "old");
    const SampleOptions o = {.root = root,
                             .episodes = 11,
                             .frames = 2,
                             .height = 64,
                             .width = 64,
                             .cameras = 1,
                             .fps = 10};
    OK(sample_dataset_write(&o, &err));
    Dataset *new = open_all(root);
    v21_write(old, root, new);
    Dataset *ds = open_all(old);
    FrameReader *r;
    OK(frames_open(ds, 0, 0, &r, &err));
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t row = 0; row < ds->rows; row++) assert_frame(r, ds, 0, row, 64, 64);
        for (int64_t row = ds->rows - 1; row >= 0; row -= 7) assert_frame(r, ds, 0, row, 64, 64);
    }
    frames_close(r);
    dataset_close(ds);
    dataset_close(new);
}

static void wrong_sizes_are_put_right_and_wrong_rows_refused(void **state) {
    Fixture *f = *state;
    Error err = {""};
    FrameReader *r = NULL;
    static uint8_t rgb[2 * HEIGHT * WIDTH * 3];
    assert_false(frames_open(f->video, 10, 0, &r, &err));
    const char *const roots[] = {f->video_root, f->image_root};
    for (int i = 0; i < 2; i++) {
        json_error_t problem;
        edit_feature(roots[i], "observation.images.front", "shape",
                     json_loads("[96, 128, 3]", 0, &problem));
        Dataset *ds = open_all(roots[i]);
        OK(frames_open(ds, 0, 0, &r, &err));
        // The size of the recorded frames counts, whatever info.json says.
        assert_int_equal(ds->cameras[0]->width, WIDTH);
        assert_frame(r, ds, 0, 5, HEIGHT, WIDTH);
        assert_false(frames_read(r, 1, ds->rows, rgb, &err));
        assert_says(&err, "no frame at row", "");
        assert_false(frames_read(r, 2, 0, rgb, &err));
        OK(frames_read(r, 1, 0, rgb, &err));
        frames_close(r);
        dataset_close(ds);
    }
}

static void times_outside_the_video_are_refused(void **state) {
    Fixture *f = *state;
    Error err = {""};
    FrameReader *r;
    static uint8_t rgb[HEIGHT * WIDTH * 3];
    OK(frames_open(f->video, 0, 0, &r, &err));
    f->video->timestamp[3] += 0.4 / 30; // still nearest to its own frame
    assert_frame(r, f->video, 0, 3, HEIGHT, WIDTH);
    f->video->timestamp[3] += 10;
    assert_false(frames_read(r, 0, 3, rgb, &err));
    assert_says(&err, "observation.images.front/chunk-000/file-000.mp4", "");
    frames_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_frames_are_the_right_ones),
        cmocka_unit_test(resized_frames_are_the_right_ones),
        cmocka_unit_test(each_camera_has_its_own_size),
        cmocka_unit_test(image_columns_are_the_right_ones),
        cmocka_unit_test(both_forms_show_the_same),
        cmocka_unit_test(selections_read_their_own_frames),
        cmocka_unit_test(many_video_files),
        cmocka_unit_test(times_outside_the_video_are_refused),
        cmocka_unit_test(
            wrong_sizes_are_put_right_and_wrong_rows_refused), // edits the datasets: last
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

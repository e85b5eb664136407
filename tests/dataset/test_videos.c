// SPDX-License-Identifier: Apache-2.0
// Rows against the frames of videos: found by time, by count, or refused when the dataset is
// opened. Every frame carries its number, so a wrong one is seen.
#include "fixture.h"
#include "sample_number.h"

enum { SIDE = 64, EPISODES = 3, FPS = 30 };

typedef struct Fixture {
    Arena arena;
    char *dir, *joined, *single; // v3.0: all episodes in one video; v2.1: a video each
    char *video;                 // of joined
    Dataset *good;               // joined, as it was written
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    f->joined = at(&f->arena, f->dir, "joined");
    f->single = at(&f->arena, f->dir, "single");
    f->video = at(&f->arena, f->joined, "videos/observation.images.front/chunk-000/file-000.mp4");
    const SampleOptions o = {.root = f->joined,
                             .episodes = EPISODES,
                             .frames = 12,
                             .height = SIDE,
                             .width = SIDE,
                             .cameras = 1,
                             .fps = FPS,
                             .seed = 3,
                             .joints = true};
    OK(sample_dataset_write(&o, &err));
    f->good = open_all(f->joined);
    v21_write(f->single, f->joined, f->good);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    dataset_close(f->good);
    return remove_fixture(f, &f->arena, f->dir);
}

// Writes the frames of rows first .. end-1 (the last one again, where there are no more) at another
// rate.
static void write_video(const Fixture *f, const char *path, int64_t first, int64_t end, int fps) {
    static uint8_t rgb[SIDE * SIDE * 3];
    FrameReader *frames;
    VideoWriter *w;
    Error err;
    char *again = arena_printf((Arena *)&f->arena, "%s.new", path);
    OK(frames_open(f->good, 0, 0, &frames, &err));
    OK(video_writer_open(again, NULL, SIDE, SIDE, fps, 2, 30, &w, &err));
    for (int64_t row = first; row < end; row++) {
        OK(frames_read(frames, 0, row < f->good->rows ? row : f->good->rows - 1, rgb, &err));
        OK(video_writer_add(w, rgb, &err));
    }
    OK(video_writer_close(w, &err));
    frames_close(frames);
    assert_int_equal(rename(again, path), 0);
}

static char *single_video(Fixture *f, int episode) {
    return arena_printf(&f->arena, "%s/videos/chunk-%03d/observation.images.front/episode_%06d.mp4",
                        f->single, episode / 2, episode);
}

// Gives every row of `single` another time: scale * its own + shift.
static void write_times(Fixture *f, double scale, double shift) {
    Dataset *ds = f->good;
    double *own = NEW(double, ds->rows);
    memcpy(own, ds->timestamp, sizeof *own * (size_t)ds->rows);
    for (int64_t r = 0; r < ds->rows; r++) ds->timestamp[r] = scale * own[r] + shift;
    for (int e = 0; e < EPISODES; e++)
        v21_data(
            arena_printf(&f->arena, "%s/data/chunk-%03d/episode_%06d.parquet", f->single, e / 2, e),
            ds, &ds->episodes[e]);
    memcpy(ds->timestamp, own, sizeof *own * (size_t)ds->rows);
    mem_free(own);
}

// Every row shows its own frame, found by this rule; read in order and, through segments, out of
// it.
static void assert_frames(const char *root, FrameRule rule) {
    static uint8_t rgb[SIDE * SIDE * 3];
    FrameReader *frames;
    Error err;
    Dataset *ds = open_all(root);
    OK(frames_open(ds, 0, 0, &frames, &err));
    for (int64_t e = 0; e < ds->n_episodes; e++)
        assert_int_equal(ds->episodes[e].videos[0].rule, rule);
    for (int64_t i = 0; i < 2 * ds->rows; i++) {
        int64_t row = i < ds->rows ? i : (7 * i) % ds->rows, first, end;
        OK(frames_segment(frames, 0, row, &first, &end, &err));
        assert_true(first <= row && row < end);
        OK(frames_read(frames, 0, row, rgb, &err));
        int number = sample_frame_number(rgb, SIDE, SIDE);
        if (number != dataset_index_of(ds, row))
            fail_msg("row %d shows frame %d", (int)row, number);
    }
    frames_close(frames);
    dataset_close(ds);
}

static void times_on_the_grid_are_taken_as_they_are(void **state) {
    Fixture *f = *state;
    assert_frames(f->joined, FRAMES_BY_TIME);
    assert_frames(f->single, FRAMES_BY_TIME);
    write_times(f, 1, 0.001); // as where videos were joined
    assert_frames(f->single, FRAMES_BY_TIME);
}

static void clock_times_with_one_frame_a_row_are_counted(void **state) {
    Fixture *f = *state;
    write_times(f, 30 / 28.7, 0);
    assert_frames(f->single, FRAMES_BY_COUNT);
    write_times(f, 0, 0); // a recorder that never set them
    assert_frames(f->single, FRAMES_BY_COUNT);
}

static void clock_times_without_are_refused(void **state) {
    Fixture *f = *state;
    const Episode *e = &f->good->episodes[1];
    write_times(f, 30 / 28.7, 0);
    write_video(f, single_video(f, 1), e->first_row, e->first_row + e->length + 1, FPS);
    assert_root_refused(f->single, "does not fit episode 1: its 13 rows of 28.70 Hz",
                        "--dataset.episodes=[0,2]");
    write_times(f, 0, 0);
    assert_root_refused(f->single, "rows 0 and 1 would show the same one", "episode 1");
}

static void a_video_of_another_rate_is_refused(void **state) {
    Fixture *f = *state;
    FrameReader *frames;
    Error err;
    static uint8_t rgb[SIDE * SIDE * 3];
    // A video that runs twice as fast is no fault where every row finds its frame.
    for (int i = 0; i < EPISODES; i++) {
        const Episode *e = &f->good->episodes[i];
        write_video(f, single_video(f, i), e->first_row, e->first_row + 2 * e->length, 2 * FPS);
    }
    Dataset *ds = open_all(f->single);
    OK(frames_open(ds, 0, 0, &frames, &err));
    OK(frames_read(frames, 0, 3, rgb, &err));
    assert_int_equal(sample_frame_number(rgb, SIDE, SIDE), 6);
    frames_close(frames);
    dataset_close(ds);
    // The whole file has as many frames as rows, but no episode has.
    write_video(f, f->video, 0, f->good->rows, FPS / 2);
    assert_root_refused(f->joined, "rows of 30.00 Hz", "frames of 15.00 Hz");
    assert_root_refused(f->joined, "episode 0", "3 episodes are like that");
}

static void a_video_that_is_too_short_is_refused(void **state) {
    Fixture *f = *state;
    write_video(f, f->video, 0, f->good->rows - 2, FPS);
    assert_root_refused(f->joined, "does not fit episode 2", "--dataset.episodes=[0,1]");
    const DatasetOptions only_looked_at = {.root = f->joined};
    assert_refused(&only_looked_at, "does not fit episode 2", "to 1.200 s");
    Error err;
    Dataset *ds;
    OK(dataset_open(&(DatasetOptions){.root = f->joined,
                                      .episodes = (const int64_t[]){0, 1},
                                      .n_episodes = 2,
                                      .need_videos = true},
                    &ds, &err));
    dataset_close(ds);
}

static void tolerance_is_honoured(void **state) {
    Fixture *f = *state;
    const Episode *e = &f->good->episodes[1];
    Error err;
    Dataset *ds;
    // One frame too many, so that nothing can be counted.
    write_video(f, single_video(f, 1), e->first_row, e->first_row + e->length + 1, FPS);
    write_times(f, 1, 0.001);
    dataset_close(open_all(f->single));
    assert_refused(&(DatasetOptions){.root = f->single, .tolerance_s = 1e-4},
                   "does not fit episode 1",
                   "is 1.0 ms from the nearest, more than 0.1 ms (--tolerance_s)");
    // With a wide tolerance a row takes the nearest frame, as in LeRobot.
    write_video(f, f->video, 0, f->good->rows, FPS / 2);
    OK(dataset_open(&(DatasetOptions){.root = f->joined, .tolerance_s = 0.05}, &ds, &err));
    assert_int_equal(ds->episodes[0].videos[0].rule, FRAMES_BY_TIME);
    FrameReader *frames;
    static uint8_t rgb[SIDE * SIDE * 3];
    OK(frames_open(ds, 0, 0, &frames, &err));
    for (int64_t row = 0; row < 6; row++) {
        OK(frames_read(frames, 0, row, rgb, &err));
        int number = sample_frame_number(rgb, SIDE, SIDE); // half as many a second, so half as far
        if (2 * number < row - 1 || 2 * number > row + 1)
            fail_msg("row %d shows frame %d", (int)row, number);
    }
    frames_close(frames);
    dataset_close(ds);
}

// The table of episodes of `joined` with these numbers of video files and times at which episodes
// begin; they end where the next one begins, if that is later.
static void write_table(Fixture *f, const int64_t *file, const double *from) {
    enum { N = EPISODES };
    int64_t index[N], first[N], end[N], length[N], zero[N] = {0}, offsets[N + 1] = {0};
    double to[N];
    ParquetBytes tasks[N];
    for (int i = 0; i < N; i++) {
        const Episode *e = &f->good->episodes[i];
        index[i] = i;
        first[i] = e->first_row;
        length[i] = e->length;
        end[i] = e->first_row + e->length;
        const bool followed = i + 1 < N && file[i + 1] == file[i] && from[i + 1] > from[i];
        to[i] = followed ? from[i + 1] : from[i] + (double)e->length / FPS;
        offsets[i + 1] = i + 1;
        tasks[i] = (ParquetBytes){(const uint8_t *)"x", 1};
    }
#define OF_CAMERA(what) "videos/observation.images.front/" what
    const ParquetField fields[] = {
        {.name = "tasks", .type = PARQUET_STRING, .list = true},
        {.name = "length", .type = PARQUET_I64},
        {.name = "episode_index", .type = PARQUET_I64},
        {.name = "dataset_from_index", .type = PARQUET_I64},
        {.name = "dataset_to_index", .type = PARQUET_I64},
        {.name = "data/chunk_index", .type = PARQUET_I64},
        {.name = "data/file_index", .type = PARQUET_I64},
        {.name = OF_CAMERA("chunk_index"), .type = PARQUET_I64},
        {.name = OF_CAMERA("file_index"), .type = PARQUET_I64},
        {.name = OF_CAMERA("from_timestamp"), .type = PARQUET_F64},
        {.name = OF_CAMERA("to_timestamp"), .type = PARQUET_F64},
    };
    const ParquetValues values[] = {
        {tasks, offsets}, {length, NULL}, {index, NULL}, {first, NULL}, {end, NULL}, {zero, NULL},
        {zero, NULL},     {zero, NULL},   {file, NULL},  {from, NULL},  {to, NULL},
    };
    write_parquet(at(&f->arena, f->joined, "meta/episodes/chunk-000/file-000.parquet"), fields, 11,
                  values, N);
}

static void stale_numbers_of_video_files_are_put_right(void **state) {
    Fixture *f = *state;
    const Episode *e = f->good->episodes;
    char *second = arena_printf(&f->arena, "%.*s1.mp4", (int)strlen(f->video) - 5, f->video);
    double later = (double)e[0].length / FPS;
    // Episode 2 lies in a file of its own, which the table does not know.
    write_video(f, second, e[2].first_row, e[2].first_row + e[2].length, FPS);
    write_table(f, (const int64_t[]){0, 0, 0}, (const double[]){0, later, 0});
    assert_frames(f->joined, FRAMES_BY_TIME);
    // Where no file is left over, frames are shared on purpose.
    assert_int_equal(unlink(second), 0);
    write_table(f, (const int64_t[]){0, 0, 0}, (const double[]){0, later, 0});
    Dataset *ds = open_all(f->joined);
    assert_string_equal(ds->episodes[2].videos[0].path, f->video);
    dataset_close(ds);
    // Every episode has a file of its own, and begins there at time 0.
    char *third = arena_printf(&f->arena, "%.*s2.mp4", (int)strlen(f->video) - 5, f->video);
    write_video(f, second, e[1].first_row, e[1].first_row + e[1].length, FPS);
    write_video(f, third, e[2].first_row, e[2].first_row + e[2].length, FPS);
    write_table(f, (const int64_t[]){0, 0, 0}, (const double[]){0, 0, 0});
    assert_frames(f->joined, FRAMES_BY_TIME);
}

// A recorder dropped two frames of episode 0: in time its last rows fit the first frames of episode
// 1.
static void frames_of_another_episode_are_refused(void **state) {
    Fixture *f = *state;
    const Episode *e = f->good->episodes;
    const double second = (double)(e[0].length - 2) / FPS,
                 third = second + (double)e[1].length / FPS;
    write_table(f, (const int64_t[]){0, 0, 0}, (const double[]){0, second, third});
    char row[64];
    snprintf(row, sizeof row, "row %d would show a frame of another episode", (int)e[0].length - 2);
    assert_root_refused(f->joined, row, "--dataset.episodes=[1,2]");
    assert_refused(&(DatasetOptions){.root = f->joined, .tolerance_s = 0.01}, row, "episode 0");
}

static void a_video_that_lacks_is_named(void **state) {
    Fixture *f = *state;
    static uint8_t rgb[SIDE * SIDE * 3];
    FrameReader *frames;
    Dataset *ds;
    Error err = {""};
    char *gone = single_video(f, 1);
    assert_int_equal(unlink(gone), 0);
    OK(dataset_open(&(DatasetOptions){.root = f->single}, &ds, &err));
    OK(frames_open(ds, 0, 0, &frames, &err));
    assert_false(frames_read(frames, 0, ds->episodes[1].first_row, rgb, &err));
    assert_non_null(strstr(err.text, gone));
    assert_non_null(strstr(err.text, "No such file"));
    frames_close(frames);
    dataset_close(ds);
}

static void one_camera_has_one_size(void **state) {
    Fixture *f = *state;
    VideoWriter *w;
    Error err;
    static uint8_t rgb[2 * SIDE * SIDE * 3];
    OK(video_writer_open(single_video(f, 1), NULL, SIDE, 2 * SIDE, FPS, 2, 30, &w, &err));
    for (int64_t k = 0; k < f->good->episodes[1].length; k++) OK(video_writer_add(w, rgb, &err));
    OK(video_writer_close(w, &err));
    assert_root_refused(f->single, "frames are 64x128", "--dataset.episodes=[0,2]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(times_on_the_grid_are_taken_as_they_are),
        TEST(clock_times_with_one_frame_a_row_are_counted),
        TEST(clock_times_without_are_refused),
        TEST(a_video_of_another_rate_is_refused),
        TEST(a_video_that_is_too_short_is_refused),
        TEST(tolerance_is_honoured),
        TEST(frames_of_another_episode_are_refused),
        TEST(one_camera_has_one_size),
        TEST(stale_numbers_of_video_files_are_put_right),
        TEST(a_video_that_lacks_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

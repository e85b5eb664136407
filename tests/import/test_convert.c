// SPDX-License-Identifier: Apache-2.0
// A source becomes a dataset that has its rows and frames; a conversion that is stopped, at
// whatever moment, goes on and ends with the same bytes; what cannot be converted is refused.
#include "dataset/episode_stats.h"
#include "dataset/writer.h"
#include "fake_source.h"

static ConvertOptions options(const Fixture *f, ConvertImages images) {
    return (ConvertOptions){.root = f->root, .images = images, .threads = 2, .task = "pick"};
}

static void convert(Fake *fake, const ConvertOptions *o) {
    Error err;
    ConvertResult result;
    if (!convert_source(&fake->source, o, &result, &err)) {
        if (no_encoder(&err)) skip();
        fail_msg("%s", err.text);
    }
    assert_int_equal(fake->cursors, 0);
    char partial[4096];
    snprintf(partial, sizeof partial, "%s.partial", o->root);
    assert_false(dir_exists(partial));
}

// ---- rows and frames ----------------------------------------------------------------------------

// The rows of episode e of the dataset, which is episode `from` of the source. next: the action is
// the state of the row after.
static void check_rows(const Fake *fake, const Dataset *ds, int64_t e, int64_t from) {
    const Episode *episode = &ds->episodes[e];
    assert_int_equal(episode->length, fake->episodes[from].length);
    for (int64_t k = 0; k < episode->length; k++) {
        int64_t row = episode->first_row + k;
        for (int j = 0; j < 3; j++)
            assert_true(ds->state_data[row * 4 + j] == (float)fake_value(fake, from, 0, k, j));
        assert_true(ds->state_data[row * 4 + 3] == (float)fake_value(fake, from, 1, k, 0));
        for (int j = 0; j < 2; j++)
            assert_true(ds->action_data[row * 2 + j] == (float)fake_value(fake, from, 2, k, j));
        assert_within(ds->timestamp[row], (double)k / ds->fps, 1e-6);
    }
}

// The greatest mean error of a frame of the dataset, a value of 0 to 255.
static double frame_error(const Fake *fake, const Dataset *ds, int64_t e, int64_t from) {
    Error err;
    FrameReader *frames;
    double worst = 0;
    OK(frames_open(ds, 0, 0, &frames, &err));
    for (int c = 0; c < ds->n_cameras; c++) {
        for (int64_t k = 0; k < ds->episodes[e].length; k++) {
            Image want = fake_image(&fake->cameras[c], from, c, k);
            size_t n = image_rgb_bytes(want.height, want.width);
            uint8_t *got = mem_alloc(n);
            double sum = 0;
            OK(frames_read(frames, c, ds->episodes[e].first_row + k, got, &err));
            for (size_t i = 0; i < n; i++) sum += abs(got[i] - want.rgb[i]);
            worst = fmax(worst, sum / (double)n);
            mem_free(got);
            image_free(&want);
        }
    }
    frames_close(frames);
    return worst;
}

static void check_dataset(const Fake *fake, const char *root, double error) {
    Dataset *ds = open_all(root);
    assert_int_equal(ds->n_episodes, FAKE_EPISODES);
    assert_int_equal(ds->rows, 101);
    assert_string_equal(ds->robot_type, "arm");
    assert_string_equal(ds->cameras[1]->name, "observation.images.top");
    assert_int_equal(ds->cameras[0]->height, 64);
    assert_int_equal(ds->cameras[0]->width, 96);
    for (int e = 0; e < FAKE_EPISODES; e++) {
        check_rows(fake, ds, e, e);
        assert_string_equal(ds->episodes[e].task, "pick");
        double got = frame_error(fake, ds, e, e);
        if (!(got <= error)) fail_msg("episode %d: frames differ by %.3f", e, got);
    }
    dataset_close(ds);
}

static void png_keeps_every_bit(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_PNG);
    convert(fake, &o);
    check_dataset(fake, f->root, 0);
}

static void video_keeps_the_picture(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_VIDEO);
    convert(fake, &o);
    check_dataset(fake, f->root, 3); // a frame beside it differs by 20 and more
}

static void jpeg_keeps_the_picture(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_JPEG);
    convert(fake, &o);
    check_dataset(fake, f->root, 1.5);
}

// float64 is kept, names and types stand in info.json, bytes of images are the source's.
static void columns_are_the_sources(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_COPY);
    convert(fake, &o);
    check_dataset(fake, f->root, 0);
    Error err;
    ParquetFile *file;
    ParquetColumn values, bytes;
    OK(parquet_open(at(&f->arena, f->root, "data/chunk-000/file-000.parquet"), &file, &err));
    OK(parquet_read(file, parquet_find(file, "observation.velocity", NULL), 0, -1, &values, &err));
    for (int64_t k = 0; k < 60; k++)
        for (int j = 0; j < 3; j++)
            assert_true(values.numbers[k * 3 + j] == fake_value(fake, 0, 3, k, j));
    OK(parquet_read(file, parquet_find(file, "observation.images.top", "bytes"), 0, -1, &bytes,
                    &err));
    uint8_t *stored;
    size_t size;
    void *cursor = NULL;
    OK(fake_stored(&fake->source, &cursor, 0, 1, 5, &stored, &size, &err));
    assert_int_equal(bytes.bytes[5].size, size);
    assert_memory_equal(bytes.bytes[5].data, stored, size);
    mem_free(stored);
    parquet_column_free(&values);
    parquet_column_free(&bytes);
    parquet_close(file);
    Dataset *ds = open_all(f->root);
    assert_string_equal(ds->state->names[1], "y");
    assert_string_equal(ds->state->names[3], "b");
    assert_string_equal(ds->state->dtype, "float32");
    assert_string_equal(ds->action->dtype, "float64");
    dataset_close(ds);
}

// Files of one recording may have other types than the first, whose type is the one that is known.
static void a_type_grows_with_its_values(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    fake->wide = true;
    ConvertOptions o = options(f, CONVERT_PNG);
    convert(fake, &o);
    Error err;
    ParquetFile *file;
    ParquetColumn values;
    OK(parquet_open(at(&f->arena, f->root, "data/chunk-000/file-000.parquet"), &file, &err));
    OK(parquet_read(file, parquet_find(file, "observation.state", NULL), 0, -1, &values, &err));
    assert_true(values.numbers[68 * 4] == 0.1); // the first row of the last episode
    assert_true(values.numbers[1] == fake_value(fake, 0, 0, 0, 1));
    parquet_column_free(&values);
    parquet_close(file);
    Dataset *ds = open_all(f->root);
    assert_string_equal(ds->state->dtype, "float64");
    dataset_close(ds);
}

static void action_may_be_the_state(void **state) {
    Fixture *f = *state;
    for (int next = 0; next < 2; next++) {
        Fake *fake = fake_new(&f->arena);
        fake->source.action_is_state = true;
        fake->source.n_vectors = 2;
        fake->source.n_cameras = 0;
        ConvertOptions o = options(f, CONVERT_VIDEO);
        o.root = at(&f->arena, f->dir, next ? "next" : "same");
        o.next_action = next;
        convert(fake, &o);
        Dataset *ds = open_all(o.root);
        assert_int_equal(ds->action->size, 4);
        assert_string_equal(ds->action->names[0], "x");
        for (int e = 0; e < FAKE_EPISODES; e++) {
            const Episode *ep = &ds->episodes[e];
            for (int64_t k = 0; k < ep->length; k++) {
                int64_t of = next && k + 1 < ep->length ? k + 1 : k;
                assert_memory_equal(ds->action_data + (ep->first_row + k) * 4,
                                    ds->state_data + (ep->first_row + of) * 4, 4 * sizeof(float));
            }
        }
        dataset_close(ds);
    }
}

static void splits_lie_together(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    static const char *const splits[] = {"valid", "train", NULL, "train"};
    static const int order[] = {1, 3, 0, 2};
    for (int e = 0; e < FAKE_EPISODES; e++) fake->episodes[e].split = splits[e];
    fake->episodes[3].task = "place";
    ConvertOptions o = options(f, CONVERT_PNG);
    convert(fake, &o);
    Dataset *ds = open_all(f->root);
    for (int e = 0; e < FAKE_EPISODES; e++) {
        check_rows(fake, ds, e, order[e]);
        assert_string_equal(ds->episodes[e].task, order[e] == 3 ? "place" : "pick");
        assert_true(frame_error(fake, ds, e, order[e]) <= 0);
    }
    dataset_close(ds);
    Error err;
    json_t *info;
    OK(json_read(at(&f->arena, f->root, "meta/info.json"), &info, &err));
    const json_t *said = json_object_get(info, "splits");
    assert_string_equal(json_string_value(json_object_get(said, "train")), "0:2");
    assert_string_equal(json_string_value(json_object_get(said, "valid")), "2:3");
    assert_int_equal(json_object_size(said), 2);
    json_decref(info);
}

static void some_episodes(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_PNG);
    o.episodes = (const int64_t[]){1, 3};
    o.n_episodes = 2;
    convert(fake, &o);
    Dataset *ds = open_all(f->root);
    assert_int_equal(ds->n_episodes, 2);
    check_rows(fake, ds, 0, 1);
    check_rows(fake, ds, 1, 3);
    assert_true(frame_error(fake, ds, 1, 3) <= 0);
    dataset_close(ds);
}

static void rates_may_be_fractions(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_VIDEO);
    o.fps = 59.94;
    convert(fake, &o);
    check_dataset(fake, f->root, 3);
    Dataset *ds = open_all(f->root);
    assert_true(ds->fps == 60000.0 / 1001);
    dataset_close(ds);
}

static const char *env_names[] = {"u", "v", "w"};

// An episode that is longer than a part of 512 frames.
static void parts_follow_each_other(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    fake->episodes[0].length = 530;
    ConvertOptions o = options(f, CONVERT_PNG);
    convert(fake, &o);
    Dataset *ds = open_all(f->root);
    check_rows(fake, ds, 0, 0);
    assert_true(frame_error(fake, ds, 0, 0) <= 0);
    dataset_close(ds);
}

static void an_environment_is_kept(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    fake->vectors[3].role = IMPORT_ENVIRONMENT;
    fake->vectors[3].names = env_names;
    ConvertOptions o = options(f, CONVERT_PNG);
    convert(fake, &o);
    Dataset *ds = open_all(f->root);
    check_rows(fake, ds, 3, 3);
    assert_int_equal(ds->env->size, 3);
    assert_string_equal(ds->env->names[2], "w");
    for (int64_t k = 0; k < 60; k++)
        assert_true(ds->env_data[k * 3 + 2] == (float)fake_value(fake, 0, 3, k, 2));
    dataset_close(ds);
}

// The sum of a camera's pixels by channel, over the first of each four frames of an episode;
// returns how many pixels that are.
static double sum_pixels(const Fake *fake, int camera, int episode, double sum[3], int *frames) {
    double n = 0;
    for (int64_t k = 0; k < fake->episodes[episode].length; k += WRITER_PIXEL_STEP, ++*frames) {
        Image image = fake_image(&fake->cameras[camera], episode, camera, k);
        size_t bytes = image_rgb_bytes(image.height, image.width);
        for (size_t i = 0; i < bytes; i++) sum[i % 3] += image.rgb[i];
        n += (double)(bytes / 3);
        image_free(&image);
    }
    return n;
}

// Of every camera, in each episode and over all.
static void check_statistics(const Fake *fake, const char *root) {
    Error err;
    Dataset *ds = open_all(root);
    for (int c = 0; c < FAKE_CAMERAS; c++) {
        double all[3] = {0}, n = 0;
        int frames = 0;
        EpisodeStats of;
        const Feature *feature = ds->cameras[c];
        assert_string_equal(feature->name, fake->cameras[c].feature);
        OK(episode_stats_read(ds, &feature, 1, &of, &err));
        for (int e = 0; e < FAKE_EPISODES; e++) {
            double sum[3] = {0};
            int counted = 0;
            double pixels = sum_pixels(fake, c, e, sum, &counted);
            for (int i = 0; i < 3; i++) {
                assert_within(of.mean[3 * e + i], sum[i] / pixels / 255, 1e-9);
                all[i] += sum[i];
            }
            assert_true(of.count[e] == counted);
            n += pixels;
            frames += counted;
        }
        episode_stats_free(&of);
        const json_t *said = json_object_get(ds->stats, feature->name);
        const json_t *mean = json_object_get(said, "mean");
        for (size_t i = 0; i < 3; i++) {
            const json_t *value = json_array_get(json_array_get(json_array_get(mean, i), 0), 0);
            assert_within(json_number_value(value), all[i] / n / 255, 1e-9);
        }
        assert_int_equal(json_integer_value(json_array_get(json_object_get(said, "count"), 0)),
                         frames);
    }
    dataset_close(ds);
}

static void statistics_are_of_sampled_frames(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    static const ConvertImages ways[] = {CONVERT_PNG, CONVERT_COPY};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        ConvertOptions o = options(f, ways[i]);
        o.root = at(&f->arena, f->dir, convert_images_names[ways[i]]);
        fake->asked = 0;
        convert(fake, &o);
        check_statistics(fake, o.root);
    }
    assert_int_equal(fake->asked, 2 * (15 + 2 + 1 + 9)); // copied files are not all decoded
}

typedef struct Seen {
    int64_t calls, most, total;
} Seen;

static void see_progress(void *user, int64_t done, int64_t total) {
    Seen *seen = user;
    seen->calls++;
    if (done > seen->most) seen->most = done;
    seen->total = total;
}

static void progress_and_threads(void **state) {
    Fixture *f = *state;
    for (int threads = 1; threads <= 2; threads++) {
        Fake *fake = fake_new(&f->arena);
        fake->slow = true;
        Seen seen = {0};
        ConvertOptions o = options(f, CONVERT_PNG);
        o.root = at(&f->arena, f->dir, threads == 1 ? "one" : "two");
        o.threads = threads;
        o.progress = see_progress;
        o.user = &seen;
        convert(fake, &o);
        assert_int_equal(fake->most_inside, threads);
        assert_true(seen.calls > 0 && seen.most > 0);
        assert_true(seen.most <= 202);
        assert_int_equal(seen.total, 202);
    }
}

static void another_size_is_refused(void **state) {
    Fixture *f = *state;
    static const char *const why[] = {
        "camera wrist: the frame at row 9 of episode 0 is 98x64, the others 96x64",
        "camera wrist: the frame at row 9 of episode 0 is 96x66, the others 96x64"};
    for (int i = 0; i < 4; i++) {
        Fake *fake = fake_new(&f->arena);
        fake->larger_at = 10;
        fake->grows[i % 2 ? 0 : 1] = 2;
        ConvertOptions o = options(f, i < 2 ? CONVERT_PNG : CONVERT_VIDEO);
        o.threads = 1;
        fake_refuse(fake, &o, why[i % 2]);
    }
}

static void what_is_no_file_is_not_copied(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    fake->some_not_stored = true;
    ConvertOptions o = options(f, CONVERT_COPY);
    fake_refuse(fake, &o, "--images=copy: made-up stores the frames of camera ");
}

// ---- files --------------------------------------------------------------------------------------

static int64_t video_file(const char *root, const char *column, int64_t episode) {
    Error err;
    ParquetFile *file;
    ParquetColumn c;
    char path[4096];
    snprintf(path, sizeof path, "%s/meta/episodes/chunk-000/file-000.parquet", root);
    OK(parquet_open(path, &file, &err));
    OK(parquet_read(file, parquet_find(file, column, NULL), 0, -1, &c, &err));
    int64_t value = (int64_t)c.numbers[episode];
    parquet_column_free(&c);
    parquet_close(file);
    return value;
}

// A video is at most 1000 s long, unless one episode is longer.
static void long_videos_are_several(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    ConvertOptions o = options(f, CONVERT_VIDEO);
    o.fps = 0.05; // 50 frames: episodes of 60 | 7 1 33
    convert(fake, &o);
    static const int files[] = {0, 1, 1, 1};
    for (int e = 0; e < FAKE_EPISODES; e++)
        assert_int_equal(video_file(f->root, "videos/observation.images.top/file_index", e),
                         files[e]);
    check_dataset(fake, f->root, 3);
    for (int e = 0; e < FAKE_EPISODES; e++) // times in data files have no such limit
        assert_int_equal(video_file(f->root, "data/file_index", e), 0);
    static const int lengths[] = {17, 33, 1, 7}; // exactly 50, then one more
    for (int e = 0; e < FAKE_EPISODES; e++) fake->episodes[e].length = lengths[e];
    o.root = at(&f->arena, f->dir, "exact");
    convert(fake, &o);
    for (int e = 0; e < FAKE_EPISODES; e++)
        assert_int_equal(video_file(o.root, "videos/observation.images.top/file_index", e), e > 1);
}

// Data files end before they have 100 MiB.
static void large_data_are_several_files(void **state) {
    Fixture *f = *state;
    Fake *fake = fake_new(&f->arena);
    enum { SIDE = 720 };
    RngStream noise = {.key = {.seed = 1}};
    Image image = {SIDE, SIDE, mem_alloc(image_rgb_bytes(SIDE, SIDE))};
    for (size_t i = 0; i < image_rgb_bytes(SIDE, SIDE); i++)
        image.rgb[i] = (uint8_t)rng_next(&noise);
    Error err;
    uint8_t *bytes;
    OK(image_encode_png(&image, &bytes, &fake->fixed_size, &err));
    fake->fixed = bytes;
    fake->cameras[0].height = fake->cameras[0].width = SIDE;
    fake->source.n_cameras = 1;
    fake->episodes[1].length = fake->episodes[3].length = 40;
    ConvertOptions o = options(f, CONVERT_COPY);
    convert(fake, &o); // about 1.5 MB a row: 60 | 40 1 | 40
    static const int files[] = {0, 1, 1, 2};
    for (int e = 0; e < FAKE_EPISODES; e++)
        assert_int_equal(video_file(f->root, "data/file_index", e), files[e]);
    Dataset *ds = open_all(f->root);
    check_rows(fake, ds, 3, 3);
    FrameReader *frames;
    OK(frames_open(ds, 0, 0, &frames, &err));
    uint8_t *rgb = mem_alloc(image_rgb_bytes(SIDE, SIDE));
    OK(frames_read(frames, 0, 140, rgb, &err));
    assert_memory_equal(rgb, image.rgb, image_rgb_bytes(SIDE, SIDE));
    mem_free(rgb);
    frames_close(frames);
    dataset_close(ds);
    mem_free(bytes);
    image_free(&image);
}

int main(void) {
    setenv("SVT_LOG", "0", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(png_keeps_every_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(video_keeps_the_picture, set_up, tear_down),
        cmocka_unit_test_setup_teardown(jpeg_keeps_the_picture, set_up, tear_down),
        cmocka_unit_test_setup_teardown(columns_are_the_sources, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_type_grows_with_its_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(action_may_be_the_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(splits_lie_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(some_episodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rates_may_be_fractions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_follow_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_environment_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(statistics_are_of_sampled_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(progress_and_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_size_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_videos_are_several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_data_are_several_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// ACT's and robomimic's files that h5py wrote (make_hdf5.py) are read as h5py and OpenCV read them:
// every number, every frame, in any order and by several threads. test_hdf5_refusals.c has the
// files that are refused.
#include "hdf5_fixture.h"

#include <pthread.h>

static const char *const sources[] = {
    "raw", "jpeg", "other", "filters", "robomimic.hdf5", "two_robots.hdf5", "libero.hdf5"};
enum { SOURCES = sizeof sources / sizeof sources[0] };

static Safetensors *expected_of(Fixture *f, const char *name) {
    Error err;
    Safetensors *t;
    const char *file =
        arena_printf(&f->arena, "%s/%.*s.safetensors", f->dir, (int)strcspn(name, "."), name);
    OK(safetensors_open(file, &t, &err));
    return t;
}

static const SafetensorsEntry *expected(const Safetensors *t, int64_t episode, const char *name) {
    char key[256];
    snprintf(key, sizeof key, "%d/%s", (int)episode, name);
    const SafetensorsEntry *e = safetensors_find(t, key);
    if (!e) fail_msg("nothing is expected of %s", key);
    return e;
}

// ---- numbers ------------------------------------------------------------------------------------

static void compare_vector(ImportSource *s, const Safetensors *t, int64_t episode, int vector) {
    Error err;
    const ImportVector *v = &s->vectors[vector];
    const SafetensorsEntry *want = expected(t, episode, v->name);
    size_t n = (size_t)(s->episodes[episode].length * v->dim);
    double *got = NEW(double, n);
    assert_int_equal(want->count, n);
    OK(s->reader->vector(s, episode, vector, got, &err));
    for (size_t i = 0; i < n; i++) {
        double value;
        memcpy(&value, (const char *)want->data + 8 * i, 8);
        if (memcmp(&value, &got[i], 8) != 0)
            fail_msg("%s of episode %d, number %zu: %.17g is not %.17g", v->name, (int)episode, i,
                     got[i], value);
    }
    mem_free(got);
}

static void vectors_are_equal_to_the_bit(void **state) {
    Fixture *f = *state;
    need_module();
    for (int i = 0; i < SOURCES; i++) {
        ImportSource *s = open_source(at(f, sources[i]));
        Safetensors *t = expected_of(f, sources[i]);
        int64_t compared = 0;
        for (int64_t e = s->n_episodes - 1; e >= 0; e--)
            for (int v = 0; v < s->n_vectors; v++, compared++) compare_vector(s, t, e, v);
        // Nothing that was expected is missing; the cameras are compared below.
        assert_int_equal(compared + s->n_episodes * s->n_cameras, safetensors_count(t));
        safetensors_close(t);
        import_close(s);
    }
}

// ---- frames -------------------------------------------------------------------------------------

// FFmpeg and OpenCV bring the chroma of a JPEG, stored at half the size, back in different ways:
// measured 7 at most, 0.85 in the mean. All else is equal.
enum { JPEG_AT_MOST = 8 };
static const double jpeg_in_the_mean = 1;

// Whether a frame is the expected one. Nothing is asserted, for threads cannot.
static bool is_equal(const ImportCamera *c, const Image *image, const SafetensorsEntry *want,
                     int64_t row) {
    size_t bytes = image_rgb_bytes(c->height, c->width);
    const uint8_t *pixels = (const uint8_t *)want->data + (size_t)row * bytes;
    int most = 0;
    double sum = 0;
    if (want->shape[1] != c->height || want->shape[2] != c->width || image->height != c->height ||
        image->width != c->width)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int d = abs(image->rgb[i] - pixels[i]);
        if (d > most) most = d;
        sum += d;
    }
    if (strcmp(c->codec, "JPEG") != 0) return most == 0;
    return most <= JPEG_AT_MOST && sum <= jpeg_in_the_mean * (double)bytes;
}

// A frame that is too far from what is expected.
typedef struct Wrong {
    char text[1200]; // "": none
} Wrong;

static void compare_frame(ImportSource *s, const Safetensors *t, void **cursor, int64_t episode,
                          int camera, int64_t row, Wrong *wrong) {
    Error err;
    Image image;
    const ImportCamera *c = &s->cameras[camera];
    if (s->red_is_blue && !HAS_VIDEO) return;
    char key[256];
    snprintf(key, sizeof key, "%d/%s", (int)episode, c->name);
    const SafetensorsEntry *want = safetensors_find(t, key);
    bool read = s->reader->frame(s, cursor, episode, camera, row, &image, &err);
    if (!want || !read || !is_equal(c, &image, want, row))
        snprintf(wrong->text, sizeof wrong->text, "%s, row %d: %s", key, (int)row,
                 read ? "another picture" : err.text);
    if (read) image_free(&image);
}

// Every frame of a source, from the last to the first where `back`.
static void compare_frames(ImportSource *s, const Safetensors *t, bool back, Wrong *wrong) {
    void *cursor = NULL;
    for (int64_t k = 0; k < s->n_episodes; k++) {
        int64_t e = back ? s->n_episodes - 1 - k : k, length = s->episodes[e].length;
        for (int64_t i = 0; i < length; i++)
            for (int c = 0; c < s->n_cameras; c++)
                compare_frame(s, t, &cursor, e, c, back ? length - 1 - i : i, wrong);
    }
    s->reader->cursor_free(cursor);
}

static void frames_are_equal(void **state) {
    Fixture *f = *state;
    need_module();
    for (int i = 0; i < SOURCES; i++) {
        ImportSource *s = open_source(at(f, sources[i]));
        Safetensors *t = expected_of(f, sources[i]);
        Wrong wrong = {""};
        compare_frames(s, t, false, &wrong);
        compare_frames(s, t, true, &wrong);
        if (wrong.text[0]) fail_msg("%s", wrong.text);
        safetensors_close(t);
        import_close(s);
    }
}

typedef struct Reader {
    ImportSource *source;
    const Safetensors *expected;
    int number;
    Wrong wrong;
} Reader;

static void *read_all(void *user) {
    Reader *r = user;
    for (int i = 0; i < 4; i++)
        compare_frames(r->source, r->expected, (i + r->number) % 2 == 0, &r->wrong);
    return NULL;
}

static void threads_read_at_once(void **state) {
    enum { THREADS = 4 };
    Fixture *f = *state;
    need_module();
    for (int i = 0; i < SOURCES; i++) {
        ImportSource *s = open_source(at(f, sources[i]));
        Safetensors *t = expected_of(f, sources[i]);
        pthread_t threads[THREADS];
        Reader readers[THREADS];
        for (int k = 0; k < THREADS; k++) {
            readers[k] = (Reader){.source = s, .expected = t, .number = k};
            assert_int_equal(pthread_create(&threads[k], NULL, read_all, &readers[k]), 0);
        }
        for (int k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
        for (int k = 0; k < THREADS; k++)
            if (readers[k].wrong.text[0]) fail_msg("thread %d: %s", k, readers[k].wrong.text);
        safetensors_close(t);
        import_close(s);
    }
}

// ---- colours, and image files as they are stored ------------------------------------------------

// The middle of the red spot that make_hdf5.py draws into row 0 of the first episode's cam_high.
static void read_spot(ImportSource *s, uint8_t rgb[3]) {
    Error err;
    Image image;
    void *cursor = NULL;
    OK(s->reader->frame(s, &cursor, 0, 0, 0, &image, &err));
    memcpy(rgb, image.rgb + (image.height / 2 * image.width + image.width / 3) * 3, 3);
    image_free(&image);
    s->reader->cursor_free(cursor);
}

static void colours_of_a_recorder_are_right(void **state) {
    Fixture *f = *state;
    Error err;
    need_module();
    need_video();
    ImportSource *s = open_source(at(f, "jpeg"));
    uint8_t rgb[3], other[3], *bytes;
    size_t size;
    void *cursor = NULL;
    assert_true(s->red_is_blue);
    read_spot(s, rgb);
    if (!(rgb[0] > 150 && rgb[2] < 100)) fail_msg("red is %d, blue %d", rgb[0], rgb[2]);
    // Where the stored files show other colours they are not to be taken over.
    OK(s->reader->stored(s, &cursor, 0, 0, 1, &bytes, &size, &err));
    assert_null(bytes);
    s->red_is_blue = false;
    read_spot(s, other);
    for (int c = 0; c < 3; c++) assert_int_equal(other[c], rgb[2 - c]);
    OK(s->reader->stored(s, &cursor, 0, 0, 1, &bytes, &size, &err));
    assert_non_null(bytes);
    assert_int_equal(bytes[0], 0xFF);
    assert_int_equal(bytes[1], 0xD8);
    assert_int_equal(bytes[size - 2], 0xFF);
    assert_int_equal(bytes[size - 1], 0xD9);
    mem_free(bytes);
    s->reader->cursor_free(cursor);
    import_close(s);
    s = open_source(at(f, "raw"));
    assert_false(s->red_is_blue);
    cursor = NULL;
    OK(s->reader->stored(s, &cursor, 0, 0, 1, &bytes, &size, &err));
    assert_null(bytes);
    s->reader->cursor_free(cursor);
    import_close(s);
}

// ---- what is said of them -----------------------------------------------------------------------

static void assert_vector(const ImportSource *s, int i, const char *name, ImportRole role, int dim,
                          const char *dtype) {
    assert_in_range(i, 0, s->n_vectors - 1);
    assert_string_equal(s->vectors[i].name, name);
    assert_int_equal(s->vectors[i].role, role);
    assert_int_equal(s->vectors[i].dim, dim);
    assert_string_equal(s->vectors[i].dtype, dtype);
}

static void assert_camera(const ImportSource *s, int i, const char *name, const char *feature,
                          const char *codec) {
    assert_in_range(i, 0, s->n_cameras - 1);
    assert_string_equal(s->cameras[i].name, name);
    assert_string_equal(s->cameras[i].feature, feature);
    assert_string_equal(s->cameras[i].codec, codec);
}

static void acts_episodes_are_described(void **state) {
    static const int64_t lengths[] = {4, 3, 5, 2};
    static const char *const files[] = {"episode_0.hdf5", "episode_1.hdf5", "episode_2.hdf5",
                                        "episode_10.hdf5"};
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(at(f, "raw"));
    assert_string_equal(s->form, "ACT / ALOHA (HDF5)");
    assert_string_equal(import_recognise(at(f, "raw")), s->form);
    assert_string_equal(s->robot_type, "aloha_sim");
    if (!(s->fps == 0)) fail_msg("fps %g, which the files do not say", s->fps);
    assert_false(s->action_is_state);
    assert_int_equal(s->n_episodes, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s->episodes[i].length, lengths[i]);
        assert_string_equal(s->episodes[i].name, files[i]);
        assert_null(s->episodes[i].task);
        assert_null(s->episodes[i].split);
    }
    assert_int_equal(s->n_vectors, 3);
    // Of the third file; the others have float32.
    assert_vector(s, 0, "observations/qpos", IMPORT_STATE, 14, "float64");
    assert_vector(s, 1, "action", IMPORT_ACTION, 14, "float64");
    assert_vector(s, 2, "observations/qvel", IMPORT_EXTRA, 14, "float64");
    assert_string_equal(s->vectors[2].feature, "observation.velocity");
    assert_string_equal(s->vectors[1].names[0], "left_waist");
    assert_string_equal(s->vectors[0].names[13], "right_gripper");
    assert_string_equal(s->vectors[2].unit, "rad/s");
    assert_int_equal(s->n_cameras, 2);
    assert_camera(s, 0, "angle", "observation.images.angle", "none");
    assert_int_equal(s->n_left_out, 1);
    assert_string_equal(s->left_out[0],
                        "observations/images/top_depth is of uint16 with 3 dimensions");
    import_close(s);
}

static void a_mobile_robots_episodes_are_described(void **state) {
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(at(f, "jpeg"));
    assert_string_equal(s->robot_type, "aloha");
    assert_int_equal(s->n_vectors, 5);
    assert_vector(s, 2, "base_action", IMPORT_ACTION, 2, "float32");
    assert_string_equal(s->vectors[2].names[1], "angular_vel");
    assert_vector(s, 4, "observations/effort", IMPORT_EXTRA, 14, "float32");
    assert_string_equal(s->vectors[4].feature, "observation.effort");
    assert_camera(s, 1, "cam_left_wrist", "observation.images.cam_left_wrist", "JPEG");
    import_close(s);
    s = open_source(at(f, "filters"));
    assert_camera(s, 0, "blosc", "observation.images.blosc", "blosc");
    assert_camera(s, 1, "lzf", "observation.images.lzf", "lzf");
    import_close(s);
    // A task that is no text cannot be told from none.
    s = open_source(at(f, "bad/odd_task.hdf5"));
    assert_null(s->episodes[0].task);
    import_close(s);
    // A single file of another robot, which says more of itself.
    s = open_source(at(f, "other/episode_000007.hdf5"));
    assert_int_equal(s->n_episodes, 1);
    assert_null(s->robot_type);
    if (!(s->fps == 20)) fail_msg("fps %g", s->fps);
    assert_string_equal(s->episodes[0].task, "pick up the cup");
    assert_vector(s, 0, "observations/qpos", IMPORT_STATE, 7, "float64");
    assert_null(s->vectors[0].names);
    assert_null(s->vectors[0].unit);
    assert_camera(s, 0, "bytes", "observation.images.bytes", "JPEG");
    assert_camera(s, 1, "pieces", "observation.images.pieces", "JPEG");
    assert_camera(s, 2, "png", "observation.images.png", "PNG");
    import_close(s);
}

static void robomimics_demonstrations_are_described(void **state) {
    static const int64_t lengths[] = {4, 3, 5, 2};
    static const char *const groups[] = {"data/demo_0", "data/demo_1", "data/demo_2",
                                         "data/demo_10"};
    static const char *const splits[] = {"train", "valid", "train", "train"};
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(at(f, "robomimic.hdf5"));
    assert_string_equal(s->form, "robomimic (HDF5)");
    assert_string_equal(s->robot_type, "Panda");
    if (!(s->fps == 20)) fail_msg("fps %g", s->fps);
    assert_int_equal(s->n_episodes, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s->episodes[i].length, lengths[i]);
        assert_string_equal(s->episodes[i].name, groups[i]);
        assert_string_equal(s->episodes[i].task, "PickPlaceCan");
        assert_string_equal(s->episodes[i].split, splits[i]);
    }
    assert_int_equal(s->n_vectors, 8);
    assert_vector(s, 0, "actions", IMPORT_ACTION, 7, "float64");
    assert_vector(s, 1, "obs/robot0_eef_pos", IMPORT_STATE, 3, "float64");
    assert_vector(s, 2, "obs/robot0_eef_quat", IMPORT_STATE, 4, "float64");
    assert_vector(s, 3, "obs/robot0_gripper_qpos", IMPORT_STATE, 2, "float64");
    assert_vector(s, 4, "obs/object", IMPORT_ENVIRONMENT, 10, "float64");
    assert_vector(s, 5, "obs/count", IMPORT_EXTRA, 1, "int32");
    assert_vector(s, 6, "obs/robot0_joint_pos", IMPORT_EXTRA, 7, "float32");
    assert_vector(s, 7, "obs/touching", IMPORT_EXTRA, 1, "bool");
    assert_string_equal(s->vectors[6].feature, "observation.robot0_joint_pos");
    assert_string_equal(s->vectors[2].names[3], "robot0_eef_quat_w");
    assert_string_equal(s->vectors[3].names[1], "robot0_gripper_qpos_1");
    assert_camera(s, 0, "agentview_image", "observation.images.agentview", "none");
    assert_camera(s, 1, "robot0_eye_in_hand_image", "observation.images.robot0_eye_in_hand",
                  "none");
    assert_int_equal(s->n_left_out, 1);
    assert_string_equal(s->left_out[0], "obs/agentview_depth is of float32 with 4 dimensions");
    import_close(s);
}

static void relatives_of_robomimic_are_described(void **state) {
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(at(f, "two_robots.hdf5"));
    if (!(s->fps == 0)) fail_msg("fps %g", s->fps);
    assert_null(s->episodes[0].task);
    assert_null(s->episodes[0].split);
    assert_vector(s, 3, "obs/robot0_gripper_qpos", IMPORT_STATE, 2, "float32");
    assert_vector(s, 4, "obs/robot1_eef_pos", IMPORT_STATE, 3, "float32");
    assert_vector(s, 6, "obs/robot1_gripper_qpos", IMPORT_STATE, 2, "float32");
    import_close(s);
    s = open_source(at(f, "names.hdf5"));
    assert_int_equal(s->n_cameras, 5);
    assert_camera(s, 0, "front_rgb", "observation.images.front", "none");
    assert_camera(s, 1, "side_image", "observation.images.side_image", "none");
    assert_camera(s, 2, "side_rgb", "observation.images.side_rgb", "none");
    assert_camera(s, 3, "wrist", "observation.images.wrist", "none");
    assert_camera(s, 4, "wrist_image", "observation.images.wrist_image", "none");
    assert_vector(s, 4, "obs/object", IMPORT_ENVIRONMENT, 3, "float64");
    assert_int_equal(s->n_left_out, 1);
    assert_string_equal(s->left_out[0],
                        "obs/object-state stands beside obs/object, which is taken");
    import_close(s);
    s = open_source(at(f, "libero.hdf5"));
    assert_vector(s, 1, "obs/ee_states", IMPORT_STATE, 6, "float64");
    assert_vector(s, 2, "obs/gripper_states", IMPORT_STATE, 2, "float64");
    assert_string_equal(s->episodes[0].task, "open the drawer");
    assert_string_equal(s->episodes[1].task, "close the drawer");
    assert_camera(s, 0, "agentview_rgb", "observation.images.agentview", "none");
    import_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_equal_to_the_bit),
        cmocka_unit_test(frames_are_equal),
        cmocka_unit_test(threads_read_at_once),
        cmocka_unit_test(colours_of_a_recorder_are_right),
        cmocka_unit_test(acts_episodes_are_described),
        cmocka_unit_test(a_mobile_robots_episodes_are_described),
        cmocka_unit_test(robomimics_demonstrations_are_described),
        cmocka_unit_test(relatives_of_robomimic_are_described),
    };
    return cmocka_run_group_tests(tests, set_up_unpacked, tear_down);
}

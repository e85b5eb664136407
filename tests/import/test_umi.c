// SPDX-License-Identifier: Apache-2.0
// Replay buffers that zarr wrote (make_umi.py) are read as zarr itself reads them: every number and
// every frame, of zip files and folders.
#include "formats/safetensors.h"
#include "umi_fixture.h"
#include <pthread.h>

static const char *const names[] = {"umi", "two_arms", "codecs", "pusht"};

static const char *zip_of(Fixture *f, const char *name) {
    return arena_printf(&f->arena, "tests/import/data/%s.zarr.zip", name);
}

// The source unpacked, as a folder.
static const char *folder_of(Fixture *f, const char *name) {
    const char *dir = arena_printf(&f->arena, "%s/%s", f->dir, name);
    unpack(f, zip_of(f, name), strcmp(name, "two_arms") == 0 ? "replay_buffer.zarr/" : "", dir);
    return dir;
}

static Safetensors *open_expected(Fixture *f, const char *name) {
    Error err;
    Safetensors *t;
    OK(safetensors_open(arena_printf(&f->arena, "tests/import/data/%s.safetensors", name), &t,
                        &err));
    return t;
}

static const SafetensorsEntry *expected(Fixture *f, const Safetensors *t, const char *name) {
    const SafetensorsEntry *e = safetensors_find(t, arena_printf(&f->arena, "data/%s", name));
    // make_umi.py leaves out frames that are those of gzip_rgb.
    if (!e && strstr(name, "_rgb")) e = safetensors_find(t, "data/gzip_rgb");
    if (!e) fail_msg("nothing is expected of %s", name);
    return e;
}

static int64_t first_row(const ImportSource *s, int64_t episode) {
    int64_t row = 0;
    for (int64_t i = 0; i < episode; i++) row += s->episodes[i].length;
    return row;
}

// ---- every number -------------------------------------------------------------------------------

static void compare_vector(ImportSource *s, int vector, const SafetensorsEntry *want) {
    Error err;
    int dim = s->vectors[vector].dim;
    assert_int_equal(want->count, want->shape[0] * dim);
    for (int64_t e = s->n_episodes - 1; e >= 0;
         e--) { // backwards, so that nothing depends on order
        size_t n = (size_t)(s->episodes[e].length * dim);
        double *got = NEW(double, n);
        OK(s->reader->vector(s, e, vector, got, &err));
        const char *from = (const char *)want->data + first_row(s, e) * dim * 8;
        for (size_t i = 0; i < n; i++) {
            double value;
            memcpy(&value, from + 8 * i, 8);
            if (memcmp(&value, &got[i], 8) != 0)
                fail_msg("%s, episode %d, number %zu: %.17g is not %.17g", s->vectors[vector].name,
                         (int)e, i, got[i], value);
        }
        mem_free(got);
    }
}

static void compare_vectors(Fixture *f, const char *path, const Safetensors *t) {
    ImportSource *s = open_source(path);
    for (int v = 0; v < s->n_vectors; v++) compare_vector(s, v, expected(f, t, s->vectors[v].name));
    // All that is expected has been compared, but the ends, and frames, which are uint8.
    int frames = 0;
    for (int i = 0; i < safetensors_count(t); i++) frames += safetensors_entry(t, i)->type == ST_U8;
    assert_int_equal(s->n_vectors + frames + 1, safetensors_count(t));
    const SafetensorsEntry *ends = safetensors_find(t, "meta/episode_ends");
    assert_int_equal(s->n_episodes, ends->count);
    for (int64_t e = 0; e < s->n_episodes; e++)
        assert_int_equal(first_row(s, e + 1), (int64_t)safetensors_value(ends, e));
    import_close(s);
}

static void vectors_are_equal_to_the_bit(void **state) {
    Fixture *f = *state;
    need_module();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Safetensors *t = open_expected(f, names[i]);
        compare_vectors(f, zip_of(f, names[i]), t);
        compare_vectors(f, folder_of(f, names[i]), t);
        safetensors_close(t);
    }
}

// ---- every frame --------------------------------------------------------------------------------

// How far a colour may be from what imagecodecs decodes: another version of libjxl rounds
// otherwise, and so does another JPEG decoder. 0: not at all.
static int tolerance(const ImportSource *s, int camera) {
    const char *name = s->cameras[camera].name, *codec = s->cameras[camera].codec;
    if (strcmp(codec, "JPEG") == 0) return 2;
    return strcmp(codec, "JPEG XL") == 0 && strcmp(name, "jpegxl_lossless_rgb") != 0;
}

// Image files are FFmpeg's to read.
static bool can_decode(const char *codec) {
#ifdef TACT_VIDEO
    return codec != NULL;
#else
    return strcmp(codec, "JPEG") != 0 && strcmp(codec, "PNG") != 0 && strcmp(codec, "WebP") != 0;
#endif
}

static void compare_frame(ImportSource *s, void **cursor, int64_t episode, int camera, int64_t row,
                          const SafetensorsEntry *want) {
    Error err;
    Image image;
    OK(s->reader->frame(s, cursor, episode, camera, row, &image, &err));
    assert_int_equal(image.height, want->shape[1]);
    assert_int_equal(image.width, want->shape[2]);
    int64_t n = want->shape[1] * want->shape[2] * 3;
    const uint8_t *from = (const uint8_t *)want->data + n * (first_row(s, episode) + row);
    int worst = 0;
    for (int64_t i = 0; i < n; i++) {
        int d = abs(image.rgb[i] - from[i]);
        worst = d > worst ? d : worst;
    }
    image_free(&image);
    if (worst > tolerance(s, camera))
        fail_msg("%s, episode %d, row %d: a colour is %d away", s->cameras[camera].name,
                 (int)episode, (int)row, worst);
}

static void compare_frames(Fixture *f, const char *path, const Safetensors *t) {
    ImportSource *s = open_source(path);
    void *cursor = NULL;
    // Camera by camera within a row: a cursor is not one camera's.
    for (int64_t e = 0; e < s->n_episodes; e++)
        for (int64_t row = 0; row < s->episodes[e].length; row++)
            for (int c = 0; c < s->n_cameras; c++)
                if (can_decode(s->cameras[c].codec))
                    compare_frame(s, &cursor, e, c, row, expected(f, t, s->cameras[c].name));
    s->reader->cursor_free(cursor);
    import_close(s);
}

static void frames_are_those_that_python_decodes(void **state) {
    Fixture *f = *state;
    need_module();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Safetensors *t = open_expected(f, names[i]);
        compare_frames(f, zip_of(f, names[i]), t);
        compare_frames(f, folder_of(f, names[i]), t);
        safetensors_close(t);
    }
}

typedef struct Reader {
    ImportSource *source;
    const SafetensorsEntry *const *want; // one a camera
    int first;
    bool equal;
    Error err;
} Reader;

static void *read_backwards(void *arg) {
    Reader *r = arg;
    ImportSource *s = r->source;
    void *cursor = NULL;
    r->equal = true;
    for (int again = 0; again < 20; again++)
        for (int k = 11; k >= 0 && r->equal; k--) {
            int64_t at = (k + r->first) % 9, e = at < 1 ? 0 : at < 5 ? 1 : 2;
            for (int c = 0; c < s->n_cameras && r->equal; c++) {
                const SafetensorsEntry *w = r->want[c];
                size_t n = (size_t)(w->shape[1] * w->shape[2] * 3);
                Image image = {0};
                r->equal =
                    s->reader->frame(s, &cursor, e, c, at - first_row(s, e), &image, &r->err);
                r->equal = r->equal &&
                           memcmp(image.rgb, (const uint8_t *)w->data + n * (size_t)at, n) == 0;
                image_free(&image);
            }
        }
    s->reader->cursor_free(cursor);
    return NULL;
}

static void threads_read_one_source(void **state) {
    Fixture *f = *state;
    need_module();
    Safetensors *t = open_expected(f, "two_arms");
    ImportSource *s = open_source(zip_of(f, "two_arms"));
    const SafetensorsEntry *want[3];
    Reader readers[3];
    pthread_t threads[3];
    for (int c = 0; c < 3; c++) want[c] = expected(f, t, s->cameras[c].name);
    for (int i = 0; i < 3; i++) {
        readers[i] = (Reader){.source = s, .want = want, .first = 4 * i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_backwards, &readers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readers[i].equal);
    }
    import_close(s);
    safetensors_close(t);
}

static void image_files_come_as_they_are(void **state) {
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(zip_of(f, "codecs"));
    void *cursor = NULL;
    Error err;
    int files = 0;
    for (int c = 0; c < s->n_cameras; c++) {
        uint8_t *bytes;
        size_t size;
        OK(s->reader->stored(s, &cursor, 1, c, 2, &bytes, &size, &err));
        const char *codec = s->cameras[c].codec;
        bool jpeg = strcmp(codec, "JPEG") == 0, png = strcmp(codec, "PNG") == 0;
        assert_int_equal(bytes != NULL, jpeg || png);
        if (jpeg) assert_memory_equal(bytes, "\xff\xd8\xff", 3);
        if (png) assert_memory_equal(bytes, "\x89PNG", 4);
        files += jpeg || png;
        mem_free(bytes);
    }
    assert_int_equal(files, 2);
    s->reader->cursor_free(cursor);
    import_close(s);
}

// ---- what is said of them -----------------------------------------------------------------------

static const ImportVector *vector_named(const ImportSource *s, const char *name) {
    for (int i = 0; i < s->n_vectors; i++)
        if (strcmp(s->vectors[i].name, name) == 0) return &s->vectors[i];
    fail_msg("no vector %s", name);
    return NULL;
}

static void a_recording_of_umi_is_described(void **state) {
    static const char *const parts[] = {"robot0_eef_pos", "robot0_eef_rot_axis_angle",
                                        "robot0_gripper_width"};
    static const char *const values[] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};
    Fixture *f = *state;
    need_module();
    assert_string_equal(import_look(zip_of(f, "umi")), "a zarr group in a zip file");
    assert_string_equal(import_recognise(zip_of(f, "umi")),
                        "UMI or diffusion policy replay buffer (zarr)");
    ImportSource *s = open_source(zip_of(f, "umi"));
    assert_string_equal(s->form, "UMI replay buffer (zarr)");
    assert_string_equal(s->robot_type, "umi");
    assert_string_equal(s->path, zip_of(f, "umi"));
    assert_true(s->fps == 0 && s->action_is_state);
    assert_int_equal(s->n_vectors, 5);
    for (int i = 0, at = 0; i < 3; i++) {
        assert_string_equal(s->vectors[i].name, parts[i]);
        assert_string_equal(s->vectors[i].dtype, "float32");
        assert_int_equal(s->vectors[i].role, IMPORT_STATE);
        for (int k = 0; k < s->vectors[i].dim; k++)
            assert_string_equal(s->vectors[i].names[k], values[at++]);
    }
    const ImportVector *start = vector_named(s, "robot0_demo_start_pose");
    assert_int_equal(start->role, IMPORT_EXTRA);
    assert_string_equal(start->feature, "robot0_demo_start_pose");
    assert_string_equal(start->dtype, "float64");
    assert_string_equal(start->names[3], "rx");
    assert_int_equal(s->n_cameras, 1);
    assert_string_equal(s->cameras[0].feature, "observation.images.camera0");
    assert_string_equal(s->cameras[0].codec, "JPEG XL");
    assert_int_equal(s->cameras[0].height, 16);
    assert_int_equal(s->cameras[0].width, 24);
    assert_int_equal(s->n_episodes, 2);
    assert_string_equal(s->episodes[1].name, "episode 1 (rows 7 to 11)");
    assert_int_equal(s->n_left_out, 0);
    import_close(s);
}

static void two_arms_and_what_is_left_out(void **state) {
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(zip_of(f, "two_arms"));
    assert_string_equal(s->vectors[0].name, "robot0_eef_pos");
    assert_string_equal(s->vectors[0].names[2], "robot0_z");
    assert_string_equal(s->vectors[4].names[0], "robot1_rx");
    assert_string_equal(s->vectors[5].names[0], "robot1_gripper");
    assert_string_equal(s->vectors[5].dtype, "float16");
    assert_string_equal(s->vectors[6].feature, "quality");
    assert_int_equal(s->n_cameras, 3);
    assert_string_equal(s->cameras[2].name, "camera10_rgb");
    assert_int_equal(s->n_left_out, 3);
    assert_non_null(
        strstr(s->left_out[0], "data/calibration (3, 3) of float64 has not the 9 rows"));
    assert_non_null(strstr(s->left_out[1], "data/depth (9, 24, 32) of uint16 is neither"));
    assert_non_null(strstr(s->left_out[2], "data/name has the number type |S3"));
    import_close(s);
}

static void a_recording_of_diffusion_policy_has_actions(void **state) {
    Fixture *f = *state;
    need_module();
    ImportSource *s = open_source(zip_of(f, "pusht"));
    assert_string_equal(s->form, "diffusion policy replay buffer (zarr)");
    assert_null(s->robot_type);
    assert_false(s->action_is_state);
    assert_int_equal(vector_named(s, "state")->role, IMPORT_STATE);
    assert_int_equal(vector_named(s, "action")->role, IMPORT_ACTION);
    assert_int_equal(vector_named(s, "keypoint")->dim, 18);
    assert_string_equal(vector_named(s, "timestamp")->feature, "source.timestamp");
    assert_string_equal(s->cameras[0].feature, "observation.images.img");
    import_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(vectors_are_equal_to_the_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_are_those_that_python_decodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_read_one_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(image_files_come_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recording_of_umi_is_described, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_arms_and_what_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recording_of_diffusion_policy_has_actions, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

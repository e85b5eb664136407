// SPDX-License-Identifier: Apache-2.0
// Replay buffers that are not as they should be: one sentence each, which names file and array.
#include "umi_fixture.h"

// ---- episodes -----------------------------------------------------------------------------------

static void episodes_that_do_not_fit_are_refused(void **state) {
    Fixture *f = *state;
    need_module();
    write_recording(f);
    import_close(open_source(f->root));
    write_ends(f, 4, 4);
    assert_refused(f->root, "meta/episode_ends does not increase", "episode 1 ends at row 4");
    write_ends(f, -1, 6);
    assert_refused(f->root, "does not increase", "episode 0 ends at row -1");
    write_ends(f, 2, 7);
    assert_refused(f->root, "episode 1 end at row 7", "have 6 rows");
    write_ends(f, 2, 5);
    assert_refused(f->root, "ends at row 5", "1 rows are in no episode");
    write_meta(f, "meta/episode_ends", "<f8", "[2]", "[2]", "");
    assert_refused(f->root, "meta/episode_ends", "no list of whole numbers");
    write_meta(f, "meta/episode_ends", "<i8", "[0]", "[2]", "");
    assert_refused(f->root, "has no episodes", "");
    write_ends(f, 2, 6);
    forget(f, "meta/episode_ends/0");
    assert_refused(f->root, "meta/episode_ends/0 is missing", "");
}

// ---- arrays -------------------------------------------------------------------------------------

static void arrays_that_do_not_fit_are_refused(void **state) {
    Fixture *f = *state;
    need_module();
    write_recording(f);
    write_meta(f, "data/robot0_eef_pos", "<f4", "[6, 4]", "[6, 4]", "");
    assert_refused(f->root, "data/robot0_eef_pos has the shape (6, 4)", "(rows, 3) of numbers");
    write_meta(f, "data/robot0_eef_pos", "<f4", "[6, 3]", "[6, 3]", "");
    write_meta(f, "data/robot0_gripper_width", "<f4", "[5, 1]", "[6, 1]", "");
    assert_refused(f->root, "data/robot0_gripper_width has 5 rows", "data/robot0_eef_pos has 6");
    write_meta(f, "data/robot0_gripper_width", "<f4", "[6, 1]", "[6, 1]", "");
    write_meta(f, "data/camera0_rgb", "|u1", "[6, 3, 2, 2]", "[1, 3, 2, 2]", "");
    assert_refused(f->root, "data/camera0_rgb has the shape (6, 3, 2, 2)",
                   "(rows, height, width, 3)");
    write_meta(f, "data/camera0_rgb", "|u1", "[7, 2, 2, 3]", "[1, 2, 2, 3]", "");
    assert_refused(f->root, "data/camera0_rgb has 7 rows", "has 6");
    write_meta(f, "data/camera0_rgb", "|u1", "[6, 2, 2, 3]", "[1, 2, 2, 3]", "");
    import_close(open_source(f->root));
    forget(f, "data/robot0_gripper_width/.zarray");
    assert_refused(f->root, "data/ has no robot0_gripper_width", "UMI");
    forget(f, "data/robot0_eef_pos/.zarray");
    forget(f, "data/robot0_eef_rot_axis_angle/.zarray");
    assert_refused(f->root, "neither arms (robot0_eef_pos", "nor action");
}

static void chunks_of_frames_that_are_missing_are_refused(void **state) {
    Fixture *f = *state;
    need_module();
    write_recording(f);
    forget(f, "data/camera0_rgb/4.0.0.0");
    assert_refused(f->root, "data/camera0_rgb/4.0.0.0 is missing", "row 4");
}

// What .zarray says of robot0_eef_pos, and what is said of that.
static void kinds_of_arrays_that_are_not_read_are_refused(void **state) {
    static const struct {
        const char *dtype, *shape, *chunk, *more, *says;
    } cases[] = {
        {"<f4", "[6, 3]", "[6, 3]", ", \"order\": \"F\"", "in the order F"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"filters\": [{\"id\": \"delta\"}]", "the filter delta"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"compressor\": {\"id\": \"bz2\", \"level\": 1}",
         "compressed with bz2"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"compressor\": {}", "no compressor that can be understood"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"compressor\": {\"id\": \"imagecodecs_jpegxl\"}",
         "not one image each"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"dimension_separator\": \"-\"",
         "the dimension_separator -"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"zarr_format\": 3", "no zarr_format 2"},
        {"<f4", "[6, 3]", "[6, 3]", ", \"fill_value\": \"none\"", "a fill_value that is no number"},
        {"<c8", "[6, 3]", "[6, 3]", "", "the number type <c8"},
        {"|O", "[6, 3]", "[6, 3]", "", "the number type |O"},
        {"<f4", "[6, 3]", "[6]", "", "a shape of 2 numbers and chunks of 1"},
        {"<f4", "[6, 3]", "[0, 3]", "", "chunks that is no list of whole numbers from 1 on"},
        {"<f4", "[6, -3]", "[6, 3]", "", "shape that is no list of whole numbers from 0 on"},
        {"<f4", "[6, 4000000000000000000]", "[6, 3]", "", "beyond all memory"},
        {"<f4", "[6, 3]", "[100000000, 3]", "", "chunks of 1200000000 bytes"},
        {"<f4", "6", "[6, 3]", "", "has no shape of at most 8 numbers"},
        {"<f4", "[6, 3]", "[6, 3]", ",", ".zarray that is no JSON"},
    };
    Fixture *f = *state;
    need_module();
    write_recording(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_meta(f, "data/robot0_eef_pos", cases[i].dtype, cases[i].shape, cases[i].chunk,
                   cases[i].more);
        assert_refused(f->root, "data/robot0_eef_pos ", cases[i].says);
    }
}

// ---- numbers and frames -------------------------------------------------------------------------

static void refused_vector(Fixture *f, int64_t episode, const char *first, const char *second) {
    Error err = {""};
    double out[64];
    ImportSource *s = open_source(f->root);
    assert_false(s->reader->vector(s, episode, 0, out, &err));
    assert_says(&err, first, second);
    assert_says(&err, f->root, "data/robot0_eef_pos");
    import_close(s);
}

static void poses_that_are_none_are_refused(void **state) {
    Fixture *f = *state;
    float values[ROWS * 3] = {0};
    need_module();
    write_recording(f);
    values[3 * 4 + 1] = __builtin_nanf("");
    write_at(f, f->root, "data/robot0_eef_pos/0.0", values, sizeof values);
    refused_vector(f, 1, "value 1 of episode 1, row 2 (row 4 of the array)", "nan");
    write_at(f, f->root, "data/robot0_eef_pos/0.0", values, sizeof values - 1);
    refused_vector(f, 0, "data/robot0_eef_pos/0.0 holds 71 bytes", "has 72");
    forget(f, "data/robot0_eef_pos/0.0");
    write_meta(f, "data/robot0_eef_pos", "<f4", "[6, 3]", "[6, 3]", ", \"fill_value\": null");
    refused_vector(f, 0, "data/robot0_eef_pos/0.0 is missing", "no fill_value");
    write_meta(f, "data/robot0_eef_pos", "<f4", "[6, 3]", "[6, 3]",
               ", \"fill_value\": \"Infinity\"");
    refused_vector(f, 0, "value 0 of episode 0, row 0", "inf");
    int64_t whole[ROWS * 3] = {[2] = ((int64_t)1 << 53) + 1, [3] = 7};
    write_meta(f, "data/robot0_eef_pos", "<i8", "[6, 3]", "[6, 3]", "");
    write_at(f, f->root, "data/robot0_eef_pos/0.0", whole, sizeof whole);
    refused_vector(f, 0, "value 2 of episode 0, row 0", "2^53 or beyond");
    whole[2] = ((int64_t)1 << 53) - 1;
    write_at(f, f->root, "data/robot0_eef_pos/0.0", whole, sizeof whole);
    Error err;
    double out[64];
    ImportSource *s = open_source(f->root);
    OK(s->reader->vector(s, 0, 0, out, &err));
    assert_true(out[2] == 9007199254740991.0);
    import_close(s);
}

static void refused_frame(const char *path, int64_t episode, int64_t row, const char *first,
                          const char *second) {
    Error err = {""};
    Image image;
    void *cursor = NULL;
    ImportSource *s = open_source(path);
    assert_false(s->reader->frame(s, &cursor, episode, 0, row, &image, &err));
    assert_null(image.rgb);
    assert_says(&err, first, second);
    assert_says(&err, path, "data/camera0_rgb");
    s->reader->cursor_free(cursor);
    import_close(s);
}

// A camera of a codec, whose chunk of row 4 is these bytes.
static void write_camera(Fixture *f, const char *codec, const void *bytes, size_t size) {
    write_meta(f, "data/camera0_rgb", "|u1", "[6, 2, 2, 3]", "[1, 2, 2, 3]",
               arena_printf(&f->arena, ", \"compressor\": {\"id\": \"%s\"}", codec));
    write_at(f, f->root, "data/camera0_rgb/4.0.0.0", bytes, size);
}

static void frames_that_cannot_be_decoded_are_refused(void **state) {
    static const char *const codecs[] = {
        "blosc", "zlib", "gzip", "zstd", "lz4", "imagecodecs_jpegxl", "imagecodecs_png"};
    static const uint8_t noise[40] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    Fixture *f = *state;
    need_module();
    write_recording(f);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        write_camera(f, codecs[i], noise, sizeof noise);
        refused_frame(f->root, 1, 2, "data/camera0_rgb/4.0.0.0", "(episode 1, row 2)");
        write_camera(f, codecs[i], noise, 0);
        refused_frame(f->root, 1, 2, "data/camera0_rgb/4.0.0.0", "(episode 1, row 2)");
    }
    write_camera(f, "lz4", "\xff\xff\xff\x7f....", 8);
    refused_frame(f->root, 1, 2, "holds 2147483647 bytes", "has 12");
    write_meta(f, "data/camera0_rgb", "<f4", "[6, 2, 2, 3]", "[1, 2, 2, 3]", "");
    float colours[12] = {[7] = 0.5f};
    write_at(f, f->root, "data/camera0_rgb/4.0.0.0", colours, sizeof colours);
    refused_frame(f->root, 1, 2, "has the colour 0.5", "uint8");
    colours[7] = 256;
    write_at(f, f->root, "data/camera0_rgb/4.0.0.0", colours, sizeof colours);
    refused_frame(f->root, 1, 2, "has the colour 256", "uint8");
}

// A real recording of JPEG XL, whose array says another size, and of which a frame is cut.
static void jpeg_xl_that_does_not_fit_is_refused(void **state) {
    Fixture *f = *state;
    Error err;
    char *frame;
    size_t size;
    need_module();
    unpack(f, "tests/import/data/umi.zarr.zip", "", f->root);
    OK(file_read(arena_printf(&f->arena, "%s/data/camera0_rgb/3.0.0.0", f->root), &frame, &size,
                 &err));
    for (size_t cut = 1; cut < size; cut += size / 7) {
        write_at(f, f->root, "data/camera0_rgb/3.0.0.0", frame, size - cut);
        refused_frame(f->root, 0, 3, "JPEG XL image", "cut short or damaged");
    }
    mem_free(frame);
    write_meta(f, "data/camera0_rgb", "|u1", "[12, 16, 23, 3]", "[1, 16, 23, 3]",
               ", \"compressor\": {\"id\": \"imagecodecs_jpegxl\"}");
    refused_frame(f->root, 0, 2, "holds an image of 16 x 24", "the array's are 16 x 23");
}

// ---- zip files ----------------------------------------------------------------------------------

// A zip file that is cut anywhere, or of which a byte of a member has changed.
static void damaged_zip_files_are_refused(void **state) {
    Fixture *f = *state;
    Error err;
    char *zip;
    size_t size;
    need_module();
    OK(file_read("tests/import/data/umi.zarr.zip", &zip, &size, &err));
    const char *path = arena_printf(&f->arena, "%s/cut.zip", f->dir);
    for (size_t cut = 1; cut < size - 4; cut += 97) {
        write_at(f, f->dir, "cut.zip", zip, size - cut);
        assert_refused(path, "cut short or damaged", "copy it again");
    }
    // Stored bytes of a frame.
    char *chunk = memmem(zip, size, "data/camera0_rgb/8.0.0.0", 24);
    assert_non_null(chunk);
    chunk[24 + 40] ^= 4;
    write_at(f, f->dir, "cut.zip", zip, size);
    refused_frame(path, 1, 1, "data/camera0_rgb/8.0.0.0 is cut short or damaged",
                  "(episode 1, row 1)");
    mem_free(zip);
}

static void forms_of_others_are_refused(void **state) {
    Fixture *f = *state;
    write_text(f, "zarr.json", "{\"zarr_format\": 3, \"node_type\": \"group\"}");
    assert_refused(f->root, "a zarr group of version 3", "zarr_format=2");
    assert_null(import_look(f->root));
    forget(f, "zarr.json");
    write_text(f, "notes", "nothing");
    assert_refused(f->root, "nothing that can be imported", "replay_buffer.zarr");
    write_text(f, "meta/info.json", "{}");
    assert_refused(f->root, "a LeRobot dataset already", "--dataset.root");
    const char *file = arena_printf(&f->arena, "%s/meta/info.json", f->root);
    assert_refused(file, "a file of another kind", "HDF5");
    assert_refused(arena_printf(&f->arena, "%s/none", f->dir), "cannot open", "");
    write_text(f, "recording/.zgroup", "{\"zarr_format\": 2}");
    forget(f, "meta/info.json");
    assert_refused(f->root, "it holds", "recording: give that");
    assert_non_null(import_look(arena_printf(&f->arena, "%s/recording", f->root)));
    write_text(f, ".zarray", "{}");
    assert_refused(f->root, "a single zarr array", "the group");
}

static void groups_of_something_else_are_refused(void **state) {
    Fixture *f = *state;
    need_module();
    write_text(f, ".zgroup", "{\"zarr_format\": 2}");
    assert_refused(f->root, "a zarr group, but none of the forms", "meta/episode_ends");
    assert_null(import_recognise(f->root));
    write_ends(f, 2, 6);
    assert_refused(f->root, "neither arms", "");
    write_text(f, ".zgroup", "{}");
    assert_refused(f->root, ".zgroup says no zarr_format 2", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(episodes_that_do_not_fit_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arrays_that_do_not_fit_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chunks_of_frames_that_are_missing_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(kinds_of_arrays_that_are_not_read_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(poses_that_are_none_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_that_cannot_be_decoded_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(jpeg_xl_that_does_not_fit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_zip_files_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forms_of_others_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_of_something_else_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

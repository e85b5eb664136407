// SPDX-License-Identifier: Apache-2.0
// HDF5 files with one fault each (make_hdf5.py's bad/), damaged files, and folders whose files do
// not go together: one sentence that names the file, what is wrong and what to do, and nothing else
// on stderr.
#include "hdf5_fixture.h"

#include <fcntl.h>
#include <unistd.h>

// ---- faults that are seen on opening ------------------------------------------------------------

static void faults_are_named(void **state) {
    static const char *const cases[][3] = {
        {"no_action.hdf5", "there is no action", "record or copy it again"},
        {"no_qpos.hdf5", "there is no observations/qpos", "record or copy it again"},
        {"action_group.hdf5", "no array is action", "record or copy it again"},
        {"short_action.hdf5", "action has 2 rows, but observations/qpos has 3", "record it again"},
        {"short_camera.hdf5", "images/top has 2 rows, but observations/qpos has 3", "remove it"},
        {"text.hdf5", "action is of bytes", "must be numbers"},
        {"cube.hdf5", "action is of float64 with 3 dimensions", "(rows, values)"},
        {"wide.hdf5", "action has 4097 values a row", "1 to 4096"},
        {"flat.hdf5", "action has 0 values a row", "1 to 4096"},
        {"single.hdf5", "action is a single value", "no rows"},
        {"empty.hdf5", "observations/qpos has no rows", "must be removed"},
        {"grey.hdf5", "images/top is of uint8 with 3 dimensions", "(rows, height, width, 3)"},
        {"float_image.hdf5", "images/top is of float32 with 4 dimensions", "in uint8"},
        {"many_pieces.hdf5", "images/more is of object with 2 dimensions", "image files"},
        {"no_image.hdf5", "row 0 is neither a whole JPEG nor a whole PNG", "image files"},
        {"never_written.hdf5", "its 24 bytes cannot be in the 0 that it has",
         "nothing was written"},
        {"half_written.hdf5", "only 50 of its 100 chunks", "record it again"},
        {"huge.hdf5", "only 0 of its 1048576 chunks", "record it again"},
        {"lz4.hdf5", "action: compressed with filter 32004 (lz4)", "h5repack -f GZIP=4"},
        {"other_files.hdf5", "its rows lie in other files", "h5repack"},
        {"no_demo.hdf5", "there is no demonstration in /data", "demo_0"},
        {"no_obs.hdf5", "data/demo_0: there are no observations", "dataset_states_to_obs.py"},
        {"no_actions.hdf5", "data/demo_0: there is no actions", "record or copy it again"},
        {"empty_demo.hdf5", "data/demo_0: actions has no rows", "must be removed"},
        {"samples.hdf5", "num_samples is 4, but actions has 3 rows", "remove it"},
        {"short_obs.hdf5", "obs/robot0_eef_pos has 2 rows, but actions has 3", "remove it"},
        {"another_demo.hdf5", "data/demo_1: obs/robot1_eef_pos is in only one", "data/demo_0"},
        {"another_width.hdf5", "data/demo_1: actions has 7 values a row, but 14", "data/demo_0"},
        {"mask.hdf5", "mask/train", "no list of names"},
        {"neither.hdf5", "an HDF5 file, but none of the forms", "/data/demo_N"},
        {"camera", "episode_1.hdf5: camera top is in only one", "episode_0.hdf5"},
        {"size", "episode_1.hdf5: images of top are 8 x 6, but 8 x 8", "episode_0.hdf5"},
        {"files", "images of top are stored as JPEG, but as none", "import them apart"},
        {"width", "episode_1.hdf5: observations/qpos has 3 values a row, but 2", "episode_0.hdf5"},
    };
    Fixture *f = *state;
    need_module();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(at(f, arena_printf(&f->arena, "bad/%s", cases[i][0])), cases[i][1],
                       cases[i][2]);
}

// ---- faults that are seen on reading ------------------------------------------------------------

static void numbers_that_are_not_finite_are_refused(void **state) {
    static const char *const files[] = {"nan", "infinite"};
    static const char *const says[][2] = {
        {"observations/qpos: value 1 of row 2 is nan", "nan.hdf5"},
        {"action: value 0 of row 0 is inf", "infinite.hdf5"},
    };
    Fixture *f = *state;
    double values[3 * 2];
    Error err = {""};
    need_module();
    for (int i = 0; i < 2; i++) {
        ImportSource *s = open_source(at(f, arena_printf(&f->arena, "bad/%s.hdf5", files[i])));
        for (int v = 0; v < 2; v++)
            assert_int_equal(s->reader->vector(s, 0, v, values, &err), v != i);
        assert_says(&err, says[i][0], says[i][1]);
        import_close(s);
    }
}

static void whole_numbers_that_no_double_holds_are_refused(void **state) {
    Fixture *f = *state;
    double values[3 * 2];
    Error err = {""};
    need_module();
    ImportSource *s = open_source(at(f, "bad/whole.hdf5"));
    for (int v = 0; v < 2; v++) assert_int_equal(s->reader->vector(s, 0, v, values, &err), v == 0);
    assert_says(&err, "whole.hdf5: action: value 1 of row 1 is -9007199254740992", "2^53");
    import_close(s);
    s = open_source(at(f, "bad/whole_unsigned.hdf5"));
    assert_false(s->reader->vector(s, 0, 0, values, &err));
    assert_says(&err, "observations/qpos: value 0 of row 2 is 9223372036854775808", "2^53");
    import_close(s);
}

static void assert_row_refused(Fixture *f, const char *file, int64_t row, const char *says) {
    ImportSource *s = open_source(at(f, file));
    Error err = {""};
    Image image;
    void *cursor = NULL;
    OK(s->reader->frame(s, &cursor, 0, 0, 0, &image, &err));
    image_free(&image);
    assert_false(s->reader->frame(s, &cursor, 0, 0, row, &image, &err));
    assert_null(image.rgb);
    assert_says(&err, says, file);
    s->reader->cursor_free(cursor);
    import_close(s);
}

static void damaged_frames_are_refused(void **state) {
    Fixture *f = *state;
    need_module();
    need_video();
    assert_row_refused(f, "bad/cut_jpeg.hdf5", 1, "images/top: row 1: no whole JPEG");
    assert_row_refused(f, "bad/two_sizes.hdf5", 2,
                       "images/top: row 2: another size than the first");
    assert_row_refused(f, "raw/episode_0.hdf5", 4, "there is no row 4 in it");
    assert_row_refused(f, "raw/episode_0.hdf5", -1, "there is no row -1 in it");
}

// ---- damaged files ------------------------------------------------------------------------------

// A file without its end is refused at whatever place it was cut.
static void cut_files_are_refused(void **state) {
    static const char *const files[] = {"raw/episode_0.hdf5", "robomimic.hdf5", "bad/nan.hdf5"};
    Fixture *f = *state;
    Error err;
    need_module();
    const char *cut = at(f, "cut.hdf5");
    for (int i = 0; i < 3; i++) {
        char *bytes;
        size_t size;
        OK(file_read(at(f, files[i]), &bytes, &size, &err));
        for (size_t n = 0; n < size; n += size / 16) {
            OK(file_write(cut, bytes, n, &err));
            assert_refused(cut, n < 8 ? "a file of another kind" : "cannot be opened as HDF5",
                           n < 8 ? "" : "copy it again");
        }
        mem_free(bytes);
    }
}

// In a folder too, beside whole ones; the one that is damaged is named. Other files are no matter.
static void a_damaged_file_of_a_folder_is_named(void **state) {
    Fixture *f = *state;
    Error err;
    char *bytes;
    size_t size;
    need_module();
    OK(make_dirs(at(f, "folder"), &err));
    OK(file_read(at(f, "raw/episode_0.hdf5"), &bytes, &size, &err));
    OK(file_write(at(f, "folder/episode_2.hdf5"), bytes, size, &err));
    OK(file_write(at(f, "folder/notes.txt"), "notes", 5, &err));
    import_close(open_source(at(f, "folder")));
    OK(file_write(at(f, "folder/episode_1.hdf5"), bytes, size / 2, &err));
    assert_refused(at(f, "folder"), "folder/episode_1.hdf5: cannot be opened as HDF5",
                   "libhdf5 says");
    OK(file_write(at(f, "folder/episode_1.hdf5"), "", 0, &err));
    assert_refused(at(f, "folder"), "folder/episode_1.hdf5: cannot be opened as HDF5",
                   "libhdf5 says");
    mem_free(bytes);
}

// A file that shrinks between opening and reading is an error, not the end of the process.
static void a_file_that_shrinks_is_refused(void **state) {
    Fixture *f = *state;
    Error err = {""};
    char *bytes;
    size_t size;
    double values[5 * 14];
    void *cursor = NULL;
    Image image;
    need_module();
    OK(file_read(at(f, "raw/episode_0.hdf5"), &bytes, &size, &err));
    const char *path = at(f, "shrinks.hdf5");
    OK(file_write(path, bytes, size, &err));
    mem_free(bytes);
    ImportSource *s = open_source(path);
    assert_int_equal(truncate(path, (off_t)size / 2), 0);
    assert_false(s->reader->vector(s, 0, 0, values, &err));
    assert_says(&err, path, "libhdf5 says");
    assert_false(s->reader->frame(s, &cursor, 0, 0, 0, &image, &err));
    assert_says(&err, path, "libhdf5 says");
    s->reader->cursor_free(cursor);
    import_close(s);
}

// ---- silence ------------------------------------------------------------------------------------

// libhdf5 writes pages of its own about every failure unless it is told not to.
static void libhdf5_says_nothing_itself(void **state) {
    Fixture *f = *state;
    Error err;
    ImportSource *s;
    char *said;
    size_t size;
    need_module();
    const char *file = at(f, "stderr");
    int kept = dup(2), to = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && to >= 0);
    assert_int_equal(dup2(to, 2), 2);
    bool opened = import_open(at(f, "bad/no_action.hdf5"), &s, &err) ||
                  import_open(at(f, "cut.hdf5"), &s, &err);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
    close(to);
    assert_false(opened);
    OK(file_read(file, &said, &size, &err));
    if (size) fail_msg("it said: %s", said);
    mem_free(said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(numbers_that_are_not_finite_are_refused),
        cmocka_unit_test(whole_numbers_that_no_double_holds_are_refused),
        cmocka_unit_test(damaged_frames_are_refused),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(a_damaged_file_of_a_folder_is_named),
        cmocka_unit_test(a_file_that_shrinks_is_refused),
        cmocka_unit_test(libhdf5_says_nothing_itself),
    };
    return cmocka_run_group_tests(tests, set_up_unpacked, tear_down);
}

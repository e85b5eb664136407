// SPDX-License-Identifier: Apache-2.0
// A conversion that is killed, stopped, or runs out of room at whatever moment leaves no dataset,
// goes on when it is asked for again, and ends with the bytes of one that was left alone.
#include "fake_source.h"
#include <ftw.h>

// Of 64 x 96 frames of two cameras a part of images has 512 rows: more than one part an episode.
static Fake *long_fake(Arena *a) {
    Fake *f = fake_new(a);
    f->episodes[0].length = 560;
    return f;
}

static const char *compared_with, *compared;

static int compare_file(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)ftw;
    if (flag != FTW_F) return 0;
    char other[4096], *one, *two;
    size_t n, m;
    Error err;
    snprintf(other, sizeof other, "%s%s", compared_with, path + strlen(compared));
    OK(file_read(path, &one, &n, &err));
    OK(file_read(other, &two, &m, &err));
    if (n != m || memcmp(one, two, n) != 0) fail_msg("%s and %s differ", path, other);
    mem_free(one);
    mem_free(two);
    return 0;
}

static void assert_same_trees(const char *a, const char *b) {
    Error err;
    int64_t one, other;
    OK(tree_bytes(a, &one, &err));
    OK(tree_bytes(b, &other, &err));
    assert_true(one > 0 && one == other);
    compared = a;
    compared_with = b;
    assert_int_equal(nftw(a, compare_file, 16, FTW_PHYS), 0);
}

static void check_killed(Fixture *f, ConvertImages images) {
    ConvertResult result;
    const char *whole = at(&f->arena, f->dir, "whole");
    ConvertOptions o = fake_options(whole, images);
    fake_convert(long_fake(&f->arena), &o, &result);
    assert_int_equal(result.frames, 2 * 601);
    assert_int_equal(result.found, 0);
    static const int moments[] = {1, 300, 1150};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        o.root = arena_printf(&f->arena, "%s/again%zu", f->dir, i);
        Fake *killed = long_fake(&f->arena);
        killed->kill_at = moments[i];
        int status = convert_apart(killed, &o);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_false(dir_exists(o.root));
        killed->kill_at = moments[i] < 300 ? 300 : 50; // and soon after it went on
        if (moments[i] < 1000) (void)convert_apart(killed, &o);
        Fake *fake = long_fake(&f->arena);
        fake_convert(fake, &o, &result);
        assert_int_equal(result.frames, 2 * 601);
        if (moments[i] >= 1150) assert_true(result.found > 0);
        assert_int_equal(fake->asked + result.found, result.frames);
        assert_false(dir_exists(partial_of(&f->arena, o.root)));
        assert_same_trees(whole, o.root);
    }
}

static void killed_videos_go_on(void **state) {
    check_killed(*state, CONVERT_VIDEO);
}

static void killed_images_go_on(void **state) {
    check_killed(*state, CONVERT_PNG);
}

// Files that were ended before the kill are neither made again nor lost, and their parts are gone.
static void ended_files_stay(void **state) {
    Fixture *f = *state;
    ConvertResult result;
    const char *whole = at(&f->arena, f->dir, "whole");
    ConvertOptions o = fake_options(whole, CONVERT_VIDEO);
    o.fps = 0.05; // 50 frames a file: 60 | 7 1 33, of each camera
    o.threads = 1;
    fake_convert(fake_new(&f->arena), &o, &result);
    o.root = f->root;
    Fake *fake = fake_new(&f->arena);
    fake->kill_at = 2 * (60 + 7 + 1) + 40; // in the last episode
    const char *first =
        arena_printf(&f->arena, "%s/dataset/videos/observation.images.top/chunk-000/file-000.mp4",
                     partial_of(&f->arena, f->root));
    const char *gone = arena_printf(&f->arena, "%s/parts/e000000-r000000000-c01.mp4",
                                    partial_of(&f->arena, f->root));
    fake->kill_after = gone; // it goes into the file, which is there then
    assert_true(WIFSIGNALED(convert_apart(fake, &o)));
    assert_true(file_exists(first));
    assert_false(file_exists(gone));
    fake = fake_new(&f->arena);
    fake_convert(fake, &o, &result);
    assert_int_equal(fake->asked, result.frames - result.found);
    assert_int_equal(result.found, 2 * (60 + 7 + 1) + 33);
    assert_same_trees(whole, f->root);
}

// A part that lay on a bad disk, or whose end was not written before the power went, is made anew.
static void a_damaged_part_is_made_anew(void **state) {
    Fixture *f = *state;
    ConvertResult result;
    const char *whole = at(&f->arena, f->dir, "whole");
    ConvertOptions o = fake_options(whole, CONVERT_PNG);
    o.threads = 1;
    fake_convert(long_fake(&f->arena), &o, &result);
    o.root = f->root;
    for (int damage = 0; damage < 2; damage++) {
        Fake *fake = long_fake(&f->arena);
        fake->kill_at = 600; // in the second part
        assert_true(WIFSIGNALED(convert_apart(fake, &o)));
        const char *part = arena_printf(&f->arena, "%s/parts/e000000-r000000000-c00.images",
                                        partial_of(&f->arena, o.root));
        FILE *file = fopen(part, "r+b");
        assert_non_null(file);
        assert_int_equal(fseek(file, 20000, SEEK_SET), 0);
        int byte = fgetc(file);
        assert_int_equal(fseek(file, 20000, SEEK_SET), 0);
        assert_true(fputc(damage ? byte ^ 1 : byte, file) != EOF && fclose(file) == 0);
        fake_convert(long_fake(&f->arena), &o, &result);
        assert_int_equal(result.found, damage ? 0 : 512);
        assert_same_trees(whole, o.root);
        o.root = at(&f->arena, f->dir, "again");
    }
}

// What a child says of the memory that a conversion of so many frames took, in bytes.
static double memory_of(Fixture *f, int64_t rows) {
    int ends[2], status;
    double bytes = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        Fake *fake = fake_new(&f->arena);
        fake->source.n_episodes = fake->source.n_cameras = 1;
        fake->episodes[0].length = rows;
        ConvertOptions o =
            fake_options(arena_printf(&f->arena, "%s/%lld", f->dir, (long long)rows), CONVERT_PNG);
        Error err;
        ConvertResult result;
        bool ok = convert_source(&fake->source, &o, &result, &err);
        bytes = ok ? (double)mem_most_resident() : -1;
        _exit(write(ends[1], &bytes, sizeof bytes) != sizeof bytes);
    }
    assert_int_equal(read(ends[0], &bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(ends[0]);
    close(ends[1]);
    if (bytes < 0) skip(); // no FFmpeg
    return bytes;
}

// Frames do not pile up in memory: ten times as many take a few hundred bytes a row more, which
// are the rows' numbers, where one frame alone has 18432.
static void memory_is_flat(void **state) {
    Fixture *f = *state;
    double few = memory_of(f, 1000), many = memory_of(f, 10000);
    assert_true(many - few < 9000 * 1500.0);
}

static void stopped_goes_on(void **state) {
    Fixture *f = *state;
    Error err;
    ConvertResult result;
    atomic_int stop = 0;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    o.stop = &stop;
    Fake *fake = long_fake(&f->arena);
    fake->fail_at = 1150;
    fake->stop_at = &stop;
    assert_false(convert_source(&fake->source, &o, &result, &err));
    assert_string_equal(err.text, "stopped");
    assert_int_equal(fake->cursors, 0);
    assert_false(dir_exists(f->root));
    stop = 0;
    fake->stop_at = NULL;
    fake_convert(fake, &o, &result);
    assert_true(result.found > 0);
    dataset_close(open_all(f->root));
}

// Threads end after the frame that they are at.
static void stopping_is_soon(void **state) {
    Fixture *f = *state;
    Error err;
    ConvertResult result;
    atomic_int stop = 0;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    o.stop = &stop;
    Fake *fake = long_fake(&f->arena);
    fake->slow = true;
    fake->fail_at = 10;
    fake->stop_at = &stop;
    assert_false(convert_source(&fake->source, &o, &result, &err));
    assert_true(fake->asked < 2 * 512);
    assert_false(dir_exists(partial_of(&f->arena, f->root))); // no part was done
}

static void a_damaged_frame_is_named(void **state) {
    Fixture *f = *state;
    Error err;
    ConvertResult result;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    fake->fail_at = 30;
    assert_false(convert_source(&fake->source, &o, &result, &err));
    assert_non_null(strstr(err.text, "is damaged"));
    assert_false(dir_exists(f->root));
    fake_convert(fake, &o, &result); // the counter has gone past it
    dataset_close(open_all(f->root));
}

// Files may have so few bytes that writing fails, as on a full disk.
static void a_full_disk_is_said(void **state) {
    Fixture *f = *state;
    Fake *fake = long_fake(&f->arena);
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        Error err;
        ConvertResult result;
        struct rlimit small = {30000, 30000};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(2);
        if (convert_source(&fake->source, &o, &result, &err)) _exit(3);
        _exit(strstr(err.text, "cannot write") ? 0 : 4);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(dir_exists(f->root));
    ConvertResult result;
    fake_convert(fake, &o, &result);
    dataset_close(open_all(f->root));
}

int main(void) {
    setenv("SVT_LOG", "0", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_videos_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_images_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ended_files_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_part_is_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_flat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_is_soon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_frame_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

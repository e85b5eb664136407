// SPDX-License-Identifier: Apache-2.0
// The frame cache gives out what a decoder gives, whatever happened to its files.
#include "cache_fixture.h"

// ---- keeping ----------------------------------------------------------------------------------

static void what_is_put_comes_out(void **state) {
    const Fixture *f = *state;
    static const char *const modes[] = {"memory", "file", "auto"};
    for (int i = 0; i < 3; i++) {
        FrameCache *c = open_cache(f, modes[i]);
        assert_string_equal(frame_cache_kind(c), i ? "file" : "memory");
        if (i < 2) {
            assert_int_equal(right_ones(f, c), 0);
            put_all(f, c);
        }
        assert_int_equal(right_ones(f, c), CAMERAS * ROWS); // auto: what file has left
        assert_int_equal(frame_cache_count(c, 1), ROWS);
        frame_cache_close(c);
    }
    FrameCacheOptions o = options(f, "none");
    FrameCache *c;
    frame_cache_open(&o, &c);
    assert_null(c);
}

static void memory_keeps_the_first_rows_that_fit(void **state) {
    const Fixture *f = *state;
    FrameCacheOptions o = options(f, "memory");
    FrameCache *c;
    o.limit_gb = (7 * CAMERAS * FRAME + 1) / 1e9;
    frame_cache_open(&o, &c);
    put_all(f, c);
    assert_true(frame_cache_holds(c, 6) && !frame_cache_holds(c, 7));
    assert_int_equal(right_ones(f, c), 7 * CAMERAS);
    frame_cache_close(c);
    o.limit_gb = 0;
    frame_cache_open(&o, &c);
    assert_null(c);
}

// Those who share a cache begin at different places, and each comes to all of them.
static void sharers_begin_apart(void **state) {
    const Fixture *f = *state;
    const int64_t all = CAMERAS * f->ds->n_episodes;
    for (int share = 0; share < 2; share++) {
        FrameCacheOptions o = options(f, "file");
        FrameCache *c;
        int64_t episode, seen = 0;
        int camera, n = 0;
        o.sharers = 2;
        o.share = share;
        frame_cache_open(&o, &c);
        for (; frame_cache_next_episode(c, &camera, &episode); n++) {
            int64_t at = camera * f->ds->n_episodes + episode;
            assert_int_equal(at, (n + share * (all / 2)) % all);
            seen |= (int64_t)1 << at;
        }
        assert_int_equal(n, all);
        assert_int_equal(seen, ((int64_t)1 << all) - 1);
        frame_cache_close(c);
    }
}

static void other_sizes_episodes_and_files_are_other_caches(void **state) {
    Fixture *f = *state;
    Error err;
    const int64_t one[] = {1};
    FrameCache *c = open_cache(f, "file"), *other;
    put_all(f, c);
    FrameCacheOptions o = options(f, "file");
    static const FrameSize smaller[CAMERAS] = {{SIDE - 8, SIDE, IMAGE_AREA},
                                               {SIDE - 8, SIDE, IMAGE_AREA}};
    o.sizes = smaller;
    frame_cache_open(&o, &other);
    assert_int_equal(frame_cache_count(other, 0), 0);
    frame_cache_close(other);
    static const FrameSize smoother[CAMERAS] = {{SIDE, SIDE, IMAGE_BILINEAR},
                                                {SIDE / 4 * 3, SIDE / 3 * 4, IMAGE_BILINEAR}};
    o.sizes = smoother;
    frame_cache_open(&o, &other);
    assert_int_equal(frame_cache_count(other, 0), 0);
    frame_cache_close(other);
    Dataset *part;
    OK(dataset_open(&(DatasetOptions){.root = f->root, .episodes = one, .n_episodes = 1}, &part,
                    &err));
    o = options(f, "file");
    o.dataset = part;
    frame_cache_open(&o, &other);
    assert_int_equal(frame_cache_count(other, 0), 0);
    frame_cache_close(other);
    dataset_close(part);
    // A video that was touched may have changed.
    const char *video = f->ds->episodes[0].videos[0].path;
    struct stat st;
    assert_int_equal(stat(video, &st), 0);
    assert_int_equal(utime(video, &(struct utimbuf){1000, 1000}), 0);
    other = open_cache(f, "file");
    assert_int_equal(frame_cache_count(other, 1), 0);    // dataset's camera 0
    assert_int_equal(frame_cache_count(other, 0), ROWS); // the other one's video is as it was
    frame_cache_close(other);
    assert_int_equal(utimensat(AT_FDCWD, video, (struct timespec[]){st.st_atim, st.st_mtim}, 0), 0);
    frame_cache_close(c);
}

// A dataset that moves as a whole keeps its cache.
static void the_key_does_not_depend_on_the_place(void **state) {
    const Fixture *f = *state;
    char command[9000];
    char *moved = arena_printf((Arena *)&f->arena, "%s/moved", f->dir);
    FrameCache *c = open_cache(f, "file"), *other;
    put_all(f, c);
    snprintf(command, sizeof command, "cp -a %s %s", f->root, moved);
    assert_int_equal(system(command), 0);
    Dataset *ds = open_all(moved);
    FrameCacheOptions o = options(f, "file");
    o.dataset = ds;
    frame_cache_open(&o, &other);
    assert_int_equal(right_ones(f, other), CAMERAS * ROWS);
    frame_cache_close(other);
    dataset_close(ds);
    frame_cache_close(c);
}

// Frames of another decoder lie in another file. Where there is no decoder, the file that was used
// last serves.
static void a_file_is_of_one_decoder(void **state) {
    const Fixture *f = *state;
    uint8_t rgb[FRAME] = {7}, back[FRAME];
    uint64_t sum;
    Error err;
    OK(make_dirs(f->cache, &err));
    FrameFile one = {.fd = -1, .height = SIDE, .width = SIDE, .rows = 3, .decoder = "one"};
    memset(one.key, 'a', sizeof one.key - 1);
    FrameFile two = one, none = one;
    strcpy(two.decoder, "two");
    none.decoder[0] = 0;
    OK(frame_file_open(&one, f->cache, &err));
    OK(frame_file_write(&one, 1, rgb, &sum, &err));
    assert_false(frame_file_exists(&two, f->cache));
    OK(frame_file_open(&two, f->cache, &err));
    assert_true(frame_file_entry(&two, 1) == 0);
    const struct timespec early[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, two.path, early, 0), 0);
    frame_file_close(&one);
    frame_file_close(&two);

    frame_file_find_decoder(&none, f->cache);
    assert_string_equal(none.decoder, "one");
    OK(frame_file_open(&none, f->cache, &err));
    assert_true(frame_file_read(&none, 1, sum, back));
    assert_memory_equal(rgb, back, FRAME);
    frame_file_close(&none);
    none.decoder[0] = 0;
    none.key[0] = 'b'; // frames of which there is no file
    frame_file_find_decoder(&none, f->cache);
    assert_string_equal(none.decoder, "");
}

// ---- damage -----------------------------------------------------------------------------------

static void filled_files(const Fixture *f) {
    FrameCache *c = open_cache(f, "file");
    put_all(f, c);
    frame_cache_close(c);
}

// One bit of a frame and one bit of a checksum are flipped: those two frames are not given out, and
// can be stored again.
static void a_flipped_bit_is_seen(void **state) {
    const Fixture *f = *state;
    const int64_t entries = 4096, data = 8192;
    filled_files(f);
    flip(a_file(f), data + 3 * FRAME + FRAME / 2);
    flip(a_file(f), entries + 8 * 11 + 5);
    flip(a_file(f), data + (ROWS - 1) * FRAME + FRAME - 1); // the last byte of all
    FrameCache *c = open_cache(f, "file");
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS - 3);
    put_all(f, c);
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
    frame_cache_close(c);
    c = open_cache(f, "file");
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
    frame_cache_close(c);
}

// A frame stands in the place of another one.
static void a_frame_in_the_wrong_place_is_seen(void **state) {
    const Fixture *f = *state;
    const int64_t entries = 4096, data = 8192;
    uint8_t rgb[FRAME], sum[8];
    filled_files(f);
    int fd = open(a_file(f), O_RDWR);
    assert_true(pread(fd, rgb, FRAME, data + 4 * FRAME) == FRAME &&
                pread(fd, sum, 8, entries + 8 * 4) == 8);
    assert_true(pwrite(fd, rgb, FRAME, data + 5 * FRAME) == FRAME &&
                pwrite(fd, sum, 8, entries + 8 * 5) == 8);
    close(fd);
    FrameCache *c = open_cache(f, "file");
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS - 1);
    frame_cache_close(c);
}

// A file is made anew where its header is of another version, size or key or is damaged, and where
// the file was cut short or has grown.
static void a_file_that_does_not_fit_is_made_anew(void **state) {
    const Fixture *f = *state;
    for (int64_t place = 0; place < 4096; place += place < 104 ? 4 : 499) {
        filled_files(f);
        flip(a_file(f), place);
        FrameCache *c = open_cache(f, "file");
        assert_int_equal(right_ones(f, c), (CAMERAS - 1) * ROWS);
        frame_cache_close(c);
    }
    int64_t whole = frame_file_bytes(SIDE, SIDE, ROWS);
    const int64_t sizes[] = {0, 100, 4096, 8192, whole - 1, whole + 1};
    for (int i = 0; i < 6; i++) {
        filled_files(f);
        assert_int_equal(truncate(a_file(f), sizes[i]), 0);
        FrameCache *c = open_cache(f, "file");
        assert_int_equal(right_ones(f, c), (CAMERAS - 1) * ROWS);
        put_all(f, c);
        assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
        frame_cache_close(c);
    }
}

// A file that is cut short while it is in use causes no signal and gives no wrong frame.
static void a_file_that_shrinks_in_use_is_survived(void **state) {
    const Fixture *f = *state;
    filled_files(f);
    FrameCache *c = open_cache(f, "file");
    assert_int_equal(truncate(a_file(f), 8192 + 2 * FRAME + 10), 0);
    assert_int_equal(right_ones(f, c), ROWS + 2);
    frame_cache_close(c);
}

// ---- space ------------------------------------------------------------------------------------

static void without_space_frames_are_kept_in_memory(void **state) {
    const Fixture *f = *state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)frame_file_bytes(SIDE, SIDE, ROWS) - 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    FrameCache *c = open_cache(f, "auto");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_string_equal(frame_cache_kind(c), "memory");
    char paths[8][4096];
    assert_int_equal(list_files(f, paths), 0); // nothing half made is left
    put_all(f, c);
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
    frame_cache_close(c);
    FrameCacheOptions o = options(f, "auto");
    o.limit_gb = 2 * ((double)frame_file_bytes(SIDE, SIDE, ROWS) - 1) / 1e9;
    frame_cache_open(&o, &c);
    assert_string_equal(frame_cache_kind(c), "memory");
    frame_cache_close(c);
    o.dir = at((Arena *)&f->arena, f->root, "meta/info.json/below"); // cannot be made
    frame_cache_open(&o, &c);
    assert_string_equal(frame_cache_kind(c), "memory");
    frame_cache_close(c);
}

static void set_age(const char *path, time_t used) {
    assert_int_equal(utime(path, &(struct utimbuf){used, used}), 0);
}

// The file that was used longest ago is removed; a file in use never is, and neither are files of
// other programs.
static void the_oldest_unused_files_make_room(void **state) {
    const Fixture *f = *state;
    static const char names[3][40] = {"11111111111111111111111111111111.frames",
                                      "22222222222222222222222222222222.frames", "notes.frames"};
    Arena *a = (Arena *)&f->arena;
    Error err;
    char old[1000] = {0};
    OK(make_dirs(f->cache, &err));
    for (int i = 0; i < 3; i++) {
        OK(file_write(at(a, f->cache, names[i]), old, sizeof old, &err));
        set_age(at(a, f->cache, names[i]), 1000 + i);
    }
    assert_true(frame_files_evict(f->cache, 500, 2500)); // fits as it is
    assert_true(file_exists(at(a, f->cache, names[0])));
    assert_true(frame_files_evict(f->cache, 500, 2499));
    assert_false(file_exists(at(a, f->cache, names[0])));
    assert_true(file_exists(at(a, f->cache, names[1])));
    int fd = open(at(a, f->cache, names[1]), O_RDONLY); // in use
    assert_int_equal(flock(fd, LOCK_SH), 0);
    assert_false(frame_files_evict(f->cache, 500, 1000));
    assert_true(file_exists(at(a, f->cache, names[1])));
    close(fd);
    assert_false(frame_files_evict(f->cache, 5000, 1000)); // can never fit: nothing goes for it
    assert_true(file_exists(at(a, f->cache, names[1])));
    assert_true(frame_files_evict(f->cache, 500, 1000));
    assert_false(file_exists(at(a, f->cache, names[1])));
    assert_true(file_exists(at(a, f->cache, names[2])));
}

// A cache never evicts its own files, and opening an old file makes it the newest.
static void use_keeps_a_file(void **state) {
    const Fixture *f = *state;
    char paths[8][4096];
    int64_t whole = frame_file_bytes(SIDE, SIDE, ROWS);
    filled_files(f);
    assert_int_equal(list_files(f, paths), CAMERAS);
    for (int i = 0; i < CAMERAS; i++) set_age(paths[i], 1000);
    FrameCache *c = open_cache(f, "file");
    assert_false(frame_files_evict(f->cache, whole, CAMERAS * whole));
    assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
    frame_cache_close(c);
    struct stat st;
    assert_int_equal(stat(paths[0], &st), 0);
    assert_true(st.st_mtime > 1000);
}

// ---- processes --------------------------------------------------------------------------------

static pid_t fill_in_child(const Fixture *f, int64_t first, int64_t end, bool then_wait) {
    pid_t pid = fork();
    if (pid) return pid;
    FrameCache *c = open_cache(f, "file");
    for (int64_t row = first; row < end; row++)
        for (int k = 0; k < CAMERAS; k++) frame_cache_put(c, k, row, frame(f, k, row));
    while (then_wait) pause();
    frame_cache_close(c);
    _exit(0);
}

static void processes_share_what_they_decode(void **state) {
    const Fixture *f = *state;
    int status;
    FrameCache *c = open_cache(f, "file"); // open before the other one writes
    pid_t pid = fill_in_child(f, 0, 20, false);
    assert_true(waitpid(pid, &status, 0) == pid && status == 0);
    assert_int_equal(right_ones(f, c), 20 * CAMERAS);
    put_all(f, c);
    frame_cache_close(c);
}

// Many processes at once make, fill and read the same files.
static void processes_fill_at_once(void **state) {
    const Fixture *f = *state;
    enum { CHILDREN = 4 };
    pid_t pids[CHILDREN];
    for (int round = 0; round < 5; round++) {
        assert_int_equal(no_files(state), 0);
        for (int i = 0; i < CHILDREN; i++) pids[i] = fill_in_child(f, 0, ROWS, false);
        for (int i = 0; i < CHILDREN; i++) {
            int status;
            assert_true(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
        }
        FrameCache *c = open_cache(f, "file");
        assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
        frame_cache_close(c);
    }
}

static void a_killed_process_leaves_whole_frames(void **state) {
    const Fixture *f = *state;
    for (int round = 0; round < 12; round++) {
        assert_int_equal(no_files(state), 0);
        pid_t pid = fill_in_child(f, 0, ROWS, true);
        usleep(200u * (unsigned)round * (unsigned)round);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        FrameCache *c = open_cache(f, "file");
        right_ones(f, c);
        put_all(f, c);
        assert_int_equal(right_ones(f, c), CAMERAS * ROWS);
        frame_cache_close(c);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, no_files)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_comes_out),
        TEST(memory_keeps_the_first_rows_that_fit),
        TEST(sharers_begin_apart),
        TEST(other_sizes_episodes_and_files_are_other_caches),
        TEST(the_key_does_not_depend_on_the_place),
        TEST(a_file_is_of_one_decoder),
        TEST(a_flipped_bit_is_seen),
        TEST(a_frame_in_the_wrong_place_is_seen),
        TEST(a_file_that_does_not_fit_is_made_anew),
        TEST(a_file_that_shrinks_in_use_is_survived),
        TEST(without_space_frames_are_kept_in_memory),
        TEST(the_oldest_unused_files_make_room),
        TEST(use_keeps_a_file),
        TEST(processes_share_what_they_decode),
        TEST(processes_fill_at_once),
        TEST(a_killed_process_leaves_whole_frames),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

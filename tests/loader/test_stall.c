// SPDX-License-Identifier: Apache-2.0
// A file system that does not answer for a while: the loader says which file it waits for, and the
// batches are what they would have been.
#include "cache_fixture.h"

#include "base/log.h"
#include <stdatomic.h>
#include <sys/syscall.h>

// ---- a file that is read when it pleases --------------------------------------------------------

static atomic_bool stalls;
static atomic_int waiting;

// The loader's own reads of frames in the cache come here, not to the C library.
ssize_t pread(int fd, void *to, size_t bytes, off_t at) {
    if (stalls && bytes == FRAME) {
        waiting++;
        while (stalls) usleep(1000);
        waiting--;
    }
    return syscall(SYS_pread64, fd, to, bytes, at);
}

// ---- what is said -------------------------------------------------------------------------------

enum { MOST_LINES = 16 };
static struct {
    int n;
    char lines[MOST_LINES][1200];
} said;

// Keeps a warning; with the second of them the file answers again.
static void keep(void *user, LogLevel level, const char *line) {
    (void)user;
    if (level != LOG_LEVEL_WARNING || said.n == MOST_LINES) return;
    snprintf(said.lines[said.n++], sizeof said.lines[0], "%s", line);
    if (said.n == 2) stalls = false;
}

static void a_file_that_does_not_answer_is_named(void **state) {
    const Fixture *f = *state;
    Error err;
    FrameCache *c = open_cache(f, "file");
    put_all(f, c);
    LoaderOptions o = {
        .dataset = f->ds,
        .window = {.horizon = T, .down_sample = 1, .chunk_size = 3, .action_down_sample = 1},
        .state = &f->state,
        .action = &f->action,
        .cameras = cameras,
        .n_cameras = CAMERAS,
        .sizes = frame_sizes,
        .rows = f->rows + 9, // episode 1
        .n_rows = 8,
        .batch_size = BATCH,
        .num_workers = 2,
        .prefetch = 1,
        .cache = c,
        .warn_s = 0.05};
    Loader *l;
    const Batch *b;
    memset(&said, 0, sizeof said);
    stalls = true;
    const LogSink before = log_to((LogSink){keep, NULL});
    OK(loader_open(&o, &l, &err));
    for (int i = 0; i < 30000 && waiting < 2; i++) usleep(1000); // both workers
    assert_int_equal(waiting, 2);
    OK(loader_next(l, &b, &err));
    log_to(before);
    assert_int_equal(said.n, 2);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(said.lines[i], "no batch for"));
        assert_non_null(strstr(said.lines[i], "(number 0)"));
        assert_non_null(strstr(said.lines[i], "worker 0 reads frame"));
        assert_non_null(strstr(said.lines[i], "of episode 1 from"));
        assert_non_null(strstr(said.lines[i], f->ds->episodes[1].videos[cameras[0]].path));
    }
    assert_memory_equal(b->images[0] + FRAME, frame(f, 0, 9), FRAME);
    loader_close(l);

    // Nothing is said of a file that answers, nor where nothing is to be said.
    memset(&said, 0, sizeof said);
    o.warn_s = 600;
    OK(loader_open(&o, &l, &err));
    log_to((LogSink){keep, NULL});
    for (int i = 0; i < 6; i++) OK(loader_next(l, &b, &err));
    log_to(before);
    loader_close(l);
    assert_int_equal(said.n, 0);
    frame_cache_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_that_does_not_answer_is_named, no_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

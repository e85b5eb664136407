// SPDX-License-Identifier: Apache-2.0
// Videos of evaluations as pictures for TensorBoard.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "curves/run_curves.h"
#include "curves/sheet.h"
#include "formats/video.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ok.h"

enum { H = 64, W = 96, LEVEL = 20 };

static char dir[1024];

// Frame i of n is grey of the level i * LEVEL.
static void write_video(const char *name, int n) {
    static uint8_t rgb[H * W * 3];
    char path[1200];
    Error err;
    VideoWriter *w;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!video_writer_open(path, NULL, H, W, 10, 2, 20, &w, &err)) {
        if (strstr(err.text, "no encoder") || strstr(err.text, "apt-get")) {
            printf("skipped: %s\n", err.text);
            skip();
        }
        fail_msg("%s", err.text);
    }
    for (int i = 0; i < n; i++) {
        memset(rgb, i * LEVEL, sizeof rgb);
        OK(video_writer_add(w, rgb, &err));
    }
    OK(video_writer_close(w, &err));
}

static void assert_cells(const char *name, const int frames[6]) {
    Error err;
    Image sheet;
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    OK(video_sheet(path, &sheet, &err));
    assert_int_equal(sheet.height, 2 * H);
    assert_int_equal(sheet.width, 3 * W);
    for (int i = 0; i < 6; i++) {
        for (int corner = 0; corner < 4; corner++) {
            int y = i / 3 * H + (corner / 2 ? H - 1 : 0), x = i % 3 * W + (corner % 2 ? W - 1 : 0);
            int level = sheet.rgb[(y * sheet.width + x) * 3];
            if (abs(level - frames[i] * LEVEL) > LEVEL / 4)
                fail_msg("%s: cell %d is of level %d, not of frame %d", name, i, level, frames[i]);
        }
    }
    image_free(&sheet);
}

static void frames_from_the_first_to_the_last(void **state) {
    (void)state;
    write_video("eleven.mp4", 11);
    assert_cells("eleven.mp4", (const int[]){0, 2, 4, 6, 8, 10});
    write_video("two.mp4", 2);
    assert_cells("two.mp4", (const int[]){0, 0, 0, 0, 0, 1});
}

static void catch_line(void *user, LogLevel level, const char *line) {
    assert_int_equal(level, LOG_LEVEL_WARNING);
    snprintf(user, 1024, "%s", line);
}

// How often some bytes are in the one event file.
static int times(const char *bytes, size_t n) {
    char command[1200], path[1200] = "", *data;
    size_t size;
    Error err;
    int found = 0;
    snprintf(command, sizeof command, "ls %s/tensorboard/*", dir);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    assert_non_null(fgets(path, sizeof path, list));
    pclose(list);
    path[strcspn(path, "\n")] = 0;
    OK(file_read(path, &data, &size, &err));
    for (size_t i = 0; i + n <= size; i++) found += memcmp(data + i, bytes, n) == 0;
    mem_free(data);
    return found;
}

static void every_episode_is_a_picture(void **state) {
    (void)state;
    Error err;
    char path[1200], said[1024] = "";
    RunCurves r;
    TrainConfig c;
    write_video("episode_000007.mp4", 3);
    write_video("episode_000012.mp4", 1);
    snprintf(path, sizeof path, "%s/episode_000013.mp4", dir);
    train_config_default(&c);
    c.output_dir = dir;
    c.tensorboard = true;
    OK(run_curves_open(&r, &c, 0, false, &err));
    OK(run_curves_videos(&r, 4, "ema_", dir, &err));
    assert_int_equal(times("\x89PNG", 4), 2);
    assert_int_equal(times("eval/ema_episode_000007", 23), 1);
    assert_int_equal(times("eval/ema_episode_000012", 23), 1);
    // One that cannot be read is no reason to end a run: that is said, once.
    OK(file_write(path, "no video", 8, &err));
    LogSink before = log_to((LogSink){catch_line, said});
    OK(run_curves_videos(&r, 8, "", dir, &err));
    assert_non_null(strstr(said, "episode_000013.mp4"));
    assert_non_null(strstr(said, "TensorBoard gets no pictures"));
    said[0] = 0;
    OK(run_curves_videos(&r, 12, "", dir, &err));
    assert_string_equal(said, "");
    log_to(before);
    OK(run_curves_videos(&r, 12, "", "/no/such/folder", &err));
    run_curves_close(&r);
    train_config_free(&c);
}

static int make_dir(void **state) {
    Error err;
    (void)state;
    return make_temporary_dir(dir, sizeof dir, NULL, &err) ? 0 : 1;
}

static int remove_dir(void **state) {
    Error err;
    (void)state;
    return remove_tree(dir, &err) ? 0 : 1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_from_the_first_to_the_last, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(every_episode_is_a_picture, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

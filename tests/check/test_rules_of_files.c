// SPDX-License-Identifier: Apache-2.0
// The rules about files, over a dataset on disk into which a few lines put one fault, or a little
// less of it.
#include "../scratch.h"
#include "check/check.h"
#include "dataset/writer.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "../ok.h"

enum { EPISODES = 4, LENGTH = 12, AT = 1 };
static const double FPS = 10;
static char root[300], other[300]; // the dataset of a case; the video of another size

static const char info[] = "meta/info.json", stats[] = "meta/stats.json",
                  tasks[] = "meta/tasks.parquet",
                  episodes[] = "meta/episodes/chunk-000/file-000.parquet",
                  rows[] = "data/chunk-000/file-000.parquet",
                  rows_2[] = "data/chunk-000/file-001.parquet",
                  video[] = "videos/observation.images.cam/chunk-000/file-000.mp4",
                  video_2[] = "videos/observation.images.cam/chunk-000/file-001.mp4";
#define CAMERA "videos/observation.images.cam/"

static const char *in(const char *dir, const char *name) {
    static char path[2][700];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

// ---- the dataset --------------------------------------------------------------------------------

static bool write_dataset(const char *to, int side, Error *why) {
    Error err;
    DatasetWriter *w;
    uint8_t pixels[80 * 80 * 3];
    const uint8_t *images[] = {pixels};
    const WriterCamera camera = {"observation.images.cam", side, side, false};
    const WriterOptions options = {.root = to,
                                   .fps = FPS,
                                   .state_dim = 2,
                                   .action_dim = 2,
                                   .cameras = &camera,
                                   .n_cameras = 1};
    OK(dataset_writer_open(&options, &w, &err));
    for (int e = 0; e < EPISODES; e++) {
        for (int i = 0; i < LENGTH; i++) {
            const float state[] = {0.1F * (float)i, 0.2F * (float)(e + i % 3)};
            const float action[] = {0.1F * (float)(i + 1), 0.3F * (float)(e + i % 4)};
            memset(pixels, 40 + 10 * i + e, sizeof pixels);
            if (!dataset_writer_frame(w, state, NULL, action, images, why)) {
                dataset_writer_abort(w);
                return false;
            }
        }
        OK(dataset_writer_episode(w, e % 2 ? "pick" : "place", &err));
    }
    return dataset_writer_close(w, why);
}

static void copy_file(const char *from, const char *to) {
    Error err;
    char *data, dir[700];
    size_t size;
    path_parent(dir, sizeof dir, to);
    OK(make_dirs(dir, &err));
    OK(file_read(from, &data, &size, &err));
    OK(file_write(to, data, size, &err));
    mem_free(data);
}

static void put_text(const char *name, const char *text) {
    Error err;
    OK(file_write(in(root, name), text, strlen(text), &err));
}

// ---- changes ------------------------------------------------------------------------------------

static json_t *read_json(const char *name) {
    Error err;
    json_t *o;
    OK(json_read(in(root, name), &o, &err));
    return o;
}

static void write_json(const char *name, json_t *o) {
    Error err;
    OK(json_write(in(root, name), o, 4, &err));
    json_decref(o);
}

static json_t *member(const json_t *o, const char *a, const char *b) {
    json_t *found = json_object_get(json_object_get(o, a), b);
    assert_non_null(found);
    return found;
}

static void set_info(const char *key, json_t *value) {
    json_t *o = read_json(info);
    json_object_set_new(o, key, value);
    write_json(info, o);
}

static void set_feature(const char *feature, const char *key, json_t *value) {
    json_t *o = read_json(info);
    json_object_set_new(json_object_get(json_object_get(o, "features"), feature), key, value);
    write_json(info, o);
}

static void set_stats(const char *feature, const char *what, double value) {
    json_t *o = read_json(stats), *at = member(o, feature, what);
    while (json_is_array(json_array_get(at, 0))) at = json_array_get(at, 0);
    json_array_set_new(at, 0, json_real(value));
    write_json(stats, o);
}

// Sets a number of an episode, of row `at` of a table, or, with at -1, of all rows.
static void set_number(const char *table, const char *column, int64_t at, double value) {
    Table *t = table_read(in(root, table));
    double *numbers = table_numbers(t, column);
    for (int64_t i = 0; i < t->rows; i++)
        if (at < 0 || i == at) numbers[i] = value;
    table_write(t, in(root, table), t->rows);
}

static void add_number(const char *table, const char *column, int64_t at, double value) {
    Table *t = table_read(in(root, table));
    double now = table_numbers(t, column)[at];
    table_write(t, in(root, table), t->rows);
    set_number(table, column, at, now + value);
}

// Puts episodes 2 and 3 into a second video file, as the times say, and numbers it so or not.
static void cut_video(const char *second, bool numbered) {
    copy_file(second, in(root, video_2));
    for (int e = 2; e < EPISODES; e++) {
        set_number(episodes, CAMERA "from_timestamp", e, (e - 2) * LENGTH / FPS);
        set_number(episodes, CAMERA "to_timestamp", e, (e - 1) * LENGTH / FPS);
        set_number(episodes, CAMERA "file_index", e, numbered);
    }
}

// ---- the faults: `much` 1 is beyond the limit, 0 a little within --------------------------------

static const char pointer[] = "version https://git-lfs.github.com/spec/v1\n"
                              "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 12345\n";
static void point(int much) {
    put_text(much ? rows : "notes.txt", pointer);
}
static void point_in_meta(int much) {
    put_text(much ? tasks : "notes.txt", pointer);
}
static void remove_video(int much) {
    if (much) assert_int_equal(unlink(in(root, video)), 0);
}
static void break_download(int much) {
    put_text("left.incomplete", "half");
    if (much) put_text(rows, "PAR1");
}
// Rows that are there twice, as a copy that was tidied up by hand has them.
static void copy_rows(int much) {
    copy_file(in(root, rows), in(root, much ? rows_2 : "copies/file-001.parquet"));
}
static void list_fewer(int much) {
    Table *t = table_read(in(root, episodes));
    table_write(t, in(root, episodes), EPISODES - much);
    set_info("total_episodes", json_integer(EPISODES - much));
    set_info("total_frames", json_integer((EPISODES - much) * LENGTH));
}
static void count_frames(int much) {
    set_info("total_frames", json_integer(EPISODES * LENGTH + much));
}
static void lose_tasks(int much) {
    if (much) assert_int_equal(unlink(in(root, tasks)), 0);
}
static void name_other_file(int much) {
    set_number(episodes, "data/file_index", AT, much ? 5 : 0);
}
static void name_other_video(int much) {
    cut_video(in(root, video), !much);
}
static void count_tasks(int much) {
    set_info("total_tasks", json_integer(much ? 3 : 2));
}
static void split(int much) {
    set_info("splits", json_pack("{s:s, s:s}", "train", "0:2", "val", much ? "2:9" : "2:4"));
}
static void reshape_camera(int much) {
    set_feature("observation.images.cam", "shape", json_pack("[i, i, i]", much ? 48 : 64, 64, 3));
}
static void name_codec(int much) {
    set_feature("observation.images.cam", "info",
                json_pack("{s:s}", "video.codec", much ? "mpeg4" : "h264"));
}
static void declare(int much) {
    json_t *o = read_json(info), *features = json_object_get(o, "features");
    if (much)
        json_object_set_new(
            features, "observation.speed",
            json_pack("{s:s, s:[i], s:n}", "dtype", "float32", "shape", 2, "names"));
    write_json(info, o);
}
static void type_otherwise(int much) {
    set_feature("frame_index", "dtype", json_string(much ? "string" : "int32"));
}
static void shape_otherwise(int much) {
    set_feature("frame_index", "shape", json_pack("[i]", much ? 3 : 1));
}
static void forget_column(int much) {
    Table *t = table_read(in(root, rows));
    for (int i = 0; i < t->n; i++)
        if (much && strcmp(t->fields[i].name, "task_index") == 0) t->fields[i].name = "task";
    table_write(t, in(root, rows), t->rows);
}
static void swap_tasks(int much) {
    Table *t = table_read(in(root, tasks));
    for (int i = 0; i < t->n && much; i++) {
        ParquetColumn *c = &t->columns[i];
        if (c->bytes) {
            ParquetBytes first = c->bytes[0];
            c->bytes[0] = c->bytes[1], c->bytes[1] = first;
        } else {
            double first = c->numbers[0];
            c->numbers[0] = c->numbers[1], c->numbers[1] = first;
        }
    }
    table_write(t, in(root, tasks), t->rows);
}
static void task_beyond(int much) {
    set_number(rows, "task_index", LENGTH * AT, much ? 7 : 1);
}
static void task_of_others(int much) {
    for (int i = 0; i < LENGTH; i++)
        if (much || i > 0) set_number(rows, "task_index", LENGTH * AT + i, 0);
}
static void leave_task(int much) {
    set_number(rows, "task_index", -1, 0);
    if (!much) set_number(rows, "task_index", 3, 1);
}
static void lose_stats(int much) {
    json_t *o = read_json(stats);
    json_object_del(o, much ? "action" : "index");
    write_json(stats, o);
}
static void turn_stats(int much) {
    set_stats("action", "std", much ? -0.1 : 0.3);
}
static void count_rows(int much) {
    set_stats("action", "count", EPISODES * LENGTH + much);
}
static void scale_pixels(int much) {
    set_stats("observation.images.cam", "max", much ? 255 : 1);
}
static void wrap_pixels(int much) {
    set_stats("observation.images.cam", "std", much ? 0 : 0.01);
}
static void stale_episode(int much) {
    add_number(episodes, "stats/action/mean", 2 * AT, much ? 0.1 : 0.01);
}
static void short_episode(int much) {
    set_number(episodes, "stats/action/count", AT, LENGTH - much);
}
static void other_rate(int much) {
    set_info("fps", json_real(much ? 10.06 : 10.04));
}
static void leave_frames(int much) {
    add_number(episodes, CAMERA "to_timestamp", AT, (much ? 3 : 2) / FPS);
}
static void begin_beside(int much) {
    add_number(episodes, CAMERA "from_timestamp", AT, (much ? 0.15 : 0.05) / FPS);
}
static void overlap(int much) {
    add_number(episodes, CAMERA "to_timestamp", AT, (much ? 0.6 : 0.4) / FPS);
}
static void mix_sizes(int much) {
    cut_video(much ? other : in(root, video), true);
}

static const struct Case {
    CheckRuleId rule;
    void (*fault)(int much);
    int episode; // where it is to be found; -1: of the whole dataset
} cases[] = {
    {RULE_lfs_pointer, point, -1},
    {RULE_lfs_pointer, point_in_meta, -1},
    {RULE_partial_download, remove_video, -1},
    {RULE_partial_download, break_download, -1},
    {RULE_rows_unlisted, copy_rows, -1},
    {RULE_rows_unlisted, list_fewer, -1},
    {RULE_info_counts, count_frames, -1},
    {RULE_unreadable, count_frames, -1},
    {RULE_tasks_missing, lose_tasks, -1},
    {RULE_data_numbers, name_other_file, AT},
    {RULE_video_numbers, name_other_video, 2},
    {RULE_info_counts, count_tasks, -1},
    {RULE_info_counts, split, -1},
    {RULE_camera_shape, reshape_camera, -1},
    {RULE_video_codec, name_codec, -1},
    {RULE_column_missing, declare, -1},
    {RULE_column_missing, forget_column, -1},
    {RULE_column_unknown, forget_column, -1},
    {RULE_column_type, type_otherwise, -1},
    {RULE_column_type, shape_otherwise, -1},
    {RULE_task_order, swap_tasks, -1},
    {RULE_task_index, task_beyond, -1},
    {RULE_task_index, task_of_others, AT},
    {RULE_task_unused, leave_task, -1},
    {RULE_stats_missing, lose_stats, -1},
    {RULE_stats_impossible, turn_stats, -1},
    {RULE_stats_impossible, count_rows, -1},
    {RULE_stats_image, scale_pixels, -1},
    {RULE_stats_image, wrap_pixels, -1},
    {RULE_episode_stats, stale_episode, AT},
    {RULE_episode_stats, short_episode, AT},
    {RULE_video_rate, other_rate, -1},
    {RULE_video_frames, leave_frames, AT},
    {RULE_video_grid, begin_beside, AT},
    {RULE_video_overlap, overlap, 2},
    {RULE_picture_size, mix_sizes, 2},
};

// ---- tests --------------------------------------------------------------------------------------

static void look(CheckReport *report) {
    Error err;
    Dataset *ds;
    const WindowSpec window = {
        .horizon = 2, .down_sample = 1, .chunk_size = 2, .action_down_sample = 1};
    *report = (CheckReport){0};
    OK(check_open(&(DatasetOptions){.root = root}, &ds, report, &err));
    if (ds)
        OK(check_run(
            ds,
            &(CheckOptions){
                .window = &window, .decode = CHECK_DECODE_NONE, .files = true, .threads = 2},
            report, &err));
    dataset_close(ds);
}

static void print_findings(const CheckReport *report) {
    for (int64_t i = 0; i < report->count; i++)
        print_error("%s: episode %lld, %s: %s\n", check_rules[report->findings[i].rule].name,
                    (long long)report->findings[i].episode, report->findings[i].where,
                    report->findings[i].text);
}

// Copies the whole dataset to `root`; skips the test where none can be written.
static void new_root(void) {
    static const char *const names[] = {info, stats, tasks, episodes, rows, video};
    Error err;
    char whole[300];
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(root, sizeof root, "%s/set", folder);
    if (!dir_exists(whole)) {
        char large[300];
        snprintf(large, sizeof large, "%s/large", folder);
        if (!write_dataset(whole, 64, &err) || !write_dataset(large, 80, &err)) {
            print_message("skipped: %s\n", err.text);
            skip();
        }
        snprintf(other, sizeof other, "%s/%s", large, video);
    }
    OK(remove_tree(root, &err));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        copy_file(in(whole, names[i]), in(root, names[i]));
}

static bool in_group(int rule) {
    return strcmp(check_rules[rule].group, "files") == 0 || rule == RULE_picture_size;
}

static void a_whole_dataset_has_no_finding(void **state) {
    CheckReport report;
    int64_t found = 0;
    (void)state;
    new_root();
    look(&report);
    for (int rule = 0; rule < CHECK_RULES; rule++)
        found += in_group(rule) ? report.broken[rule] : 0;
    if (found > 0) print_findings(&report);
    assert_int_equal(found, 0);
    check_report_free(&report);
}

static void each_fault_is_found_and_a_lesser_one_is_not(void **state) {
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct Case *c = &cases[i];
        for (int much = 0; much < 2; much++) {
            CheckReport report;
            int64_t first = -1;
            new_root();
            c->fault(much);
            look(&report);
            for (int64_t k = report.count - 1; k >= 0; k--)
                if (report.findings[k].rule == c->rule) first = k;
            bool right =
                (first >= 0) == much && (first < 0 || report.findings[first].episode == c->episode);
            if (!right) {
                print_error("%s, case %d, %s: wrong\n", check_rules[c->rule].name, (int)i,
                            much ? "broken" : "nearly");
                print_findings(&report);
            }
            wrong += !right;
            check_report_free(&report);
        }
    }
    assert_int_equal(wrong, 0);
}

// What goes together is looked at, and the two others are named.
static void episodes_of_another_size_leave_the_rest(void **state) {
    CheckReport report;
    (void)state;
    new_root();
    mix_sizes(1);
    look(&report);
    assert_int_equal(report.episodes, 2);
    assert_int_equal(report.broken[RULE_picture_size], 2);
    assert_int_equal(report.broken[RULE_unreadable], 0);
    check_report_free(&report);
}

static void every_rule_about_files_has_a_case(void **state) {
    (void)state;
    for (int rule = 0; rule < CHECK_RULES; rule++) {
        bool found = !in_group(rule);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            found = found || (int)cases[i].rule == rule;
        if (!found) fail_msg("%s has no case here", check_rules[rule].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_dataset_has_no_finding),
        cmocka_unit_test(each_fault_is_found_and_a_lesser_one_is_not),
        cmocka_unit_test(episodes_of_another_size_leave_the_rest),
        cmocka_unit_test(every_rule_about_files_has_a_case),
    };
    return cmocka_run_group_tests_name("check files", tests, folder_make, folder_remove);
}

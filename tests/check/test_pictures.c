// SPDX-License-Identifier: Apache-2.0
// The rules about pictures, over datasets of small images that are written with one fault in one
// episode, or a little less of it.
#include "../scratch.h"
#include "check/check.h"
#include "dataset/writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../ok.h"

enum { EPISODES = 6, LENGTH = 45, SIDE = 64, CAMERAS = 2, AT = 3 };
static const double FPS = 15;
// From this row on the robot and what it sees stand still, whatever it is told.
static int stands_from = LENGTH;
static const char *const camera_names[] = {"observation.images.front", "observation.images.wrist"};

// A frame: what is seen, before what is wrong with it.
typedef struct Shot {
    int episode, i, camera;
    double moved; // of the way
} Shot;

// How far the movement of an episode is, from 0 to 1: twice faster, twice slower.
static double way(double i) {
    double t = i / LENGTH;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t - 0.06 * sin(4 * 3.14159265 * t);
}

// How much of a pixel an edge leaves, at a distance within it.
static double cover_of(double inside) {
    return inside < 0 ? 0 : inside > 1 ? 1 : inside;
}

// Two rooms that differ, with stripes, and a hand that moves through each.
static double scene(const Shot *s, int y, int x) {
    double room = s->camera == 0 ? 40 + 1.5 * y : 200 - 1.8 * y;
    double stripes = 12 * ((x / 2 + (s->camera ? y / 3 : 0)) % 2);
    double hand_x = 8 + 48 * (way(s->i) + s->moved), hand_y = 20 + 3 * s->episode;
    double hand = cover_of(9.5 - fabs(x - hand_x)) * cover_of(9.5 - fabs(y - hand_y));
    return hand * (s->camera ? 20 : 230) + (1 - hand) * room + stripes;
}

static uint8_t level(double x) {
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

static void draw(const Shot *s, uint8_t *rgb) {
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) memset(rgb + 3 * (y * SIDE + x), level(scene(s, y, x)), 3);
}

// ---- the faults: `much` 1 is beyond the limit, 0 a little within, on the pixels of one shot
// -------

typedef void Fault(Shot *s, uint8_t *rgb, int much);

static void scale(uint8_t *rgb, double by, double add) {
    for (int i = 0; i < SIDE * SIDE * 3; i++) rgb[i] = level(rgb[i] * by + add);
}
static void cover(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && s->camera == 0 && s->i == 0) scale(rgb, much ? 0.05 : 0.2, 0);
}
static void overexpose(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && s->camera == 0) memset(rgb, 255, (size_t)(SIDE * (much ? 50 : 40) * 3));
}
static void step_exposure(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && s->camera == 0 && s->i >= 20) scale(rgb, 1, much ? 60 : 30);
}
static void freeze(Shot *s, uint8_t *rgb, int much) {
    int end = much ? 32 : 21; // from 10 on; a second is 15 rows
    if (s->episode == AT && s->camera == 1 && s->i > 10 && s->i <= end)
        draw(&(Shot){s->episode, 10, 1, 0}, rgb);
}
static void repeat(Shot *s, uint8_t *rgb, int much) {
    int every = much ? 2 : 4;
    if (s->episode == AT && s->camera == 1 && s->i % every == 1)
        draw(&(Shot){s->episode, s->i - 1, 1, 0}, rgb);
}
static void blur(Shot *s, uint8_t *rgb, int much) {
    uint8_t sharp[SIDE * SIDE * 3];
    memcpy(sharp, rgb, sizeof sharp);
    if (s->episode != AT || s->camera != 0) return;
    for (int y = 0; y < SIDE; y++)
        for (int x = 2; x < SIDE - 2; x++) {
            const uint8_t *p = sharp + 3 * (y * SIDE + x);
            int mean = (p[-6] + p[-3] + p[0] + p[3]) / 4; // the stripes are four pixels apart
            memset(rgb + 3 * (y * SIDE + x), much ? mean : (mean + p[0]) / 2, 3);
        }
}
static void swap(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && much) draw(&(Shot){s->episode, s->i, !s->camera, 0}, rgb);
    if (s->episode == AT && !much) scale(rgb, 0.9, 0);
}
static void turn_over(Shot *s, uint8_t *rgb, int much) {
    uint8_t upright[SIDE * SIDE * 3];
    memcpy(upright, rgb, sizeof upright);
    for (int i = 0; much && s->episode == AT && s->camera == 0 && i < SIDE * SIDE; i++)
        memcpy(rgb + 3 * i, upright + 3 * (SIDE * SIDE - 1 - i), 3);
}
static void mirror(Shot *s, uint8_t *rgb, int much) {
    uint8_t row[SIDE * 3];
    for (int y = 0; s->camera == 1 && y < SIDE; y++) {
        uint8_t *at = rgb + (size_t)(3 * y * SIDE);
        for (int i = 0; i < SIDE * 3; i++) at[i] = level(at[i] / 2 + i / 3); // darker on the left
        memcpy(row, at, sizeof row);
        for (int x = 0; much && s->episode == AT && x < SIDE; x++)
            memcpy(at + 3 * x, row + 3 * (SIDE - 1 - x), 3);
    }
}
static void expose_apart(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && s->camera == 0) scale(rgb, 1, much ? 60 : 30);
}
static void exchange_colours(Shot *s, uint8_t *rgb, int much) {
    double mix = s->episode != AT ? 0 : much ? 1 : 0.4;
    for (int i = 0; i < SIDE * SIDE; i++) {
        rgb[3 * i] = level(rgb[3 * i] * (1 - 0.5 * mix));
        rgb[3 * i + 2] = level(rgb[3 * i + 2] * (0.5 + 0.5 * mix));
    }
}
static void cut_scene(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && s->camera == 1 && s->i >= 20)
        draw(&(Shot){s->episode, s->i, !much, much ? 0 : 0.05}, rgb);
}
static void stop_camera(Shot *s, uint8_t *rgb, int much) {
    if (s->camera == 1) draw(&(Shot){0, much ? 7 : s->i / 2, 1, 0}, rgb);
}

static void show_other(Shot *s, uint8_t *rgb, int much) {
    if (s->episode == AT && s->camera == 1) draw(&(Shot){1, s->i, 1, 0}, rgb);
    if (s->episode == AT && s->camera == 1 && !much) memset(rgb + 3000, 90, 300);
}
static void show_late(Shot *s, uint8_t *rgb, int much) {
    if (s->camera == 1) draw(&(Shot){s->episode, s->i - (much ? 4 : 2), 1, 0}, rgb);
}
static void show_later(Shot *s, uint8_t *rgb, int much) {
    if (s->camera == 1 && s->episode == AT)
        draw(&(Shot){s->episode, s->i - (much ? 4 : 2), 1, 0}, rgb);
}
// Faster five times where the robot is twice; or a little of it.
static void show_unrelated(Shot *s, uint8_t *rgb, int much) {
    double t = (double)s->i / LENGTH, mix = much ? 1 : 0.3;
    bool here = s->camera == 1 && s->episode == AT;
    s->moved = here ? mix * (0.06 * sin(4 * 3.14159265 * t) + 0.024 * sin(10 * 3.14159265 * t)) : 0;
    if (here) draw(s, rgb);
}

static const struct Case {
    CheckRuleId rule;
    Fault *fault;
    CheckDecode decode;
    int episode;
    const char *camera;
} cases[] = {
    {RULE_picture_dark, cover, CHECK_DECODE_SAMPLE, AT, "observation.images.front"},
    {RULE_picture_bright, overexpose, CHECK_DECODE_SAMPLE, AT, "observation.images.front"},
    {RULE_exposure_step, step_exposure, CHECK_DECODE_ALL, AT, "observation.images.front"},
    {RULE_picture_frozen, freeze, CHECK_DECODE_SAMPLE, AT, "observation.images.wrist"},
    {RULE_picture_frozen, freeze, CHECK_DECODE_ALL, AT, "observation.images.wrist"},
    {RULE_picture_repeated, repeat, CHECK_DECODE_ALL, AT, "observation.images.wrist"},
    {RULE_picture_blurred, blur, CHECK_DECODE_SAMPLE, AT, "observation.images.front"},
    {RULE_camera_swapped, swap, CHECK_DECODE_SAMPLE, AT, "observation.images.front"},
    {RULE_picture_turned, turn_over, CHECK_DECODE_SAMPLE, AT, "observation.images.front"},
    {RULE_picture_turned, mirror, CHECK_DECODE_SAMPLE, AT, "observation.images.wrist"},
    {RULE_exposure_apart, expose_apart, CHECK_DECODE_SAMPLE, AT, "observation.images.front"},
    {RULE_colours_exchanged, exchange_colours, CHECK_DECODE_SAMPLE, AT, "observation.images.wrist"},
    {RULE_picture_cut, cut_scene, CHECK_DECODE_ALL, AT, "observation.images.wrist"},
    {RULE_pictures_twice, show_other, CHECK_DECODE_SAMPLE, AT, "observation.images.wrist"},
    {RULE_camera_lag, show_late, CHECK_DECODE_SAMPLE, -1, "observation.images.wrist"},
    {RULE_camera_lag, show_late, CHECK_DECODE_ALL, -1, "observation.images.wrist"},
    {RULE_camera_lag_apart, show_later, CHECK_DECODE_ALL, AT, "observation.images.wrist"},
    {RULE_camera_unrelated, show_unrelated, CHECK_DECODE_ALL, AT, "observation.images.wrist"},
    {RULE_camera_static, stop_camera, CHECK_DECODE_SAMPLE, -1, "observation.images.wrist"},
};

static void write_dataset(const char *root, Fault *fault, int much) {
    Error err;
    DatasetWriter *w;
    const WriterCamera cameras[] = {{camera_names[0], SIDE, SIDE, false},
                                    {camera_names[1], SIDE, SIDE, false}};
    const WriterOptions options = {.root = root,
                                   .fps = FPS,
                                   .state_dim = 2,
                                   .action_dim = 2,
                                   .cameras = cameras,
                                   .n_cameras = CAMERAS,
                                   .images_in_parquet = true};
    OK(dataset_writer_open(&options, &w, &err));
    for (int e = 0; e < EPISODES; e++) {
        for (int i = 0; i < LENGTH; i++) {
            uint8_t pixels[CAMERAS][SIDE * SIDE * 3];
            const uint8_t *images[] = {pixels[0], pixels[1]};
            const int at = i < stands_from ? i : stands_from;
            const float now = (float)way(at), next = (float)way(i + 1);
            const float state[] = {now, 0.1F * (float)e + now};
            const float action[] = {next, 0.1F * (float)e + next};
            for (int k = 0; k < CAMERAS; k++) {
                Shot s = {e, at, k, 0};
                draw(&s, pixels[k]);
                if (fault) fault(&s, pixels[k], much);
            }
            OK(dataset_writer_frame(w, state, NULL, action, images, &err));
        }
        OK(dataset_writer_episode(w, "pick", &err));
    }
    OK(dataset_writer_close(w, &err));
}

// Of a dataset with a fault, or without one (NULL); it is removed again.
static void look_at(Fault *fault, int much, CheckDecode decode, CheckReport *report) {
    char root[300];
    Error err;
    Dataset *ds;
    const WindowSpec window = {
        .horizon = 2, .down_sample = 1, .chunk_size = 5, .action_down_sample = 1};
    snprintf(root, sizeof root, "%s/set", folder);
    write_dataset(root, fault, much);
    *report = (CheckReport){0};
    OK(dataset_open(&(DatasetOptions){.root = root}, &ds, &err));
    OK(check_run(ds, &(CheckOptions){.window = &window, .decode = decode, .threads = 2}, report,
                 &err));
    dataset_close(ds);
    OK(remove_tree(root, &err));
}

static void print_findings(const CheckReport *report) {
    for (int64_t i = 0; i < report->count; i++)
        print_error("%s: episode %lld, %s: %s\n", check_rules[report->findings[i].rule].name,
                    (long long)report->findings[i].episode, report->findings[i].where,
                    report->findings[i].text);
}

static void clean_pictures_have_no_finding(void **state) {
    (void)state;
    for (CheckDecode decode = CHECK_DECODE_NONE; decode <= CHECK_DECODE_ALL; decode++) {
        CheckReport report;
        look_at(NULL, 0, decode, &report);
        print_findings(&report);
        assert_int_equal(report.count, 0);
        check_report_free(&report);
    }
}

// A camera is not frozen where nothing moves before it.
static void a_robot_that_does_not_move_sees_one_picture(void **state) {
    (void)state;
    stands_from = 12;
    for (CheckDecode decode = CHECK_DECODE_SAMPLE; decode <= CHECK_DECODE_ALL; decode++) {
        CheckReport report;
        look_at(NULL, 0, decode, &report);
        print_findings(&report);
        assert_int_equal(report.broken[RULE_picture_frozen], 0);
        assert_int_equal(report.broken[RULE_picture_repeated], 0);
        check_report_free(&report);
    }
    stands_from = LENGTH;
}

static const CheckFinding *find_case(const CheckReport *report, const struct Case *c) {
    for (int64_t i = 0; i < report->count; i++) {
        const CheckFinding *f = &report->findings[i];
        if (f->rule == c->rule && f->episode == c->episode && strcmp(f->where, c->camera) == 0)
            return f;
    }
    return NULL;
}

// What `tact check --fix` turns by half a turn goes by the finding's text.
static void what_is_mirrored_is_not_upside_down(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct Case *c = &cases[i];
        CheckReport report;
        if (c->rule != RULE_picture_turned) continue;
        look_at(c->fault, 1, c->decode, &report);
        const CheckFinding *f = find_case(&report, c);
        assert_non_null(f);
        assert_int_equal(report.broken[RULE_picture_turned], 1);
        assert_int_equal(strcmp(f->text, CHECK_UPSIDE_DOWN) == 0, c->fault == turn_over);
        check_report_free(&report);
    }
}

static void each_fault_is_found_and_a_lesser_one_is_not(void **state) {
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct Case *c = &cases[i];
        for (int much = 0; much < 2; much++) {
            CheckReport report;
            look_at(c->fault, much, c->decode, &report);
            bool right = much ? find_case(&report, c) != NULL : report.broken[c->rule] == 0;
            if (!right) {
                print_error("%s, %s: wrong\n", check_rules[c->rule].name,
                            much ? "broken" : "nearly");
                print_findings(&report);
            }
            wrong += !right;
            check_report_free(&report);
        }
    }
    assert_int_equal(wrong, 0);
}

static void every_rule_about_pictures_has_a_case(void **state) {
    (void)state;
    for (int rule = 0; rule < CHECK_RULES; rule++) {
        bool found = strcmp(check_rules[rule].group, "pictures") != 0 ||
                     rule == RULE_picture_size; // test_rules_of_files.c
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            found = found || (int)cases[i].rule == rule;
        if (!found) fail_msg("%s has no case here", check_rules[rule].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_pictures_have_no_finding),
        cmocka_unit_test(a_robot_that_does_not_move_sees_one_picture),
        cmocka_unit_test(what_is_mirrored_is_not_upside_down),
        cmocka_unit_test(each_fault_is_found_and_a_lesser_one_is_not),
        cmocka_unit_test(every_rule_about_pictures_has_a_case),
    };
    return cmocka_run_group_tests_name("check pictures", tests, folder_make, folder_remove);
}

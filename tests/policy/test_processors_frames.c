// SPDX-License-Identifier: Apache-2.0
// The steps in LeRobot's preprocessor that resize and crop frames: what tact writes there for
// LeRobot's ACT and reads again, what it reads of LeRobot's own, and what it refuses.
#include "base/log.h"
#include "config/config_json.h"
#include "policy/policy_config.h"
#include "policy/policy_stats.h"
#include "policy/processors.h"

#include "../train/saved.h"

#define WRIST "observation.images.wrist"
#define FRONT "observation.images.front"

typedef struct Fixture {
    Arena arena;
    char *dir, *model;
    TrainConfig config; // plain ACT of one camera, 480x640, whose resized frames are cropped
    PolicyStats stats;
    char warned[2000];
} Fixture;

static int64_t resize[] = {96, 128}, crop[] = {84, 113};

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    f->dir = new_folder(&f->arena);
    f->model = at(&f->arena, f->dir, "model");
    train_config_default(&f->config);
    PolicyConfig *p = &f->config.policy;
    p->obs_state_horizon = 1;
    p->temporal_pos_embed = p->pose_repr = "none";
    p->state_dim = p->action_dim = 3;
    p->normalization_mapping = (NormMap){"MEAN_STD", "MEAN_STD", "MEAN_STD", NULL};
    p->resize_shape = (IntList){resize, 2};
    p->resize_filter = "bilinear";
    p->crop_shape = (IntList){crop, 2};
    p->n_cameras = 1;
    p->cameras[0] = (CameraConfig){WRIST, 480, 640, 84, 113, 96, 128};
    f->stats = (PolicyStats){.state = example_stats(3), .action = example_stats(3)};
    for (int i = 0; i < 2; i++) f->stats.cameras[i] = example_stats(3);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    Error err;
    policy_stats_free(&f->stats);
    train_config_free(&f->config);
    if (!remove_tree(f->dir, &err)) return -1;
    arena_free(&f->arena);
    mem_free(f);
    return 0;
}

static void keep_warning(void *user, LogLevel level, const char *line) {
    Fixture *f = user;
    if (level == LOG_LEVEL_WARNING) snprintf(f->warned, sizeof f->warned, "%s", line);
}

static char *file_of(Fixture *f, const char *name) {
    return arena_printf(&f->arena, "%s/%s", f->model, name);
}

// All of a checkpoint but its weights.
static void save(Fixture *f) {
    Error err;
    const PolicyConfig *p = &f->config.policy;
    f->warned[0] = 0;
    const LogSink before = log_to((LogSink){keep_warning, f});
    if (dir_exists(f->model)) OK(remove_tree(f->model, &err));
    OK(make_dirs(f->model, &err));
    OK(json_write_new(f->model, "tact.json", policy_to_tact_json(p), &err));
    OK(json_write_new(f->model, "config.json", policy_to_json(p), &err));
    OK(processors_write(f->model, p, &f->stats, &err));
    log_to(before);
}

static json_t *pipeline(Fixture *f) {
    Error err;
    json_t *root;
    OK(json_read(file_of(f, "policy_preprocessor.json"), &root, &err));
    return root;
}

// The names of its steps, and the configurations of those that change frames.
static const char *steps_of(Fixture *f) {
    json_t *root = pipeline(f), *step;
    const char *text = "";
    size_t i;
    json_array_foreach(json_object_get(root, "steps"), i, step) {
        const char *name = json_string_value(json_object_get(step, "registry_name"));
        if (strcmp(name, "image_crop_resize_processor") == 0) {
            char *config = json_text(json_object_get(step, "config"), 0);
            text = arena_printf(&f->arena, "%s%s ", text, config);
            mem_free(config);
        } else if (strcmp(name, "device_processor") == 0) {
            text = arena_printf(&f->arena, "%sdevice ", text);
        } else if (strcmp(name, "normalizer_processor") == 0) {
            text = arena_printf(&f->arena, "%snormalizer", text);
        }
    }
    json_decref(root);
    return text;
}

static int64_t written_side(Fixture *f, const char *camera, size_t side) {
    Error err;
    json_t *root;
    OK(json_read(file_of(f, "config.json"), &root, &err));
    const json_t *inputs = json_object_get(root, "input_features");
    const json_t *shape = json_object_get(json_object_get(inputs, camera), "shape");
    int64_t out = json_integer_value(json_array_get(shape, side));
    json_decref(root);
    return out;
}

// Takes tact.json away, so that the policy is one of LeRobot's.
static void leave_to_lerobot(Fixture *f) {
    assert_int_equal(remove(file_of(f, "tact.json")), 0);
}

// Puts steps, a JSON list, in the place of those that change frames; before the normaliser, or
// after it.
static void replace(Fixture *f, const char *steps, bool before) {
    Error err;
    json_t *root = pipeline(f), *kept = json_array(), *step, *given = json_loads(steps, 0, NULL);
    assert_non_null(given);
    size_t i, k;
    json_array_foreach(json_object_get(root, "steps"), i, step) {
        const char *name = json_string_value(json_object_get(step, "registry_name"));
        const bool here = strcmp(name, "normalizer_processor") == 0;
        json_t *one;
        if (strcmp(name, "image_crop_resize_processor") == 0) continue;
        if (here && !before) json_array_append(kept, step);
        if (here) json_array_foreach(given, k, one) {
                json_array_append_new(kept,
                                      json_pack("{s:s, s:O}", "registry_name",
                                                "image_crop_resize_processor", "config", one));
            }
        if (!here || before) json_array_append(kept, step);
    }
    json_object_set_new(root, "steps", kept);
    OK(json_write(file_of(f, "policy_preprocessor.json"), root, 2, &err));
    json_decref(given);
    json_decref(root);
}

static void assert_read_by(Fixture *f, int camera, CameraConfig wanted, const char *filter) {
    TrainConfig c;
    Error err;
    train_config_default(&c);
    OK(policy_read_config(f->model, false, &c, &err));
    const CameraConfig *got = &c.policy.cameras[camera];
    const int a[] = {got->height,      got->width,          got->image_height,
                     got->image_width, got->resized_height, got->resized_width};
    const int b[] = {wanted.height,      wanted.width,          wanted.image_height,
                     wanted.image_width, wanted.resized_height, wanted.resized_width};
    for (int i = 0; i < 6; i++)
        if (a[i] != b[i]) fail_msg("value %d is %d, not %d", i, a[i], b[i]);
    if (c.policy.resize_shape.values) assert_string_equal(c.policy.resize_filter, filter);
    train_config_free(&c);
}

static void assert_read(Fixture *f, int camera, CameraConfig wanted) {
    assert_read_by(f, camera, wanted, "bilinear");
}

static void refused(Fixture *f, const char *says) {
    TrainConfig c;
    Error err = {""};
    train_config_default(&c);
    assert_false(policy_read_config(f->model, false, &c, &err));
    if (!strstr(err.text, says) || !strstr(err.text, f->model))
        fail_msg("\"%s\" lacks \"%s\"", err.text, says);
    train_config_free(&c);
}

// ---- written --------------------------------------------------------------------------------

static void lerobot_is_told(void **state) {
    Fixture *f = *state;
    PolicyConfig *p = &f->config.policy;
    save(f);
    // Where an odd number of rows or columns is left over, to the even side: 15 columns, so 8.
    assert_string_equal(steps_of(f),
                        "device {\"crop_params_dict\": null, \"resize_size\": [96, 128]} "
                        "{\"crop_params_dict\": {\"" WRIST
                        "\": [6, 8, 84, 113]}, \"resize_size\": null} "
                        "normalizer");
    assert_string_equal(f->warned, "");
    assert_int_equal(written_side(f, WRIST, 1), 480); // what the pipeline is given
    assert_int_equal(written_side(f, WRIST, 2), 640);
    assert_read(f, 0, p->cameras[0]);
    // Resized alone, cropped alone.
    p->cameras[0] = (CameraConfig){WRIST, 480, 640, 96, 128, 0, 0};
    p->crop_shape = (IntList){0};
    save(f);
    assert_string_equal(
        steps_of(f), "device {\"crop_params_dict\": null, \"resize_size\": [96, 128]} normalizer");
    assert_read(f, 0, p->cameras[0]);
    p->cameras[0] = (CameraConfig){WRIST, 480, 640, 84, 113, 480, 640};
    p->crop_shape = (IntList){crop, 2};
    p->resize_shape = (IntList){0};
    p->resize_filter = NULL;
    save(f);
    assert_string_equal(steps_of(f),
                        "device {\"crop_params_dict\": {\"" WRIST "\": [198, 264, 84, 113]}, "
                        "\"resize_size\": null} normalizer");
    assert_read(f, 0, p->cameras[0]);
}

static void lerobot_need_not_be_told(void **state) {
    Fixture *f = *state;
    PolicyConfig *p = &f->config.policy;
    p->obs_state_horizon = 2; // lerobot_policy_tact does it inside of the policy
    save(f);
    assert_string_equal(steps_of(f), "device normalizer");
    assert_int_equal(written_side(f, WRIST, 1), 84);
    assert_read(f, 0, p->cameras[0]);
    p->obs_state_horizon = 1;
    p->cameras[0] = (CameraConfig){WRIST, 480, 640, 480, 640, 0, 0};
    p->resize_shape = p->crop_shape = (IntList){0};
    p->resize_filter = NULL;
    save(f);
    assert_string_equal(steps_of(f), "device normalizer");
    assert_string_equal(f->warned, "");
}

// A step that would do something else is not written, and that is said.
static void lerobot_cannot_be_told(void **state) {
    Fixture *f = *state;
    PolicyConfig *p = &f->config.policy;
    p->crop_shape = (IntList){0};
    p->n_cameras = 2;
    int64_t sizes[] = {96, 128, 64, 64};
    p->resize_shape = (IntList){sizes, 4};
    p->cameras[0] = (CameraConfig){WRIST, 480, 640, 96, 128, 0, 0};
    p->cameras[1] = (CameraConfig){FRONT, 480, 640, 64, 64, 0, 0};
    save(f);
    assert_string_equal(steps_of(f), "device normalizer");
    assert_non_null(strstr(f->warned, "because its step gives all cameras one size"));
    assert_int_equal(written_side(f, FRONT, 1), 64);
    assert_read(f, 1, p->cameras[1]);
    p->resize_shape.count = 2;
    p->cameras[1] = (CameraConfig){"observation.top", 480, 640, 96, 128, 0, 0};
    save(f);
    assert_string_equal(steps_of(f), "device normalizer");
    assert_non_null(strstr(f->warned, "\"image\" in its name"));
    // By another filter the step is near enough to be better than none, but not the same.
    p->cameras[1].name = FRONT;
    p->resize_filter = "area";
    save(f);
    assert_non_null(strstr(steps_of(f), "\"resize_size\": [96, 128]"));
    assert_non_null(strstr(f->warned, "resizes this policy's frames by another filter"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(written_side(f, FRONT, 1), 480);
        assert_read_by(f, 1, p->cameras[1], p->resize_filter);
        p->resize_filter = "bilinear";
        save(f);
        assert_string_equal(f->warned, "");
    }
}

// ---- read -----------------------------------------------------------------------------------

static void steps_alone_are_enough(void **state) {
    Fixture *f = *state;
    save(f);
    leave_to_lerobot(f);
    assert_read(f, 0, f->config.policy.cameras[0]);
    // Where the sizes are those after the steps, frames come as large as they are resized to.
    for (int i = 0; i < 2; i++) {
        Error err;
        json_t *root;
        OK(json_read(file_of(f, "config.json"), &root, &err));
        json_object_set_new(json_object_get(json_object_get(root, "input_features"), WRIST),
                            "shape", json_pack("[i,i,i]", 3, i ? 96 : 84, i ? 128 : 113));
        OK(json_write(file_of(f, "config.json"), root, 2, &err));
        json_decref(root);
        assert_read(f, 0, (CameraConfig){WRIST, 96, 128, 84, 113, 96, 128});
    }
    replace(f, "[{\"crop_params_dict\": null, \"resize_size\": [48, 64]}]", true);
    assert_read(f, 0, (CameraConfig){WRIST, 96, 128, 48, 64, 0, 0});
    replace(f, "[{\"crop_params_dict\": null, \"resize_size\": null}, {}]", true);
    assert_read(f, 0, (CameraConfig){WRIST, 96, 128, 96, 128, 0, 0});
    replace(f, "[{\"crop_params_dict\": {\"" WRIST "\": [16, 32, 64, 64]}}]", true);
    assert_read(f, 0, (CameraConfig){WRIST, 96, 128, 64, 64, 96, 128});
}

// Both files are tact's: when one says something else, nobody knows what was trained.
static void steps_and_tact_json_agree(void **state) {
    Fixture *f = *state;
    save(f);
    replace(f, "[{\"crop_params_dict\": null, \"resize_size\": [96, 129]}]", true);
    refused(f, "makes other frames than its tact.json says");
    replace(f, "[]", true); // as tact wrote it once; tact itself needs none
    assert_read(f, 0, f->config.policy.cameras[0]);
}

static void what_tact_does_not_do_is_refused(void **state) {
    Fixture *f = *state;
    static const struct {
        const char *steps, *says;
    } cases[] = {
        {"[{\"crop_params_dict\": {\"" WRIST "\": [0, 0, 96, 96]}, \"resize_size\": [64, 64]}]",
         "resizes what was cropped"},
        {"[{\"crop_params_dict\": {\"" WRIST "\": [0, 0, 96, 96]}}, {\"resize_size\": [64, 64]}]",
         "resizes what was cropped"},
        {"[{\"resize_size\": [96, 96]}, {\"resize_size\": [64, 64]}]", "resizes them again"},
        {"[{\"crop_params_dict\": {\"" WRIST "\": [192, 272, 96, 96]}}, {\"crop_params_dict\": "
         "{\"" WRIST "\": [0, 0, 64, 64]}}]",
         "crops twice"},
        {"[{\"crop_params_dict\": {\"" WRIST "\": [191, 272, 96, 96]}}]",
         "crops " WRIST " of 480x640 at row 191, column 272; tact crops the middle"},
        {"[{\"resize_size\": [96, 128]}, {\"crop_params_dict\": {\"" WRIST "\": [6, 7, 84, 113]}}]",
         "of 96x128 at row 6, column 7"},
        {"[{\"resize_size\": [96, 128]}, {\"crop_params_dict\": {\"" WRIST "\": [0, 0, 97, 128]}}]",
         "tact crops the middle"},
        {"[{\"crop_params_dict\": {\"" FRONT "\": [192, 272, 96, 96]}}]",
         "crops other cameras than " WRIST},
        {"[{\"crop_params_dict\": {\"" WRIST "\": [192, 272, 96]}}]",
         "does not crop " WRIST " to [TOP, LEFT, HEIGHT, WIDTH]"},
        {"[{\"crop_params_dict\": {\"" WRIST "\": [236, 316, 8, 8]}}]", "of at least 32x32"},
        {"[{\"resize_size\": 96}]", "resize_size of its image_crop_resize_processor is not"},
        {"[{\"resize_size\": [96]}]", "is not [HEIGHT, WIDTH]"},
        {"[{\"resize_size\": [96, 8]}]", "is not [HEIGHT, WIDTH], each from 32"},
        {"[{\"resize_size\": [96, 96.5]}]", "is not [HEIGHT, WIDTH]"},
    };
    save(f);
    leave_to_lerobot(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        replace(f, cases[i].steps, true);
        refused(f, cases[i].says);
    }
    replace(f, "[{\"resize_size\": [96, 128]}]", false);
    refused(f, "stands after the normalisation");
    // Cameras that the step would leave, or crop, otherwise than others.
    PolicyConfig *p = &f->config.policy;
    p->n_cameras = 2;
    p->cameras[1] = (CameraConfig){"observation.top", 480, 640, 480, 640, 0, 0};
    save(f);
    leave_to_lerobot(f);
    replace(f, "[{\"resize_size\": [96, 128]}]", true);
    refused(f, "leaves observation.top as it is");
    p->cameras[0] = (CameraConfig){WRIST, 480, 640, 480, 640, 0, 0};
    p->cameras[1].name = FRONT;
    p->resize_shape = p->crop_shape = (IntList){0};
    p->resize_filter = NULL;
    save(f);
    leave_to_lerobot(f);
    replace(f,
            "[{\"crop_params_dict\": {\"" WRIST "\": [192, 272, 96, 96], \"" FRONT
            "\": [208, 288, 64, 64]}}]",
            true);
    refused(f, "crops cameras to several sizes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lerobot_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lerobot_need_not_be_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lerobot_cannot_be_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_alone_are_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_and_tact_json_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_tact_does_not_do_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

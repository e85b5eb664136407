// SPDX-License-Identifier: Apache-2.0
// What a training's flags come to together with the file that they name.
#include "base/text.h"
#include "formats/json.h"
#include "train/settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../scratch.h"

// Writes a file into the folder.
static void put(const char *name, const char *text) {
    char path[512];
    Error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_write(path, text, strlen(text), &err)) fail_msg("%s", err.text);
}

// The settings of a flag that names FOLDER/NAME, and of up to two flags more.
static bool settings_of(TrainConfig *c, const char *from, const char *name, const char *flag,
                        const char *other, Error *err) {
    char file[512], data[512], more[2][256], *argv[] = {file, data, more[0], more[1]};
    snprintf(file, sizeof file, "--%s=%s/%s", from, folder, name);
    snprintf(data, sizeof data, "--dataset.root=%s", folder);
    snprintf(more[0], sizeof more[0], "%s", flag ? flag : "");
    snprintf(more[1], sizeof more[1], "%s", other ? other : "");
    return train_settings(c, 2 + (flag != NULL) + (other != NULL), argv, 0, err);
}

static bool settings(TrainConfig *c, const char *name, const char *flag, const char *other,
                     Error *err) {
    return settings_of(c, "config_path", name, flag, other, err);
}

static void assert_rates(const char *name, const char *flag, const char *other, double rate,
                         double backbone, double decay) {
    TrainConfig c;
    Error err;
    if (!settings(&c, name, flag, other, &err)) fail_msg("%s: %s", name, err.text);
    const PolicyConfig *p = &c.policy;
    if (p->optimizer_lr != rate || p->optimizer_lr_backbone != backbone ||
        p->optimizer_weight_decay != decay)
        fail_msg("%s %s: %g, backbone %g, decay %g", name, flag ? flag : "", p->optimizer_lr,
                 p->optimizer_lr_backbone, p->optimizer_weight_decay);
    train_config_free(&c);
}

#define LEROBOTS(rate, preset)                                                                     \
    "{\"policy\": {\"type\": \"act\", \"optimizer_lr\": " rate                                     \
    ", \"optimizer_weight_decay\": 0.0002, \"optimizer_lr_backbone\": 3e-05, "                     \
    "\"pretrained_backbone_weights\": null}, \"use_policy_training_preset\": " preset              \
    ", \"optimizer\": {\"type\": \"adamw\", \"lr\": 1e-05, \"weight_decay\": 0.0001, "             \
    "\"grad_clip_norm\": 10.0, \"betas\": [0.9, 0.999], \"eps\": 1e-08}, \"scheduler\": null}"

// A train_config.json of LeRobot's has the rates twice, and of the two the policy's are those that
// its preset takes, wherever they stand in the file.
static void rates_that_stand_twice(void **state) {
    (void)state;
    put("lerobot.json", LEROBOTS("0.0005", "true"));
    assert_rates("lerobot.json", NULL, NULL, 5e-4, 3e-5, 2e-4);
    put("lerobot.yaml", "optimizer: {lr: 1e-5, weight_decay: 1e-4}\n"
                        "policy: {type: act, optimizer_lr: 5e-4, "
                        "pretrained_backbone_weights: null}\n");
    assert_rates("lerobot.yaml", NULL, NULL, 5e-4, 1e-5, 1e-4);
    // Without the preset the optimiser's, for the backbone too.
    put("one_group.json", LEROBOTS("0.0005", "false"));
    assert_rates("one_group.json", NULL, NULL, 1e-5, 1e-5, 1e-4);
    assert_rates("lerobot.json", "--use_policy_training_preset=false", "--optimizer.lr=2e-3", 2e-3,
                 2e-3, 1e-4);
    // A file in which somebody wrote only what he wanted.
    put("own.yaml", "use_policy_training_preset: false\noptimizer: {type: adamw, lr: 1e-3}\n"
                    "policy: {pretrained_backbone_weights: null}\n");
    assert_rates("own.yaml", NULL, NULL, 1e-3, 1e-3, 1e-2);
    assert_rates("own.yaml", "--policy.optimizer_lr_backbone=1e-6", NULL, 1e-3, 1e-6, 1e-2);
}

#define OF_CHECKPOINT(outputs)                                                                     \
    "{\"policy\": {\"type\": \"tact\", \"chunk_size\": 10, \"n_action_steps\": 10, "               \
    "\"pretrained_backbone_weights\": null, \"output_features\": " outputs "}}"

// What a temporal policy sees is not in its train_config.json, under whatever name that lies.
static void checkpoints_files_under_other_names(void **state) {
    (void)state;
    static const char action[] = OF_CHECKPOINT("{\"action\": {\"type\": \"ACTION\", \"shape\": "
                                               "[7]}}");
    static const char *const names[] = {"mine.json", "mine.yaml"};
    TrainConfig c;
    Error err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        put(names[i], action);
        assert_false(settings(&c, names[i], NULL, NULL, &err));
        if (!strstr(err.text, "tact.json") || !strstr(err.text, "copy the whole pretrained_model"))
            fail_msg("%s", err.text);
        train_config_free(&c);
    }
    // LeRobot writes its defaults as empty objects, and a hand may have copied them.
    put("empty.json", OF_CHECKPOINT("{}"));
    if (!settings(&c, "empty.json", NULL, NULL, &err)) fail_msg("%s", err.text);
    assert_int_equal(c.policy.obs_state_horizon, 2);
    train_config_free(&c);
    // With its tact.json beside it, it is as good as by its own name.
    put("tact.json", "{\"version\": 1, \"obs_state_horizon\": 3, \"temporal_pos_embed\": \"all\", "
                     "\"pose_repr\": \"none\"}");
    if (!settings(&c, "mine.json", NULL, NULL, &err)) fail_msg("%s", err.text);
    assert_int_equal(c.policy.obs_state_horizon, 3);
    assert_string_equal(c.policy.pose_repr, "none");
    assert_int_equal(c.policy.chunk_size, 10);
    train_config_free(&c);
}

// A policy on disk as far as its settings go: a folder of the name with config.json and tact.json.
static void put_policy(const char *name, const char *config, const char *tact) {
    char path[512];
    Error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!make_dirs(path, &err)) fail_msg("%s", err.text);
    snprintf(path, sizeof path, "%s/config.json", name);
    put(path, config);
    snprintf(path, sizeof path, "%s/tact.json", name);
    put(path, tact);
}

// A policy of one observation that becomes one of two gets a table of its times, unless it has one,
// which then stays on the tokens that it was trained for.
static void more_observations_than_the_checkpoint(void **state) {
    (void)state;
    static const struct {
        const char *stored, *flag, *wanted;
    } cases[] = {{"none", NULL, "all"},
                 {"state", NULL, "state"},
                 {"all", NULL, "all"},
                 {"state", "--policy.temporal_pos_embed=all", "all"},
                 {"none", "--policy.temporal_pos_embed=none", "none"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TrainConfig c;
        Error err;
        char tact[256];
        snprintf(tact, sizeof tact,
                 "{\"version\": 1, \"obs_state_horizon\": 1, \"temporal_pos_embed\": \"%s\"}",
                 cases[i].stored);
        put_policy("one", "{\"type\": \"tact\"}", tact);
        if (!settings_of(&c, "policy.path", "one", "--policy.obs_state_horizon=2", cases[i].flag,
                         &err))
            fail_msg("%s", err.text);
        assert_true(c.new_times);
        assert_string_equal(c.policy.temporal_pos_embed, cases[i].wanted);
        train_config_free(&c);
    }
}

// PyTorch's name of a device is not all of tact's, which is kept beside it, and counts as long as
// nobody has written another device into config.json.
static void the_device_by_tacts_name(void **state) {
    (void)state;
    static const struct {
        const char *torchs, *tacts, *wanted;
    } cases[] = {{"cpu", "\"cpu:blas\"", "cpu:blas"},
                 {"cpu", "null", "cpu"},
                 {"cuda", "\"cpu:blas\"", "cuda"},
                 {"cpu", "7", "cpu"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TrainConfig c;
        Error err;
        char config[256], tact[256];
        snprintf(config, sizeof config, "{\"type\": \"tact\", \"device\": \"%s\"}",
                 cases[i].torchs);
        snprintf(tact, sizeof tact, "{\"version\": 1, \"device\": %s}", cases[i].tacts);
        put_policy("device", config, tact);
        if (!settings_of(&c, "policy.path", "device", NULL, NULL, &err)) fail_msg("%s", err.text);
        assert_string_equal(c.trained_on, cases[i].wanted);
        assert_null(c.policy.device);
        train_config_free(&c);
    }
}

// The norms of a backbone from scratch mean nothing to one that comes from a checkpoint. What that
// one's began with is no wish of this run's.
static void norms_of_a_backbone_that_is_there(void **state) {
    (void)state;
    static const char flag[] = "--policy.backbone_norm_frames=64";
    TrainConfig c;
    Error err;
    put_policy("norms", "{\"type\": \"tact\", \"pretrained_backbone_weights\": null}",
               "{\"version\": 1, \"backbone_norm_frames\": 8}");
    assert_false(settings_of(&c, "policy.path", "norms", flag, NULL, &err));
    assert_string_equal(err.text,
                        "--policy.backbone_norm_frames=64: is for a backbone from scratch, "
                        "and --policy.path brings one with its norms; leave it out");
    train_config_free(&c);
    if (!settings_of(&c, "policy.path", "norms", NULL, NULL, &err)) fail_msg("%s", err.text);
    train_config_free(&c);
    if (!settings_of(&c, "policy.path", "norms", "--policy.backbone_norm_frames=0", NULL, &err))
        fail_msg("%s", err.text);
    train_config_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_that_stand_twice),
        cmocka_unit_test(checkpoints_files_under_other_names),
        cmocka_unit_test(more_observations_than_the_checkpoint),
        cmocka_unit_test(the_device_by_tacts_name),
        cmocka_unit_test(norms_of_a_backbone_that_is_there),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

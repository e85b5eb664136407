// SPDX-License-Identifier: Apache-2.0
// The policy that fits a dataset: which inputs it has, of what size and how normalised, and what is
// refused. The datasets are descriptions only: nothing is read.
#include "train/policy_from_dataset.h"

#include "base/log.h"

#include <string.h>

#include "../ok.h"

enum { FEATURES = 8 };

typedef struct Fixture {
    Feature features[FEATURES];
    const Feature *cameras[FEATURES];
    Dataset ds;
} Fixture;

static Feature vector(const char *name, FeatureKind kind, int64_t size) {
    return (Feature){.name = name, .dtype = "float32", .kind = kind, .rank = 1, .size = size};
}

static Feature camera(const char *name, int height, int width) {
    return (Feature){
        .name = name, .dtype = "video", .kind = FEATURE_VISUAL, .height = height, .width = width};
}

// State of 6 values, action of 5, an environment of 3, two cameras and a depth map; time and
// reward.
static void begin(Fixture *f) {
    *f = (Fixture){0};
    f->features[0] = vector("observation.state", FEATURE_STATE, 6);
    f->features[1] = vector("action", FEATURE_ACTION, 5);
    f->features[2] = vector("observation.environment_state", FEATURE_ENV, 3);
    f->features[3] = camera("observation.images.front", 480, 640);
    f->features[4] = camera("observation.images.wrist", 100, 200);
    f->features[5] = camera("observation.images.depth", 100, 200);
    f->features[5].depth = true;
    f->features[6] = vector("timestamp", FEATURE_OTHER, 1);
    f->features[7] = vector("next.reward", FEATURE_OTHER, 1);
    f->cameras[0] = &f->features[3], f->cameras[1] = &f->features[4];
    f->ds = (Dataset){.root = "set",
                      .fps = 25,
                      .n_features = FEATURES,
                      .features = f->features,
                      .n_cameras = 2,
                      .cameras = f->cameras,
                      .state = &f->features[0],
                      .action = &f->features[1],
                      .env = &f->features[2]};
}

static PolicyConfig plain(void) {
    return (PolicyConfig){.use_state = true,
                          .obs_state_horizon = 1,
                          .obs_down_sample_steps = 1,
                          .chunk_size = 4,
                          .action_down_sample_steps = 1};
}

static void refused(PolicyConfig p, const Dataset *ds, const char *says) {
    Error err = {""};
    assert_false(policy_from_dataset(&p, ds, &err));
    if (!strstr(err.text, says)) fail_msg("\"%s\" lacks \"%s\"", err.text, says);
}

static void all_that_is_there_is_seen(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    PolicyConfig p = plain();
    Error err;
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.state_dim, 6);
    assert_int_equal(p.action_dim, 5);
    assert_int_equal(p.env_dim, 3);
    assert_int_equal(p.arms, 0);
    assert_string_equal(p.pose_repr, "none");
    assert_true(p.fps == 25);
    assert_int_equal(p.n_cameras, 2);
    assert_string_equal(p.cameras[1].name, "observation.images.wrist");
    assert_int_equal(p.cameras[0].image_height, 480);
    assert_int_equal(p.cameras[1].width, 200);
    assert_int_equal(p.cameras[1].image_width, 200);
    const NormMap *n = &p.normalization_mapping;
    assert_string_equal(n->visual, "MEAN_STD");
    assert_string_equal(n->state, "MEAN_STD");
    assert_string_equal(n->action, "MEAN_STD");
    assert_string_equal(n->env, "MEAN_STD");
}

// What a mapping of the user's leaves out is not normalised; without an environment it has no mode.
static void a_mapping_is_whole(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    f.ds.env = NULL;
    static const char mode[] = "MIN_MAX";
    for (int given = 0; given < 4; given++) {
        PolicyConfig p = plain();
        Error err;
        NormMap *n = &p.normalization_mapping;
        const char **modes[] = {&n->visual, &n->state, &n->action, &n->env};
        *modes[given] = mode;
        OK(policy_from_dataset(&p, &f.ds, &err));
        for (int i = 0; i < 3; i++) assert_string_equal(*modes[i], i == given ? mode : "IDENTITY");
        assert_true(given == 3 ? n->env == mode : n->env == NULL);
        assert_int_equal(p.env_dim, 0);
    }
}

static void named_inputs_are_those(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    Error err;
    PolicyConfig p = plain();
    p.input_features = "{\"observation.images.wrist\": {}, \"observation.images.front\": {}}";
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.state_dim, 0);
    assert_int_equal(p.env_dim, 0);
    assert_false(p.use_state); // the same by another name
    assert_int_equal(p.n_cameras, 2);
    assert_string_equal(p.cameras[0].name, "observation.images.wrist"); // in their order
    assert_int_equal(p.cameras[0].height, 100);
    p = plain();
    p.input_features = "{\"observation.state\": {\"shape\": [6]}, "
                       "\"observation.environment_state\": {\"shape\": [3]}}";
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.state_dim, 6);
    assert_int_equal(p.env_dim, 3);
    assert_int_equal(p.n_cameras, 0);
    static const struct {
        const char *features, *says;
    } bad[] = {{"{\"observation.state\": {\"shape\": [7]}}",
                "state with 7 values, but the dataset's has 6"},
               {"{\"observation.state\": {\"shape\": [6, 1]}}", "state with 6 values"},
               {"{\"observation.environment_state\": {\"shape\": [6]}}", "with 6 values"},
               {"{\"observation.nothing\": {}}", "names observation.nothing, which"},
               {"{\"observation.images.depth\": {}}", "cannot be an input"},
               {"{\"action\": {}}", "cannot be an input"},
               {"[1]", "not a JSON object"},
               {"{", "not a JSON object"},
               {"{\"observation.state\": {}}", "neither a camera nor"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        p = plain();
        p.input_features = bad[i].features;
        refused(p, &f.ds, bad[i].says);
    }
}

// All inputs but the state; and what only a state can have.
static void a_state_that_is_left_out(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    Error err;
    PolicyConfig p = plain();
    p.use_state = false;
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.state_dim, 0);
    assert_int_equal(p.env_dim, 3);
    assert_int_equal(p.n_cameras, 2);
    assert_false(p.use_state);
    p = plain();
    p.use_state = false;
    p.state_dropout = 0.5;
    refused(p, &f.ds, "set: --policy.state_dropout=0.5: the policy sees no observation.state");
    p = plain();
    p.use_state = false;
    p.temporal_pos_embed = "state";
    OK(policy_from_dataset(&p, &f.ds, &err)); // there are no times
    p = plain();
    p.use_state = false;
    p.temporal_pos_embed = "state";
    p.obs_state_horizon = 2;
    refused(p, &f.ds, "temporal_pos_embed=state tells the times of states");
    p.temporal_pos_embed = "all";
    OK(policy_from_dataset(&p, &f.ds, &err));
    // Without cameras the environment is left, and without it nothing.
    f.ds.n_cameras = 0;
    p = plain();
    p.use_state = false;
    OK(policy_from_dataset(&p, &f.ds, &err));
    f.ds.env = NULL;
    p = plain();
    p.use_state = false;
    refused(p, &f.ds, "observation.environment_state, and no state (--policy.use_state=false)");
    // Of a dataset without a state nothing is left out.
    begin(&f);
    f.ds.state = NULL;
    f.features[0] = vector("observation.joints", FEATURE_OTHER, 7);
    p = plain();
    refused(p, &f.ds, "to train without a state: --policy.use_state=false");
    p.use_state = false;
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.state_dim, 0);
    assert_true(p.use_state);
    p = plain();
    p.use_state = false;
    p.pose_repr = "relative"; // which needs it all the same
    refused(p, &f.ds, "pose_repr=relative");
}

static void cameras_that_a_policy_names(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    Error err;
    PolicyConfig p = plain();
    p.n_cameras = 1;
    p.cameras[0].name = "observation.images.wrist";
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.n_cameras, 1);
    assert_int_equal(p.cameras[0].height, 100);
    static const char *const none[] = {"observation.images.depth", "observation.state", "front"};
    for (int i = 0; i < 3; i++) {
        p = plain();
        p.n_cameras = 1;
        p.cameras[0].name = none[i];
        refused(p, &f.ds, "which the dataset does not have");
    }
    f.ds.n_cameras = MAX_CAMERAS + 1;
    refused(plain(), &f.ds, "cameras; at most");
    f.ds.n_cameras = 0;
    OK(policy_from_dataset(&(PolicyConfig){.chunk_size = 1, .obs_state_horizon = 1}, &f.ds, &err));
    f.ds.env = NULL;
    refused(plain(), &f.ds, "neither a camera nor");
    f.ds.action = NULL;
    refused(plain(), &f.ds, "no feature 'action'");
}

// Sizes: of all cameras, of each, or as recorded.
static void sizes_of_images(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    Error err;
    char text[40];
    int64_t sizes[] = {32, 48, 64, 96, 1, 2};
    PolicyConfig p = plain();
    p.resize_shape = (IntList){.values = sizes, .count = 2};
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.cameras[1].image_height, 32);
    assert_int_equal(p.cameras[1].image_width, 48);
    assert_int_equal(p.cameras[1].height, 100);
    policy_image_sizes(&p, text, sizeof text);
    assert_string_equal(text, "32x48");
    p = plain();
    p.resize_shape = (IntList){.values = sizes, .count = 4};
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.cameras[0].image_width, 48);
    assert_int_equal(p.cameras[1].image_height, 64);
    assert_int_equal(p.cameras[1].image_width, 96);
    policy_image_sizes(&p, text, sizeof text);
    assert_string_equal(text, "32x48, 64x96");
    p.cameras[1].image_height = 32; // of one height, but not of one width
    policy_image_sizes(&p, text, sizeof text);
    assert_string_equal(text, "32x48, 32x96");
    p.n_cameras = 0;
    policy_image_sizes(&p, text, sizeof text);
    assert_string_equal(text, "");
    p = plain();
    p.resize_shape = (IntList){.values = sizes, .count = 6};
    refused(p, &f.ds,
            "has 3 sizes, but the policy sees 2 cameras (observation.images.front, "
            "observation.images.wrist)");
    f.ds.n_cameras = 1;
    p.resize_shape.count = 4;
    refused(p, &f.ds, "has 2 sizes, but the policy sees 1 camera (observation.images.front)");
    int at[2] = {-1, -1};
    FrameSize found[2];
    FrameCrop crops[2];
    p = plain();
    p.n_cameras = 2;
    p.cameras[0] =
        (CameraConfig){.name = "observation.images.wrist", .image_height = 3, .image_width = 4};
    p.cameras[1] =
        (CameraConfig){.name = "observation.images.front", .image_height = 5, .image_width = 6};
    f.ds.n_cameras = 2;
    policy_find_cameras(&p, &f.ds, at, found, crops);
    assert_int_equal(at[0], 1);
    assert_int_equal(at[1], 0);
    assert_true(found[0].height == 3 && found[0].width == 4 && found[1].width == 6);
    assert_true(crops[0].height == 3 && crops[1].width == 6 && found[0].filter == IMAGE_AREA);
}

// What is cut out of each camera's frames, and from what; and by which filter these are made.
static void parts_of_images(void **state) {
    (void)state;
    Fixture f;
    begin(&f);
    Error err;
    int at[2];
    FrameSize sizes[2];
    FrameCrop crops[2];
    int64_t resize[] = {96, 128, 64, 99}, crop[] = {84, 112}, large[] = {101, 112};
    PolicyConfig p = plain();
    p.resize_shape = (IntList){.values = resize, .count = 2};
    p.crop_shape = (IntList){.values = crop, .count = 2};
    OK(policy_from_dataset(&p, &f.ds, &err));
    policy_find_cameras(&p, &f.ds, at, sizes, crops);
    for (int i = 0; i < 2; i++) {
        assert_true(p.cameras[i].image_height == 84 && p.cameras[i].image_width == 112);
        assert_true(sizes[i].height == 96 && sizes[i].width == 128);
        assert_true(crops[i].height == 84 && crops[i].width == 112);
        assert_int_equal(sizes[i].filter, IMAGE_BILINEAR); // as LeRobot's, which one observation is
    }
    assert_true(p.cameras[1].height == 100 && p.cameras[1].width == 200);
    p = plain();
    p.obs_state_horizon = 2;
    p.resize_shape = (IntList){.values = resize, .count = 4};
    p.crop_ratio = 0.91;
    OK(policy_from_dataset(&p, &f.ds, &err));
    policy_find_cameras(&p, &f.ds, at, sizes, crops);
    assert_true(crops[0].height == 87 && crops[0].width == 116); // 87.36, 116.48
    assert_true(crops[1].height == 58 && crops[1].width == 90);  // 58.24, 90.09
    assert_true(sizes[1].height == 64 && sizes[1].width == 99);
    assert_int_equal(sizes[0].filter, IMAGE_AREA);
    p = plain(); // of frames as they were recorded
    p.crop_shape = (IntList){.values = crop, .count = 2};
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_null(p.resize_filter); // nothing is resized
    assert_true(p.cameras[0].resized_height == 480 && p.cameras[0].image_height == 84);
    p.crop_shape.values = large;
    refused(p, &f.ds,
            "--policy.crop_shape=[101,112] is larger than the frames of observation.images.wrist, "
            "which are 100x200");
    p = plain();
    p.resize_shape = (IntList){.values = resize, .count = 2};
    p.crop_ratio = 0.3;
    refused(p, &f.ds, "--policy.crop_ratio=0.3 leaves 28x38");
}

// A state under another name would leave the policy blind to the robot's own position.
static void a_state_of_another_name(void **state) {
    (void)state;
    static const struct {
        const char *name, *dtype;
        int rank;
        int64_t size;
        bool refused;
    } others[] = {{"observation.joints", "float32", 1, 7, true},
                  {"observation.joints", "float64", 1, 1, true},
                  {"robot_state", "float32", 1, 7, true},
                  {"qpos", "float32", 1, 7, true},
                  {"effort", "float32", 1, 7, false},
                  {"observation.joints", "int64", 1, 7, false},
                  {"observation.joints", "float32", 2, 7, false},
                  {"observation.joints", "float32", 1, 0, false},
                  {"next.state", "float32", 1, 7, false},
                  {"timestamp", "float32", 1, 1, false}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        Fixture f;
        Error err;
        begin(&f);
        Feature *other = &f.features[0];
        *other = vector(others[i].name, FEATURE_OTHER, others[i].size);
        other->dtype = others[i].dtype;
        other->rank = others[i].rank;
        PolicyConfig p = plain();
        f.ds.state = &f.features[1]; // with a state nothing is refused
        OK(policy_from_dataset(&p, &f.ds, &err));
        f.ds.state = NULL;
        if (others[i].refused) {
            char says[80];
            snprintf(says, sizeof says, "but %s with %d values", others[i].name,
                     (int)others[i].size);
            refused(plain(), &f.ds, says);
        } else {
            p = plain();
            OK(policy_from_dataset(&p, &f.ds, &err));
            assert_int_equal(p.state_dim, 0);
        }
        p = plain();
        p.input_features = "{\"observation.images.front\": {}}"; // asked for
        OK(policy_from_dataset(&p, &f.ds, &err));
    }
}

static void keep_line(void *user, LogLevel level, const char *line) {
    assert_int_equal(level, LOG_LEVEL_WARNING);
    snprintf(user, 4000, "%s", line);
}

// Vectors that no policy sees are named in one warning; what is no vector of floats, is seen or is
// LeRobot's own is not.
static void unused_vectors_are_named(void **state) {
    (void)state;
    Fixture f;
    char line[4000] = "";
    begin(&f);
    LogSink before = log_to((LogSink){keep_line, line});
    policy_warn_unused(&f.ds);
    assert_string_equal(line, "");
    f.features[0] = vector("effort", FEATURE_OTHER, 6);
    f.features[2] = vector("tactile", FEATURE_OTHER, 16);
    policy_warn_unused(&f.ds);
    assert_non_null(strstr(line, "set: no policy sees effort (6), tactile (16); a policy sees"));
    // So many that not all have room: 70 letters of the first name and 80 of others, 22 of which
    // fill the text up to the last place in which one more begins.
    Feature many[60];
    char names[60][100];
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof names[i], "%02d%0*d", i, i ? 90 : 68, 0);
        many[i] = vector(names[i], FEATURE_OTHER, 1);
    }
    f.ds.features = many;
    f.ds.n_features = 60;
    policy_warn_unused(&f.ds);
    assert_non_null(strstr(line, "no policy sees 000000"));
    assert_non_null(strstr(line, ", 2200000"));
    assert_null(strstr(line, ", 2300000"));
    assert_non_null(strstr(line, "0 (1); a policy sees"));
    log_to(before);
}

static void poses_are_what_was_asked_for(void **state) {
    (void)state;
    static const char *names[] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};
    Fixture f;
    begin(&f);
    for (int i = 0; i < 2; i++) {
        f.features[i].size = 7;
        f.features[i].names = names;
        f.features[i].n_names = 7;
    }
    Error err;
    PolicyConfig p = plain();
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.arms, 1);
    assert_string_equal(p.pose_repr, "relative");
    assert_int_equal(p.state_dim, 10);
    assert_int_equal(p.action_dim, 10);
    assert_string_equal(p.normalization_mapping.state, "MIN_MAX");
    assert_string_equal(p.normalization_mapping.action, "MIN_MAX");
    assert_string_equal(p.normalization_mapping.visual, "MEAN_STD");
    p = plain();
    p.pose_repr = "none";
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.arms, 0);
    assert_int_equal(p.action_dim, 7);
    p = plain();
    p.use_state = false; // they are relative to a state that the policy does not see
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.arms, 1);
    assert_int_equal(p.state_dim, 0);
    assert_int_equal(p.action_dim, 10);
    assert_true(policy_hides_pose(&p));
    // A shape is as recorded or as the policy sees it.
    static const char *const shapes[] = {"7", "10"};
    for (int i = 0; i < 2; i++) {
        char text[120];
        snprintf(text, sizeof text,
                 "{\"observation.state\": {\"shape\": [%s]}, \"observation.images.front\": {}}",
                 shapes[i]);
        p = plain();
        p.input_features = text;
        OK(policy_from_dataset(&p, &f.ds, &err));
        assert_int_equal(p.state_dim, 10);
    }
    f.features[0].n_names = f.features[1].n_names = 0;
    p = plain();
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.arms, 0);
    p = plain();
    p.pose_repr = "relative";
    OK(policy_from_dataset(&p, &f.ds, &err));
    assert_int_equal(p.arms, 1);
    f.features[1].size = 6;
    p = plain();
    p.pose_repr = "relative";
    refused(p, &f.ds, "pose_repr=relative");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_there_is_seen),
        cmocka_unit_test(a_mapping_is_whole),
        cmocka_unit_test(named_inputs_are_those),
        cmocka_unit_test(a_state_that_is_left_out),
        cmocka_unit_test(cameras_that_a_policy_names),
        cmocka_unit_test(sizes_of_images),
        cmocka_unit_test(parts_of_images),
        cmocka_unit_test(a_state_of_another_name),
        cmocka_unit_test(poses_are_what_was_asked_for),
        cmocka_unit_test(unused_vectors_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

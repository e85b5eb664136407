// SPDX-License-Identifier: Apache-2.0
#include "train/settings.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config_json.h"
#include "formats/hub_cache.h"
#include "formats/json.h"
#include "loader/image_transforms.h"
#include "policy/policy_config.h"
#include "policy/policy_locate.h"
#include "policy/processors.h"
#include "policy/temporal_wrapper.h"
#include "train/settings_file.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_config_of_last(const char *path) {
    static const char name[] = "last/pretrained_model/train_config.json";
    size_t n = strlen(path), m = sizeof name - 1;
    return n >= m && strcmp(path + n - m, name) == 0 && (n == m || path[n - m - 1] == '/');
}

// The train_config.json that --config_path means: a file as it is, or that of a checkpoint.
CHECKED static bool find_train_config(const char *path, char out[POLICY_PATH], Error *err) {
    char dir[POLICY_PATH];
    Error ignored;
    bool file = file_exists(path) && strcmp(after_last(path, '/'), "last") != 0;
    // The file is what is meant, except that one in a copied `last` may be that of an older
    // checkpoint.
    if (file && (!is_config_of_last(path) || !policy_locate(path, dir, &ignored))) {
        snprintf(out, POLICY_PATH, "%s", path);
        return true;
    }
    if (!file && !policy_locate(path, dir, err)) return false;
    int n = snprintf(out, POLICY_PATH, "%s/train_config.json", dir);
    return n < POLICY_PATH || fail(err, "%s: the path is too long", path);
}

CHECKED static bool read_train_config(TrainConfig *c, const char *file, Error *err) {
    char dir[POLICY_PATH];
    json_t *root = NULL, *tact = NULL;
    path_parent(dir, sizeof dir, file);
    bool ok = json_read(file, &root, err) && policy_read_tact(dir, &tact, err) &&
              train_config_from_json(c, root, tact, file, err);
    const char *rename_map = c->policy.rename_map; // train_config.json's own
    ok = ok &&
         processors_read(dir, json_object_get(root, "policy"), !tact, &c->policy, &c->arena, err);
    c->policy.rename_map = rename_map;
    if (ok) policy_warn_of_keys(json_object_get(root, "policy"), file);
    json_decref(root);
    json_decref(tact);
    return ok;
}

static bool same_place(const char *a, const char *b) {
    char x[PATH_MAX], y[PATH_MAX];
    return a && b && realpath(a, x) && realpath(b, y) && strcmp(x, y) == 0;
}

// A resumed run is the one that its checkpoint lies in, wherever that was moved to since.
CHECKED static bool find_resumed_run(TrainConfig *c, const char *file, const char *flag_output,
                                     Error *err) {
    char dir[POLICY_PATH], model[PATH_MAX], run[POLICY_PATH];
    char wrapper[PATH_MAX + 64];
    path_parent(dir, sizeof dir, file);
    if (!realpath(dir, model)) return fail_errno(err, "%s: not there", dir);
    if (!policy_run(model, run) || strcmp(after_last(model, '/'), "pretrained_model") != 0)
        return fail(
            err,
            "--config_path=%s: not RUN/checkpoints/STEP/pretrained_model, so there is no run "
            "to go on with; --policy.path starts a new one from its weights",
            c->config_path);
    if (temporal_wrapper_find(model, wrapper, sizeof wrapper))
        return fail(err,
                    "--resume=true: %s is of a fork of LeRobot whose optimizer counts the "
                    "parameters in another order; --policy.path starts a new run from its weights",
                    wrapper);
    if (flag_output && !same_place(flag_output, run))
        return fail(err, "--output_dir=%s: a resumed run goes on in its own directory, %s",
                    flag_output, run);
    if (!same_place(c->output_dir, run)) c->output_dir = arena_strdup(&c->arena, run);
    c->resume_from = arena_strdup(&c->arena, model);
    return true;
}

// The checkpoint says what the policy is. LeRobot takes no --policy.type beside --policy.path; here
// it may repeat what is so, or come with the flags that make it temporal.
CHECKED static bool check_policy_type(const TrainConfig *c, Error *err) {
    const PolicyConfig *p = &c->policy;
    bool temporal = p->obs_state_horizon > 1 || strcmp(p->temporal_pos_embed, "none") != 0 ||
                    p->action_down_sample_steps > 1 || p->n_past_actions > 0 ||
                    p->max_action_prefix > 0 ||
                    (p->pose_repr && strcmp(p->pose_repr, "relative") == 0);
    const char *from = p->path ? p->path : c->config_path;
    if (!field_given(c, "policy.type") || temporal == (strcmp(p->type, "tact") == 0)) return true;
    if (temporal &&
        (field_given(c, "policy.obs_state_horizon") || field_given(c, "policy.pose_repr")))
        return true;
    if (p->obs_state_horizon == 1 && p->n_past_actions > 0)
        return fail(err,
                    "--policy.n_past_actions=%d: LeRobot's plain ACT (--policy.type=act, one "
                    "observation) predicts no past actions; add --policy.obs_state_horizon=2 or "
                    "leave out --policy.type",
                    p->n_past_actions);
    if (temporal)
        return fail(err,
                    "--policy.type=act: %s is a temporal policy, of %d observation%s; leave out "
                    "--policy.type, or start without it",
                    from, p->obs_state_horizon, p->obs_state_horizon == 1 ? "" : "s");
    return fail(err,
                "--policy.type=tact: %s is plain ACT; add --policy.obs_state_horizon=2 to make "
                "it temporal",
                from);
}

// The device that a policy was trained on, and whether it went to the Hub, are no wishes for this
// run.
static void forget_device(TrainConfig *c) {
    c->trained_on = c->policy.device;
    c->policy.device = NULL;
    c->policy.use_amp = c->policy.push_to_hub = false;
}

// Plain ACT has no table of times. A policy of several observations that starts from it gets a new
// one, for without it their order would be unknown to the policy. A table that is there stays on
// the tokens that it was trained for.
static void decide_time_table(TrainConfig *c, int stored_horizon) {
    PolicyConfig *p = &c->policy;
    c->new_times = stored_horizon == 1 && p->obs_state_horizon > 1;
    if (c->new_times && !field_given(c, "policy.temporal_pos_embed") &&
        strcmp(p->temporal_pos_embed, "none") == 0)
        p->temporal_pos_embed = "all";
}

// A checkpoint's weights are those of a policy with the state, or of one without. stored: its
// inputs, as --policy.input_features has them; NULL: not said.
CHECKED static bool check_stored_state(const TrainConfig *c, const char *stored, Error *err) {
    const PolicyConfig *p = &c->policy;
    const bool inputs = field_given(c, "policy.input_features");
    const bool seen = inputs_name_state(stored);
    const bool wanted = inputs ? inputs_name_state(p->input_features) : p->use_state;
    if (!stored || wanted == seen || !(inputs || field_given(c, "policy.use_state"))) return true;
    return fail(err,
                "--policy.%s: %s is a policy %s observation.state, and its weights fit no other; "
                "leave the flag out, or start without it",
                inputs   ? "input_features"
                : wanted ? "use_state=true"
                         : "use_state=false",
                p->path ? p->path : c->config_path, seen ? "with" : "without");
}

// A resumed run keeps its moments, which new rows of the decoder's table have none of, and its
// loss.
CHECKED static bool check_past_actions(const TrainConfig *c, int stored, Error *err) {
    if (!c->resume || !c->past_added) return true;
    return fail(err,
                "--policy.n_past_actions=%d: the run to go on with has %d; --policy.path starts a "
                "new one from its weights",
                c->policy.n_past_actions, stored);
}

// A policy that is given actions has a projection of them, with moments of its own. One that starts
// from a policy without begins with zeros, and computes what that did.
CHECKED static bool check_prefix(const TrainConfig *c, int stored, Error *err) {
    const int wanted = c->policy.max_action_prefix;
    if (stored && !wanted)
        return fail(err,
                    "--policy.max_action_prefix=0: the checkpoint's policy was trained for up to "
                    "%d actions that are given; leave the flag out, or give it 1 or more",
                    stored);
    return stored || !wanted || !c->resume ||
           fail(err,
                "--policy.max_action_prefix=%d: the run that goes on has a policy that is never "
                "given actions; --policy.path starts a new one from its weights",
                wanted);
}

// Norms are taken of frames where a run begins, and never again.
CHECKED static bool check_norm_frames(const TrainConfig *c, int stored, Error *err) {
    return !c->resume || c->policy.backbone_norm_frames == stored ||
           fail(err,
                "--policy.backbone_norm_frames=%d: the run to go on with began with %d; leave the "
                "flag out, or start a new run",
                c->policy.backbone_norm_frames, stored);
}

// Puts the settings of the checkpoint that the flags name beneath those of the flags.
CHECKED static bool merge_checkpoint(TrainConfig *c, int argc, char **argv, Error *err) {
    TrainConfig merged;
    char place[POLICY_PATH];
    bool resume = c->config_path != NULL;
    if (c->resume && c->config_path && hub_is_name(HUB_MODEL, c->config_path) &&
        !file_exists(c->config_path) && !dir_exists(c->config_path))
        return fail(err,
                    "--config_path=%s: no such folder; a run goes on in its own, so one from the "
                    "Hub is copied first: `hf download %s --local-dir RUN`, then "
                    "--config_path=RUN",
                    c->config_path, c->config_path);
    train_config_default(&merged);
    bool ok = resume ? find_train_config(c->config_path, place, err) &&
                           read_train_config(&merged, place, err)
                     : policy_locate(c->policy.path, place, err) &&
                           policy_read_config(place, true, &merged, err);
    int horizon = merged.policy.obs_state_horizon, past = merged.policy.n_past_actions;
    int prefix = merged.policy.max_action_prefix, norms = merged.policy.backbone_norm_frames;
    const char *inputs = merged.policy.input_features;
    if (ok) forget_device(&merged);
    ok = ok && train_config_parse(&merged, argc, argv, err);
    ok = ok && check_stored_state(&merged, inputs, err);
    if (ok) decide_time_table(&merged, horizon);
    merged.past_added = merged.policy.n_past_actions - past;
    ok = ok && check_past_actions(&merged, past, err) && check_norm_frames(&merged, norms, err);
    if (field_given(&merged, "policy.device")) merged.trained_on = NULL;
    if (ok && merged.resume) ok = find_resumed_run(&merged, place, c->output_dir, err);
    if (ok && !resume) merged.policy.path = arena_strdup(&merged.arena, place);
    ok = ok && check_policy_type(&merged, err);
    const bool weights = merged.resume || !resume; // else the settings alone are taken over
    ok = ok && (!weights || check_prefix(&merged, prefix, err));
    train_config_free(c);
    *c = merged;
    return ok;
}

// Puts the settings of a file that somebody wrote beneath those of the flags. *argc and *argv
// become both together.
CHECKED static bool merge_settings_file(TrainConfig *c, int *argc, char ***argv, Arena *arena,
                                        Error *err) {
    int of_file = 0;
    const char *path = arena_strdup(arena, c->config_path);
    if (c->resume)
        return fail(err,
                    "--resume=true: %s is no checkpoint's; a run goes on from its own: pass "
                    "--config_path=RUN/checkpoints/last",
                    path);
    if (!settings_file_flags(path, *argc, *argv, arena, argv, argc, &of_file, err)) return false;
    Error why;
    train_config_free(c);
    train_config_default(c);
    if (!train_config_take(c, of_file, *argv, &why)) return fail(err, "%s: %.900s", path, why.text);
    train_config_free(c);
    train_config_default(c);
    return train_config_parse(c, *argc, *argv, err);
}

CHECKED static bool read_settings(TrainConfig *c, int argc, char **argv, Arena *arena, time_t now,
                                  Error *err) {
    train_config_default(c);
    if (!train_config_parse(c, argc, argv, err)) return false;
    if (c->config_path && settings_file_is_one(c->config_path) &&
        !merge_settings_file(c, &argc, &argv, arena, err))
        return false;
    bool both = c->config_path && c->policy.path; // train_config_check says what is wrong with that
    if ((c->config_path || c->policy.path) && !both && !merge_checkpoint(c, argc, argv, err))
        return false;
    train_config_fill(c, now);
    if (c->ignored[0]) log_warn("without effect in tact: %s", c->ignored);
    ImageTransforms ignored;
    const TransformsConfig *t = &c->dataset.image_transforms;
    return train_config_check(c, err) &&
           (!t->enable || image_transforms_parse(&ignored, t->tfs, err));
}

bool train_settings(TrainConfig *c, int argc, char **argv, time_t now, Error *err) {
    Arena arena = {0};
    bool ok = read_settings(c, argc, argv, &arena, now, err);
    arena_free(&arena);
    return ok;
}

const char *train_first_policy(const TrainConfig *c) {
    return c->resume ? c->resume_from : c->policy.path;
}

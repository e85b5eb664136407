// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include "config/fields.h"
#include "config/foreign.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool train_config_defaults(TrainConfig *c, Error *err) {
    *c = (TrainConfig){0};
    for (int i = 0; i < train_field_count; i++)
        if (!field_set(c, &train_fields[i], train_fields[i].fallback, err)) return false;
    c->processes = 1;
    c->policy.pipeline.eps = c->policy.pipeline.inverse_eps = 1e-8; // LeRobot's
    return true;
}

void train_config_default(TrainConfig *c) {
    Error err;
    // Without memory, or by a wrong row of the table; the tests parse them all.
    if (!train_config_defaults(c, &err)) {
        fprintf(stderr, "tact: %s\n", err.text);
        abort();
    }
}

int64_t train_step_samples(const TrainConfig *c) {
    return (int64_t)c->batch_size * c->gradient_accumulation_steps * c->processes;
}

double train_config_tolerance(const TrainConfig *c) {
    return c->tolerance_s == CONFIG_NULL_NUMBER ? 0 : c->tolerance_s;
}

void train_config_free(TrainConfig *c) {
    arena_free(&c->arena);
    *c = (TrainConfig){0};
}

// One flag as given: its name, its value, and how many arguments it took.
typedef struct GivenFlag {
    char name[128];
    const char *value; // NULL: none
    int taken;
} GivenFlag;

static CHECKED bool read_flag(GivenFlag *g, int argc, char **argv, Error *err) {
    const char *argument = argv[0];
    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0' || argument[2] == '=')
        return fail(err, "%s: not a flag; flags are written --name=value", argument);
    const char *equals = strchr(argument, '=');
    size_t n = equals ? (size_t)(equals - argument - 2) : strlen(argument + 2);
    if (n >= sizeof g->name)
        return fail(err, "--%.40s...: no such flag; `tact help train` lists them", argument + 2);
    memcpy(g->name, argument + 2, n);
    g->name[n] = '\0';
    g->taken = 1;
    g->value = equals ? equals + 1 : NULL;
    if (!equals && argc > 1 && strncmp(argv[1], "--", 2) != 0) {
        g->value = argv[1];
        g->taken = 2;
    }
    return true;
}

// Whether LeRobot itself writes the value where nobody gave one.
static bool is_lerobots_nothing(const Field *f, const char *value) {
    return strcmp(f->flag, "policy.input_features") == 0 && value[0] == '{' &&
           strcmp(value + 1 + strspn(value + 1, " "), "}") == 0;
}

static CHECKED bool apply_flag(TrainConfig *c, const GivenFlag *g, Error *err) {
    const Field *f = field_find(g->name);
    const char *value = g->value;
    if (!f && foreign_find(g->name))
        return foreign_take(g->name, value, c->ignored, sizeof c->ignored, err);
    if (!f) {
        const char *near = field_nearest(g->name);
        return fail(err, "--%s: no such flag%s%s%s (`tact help train` lists them)", g->name,
                    near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
    }
    if (!value && f->type == FIELD_BOOL) value = "true";
    if (!value) return fail(err, "--%s: no value given; write --%s=VALUE", g->name, g->name);
    if (is_lerobots_nothing(f, value)) return true;
    c->given[f - train_fields] = true;
    return field_set(c, f, value, err);
}

// Notes what settings ask for that are only stored.
static void note_ignored(TrainConfig *c) {
    const char *repo = c->policy.repo_id;
    char upload[256];
    if (field_given(c, "policy.push_to_hub") && c->policy.push_to_hub) {
        snprintf(upload, sizeof upload,
                 "when done: hf upload %.120s OUTPUT_DIR/checkpoints/last/pretrained_model",
                 repo ? repo : "REPO_ID");
        foreign_note(c->ignored, sizeof c->ignored, "policy.push_to_hub", upload);
    }
    if (field_given(c, "dataset.streaming") && c->dataset.streaming) {
        foreign_note(c->ignored, sizeof c->ignored, "dataset.streaming",
                     "the copy on this machine is read");
    }
    // LeRobot's ACT has no dtype, and is trained under autocast with it.
    const char *dtype = c->policy.dtype;
    if (field_given(c, "policy.use_amp") && c->policy.use_amp &&
        !(dtype && strcmp(dtype, "bfloat16") == 0)) {
        foreign_note(c->ignored, sizeof c->ignored, "policy.use_amp",
                     "--policy.dtype=bfloat16 trains in mixed precision");
    }
    // It only evaluates, and changes nothing that is trained.
    if (c->env_type && foreign_simulation(c->env_type)) {
        foreign_note(c->ignored, sizeof c->ignored, "env.type",
                     "a simulation of LeRobot's: the policy is trained without acting in it");
        c->env_type = NULL;
    }
}

// With LeRobot's flags alone one gets LeRobot's policy. Settings that only make sense for a
// temporal policy are then refused, rather than dropped.
static CHECKED bool choose_plain_act(TrainConfig *c, Error *err) {
    PolicyConfig *p = &c->policy;
    bool temporal = strcmp(p->type, "act") != 0 || field_given(c, "policy.obs_state_horizon") ||
                    field_given(c, "policy.pose_repr");
    if (temporal || p->path || c->config_path) return true;
    bool steps = field_given(c, "policy.obs_down_sample_steps") && p->obs_down_sample_steps != 1;
    bool times =
        field_given(c, "policy.temporal_pos_embed") && strcmp(p->temporal_pos_embed, "none") != 0;
    bool rare = p->action_down_sample_steps != 1; // 1 is the default
    if (p->max_action_prefix > 0) {
        return fail(err,
                    "--policy.max_action_prefix=%d: --policy.type=act alone is LeRobot's ACT, "
                    "which is never given actions; leave out --policy.type",
                    p->max_action_prefix);
    }
    if (steps || times || rare) {
        return fail(err,
                    "--policy.%s: --policy.type=act alone is LeRobot's ACT, which sees one "
                    "observation and gives an action a frame; add --policy.obs_state_horizon=2 or "
                    "leave out --policy.type",
                    steps   ? "obs_down_sample_steps"
                    : times ? "temporal_pos_embed"
                            : "action_down_sample_steps");
    }
    if (p->n_past_actions > 0) {
        return fail(err,
                    "--policy.n_past_actions=%d: --policy.type=act alone is LeRobot's ACT, which "
                    "predicts no past actions; add --policy.obs_state_horizon=2 or leave out "
                    "--policy.type",
                    p->n_past_actions);
    }
    p->obs_state_horizon = p->obs_down_sample_steps = 1;
    p->temporal_pos_embed = "none";
    p->pose_repr = "none";
    // LeRobot's mapping, which does not have the environment state, so that this is not
    // normalised.
    NormMap *n = &p->normalization_mapping;
    if (!n->visual && !n->state && !n->action && !n->env)
        *n = (NormMap){.visual = "MEAN_STD", .state = "MEAN_STD", .action = "MEAN_STD"};
    return true;
}

// Of two settings of one number, says that the first does not count.
static void note_double(TrainConfig *c, const char *flag, const char *counts) {
    char how[128];
    snprintf(how, sizeof how, "%s counts, as in LeRobot with use_policy_training_preset=%s", counts,
             c->use_policy_training_preset ? "true" : "false");
    foreign_note(c->ignored, sizeof c->ignored, flag, how);
}

// One of the numbers that both the policy and the optimiser have a setting for. In LeRobot the
// policy's counts, and without the preset the optimiser's; here the optimiser's counts with the
// preset too where the policy's is not given. Returns whether it came from the optimiser's.
static bool take_from_optimizer(TrainConfig *c, const char *own, double value, const char *policys,
                                double *slot, double fallback) {
    const bool preset = c->use_policy_training_preset, given = field_given(c, own);
    const bool twice = field_given(c, policys);
    // A checkpoint that was trained without the preset has its numbers, unless flags give others.
    const bool decided =
        preset ? given && !twice : given || field_given(c, "use_policy_training_preset");
    if (value == CONFIG_NULL_NUMBER) value = fallback;
    if (preset && given && twice && value != *slot) note_double(c, own, policys);
    if (!decided) return false;
    if (twice && value != *slot) note_double(c, policys, own);
    *slot = value;
    return true;
}

// Without the preset LeRobot's optimiser is AdamW with its own defaults, and has one group. A
// rate for the backbone that is given counts all the same, unless it comes with all that the
// policy has, as in a file that LeRobot wrote.
static void choose_optimizer(TrainConfig *c) {
    PolicyConfig *p = &c->policy;
    const bool whole = field_given(c, "policy.optimizer_lr");
    const bool rate = take_from_optimizer(c, "optimizer.lr", c->optimizer_lr, "policy.optimizer_lr",
                                          &p->optimizer_lr, 1e-3);
    (void)take_from_optimizer(c, "optimizer.weight_decay", c->optimizer_weight_decay,
                              "policy.optimizer_weight_decay", &p->optimizer_weight_decay, 1e-2);
    if (rate && !c->use_policy_training_preset &&
        (whole || !field_given(c, "policy.optimizer_lr_backbone")))
        p->optimizer_lr_backbone = p->optimizer_lr;
}

bool train_config_take(TrainConfig *c, int argc, char **argv, Error *err) {
    for (int i = 0; i < argc;) {
        GivenFlag given;
        if (!read_flag(&given, argc - i, argv + i, err) || !apply_flag(c, &given, err))
            return false;
        i += given.taken;
    }
    return true;
}

bool train_config_parse(TrainConfig *c, int argc, char **argv, Error *err) {
    if (!train_config_take(c, argc, argv, err)) return false;
    note_ignored(c);
    choose_optimizer(c);
    return choose_plain_act(c, err);
}

void train_config_fill(TrainConfig *c, time_t now) {
    if (!c->dataset.repo_id && c->dataset.root) {
        char *name = arena_strdup(&c->arena, c->dataset.root);
        size_t n = strlen(name);
        while (n > 1 && name[n - 1] == '/') name[--n] = '\0';
        char *slash = strrchr(name, '/');
        c->dataset.repo_id = slash && slash[1] ? slash + 1 : name;
    }
    if (c->policy.obs_state_horizon == 1 && !c->policy.path && !c->resume)
        c->policy.temporal_pos_embed = "none";
    if (!c->job_name) c->job_name = c->policy.type;
    if (!c->output_dir) {
        struct tm local;
        char date[64];
        localtime_r(&now, &local);
        strftime(date, sizeof date, "%Y-%m-%d/%H-%M-%S", &local);
        c->output_dir = arena_printf(&c->arena, "outputs/train/%s_%s", date, c->job_name);
    }
}

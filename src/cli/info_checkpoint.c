// SPDX-License-Identifier: Apache-2.0
// tact info CHECKPOINT: what a policy on disk is, and how far its training got.
#include "base/file.h"
#include "cli/cli.h"
#include "cli/info.h"
#include "config/config_json.h"
#include "formats/json.h"
#include "policy/policy_config.h"
#include "policy/policy_load.h"
#include "policy/policy_locate.h"
#include "pose/pose.h"
#include "train/training_state.h"
#include <stdio.h>
#include <string.h>

// Trained elements are counted for each part of the network.
enum { PARTS = 5 };
static const char *const part_names[PARTS] = {"vae_encoder", "backbone", "encoder", "decoder",
                                              "projections and embeddings"};

typedef struct ParamCounts {
    int64_t trained, buffers, parts[PARTS];
} ParamCounts;

static int part_of(const char *name) {
    static const char *const prefixes[PARTS - 1] = {"model.vae_encoder", "model.backbone.",
                                                    "model.encoder.", "model.decoder."};
    for (int i = 0; i < PARTS - 1; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return i;
    return PARTS - 1;
}

static ParamCounts count_params(const Params *p) {
    ParamCounts c = {0};
    for (int i = 0; i < p->count; i++) {
        const Param *q = &p->list[i];
        if (q->kind == PARAM_BUFFER)
            c.buffers += q->count;
        else
            c.trained += q->count, c.parts[part_of(q->name)] += q->count;
    }
    return c;
}

// How far the training got; step 0 where the checkpoint does not say.
typedef struct Training {
    TrainingState state;
    TrainConfig config; // of train_config.json
    bool known, has_ema;
} Training;

CHECKED static bool read_training(const char *dir, Training *t, Error *err) {
    char parent[POLICY_PATH], path[POLICY_PATH + 64];
    json_t *root = NULL, *tact = NULL;
    path_parent(parent, sizeof parent, dir);
    train_config_default(&t->config);
    snprintf(path, sizeof path, "%s/pretrained_model_ema", parent);
    PathKind average;
    if (!path_look(path, &average, err)) return false;
    t->has_ema = average == AT_DIR;
    snprintf(path, sizeof path, "%s/training_state", parent);
    if (!dir_exists(path)) return true;
    if (!training_state_read(path, &t->state, err)) return false;
    snprintf(path, sizeof path, "%s/train_config.json", dir);
    t->known = file_exists(path);
    bool ok = !t->known || (json_read(path, &root, err) && policy_read_tact(dir, &tact, err) &&
                            train_config_from_json(&t->config, root, tact, path, err));
    json_decref(root);
    json_decref(tact);
    return ok;
}

typedef struct Vector {
    const char *name, *mode;
    const Stats *stats;
} Vector;

static int vectors_of(const Policy *p, Vector out[3]) {
    const NormMap *m = &p->config.policy.normalization_mapping;
    int n = 0;
    if (p->stats.state.dim) out[n++] = (Vector){"observation.state", m->state, &p->stats.state};
    if (p->stats.env.dim)
        out[n++] = (Vector){"observation.environment_state", m->env, &p->stats.env};
    out[n++] = (Vector){"action", m->action, &p->stats.action};
    return n;
}

static json_t *stats_json(const Policy *p) {
    json_t *object = json_object();
    Vector v[3];
    for (int i = 0, n = vectors_of(p, v); i < n; i++) {
        const Stats *s = v[i].stats;
        const double *arrays[] = {s->min, s->max, s->mean, s->std};
        static const char *const names[] = {"min", "max", "mean", "std"};
        json_t *one = json_object();
        json_object_set_new(one, "mode", json_string(v[i].mode ? v[i].mode : "IDENTITY"));
        for (int k = 0; k < 4; k++)
            if (arrays[k]) json_object_set_new(one, names[k], cli_numbers_json(arrays[k], s->dim));
        json_object_set_new(object, v[i].name, one);
    }
    for (int i = 0; i < p->config.policy.n_cameras; i++) {
        const ImageStats *s = &p->stats.images[i];
        double mean[3], std[3];
        for (int k = 0; k < 3; k++) mean[k] = (double)s->mean[k], std[k] = (double)s->std[k];
        json_object_set_new_nocheck(
            object, p->config.policy.cameras[i].name,
            json_pack("{s:s, s:o, s:o}", "mode", p->config.policy.normalization_mapping.visual,
                      "mean", cli_numbers_json(mean, 3), "std", cli_numbers_json(std, 3)));
    }
    return object;
}

static json_t *training_json(const Training *t) {
    if (!t->state.step) return json_null();
    json_t *o = json_pack("{s:I, s:b}", "step", (json_int_t)t->state.step, "ema", t->has_ema);
    if (t->known) {
        json_object_set_new(o, "steps", json_integer(t->config.steps));
        json_object_set_new(o, "batch_size", json_integer(t->config.batch_size));
        json_object_set_new(o, "seed", json_integer(t->config.seed));
        json_object_set_new(o, "dataset",
                            json_bytes(t->config.dataset.repo_id ? t->config.dataset.repo_id : ""));
    }
    return o;
}

static void print_json(const Policy *p, const ParamCounts *c, const Training *t) {
    json_t *parts = json_object();
    for (int i = 0; i < PARTS; i++)
        json_object_set_new(parts, part_names[i], json_integer(c->parts[i]));
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:{s:I, s:I, s:o}, s:o, s:o}", "path", json_bytes(p->dir), "policy",
        policy_to_json(&p->config.policy), "tact", policy_to_tact_json(&p->config.policy),
        "parameters", "trained", (json_int_t)c->trained, "buffers", (json_int_t)c->buffers, "parts",
        parts, "statistics", stats_json(p), "training", training_json(t));
    cli_print_json(object, 2);
    json_decref(object);
}

static void print_stats(const Policy *p) {
    Vector v[3];
    for (int i = 0, n = vectors_of(p, v); i < n; i++) {
        const Stats *s = v[i].stats;
        bool mean = v[i].mode && strcmp(v[i].mode, "MEAN_STD") == 0;
        const double *low = mean ? s->mean : s->min, *high = mean ? s->std : s->max;
        printf("statistics  %s, %s\n", v[i].name, v[i].mode ? v[i].mode : "IDENTITY");
        for (int k = 0; low && high && k < s->dim; k++)
            printf("            %3d  %s %12.6g  %s %12.6g\n", k, mean ? "mean" : "min", low[k],
                   mean ? "std" : "max", high[k]);
    }
    for (int i = 0; i < p->config.policy.n_cameras; i++) {
        const ImageStats *s = &p->stats.images[i];
        printf("statistics  %s, mean %.4g %.4g %.4g, std %.4g %.4g %.4g\n",
               p->config.policy.cameras[i].name, (double)s->mean[0], (double)s->mean[1],
               (double)s->mean[2], (double)s->std[0], (double)s->std[1], (double)s->std[2]);
    }
}

static void print_policy(const Policy *p) {
    const PolicyConfig *c = &p->config.policy;
    printf("checkpoint  %s\n", p->dir);
    printf("policy      %s\n",
           policy_is_plain(c) ? "act (plain ACT: LeRobot runs it too)" : "tact");
    printf("sees        %d observation%s, %d frame%s apart; temporal_pos_embed %s; poses %s\n",
           c->obs_state_horizon, c->obs_state_horizon == 1 ? "" : "s", c->obs_down_sample_steps,
           c->obs_down_sample_steps == 1 ? "" : "s", c->temporal_pos_embed,
           c->pose_repr ? c->pose_repr : "none");
    if (c->state_dim) printf("            observation.state, %d values\n", c->state_dim);
    if (policy_hides_pose(c))
        printf("            not observation.state, but needs its %d values: poses are relative to "
               "it\n",
               c->arms * POSE_ROW);
    if (c->env_dim) printf("            observation.environment_state, %d values\n", c->env_dim);
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        printf("            %s, %d x %d (recorded %d x %d", camera->name, camera->image_width,
               camera->image_height, camera->width, camera->height);
        if (camera_is_cropped(camera))
            printf(", the middle of %d x %d", camera->resized_width, camera->resized_height);
        puts(")");
    }
    printf("acts        %d values, chunks of %d, %d carried out", c->action_dim, c->chunk_size,
           c->n_action_steps);
    if (c->action_down_sample_steps > 1)
        printf(", an action every %d steps", c->action_down_sample_steps);
    if (c->n_past_actions > 0) printf(", %d past ones predicted in training", c->n_past_actions);
    if (c->fps > 0) printf(", %.15g a second", c->fps);
    if (c->max_action_prefix > 0)
        printf("\n            the first %d or fewer may be given (max_action_prefix)",
               c->max_action_prefix);
    printf("\nnetwork     %s, width %d, %d heads, feed-forward %d, layers %d + %d%s\n",
           c->vision_backbone, c->dim_model, c->n_heads, c->dim_feedforward, c->n_encoder_layers,
           c->n_decoder_layers, c->use_vae ? ", VAE" : "");
}

static void print_text(const Policy *p, const ParamCounts *c, const Training *t) {
    print_policy(p);
    printf("parameters  %lld trained, %lld in buffers\n", (long long)c->trained,
           (long long)c->buffers);
    for (int i = 0; i < PARTS; i++)
        if (c->parts[i]) printf("            %-28s %lld\n", part_names[i], (long long)c->parts[i]);
    print_stats(p);
    if (!t->state.step) {
        puts("training    no training_state: cannot be resumed, only fine-tuned (--policy.path)");
        return;
    }
    printf("training    after step %lld", (long long)t->state.step);
    if (t->known)
        printf(" of %lld, batches of %d, seed %lld, dataset %s", (long long)t->config.steps,
               t->config.batch_size, (long long)t->config.seed,
               t->config.dataset.repo_id ? t->config.dataset.repo_id : "unknown");
    printf("%s\n", t->has_ema ? "; moving average in pretrained_model_ema" : "");
}

bool info_print_checkpoint(const char *path, const char *dataset, bool json, Error *err) {
    Device *device = NULL;
    Policy policy = {0};
    Training training = {.known = false};
    bool ok = device_open("ref", PRECISION_FLOAT32, 1, &device, err) &&
              policy_load(path, dataset, device, &policy, err) &&
              read_training(policy.dir, &training, err);
    if (ok) {
        ParamCounts c = count_params(&policy.params);
        if (json)
            print_json(&policy, &c, &training);
        else
            print_text(&policy, &c, &training);
    }
    train_config_free(&training.config);
    policy_free(&policy);
    device_close(device);
    return ok;
}

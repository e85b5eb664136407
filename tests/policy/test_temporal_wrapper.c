// SPDX-License-Identifier: Apache-2.0
// Checkpoints of the relative-pose fork: data/wrapper/README.md says what is in the one here.
#include "policy/convert.h"

#include "../dataset/fixture.h"
#include "base/file.h"
#include "formats/safetensors.h"
#include "policy/policy_load.h"
#include "pose/pose.h"
#include <dirent.h>
#include <math.h>
#include <unistd.h>

#define DATA "tests/policy/data/wrapper/"

enum { T = 2, D = 8, CHUNK = 4, ENV = 3 };

static const char times[] = "temporal_pos_embed.weight";
static const char cls[] = "model.vae_encoder_cls_embed.weight";

typedef struct Fork {
    Arena arena;
    char *dir, *model; // a copy of the checkpoint, to be changed
    Device *device;
} Fork;

static void copy(const char *from, const char *to) {
    Error err;
    char *data;
    size_t size;
    OK(file_read(from, &data, &size, &err));
    OK(file_write(to, data, size, &err));
    mem_free(data);
}

static int fork_new(void **state) {
    Fork *f = NEW(Fork, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    f->model = at(&f->arena, f->dir, "pretrained_model");
    OK(make_dirs(f->model, &err));
    DIR *d = opendir(DATA "pretrained_model");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            copy(at(&f->arena, DATA "pretrained_model", e->d_name),
                 at(&f->arena, f->model, e->d_name));
    closedir(d);
    copy(DATA "temporal_wrapper.pt", at(&f->arena, f->dir, "temporal_wrapper.pt"));
    OK(device_open("ref", PRECISION_FLOAT32, 1, &f->device, &err));
    *state = f;
    return 0;
}

static int fork_free(void **state) {
    Fork *f = *state;
    device_close(f->device);
    return remove_fixture(f, &f->arena, f->dir);
}

static char *wrapper(Fork *f) {
    return at(&f->arena, f->dir, "temporal_wrapper.pt");
}

static void refuse(Fork *f, const char *a, const char *b) {
    Error err = {""};
    Policy p;
    assert_false(policy_load(f->dir, NULL, f->device, &p, &err));
    assert_null(strchr(err.text, '\n'));
    assert_says(&err, a, b);
}

static void values_of(const char *file, const char *name, float *out, int64_t n) {
    Error err;
    Safetensors *s;
    OK(safetensors_open(file, &s, &err));
    const SafetensorsEntry *e = safetensors_find(s, name);
    assert_non_null(e);
    OK(safetensors_copy_f32(e, out, n, &err));
    safetensors_close(s);
}

static void edit(Fork *f, const char *from, const char *to) {
    Error err;
    char *text, *path = at(&f->arena, f->model, "config.json");
    size_t size;
    OK(file_read(path, &text, &size, &err));
    char *where = strstr(text, from);
    if (!where) fail_msg("config.json has no %s", from);
    char *changed =
        arena_printf(&f->arena, "%.*s%s%s", (int)(where - text), text, to, where + strlen(from));
    OK(file_write(path, changed, strlen(changed), &err));
    mem_free(text);
}

static void params_of(const Policy *p, const char *name, float *out, int64_t n) {
    const Param *q = params_find(&p->params, name);
    assert_non_null(q);
    assert_int_equal(q->count, n);
    param_get(&p->params, q, out);
}

// ---- what is the same in both -------------------------------------------------------------------

static void its_settings_are_ours(void **state) {
    Fork *f = *state;
    Error err;
    Policy p;
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    const PolicyConfig *c = &p.config.policy;
    assert_true(c->obs_state_horizon == T && c->obs_down_sample_steps == 3 && c->arms == 1);
    assert_string_equal(c->temporal_pos_embed, "state");
    assert_string_equal(c->pose_repr, "relative");
    assert_true(c->state_dim == POSE_POLICY_ROW && c->action_dim == POSE_POLICY_ROW &&
                c->env_dim == ENV);
    assert_string_equal(c->normalization_mapping.state, "MIN_MAX");
    assert_true(fabs(p.stats.state.max[9] - 0.9) < 1e-6 && p.stats.action.min[4] == -1);
    policy_free(&p);
    edit(f, "\"STATE\": \"MIN_MAX\"", "\"STATE\": \"MEAN_STD\""); // only relative poses are wrapped
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    assert_string_equal(p.config.policy.pose_repr, "relative");
    policy_free(&p);
}

static void it_acts_as_in_pytorch(void **state) {
    Fork *f = *state;
    Error err;
    Policy p;
    Act *act;
    float obs[T * POSE_POLICY_ROW], env[ENV], wanted[CHUNK * POSE_POLICY_ROW],
        got[CHUNK * POSE_POLICY_ROW];
    values_of(DATA "expected.safetensors", "state", obs, T * POSE_POLICY_ROW);
    values_of(DATA "expected.safetensors", "env", env, ENV);
    values_of(DATA "expected.safetensors", "actions", wanted, CHUNK * POSE_POLICY_ROW);
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    OK(act_new(f->device, &p.config.policy, &p.params, 1, false, NULL, &act, &err));
    act_load_params(act);
    const ActInput in = {.batch = 1, .state = obs, .env = env};
    OK(act_predict(act, &in, got, NULL, &err));
    for (int i = 0; i < CHUNK * POSE_POLICY_ROW; i++)
        if (!(fabsf(got[i] - wanted[i]) < 2e-5f))
            fail_msg("value %d: %g, in PyTorch %g", i, (double)got[i], (double)wanted[i]);
    act_free(act);
    policy_free(&p);
}

// The VAE encoder of the fork takes the positive part of that token.
static void the_vaes_first_token_is_positive(void **state) {
    Fork *f = *state;
    Error err;
    Policy p;
    float in_file[D], got[D];
    int negative = 0;
    values_of(at(&f->arena, f->model, "model.safetensors"), cls, in_file, D);
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    params_of(&p, cls, got, D);
    for (int i = 0; i < D; i++) {
        negative += in_file[i] < 0;
        assert_true(got[i] == (in_file[i] < 0 ? 0 : in_file[i]));
    }
    assert_true(negative > 0);
    policy_free(&p);
}

static void it_may_lie_inside(void **state) {
    Fork *f = *state;
    Error err;
    Policy p;
    assert_int_equal(rename(wrapper(f), at(&f->arena, f->model, "temporal_wrapper.pt")), 0);
    OK(policy_load(f->model, NULL, f->device, &p, &err));
    policy_free(&p);
}

static void one_observation_folds_into_plain_act(void **state) {
    Fork *f = *state;
    Error err;
    Policy p;
    PolicyConfig config;
    Params plain;
    float table[3 * D], after[3 * D], row[D];
    static const char positions[] = "model.encoder_1d_feature_pos_embed.weight";
    copy(DATA "one_row.pt", wrapper(f));
    edit(f, "\"obs_state_horizon\": 2", "\"obs_state_horizon\": 1");
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    params_of(&p, times, row, D);
    params_of(&p, positions, table, 3 * D);
    OK(policy_convert(&p, true, &config, &plain, &err));
    param_get(&plain, params_find(&plain, positions), after);
    for (int i = 0; i < D; i++) assert_true(after[D + i] == table[D + i] + row[i] && row[i] != 0);
    params_free(&plain);
    policy_free(&p);
}

// What we write of it is a checkpoint of our own; a file of the fork beside it has no effect.
static void it_becomes_ours(void **state) {
    Fork *f = *state;
    Error err;
    Policy p, back;
    float a[T * D], b[T * D];
    char *dir = at(&f->arena, f->dir, "ours");
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    OK(policy_export(dir, &p.config.policy, &p.params, &p.stats, &err));
    OK(policy_load(dir, NULL, f->device, &back, &err));
    params_of(&p, times, a, T * D);
    params_of(&back, times, b, T * D);
    assert_memory_equal(a, b, sizeof a);
    policy_free(&back);
    policy_free(&p);
}

// ---- what is not --------------------------------------------------------------------------------

static void its_tensors_are_taken_strictly(void **state) {
    Fork *f = *state;
    copy(DATA "three_rows.pt", wrapper(f));
    refuse(f, "temporal_wrapper.pt: tensor \"state_temporal_pos_embed.weight\" has shape [3, 8]",
           "this policy's is [2, 8]");
    copy(DATA "other_form.pt", wrapper(f));
    refuse(f, "temporal_wrapper.pt", "\"state_temporal_scale\"");
    copy(DATA "evil.pt", wrapper(f));
    refuse(f, "temporal_wrapper.pt", "system");
    unlink(wrapper(f));
    refuse(f, "config.json", "no temporal_wrapper.pt");
}

static void damaged_files_are_refused(void **state) {
    Fork *f = *state;
    Error err;
    char *data;
    size_t size;
    OK(file_read(DATA "temporal_wrapper.pt", &data, &size, &err));
    for (size_t n = 0; n < size; n += 97) {
        OK(file_write(wrapper(f), data, n, &err));
        refuse(f, "temporal_wrapper.pt", "");
    }
    OK(file_write(wrapper(f), data, size, &err));
    float rows[T * D];
    Policy p;
    OK(policy_load(f->dir, NULL, f->device, &p, &err));
    params_of(&p, times, rows, T * D);
    policy_free(&p);
    char *inside = memmem(data, size, rows, sizeof rows);
    assert_non_null(inside);
    inside[5] ^= 1; // the archive has a checksum
    OK(file_write(wrapper(f), data, size, &err));
    refuse(f, "temporal_wrapper.pt", "");
    mem_free(data);
}

static void only_one_file_has_the_table(void **state) {
    Fork *f = *state;
    Error err;
    Safetensors *s;
    const float rows[T * D] = {0};
    char *path = at(&f->arena, f->model, "model.safetensors");
    OK(safetensors_open(path, &s, &err));
    int n = safetensors_count(s);
    SafetensorsEntry *entries = NEW(SafetensorsEntry, n + 1);
    for (int i = 0; i < n; i++) entries[i] = *safetensors_entry(s, i);
    entries[n] = (SafetensorsEntry){.name = times,
                                    .type = ST_F32,
                                    .rank = 2,
                                    .shape = {T, D},
                                    .count = T * D,
                                    .data = rows,
                                    .bytes = sizeof rows};
    OK(safetensors_write(path, entries, n + 1, false, &err));
    safetensors_close(s);
    mem_free(entries);
    refuse(f, times, "remove one");
}

static void its_keys_must_agree(void **state) {
    Fork *f = *state;
    edit(f, "\"obs_state_horizon\"", "\"no_horizon\"");
    refuse(f, "config.json", "no obs_state_horizon");
    edit(f, "\"no_horizon\"", "\"obs_state_horizon\"");
    edit(f, "\"disable_temporal_wrapper\": false", "\"disable_temporal_wrapper\": true");
    refuse(f, "config.json", "no policy runs with both");
    edit(f, "\"obs_state_horizon\": 2", "\"obs_state_horizon\": 1");
    refuse(f, "disable_temporal_wrapper is true", "temporal_wrapper.pt");
    edit(f, "\"disable_temporal_wrapper\": true", "\"disable_temporal_wrapper\": false");
    refuse(f, "has shape [2, 8]", "[1, 8]");
    unlink(wrapper(f));
    refuse(f, "config.json", "no temporal_wrapper.pt");
}

// The fork writes its keys for every ACT, also for one it does not wrap.
static void without_the_wrapper_it_is_plain_act(void **state) {
    Fork *f = *state;
    Error err;
    Policy p;
    unlink(wrapper(f));
    edit(f, "\"disable_temporal_wrapper\": false", "\"disable_temporal_wrapper\": true");
    edit(f, "\"obs_state_horizon\": 2", "\"obs_state_horizon\": 1");
    OK(policy_load(f->dir, NULL, f->device, &p, &err)); // of relative poses
    assert_string_equal(p.config.policy.temporal_pos_embed, "none");
    assert_string_equal(p.config.policy.pose_repr, "relative");
    policy_free(&p);
    edit(f, "\"obs_state_horizon\": 1", "\"obs_state_horizon\": 2");
    edit(f, "\"STATE\": \"MIN_MAX\"", "\"STATE\": \"MEAN_STD\"");
    OK(policy_load(f->dir, NULL, f->device, &p, &err)); // of plain data
    assert_true(p.config.policy.obs_state_horizon == 1);
    assert_true(p.config.policy.obs_down_sample_steps == 1);
    assert_string_equal(p.config.policy.temporal_pos_embed, "none");
    assert_string_equal(p.config.policy.pose_repr, "none");
    float in_file[D], got[D];
    values_of(at(&f->arena, f->model, "model.safetensors"), cls, in_file, D);
    params_of(&p, cls, got, D);
    assert_memory_equal(got, in_file, sizeof got);
    policy_free(&p);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fork_new, fork_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(its_settings_are_ours),
        CASE(it_acts_as_in_pytorch),
        CASE(the_vaes_first_token_is_positive),
        CASE(it_may_lie_inside),
        CASE(one_observation_folds_into_plain_act),
        CASE(it_becomes_ours),
        CASE(its_tensors_are_taken_strictly),
        CASE(damaged_files_are_refused),
        CASE(only_one_file_has_the_table),
        CASE(its_keys_must_agree),
        CASE(without_the_wrapper_it_is_plain_act),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Weights of a policy with another number of past actions, and what is predicted with them: the
// decoder's queries of the chunk keep their values, and only the chunk's actions come out.
#include "model/act.h"
#include "policy/policy_weights.h"
#include "policy/policy_write.h"

#include "../dataset/fixture.h"

enum { CHUNK = 4, WIDTH = 16, ACTIONS = 3, ENV = 5, BATCH = 2 };

static PolicyConfig config_with(int past, int chunk) {
    return (PolicyConfig){.type = "tact",
                          .chunk_size = chunk,
                          .n_action_steps = chunk,
                          .n_past_actions = past,
                          .vision_backbone = "resnet18",
                          .dim_model = WIDTH,
                          .n_heads = 2,
                          .dim_feedforward = 32,
                          .feedforward_activation = "relu",
                          .n_encoder_layers = 1,
                          .n_decoder_layers = 2,
                          .use_vae = true,
                          .latent_dim = 4,
                          .n_vae_encoder_layers = 1,
                          .kl_weight = 10,
                          .obs_state_horizon = 2,
                          .obs_down_sample_steps = 1,
                          .action_down_sample_steps = 1,
                          .temporal_pos_embed = "all",
                          .pose_repr = "none",
                          .state_dim = ACTIONS,
                          .env_dim = ENV,
                          .action_dim = ACTIONS};
}

typedef struct Fixture {
    Arena arena;
    char *dir;
    Device *device;
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    OK(device_open("cpu", PRECISION_FLOAT32, 1, &f->device, &err));
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    device_close(f->device);
    return remove_fixture(f, &f->arena, f->dir);
}

static Params params_with(Fixture *f, const PolicyConfig *c, uint64_t seed) {
    Params p;
    Error err;
    OK(params_init(&p, f->device, c, true, &err));
    params_initialize(&p, seed);
    return p;
}

static float *values_of(const Params *p, const char *name) {
    const Param *q = params_find(p, name);
    float *out = NEW(float, q->count);
    param_get(p, q, out);
    return out;
}

// A policy's weights in a folder of their own.
static char *stored(Fixture *f, const PolicyConfig *c, const Params *p, const char *name) {
    char *dir = at(&f->arena, f->dir, name);
    double zeros[8] = {0}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    Error err;
    const Stats s = {.dim = ACTIONS, .min = zeros, .max = ones, .mean = zeros, .std = ones};
    PolicyStats stats = {.state = s, .action = s, .env = s};
    stats.env.dim = ENV;
    PolicyConfig whole = *c;
    whole.normalization_mapping = (NormMap){
        .visual = "MEAN_STD", .state = "MEAN_STD", .action = "MEAN_STD", .env = "MEAN_STD"};
    OK(make_dirs(dir, &err));
    OK(policy_write(dir, &whole, p, &stats, NULL, &err));
    return dir;
}

// ---- weights ----------------------------------------------------------------------------------

// Reads the weights of one with `before` past actions into one with `now`, of another seed.
static void assert_taken_over(Fixture *f, int before, int now) {
    const PolicyConfig old = config_with(before, CHUNK), new = config_with(now, CHUNK);
    Params from = params_with(f, &old, 1), to = params_with(f, &new, 2),
           own = params_with(f, &new, 2);
    char *dir = stored(f, &old, &from, arena_printf(&f->arena, "%d_%d", before, now));
    Error err;
    OK(policy_read_weights(dir, &to, (WeightsOptions){.past_added = now - before}, &err));
    const int64_t kept = CHUNK + (before < now ? before : now);
    for (int i = 0; i < to.count; i++) {
        const Param *q = &to.list[i];
        float *got = values_of(&to, q->name), *want = values_of(&from, q->name),
              *begun = values_of(&own, q->name);
        bool queries = strcmp(q->name, QUERY_TABLE) == 0;
        int64_t same = queries ? kept * WIDTH : q->count;
        assert_memory_equal(got, want, (size_t)same * sizeof *got);
        assert_memory_equal(got + same, begun + same, (size_t)(q->count - same) * sizeof *got);
        if (queries) assert_int_equal(q->shape[0], CHUNK + now);
        mem_free(got), mem_free(want), mem_free(begun);
    }
    params_free(&from), params_free(&to), params_free(&own);
}

static void queries_of_the_chunk_are_kept(void **state) {
    Fixture *f = *state;
    assert_taken_over(f, 0, 3);
    assert_taken_over(f, 3, 0);
    assert_taken_over(f, 2, 5);
    assert_taken_over(f, 5, 1);
    assert_taken_over(f, 3, 3);
}

// As many rows as are wanted, but some of them are of the past, or none is said to be new.
static void other_tables_are_refused(void **state) {
    Fixture *f = *state;
    const PolicyConfig old = config_with(3, CHUNK), longer = config_with(0, CHUNK + 3);
    Params from = params_with(f, &old, 1), to = params_with(f, &longer, 2);
    char *dir = stored(f, &old, &from, "old");
    Error err;
    assert_false(policy_read_weights(dir, &to, (WeightsOptions){.past_added = -3}, &err));
    assert_says(&err, QUERY_TABLE, "has shape [7, 16], but this policy's is [10, 16]");
    params_free(&to);
    const PolicyConfig more = config_with(4, CHUNK);
    to = params_with(f, &more, 2);
    assert_false(policy_read_weights(dir, &to, (WeightsOptions){0}, &err));
    assert_says(&err, QUERY_TABLE, "has shape [7, 16], but this policy's is [8, 16]");
    params_free(&to), params_free(&from);
}

// From one seed, everything but the rows of the past starts with the same values.
static void the_rest_starts_as_without_them(void **state) {
    Fixture *f = *state;
    const PolicyConfig plain = config_with(0, CHUNK), more = config_with(6, CHUNK);
    Params a = params_with(f, &plain, 7), b = params_with(f, &more, 7);
    assert_int_equal(a.count, b.count);
    for (int i = 0; i < a.count; i++) {
        const Param *q = &a.list[i];
        assert_string_equal(q->name, b.list[i].name);
        float *x = values_of(&a, q->name), *y = values_of(&b, q->name);
        assert_memory_equal(x, y, (size_t)q->count * sizeof *x);
        if (strcmp(q->name, QUERY_TABLE) != 0) assert_int_equal(q->count, b.list[i].count);
        mem_free(x), mem_free(y);
    }
    params_free(&a), params_free(&b);
}

// ---- predictions ------------------------------------------------------------------------------

typedef struct Inputs {
    float state[BATCH * 2 * ACTIONS], env[BATCH * ENV], action[BATCH * (CHUNK + 3) * ACTIONS];
    uint8_t pad[BATCH * (CHUNK + 3)];
} Inputs;

static Act *model_of(Fixture *f, const PolicyConfig *c, Params *p, int batch) {
    Act *act;
    Error err;
    OK(act_new(f->device, c, p, batch, false, NULL, &act, &err));
    return act;
}

static void fill(Inputs *in) {
    for (int i = 0; i < BATCH * 2 * ACTIONS; i++) in->state[i] = (float)(i * 7 % 11) / 11 - 0.5F;
    for (int i = 0; i < BATCH * ENV; i++) in->env[i] = (float)(i * 5 % 13) / 13 - 0.5F;
    for (int i = 0; i < BATCH * (CHUNK + 3) * ACTIONS; i++)
        in->action[i] = (float)(i * 3 % 17) / 17 - 0.5F;
    memset(in->pad, 0, sizeof in->pad);
}

static float distance(const float *a, const float *b, int n) {
    float worst = 0;
    for (int i = 0; i < n; i++) worst = fmaxf(worst, fabsf(a[i] - b[i]));
    return worst;
}

// The chunks of a batch are those of its samples one by one; and the past rows, which the decoder
// sees, are part of what they are made of.
static void only_the_chunk_comes_out(void **state) {
    Fixture *f = *state;
    enum { ONE = CHUNK * ACTIONS };
    const PolicyConfig c = config_with(3, CHUNK), plain = config_with(0, CHUNK);
    Params p = params_with(f, &c, 3), q = params_with(f, &plain, 3);
    Inputs v;
    fill(&v);
    float both[BATCH * ONE + 1], one[ONE], without[ONE];
    Error err;
    both[BATCH * ONE] = 77;
    Act *act = model_of(f, &c, &p, BATCH);
    ActInput in = {.batch = BATCH, .state = v.state, .env = v.env};
    OK(act_predict(act, &in, both, NULL, &err));
    assert_true(both[BATCH * ONE] == 77);
    act_free(act);
    act = model_of(f, &c, &p, 1);
    for (int b = 0; b < BATCH; b++) {
        in = (ActInput){.batch = 1, .state = v.state + 2 * ACTIONS * b, .env = v.env + ENV * b};
        OK(act_predict(act, &in, one, NULL, &err));
        const float d = distance(one, both + b * ONE, ONE);
        if (!(d <= 1e-5F)) fail_msg("sample %d: %g apart", b, (double)d);
    }
    act_free(act);
    act = model_of(f, &plain, &q, 1);
    OK(act_predict(act, &in, without, NULL, &err));
    assert_true(distance(one, without, ONE) > 1e-3F);
    act_free(act);
    params_free(&p), params_free(&q);
}

// Over the chunk, the past and all of them: each is the mean of |e| over what its marks leave.
static void losses_are_means_over_what_is_left(void **state) {
    Fixture *f = *state;
    enum { N = 3, Q = CHUNK + N };
    const PolicyConfig c = config_with(N, CHUNK);
    Params p = params_with(f, &c, 3);
    Inputs v;
    fill(&v);
    Act *act = model_of(f, &c, &p, BATCH);
    ActInput in = {
        .batch = BATCH, .state = v.state, .env = v.env, .action = v.action, .action_is_pad = v.pad};
    float chunks[BATCH * CHUNK * ACTIONS];
    ActLosses all, chunk, past;
    Error err;
    v.pad[2] = v.pad[Q + CHUNK] = 1;
    OK(act_predict(act, &in, chunks, &all, &err));
    uint8_t own[BATCH * Q];
    memcpy(own, v.pad, sizeof own);
    for (int i = 0; i < BATCH * Q; i++) v.pad[i] = own[i] || i % Q >= CHUNK;
    OK(act_predict_losses(act, &in, &chunk, &err));
    for (int i = 0; i < BATCH * Q; i++) v.pad[i] = own[i] || i % Q < CHUNK;
    OK(act_predict_losses(act, &in, &past, &err));
    double sum = 0;
    int64_t left = 0;
    for (int i = 0; i < BATCH * CHUNK * ACTIONS; i++) {
        const int b = i / (CHUNK * ACTIONS), rest = i % (CHUNK * ACTIONS);
        if (own[b * Q + rest / ACTIONS]) continue;
        sum += fabs((double)chunks[i] - (double)v.action[b * Q * ACTIONS + rest]);
        left++;
    }
    assert_int_equal(left, (2 * CHUNK - 1) * ACTIONS);
    assert_within((double)chunk.l1, sum / (double)left, 1e-6);
    assert_within(
        (double)all.l1,
        ((double)chunk.l1 * (2 * CHUNK - 1) + (double)past.l1 * (2 * N - 1)) / (2 * Q - 2), 1e-6);
    assert_true(fabs((double)past.l1 - (double)chunk.l1) > 1e-3);
    act_free(act);
    params_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_of_the_chunk_are_kept),
        cmocka_unit_test(other_tables_are_refused),
        cmocka_unit_test(the_rest_starts_as_without_them),
        cmocka_unit_test(only_the_chunk_comes_out),
        cmocka_unit_test(losses_are_means_over_what_is_left),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

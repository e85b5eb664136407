// SPDX-License-Identifier: Apache-2.0
// Two processes with an emulated card each and NCCL between them: a step of the policy with half of
// the batch each has the losses and gradients of the whole batch on one card, when it is issued and
// when it is replayed; and a process that is lost, that stalls or that NCCL fails in ends the
// others with a line that says so, instead of letting them hang.
#include "base/memory.h"
#include "base/rng.h"
#include "train/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANKS = 2, SAMPLES = 4, T = 1, S = 4, A = 3, E = 5, STEPS = 4 };
enum { N = 3000, FIRST = 1000 }; // of the small sums

// What a process leaves behind.
typedef struct Result {
    int steps;   // that were finished
    bool closed; // everything was freed in order
    float loss[STEPS], norm[STEPS];
    double weights;
    float sums[STEPS][N];
    char error[1024];
} Result;

// What the processes of a test see.
typedef struct World {
    atomic_int shared, lost;
    char invitation[256], line[256];
    Result results[RANKS + 1];
} World;

// What a process is to do.
typedef struct Job {
    const char *device;
    int rank, count;
    double timeout_s;
    int dies_at, stalls_at; // step, from 1; 0: never
    World *world;
} Job;

// ---- the other processes ------------------------------------------------------------------------

// fail(), whose name cmocka takes.
static bool refuse(Error *err, const char *text) {
    snprintf(err->text, sizeof err->text, "%s", text);
    return false;
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool share(void *user, void *data, size_t bytes, Error *err) {
    const Job *j = user;
    World *w = j->world;
    if (bytes > sizeof w->invitation) return refuse(err, "too much to share");
    if (j->rank == 0) {
        memcpy(w->invitation, data, bytes);
        w->shared = 1;
    }
    while (!w->shared) {
        if (w->lost) return refuse(err, w->line);
        nap();
    }
    memcpy(data, w->invitation, bytes);
    return true;
}

static bool lost(void *user, Error *err) {
    const Job *j = user;
    if (!j->world->lost) return false;
    return !refuse(err, j->world->line);
}

static bool sums_end(void *user, Error *err) {
    return !lost(user, err);
}

static Peers peers_of(const Job *j) {
    return (Peers){.count = j->count,
                   .rank = j->rank,
                   .timeout_s = 60,
                   .user = (void *)j,
                   .sums_end = sums_end,
                   .share = share,
                   .lost = lost};
}

static bool open_card(const Job *j, Peers *peers, Device **d, Error *err) {
    *peers = peers_of(j);
    if (!device_open(j->device, PRECISION_FLOAT32, 1, d, err)) return false;
    if (j->count > 1) (*d)->join(*d, peers);
    return device_check(*d, err);
}

// ---- a step of the policy -----------------------------------------------------------------------

typedef struct Data {
    float state[SAMPLES * T * A], env[SAMPLES * E], action[SAMPLES * S * A];
    uint8_t pad[SAMPLES * S];
    int64_t actions; // unpadded
} Data;

static void make_data(Data *d, uint64_t seed) {
    RngStream random = {.key = {.seed = seed}};
    for (int i = 0; i < SAMPLES * T * A; i++) d->state[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < SAMPLES * S * A; i++) d->action[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < SAMPLES * E; i++) d->env[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < SAMPLES; i++)
        for (int s = 0; s < S; s++) d->pad[i * S + s] = s >= S - i % S;
    d->actions = 0;
    for (int i = 0; i < SAMPLES * S; i++) d->actions += !d->pad[i];
}

// Without cameras: the ResNet's parameters take an emulated card seconds.
static void tiny_policy(TrainConfig *c) {
    train_config_default(c);
    PolicyConfig *p = &c->policy;
    p->dim_model = 16;
    p->dim_feedforward = 24;
    p->n_heads = 2;
    p->n_encoder_layers = p->n_vae_encoder_layers = 1;
    p->obs_state_horizon = T;
    p->chunk_size = S;
    p->state_dim = p->action_dim = A;
    p->dropout = 0.3;
    p->env_dim = E;
    p->n_cameras = 0;
}

// This process's part of the batch of a step.
static bool take_step(const Job *j, Step *step, int number, Result *r, Error *err) {
    static Data in;
    make_data(&in, (uint64_t)number);
    const int batch = SAMPLES / j->count, first = j->rank * batch;
    ActInput a = {.batch = batch,
                  .state = in.state + first * T * A,
                  .env = in.env + first * E,
                  .action = in.action + first * S * A,
                  .action_is_pad = in.pad + first * S,
                  .first_sample = first,
                  .step_samples = SAMPLES,
                  .step_actions = in.actions};
    StepResult got;
    if (!step_piece(step, &a, 9, err) || !step_finish(step, &got, err)) return false;
    step_inputs_free(step);
    r->loss[number] = got.losses.total;
    r->norm[number] = got.grad_norm;
    r->steps++;
    return true;
}

static double sum_of(Device *d, Tensor t) {
    int64_t n = tensor_count(t);
    float *host = mem_alloc((size_t)n * sizeof(float));
    double sum = 0;
    d->download(d, host, t.data, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) sum += (double)host[i] * (double)(i % 97);
    mem_free(host);
    return sum;
}

static bool policy_steps(const Job *j, Result *r, Error *err) {
    TrainConfig c;
    Peers peers;
    Device *d = NULL;
    Params params = {0};
    Optimizer optimizer = {0};
    Step step = {0};
    Act *act = NULL;
    tiny_policy(&c);
    bool ok = open_card(j, &peers, &d, err) && params_init(&params, d, &c.policy, true, err);
    if (ok) params_initialize(&params, 1);
    ok = ok && optimizer_init(&optimizer, &params, &c, err) &&
         act_new(d, &c.policy, &params, SAMPLES / j->count, true, &image_stats_imagenet, &act, err);
    if (ok) step_init(&step, act, &optimizer, 1);
    for (int i = 0; ok && i < STEPS; i++) ok = take_step(j, &step, i, r, err);
    if (ok) r->weights = sum_of(d, params.values);
    step_free(&step);
    act_free(act);
    optimizer_free(&optimizer);
    params_free(&params);
    device_close(d);
    train_config_free(&c);
    return ok;
}

// ---- small sums ---------------------------------------------------------------------------------

// x of a step: what rank r brings is r + 1 times that.
static float value(int step, int i) {
    return (float)((i * 7 + step * 13) % 101) - 50;
}

// y = the sum over all of 2x, in two parts while ops go on; then y doubled.
static void issue(Device *d, Tensor x, Tensor y, Error *err) {
    Tensor first = tensor_slice(y, 0, 0, FIRST), rest = tensor_slice(y, 0, FIRST, N - FIRST);
    d->add(d, first, tensor_slice(x, 0, 0, FIRST), tensor_slice(x, 0, 0, FIRST));
    d->sum_begin(d, first);
    d->add(d, rest, tensor_slice(x, 0, FIRST, N - FIRST), tensor_slice(x, 0, FIRST, N - FIRST));
    d->sum_begin(d, rest);
    (void)d->sums_end(d, err);
    d->add(d, y, y, y);
}

static bool sum_once(const Job *j, Device *d, Record **record, Tensor x, Tensor y, int step,
                     Result *r, Error *err) {
    float host[N];
    for (int i = 0; i < N; i++) host[i] = value(step, i) * (float)(j->rank + 1);
    d->stage(d, x.data, host, sizeof host);
    d->staged(d);
    if (j->dies_at == step + 1) _exit(7);
    if (j->stalls_at == step + 1)
        while (!j->world->results[0].closed) nap();
    if (d->record_begin(d, record, (StepNumbers){.step = (uint32_t)step})) issue(d, x, y, err);
    d->record_end(d, record);
    d->download_begin(d, 0, y.data, sizeof(float));
    d->download_end(d, 0, host, sizeof(float));
    if (!device_check(d, err)) return false;
    d->download(d, r->sums[step], y.data, sizeof host);
    r->steps++;
    return device_check(d, err);
}

static bool small_sums(const Job *j, Result *r, Error *err) {
    Peers peers;
    Device *d = NULL;
    Record *record = NULL;
    bool ok = open_card(j, &peers, &d, err);
    if (!d) return false;
    Tensor x = tensor_view(d->alloc(d, N * sizeof(float)), DTYPE_F32, 1, SHAPE(N));
    Tensor y = tensor_view(d->alloc(d, N * sizeof(float)), DTYPE_F32, 1, SHAPE(N));
    for (int i = 0; ok && i < STEPS; i++) {
        ok = sum_once(j, d, &record, x, y, i, r, err);
        peers.timeout_s = j->timeout_s; // which counts when all are there
    }
    Error again; // where a process is lost there are no sums any more
    if (!ok && r->steps && strncmp(err->text, "cuda: ", 6) != 0) {
        d->sum_begin(d, y);
        if (device_check(d, &again)) refuse(err, "a sum was begun after a failure");
    }
    d->record_free(d, record);
    d->release(d, x.data);
    d->release(d, y.data);
    device_close(d);
    return ok;
}

// ---- processes ----------------------------------------------------------------------------------

typedef bool Work(const Job *j, Result *r, Error *err);

static pid_t begin(Work *work, Job j, const char *refused) {
    pid_t child = fork();
    if (child != 0) return child;
    Result *r = &j.world->results[j.count > 1 ? j.rank : RANKS];
    Error err;
    alarm(90);
    if (refused) setenv("EMULATION_REFUSE", refused, 1);
    bool ok = work(&j, r, &err);
    snprintf(r->error, sizeof r->error, "%s", ok ? "" : err.text);
    r->closed = true;
    _exit(0);
}

static World *new_world(void) {
    World *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED) fail_msg("no memory to share");
    return w;
}

// The two processes of a test, or one.
typedef struct Run {
    World *world;
    pid_t pids[RANKS];
} Run;

static Run both(Work *work, Job first, Job second, const char *refused) {
    World *w = new_world();
    first.count = second.count = RANKS;
    first.rank = 0;
    second.rank = 1;
    first.world = second.world = w;
    return (Run){w, {begin(work, first, refused), begin(work, second, NULL)}};
}

// When a process ends with an error, or without a word, the other gets to hear of it.
static void one_ended(Run *r, int rank, int status) {
    World *w = r->world;
    const bool whole = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    r->pids[rank] = 0;
    if ((whole && !w->results[rank].error[0]) || w->lost) return;
    snprintf(w->line, sizeof w->line, "rank %d (here) %s", rank, whole ? "has failed" : "is gone");
    w->lost = 1;
}

static void attend(Run *runs, int n) {
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, 0)) > 0)
        for (int i = 0; i < n; i++)
            for (int rank = 0; rank < RANKS; rank++)
                if (runs[i].pids[rank] == ended) one_ended(&runs[i], rank, status);
}

static void done(Run r) {
    munmap(r.world, sizeof *r.world);
}

static void ended_well(Run run, int rank) {
    const Result *r = &run.world->results[rank];
    if (!r->closed || r->error[0] || r->steps != STEPS)
        fail_msg("process %d: %d steps, %s", rank, r->steps, r->error);
}

static void ended_with(Run run, int rank, int steps, const char *says) {
    const Result *r = &run.world->results[rank];
    if (!r->closed || !strstr(r->error, says) || strchr(r->error, '\n') || r->steps != steps)
        fail_msg("process %d: %d steps, closed %d: '%s', not %d steps and '%s'", rank, r->steps,
                 r->closed, r->error, steps, says);
}

// ---- tests --------------------------------------------------------------------------------------

static const Job card_0 = {.device = "cuda:0", .timeout_s = 60},
                 card_1 = {.device = "cuda:1", .timeout_s = 60};

static bool close_to(float a, float b) {
    float d = a > b ? a - b : b - a;
    return d <= 2e-5F * (b > 0 ? b : -b);
}

static void two_halves_are_the_whole(void **state) {
    (void)state;
    Run r = both(policy_steps, card_0, card_1, NULL);
    attend(&r, 1);
    Job whole = card_0;
    whole.count = 1;
    whole.world = r.world;
    Run alone = {r.world, {begin(policy_steps, whole, NULL)}};
    attend(&alone, 1);
    for (int i = 0; i <= RANKS; i++) ended_well(r, i);
    const Result *a = &r.world->results[0], *b = a + 1, *one = &r.world->results[RANKS];
    assert_memory_equal(a->loss, b->loss, sizeof a->loss);
    assert_memory_equal(a->norm, b->norm, sizeof a->norm);
    assert_memory_equal(&a->weights, &b->weights, sizeof a->weights);
    for (int i = 0; i < STEPS; i++)
        if (!close_to(a->loss[i], one->loss[i]) || !close_to(a->norm[i], one->norm[i]))
            fail_msg("step %d: loss %.7g and norm %.7g, on one card %.7g and %.7g", i + 1,
                     (double)a->loss[i], (double)a->norm[i], (double)one->loss[i],
                     (double)one->norm[i]);
    assert_true(one->norm[0] > 1e-3F && one->loss[0] != one->loss[1]);
    done(r);
}

static void sums_are_right_at_once_and_replayed(void **state) {
    (void)state;
    Run r = both(small_sums, card_0, card_1, NULL);
    attend(&r, 1);
    for (int rank = 0; rank < RANKS; rank++) {
        ended_well(r, rank);
        for (int s = 0; s < STEPS; s++)
            for (int i = 0; i < N; i++) {
                float wanted = 2 * 2 * value(s, i) * 3, got = r.world->results[rank].sums[s][i];
                if (got != wanted)
                    fail_msg("rank %d, step %d, %d: %g, not %g", rank, s, i, (double)got,
                             (double)wanted);
            }
    }
    done(r);
}

// Together, since most of them is waiting.
static void failures_end_both(void **state) {
    (void)state;
    Job dies = card_1, dies_first = card_1, waits = card_0, stalls = card_1;
    dies.dies_at = 3;       // the two steps before were whole; this one is replayed
    dies_first.dies_at = 1; // sums that wait outside of a recording
    waits.timeout_s = 0.4;
    stalls.stalls_at = 2;
    enum { LOST, LOST_FIRST, STALLED, INIT, SUM, ASYNC, RUNS };
    Run r[RUNS] = {[LOST] = both(small_sums, card_0, dies, NULL),
                   [LOST_FIRST] = both(small_sums, card_0, dies_first, NULL),
                   [STALLED] = both(small_sums, waits, stalls, NULL),
                   [INIT] = both(small_sums, card_0, card_1, "nccl-init"),
                   [SUM] = both(small_sums, card_0, card_1, "nccl-sum@3"),
                   [ASYNC] = both(small_sums, card_0, card_1, "nccl-async@12")};
    attend(r, RUNS);
    ended_with(r[LOST], 0, 2, "rank 1 (here) is gone");
    ended_with(r[LOST_FIRST], 0, 0, "rank 1 (here) is gone");
    ended_with(r[STALLED], 0, 1, "gradients of 2 cards have not come together for 1 s");
    ended_with(r[STALLED], 1, 1, "rank 0 (here) has failed");
    ended_with(r[INIT], 0, 0, "unhandled system error: told to refuse");
    ended_with(r[INIT], 1, 0, "rank 0 (here) has failed");
    ended_with(r[SUM], 0, 1, "NCCL: a sum of gradients: internal error: told to refuse");
    ended_with(r[SUM], 1, 1, "rank 0 (here) has failed");
    ended_with(r[ASYNC], 0, r[ASYNC].world->results[0].steps, "told to lose the connection");
    for (int i = 0; i < RUNS; i++) done(r[i]);
}

static void one_card_for_two(void **state) {
    (void)state;
    Run r = both(small_sums, card_0, card_0, NULL);
    attend(&r, 1);
    ended_with(r, 0, 0, "two of them on one card?");
    ended_with(r, 1, 0, "rank 0 and rank 1 both on CUDA device 0");
    done(r);
}

static void old_nccl(void **state) {
    (void)state;
    setenv("EMULATION_NCCL", "2708", 1);
    Run r = both(small_sums, card_0, card_1, NULL);
    unsetenv("EMULATION_NCCL");
    attend(&r, 1);
    ended_with(r, 0, 0, "NCCL 2.7.8 was found (emulated), and 2.14 or newer is needed");
    done(r);
}

int main(void) {
    setenv("EMULATION_CARDS", "2", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_right_at_once_and_replayed),
        cmocka_unit_test(two_halves_are_the_whole),
        cmocka_unit_test(failures_end_both),
        cmocka_unit_test(one_card_for_two),
        cmocka_unit_test(old_nccl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

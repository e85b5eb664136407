// SPDX-License-Identifier: Apache-2.0
// Actions that a prediction of the asynchronous mode is given: they are those that are carried out
// meanwhile, and the policy sees them as in training.
#include "fixture.h"

#include "clock.h"
#include "runtime/actions.h"
#include "runtime/blend.h"

enum { MOST = 4, EVERY = 3, RARE_MOST = 2 };
// Metres and radians that a model of one frame at a time and one of whole windows may be apart.
#define NEAR 3e-5

typedef struct Tests {
    Scene *scene;
    Reference reference;
} Tests;

static int tests_new(void **state) {
    Tests *t = NEW(Tests, 1);
    if (scene_new((void **)&t->scene)) return -1;
    Scene *s = t->scene;
    s->config.policy.max_action_prefix = MOST;
    s->model = at(&s->arena, s->dir, "given");
    write_policy(s);
    reference_open(&t->reference, s);
    *state = t;
    return 0;
}

static int tests_free(void **state) {
    Tests *t = *state;
    reference_close(&t->reference);
    int status = scene_free((void **)&t->scene);
    mem_free(t);
    return status;
}

static tact_options asynchronous(void) {
    tact_options o = options();
    o.asynchronous = 1;
    return o;
}

static void same(const double *got, const double *want) {
    assert_memory_equal(got, want, ACTION * sizeof *got);
}

// ---- an episode ---------------------------------------------------------------------------------

// The worker stands before it computes until the gate opens.
typedef struct Gate {
    tact_policy *policy;
    sem_t open;
} Gate;

static void pass_gate(void *context) {
    Gate *g = context;
    while (sem_wait(&g->open)) {
    }
}

static Gate *gate_new(tact_policy *p) {
    Gate *g = NEW(Gate, 1); // not on the stack: a test that fails leaves its worker there
    g->policy = p;
    sem_init(&g->open, 0, 0);
    p->worker.before = pass_gate;
    p->worker.context = g;
    return g;
}

static void gate_close(Gate *g) {
    if (g->policy->worker.busy && !g->policy->worker.ready) sem_post(&g->open);
    tact_close(&g->policy);
    sem_destroy(&g->open);
    mem_free(g);
}

// A prediction that was asked for.
typedef struct Asked {
    int step, steps, left, old_at; // when, how many it was given, what was left of the old chunk
    double given[MOST * EVERY][ACTION], old[CHUNK * EVERY][ACTION];
    float rows[MOST][POSE_POLICY_ROW]; // what the policy saw
    bool took_over;
    int took_at;                         // the step
    double chunk[CHUNK * EVERY][ACTION]; // as it did
} Asked;

typedef struct Play {
    double carried_out[2 * FRAMES][ACTION];
    int n_asked;
    Asked asked[2 * FRAMES];
} Play;

static void note_asked(const tact_policy *p, int step, Asked *a) {
    const size_t chunk = (size_t)policy_chunk_steps(p->config);
    *a = (Asked){
        .step = step, .steps = p->prefix.steps, .left = p->queue_left, .old_at = p->queue_at};
    memcpy(a->given, p->prefix.actions, (size_t)a->steps * sizeof *a->given);
    memcpy(a->old, p->queue, chunk * sizeof *a->old);
}

static void note_chunk(const tact_policy *p, int step, Asked *a) {
    a->took_over = true;
    a->took_at = step;
    memcpy(a->chunk, p->queue, (size_t)policy_chunk_steps(p->config) * sizeof *a->chunk);
}

// Has the worker compute what it was asked for.
static void answer(Gate *g, Asked *a) {
    sem_post(&g->open);
    worker_wait(&g->policy->worker);
    const size_t seen = (size_t)g->policy->config->max_action_prefix * sizeof *a->rows;
    if (a) memcpy(a->rows, g->policy->prefix.rows, seen);
}

// Plays the first n rows. Answers come `delay` steps after they were asked for, and are expected
// after `expected`; -1: as the handle measures.
static void play(const Tests *t, Gate *g, Play *e, int n, int expected, int delay) {
    tact_policy *p = g->policy;
    Worker *w = &p->worker;
    Asked *last = NULL;
    e->n_asked = 0;
    for (int step = 0; step < n; step++, now += 0.1) {
        for (int i = 0; expected >= 0 && i < PREFIX_DELAYS; i++) prefix_note_delay(p, expected);
        if (last && w->busy && step - last->step == delay) answer(g, last);
        int64_t chunks = p->chunks;
        WORKS(p, tact_observe(p, look(t->scene, step)));
        if (last && p->chunks != chunks) note_chunk(p, step, last);
        if (step && w->busy && (!last || w->step != last->step)) {
            last = &e->asked[e->n_asked++];
            note_asked(p, step, last);
            if (delay == 0) answer(g, last);
        }
        if (step == 0) answer(g, NULL);
        chunks = p->chunks;
        WORKS(p, tact_act(p, e->carried_out[step]));
        if (last && p->chunks != chunks) note_chunk(p, step, last);
    }
    assert_int_equal(async_counts(p).stalls, 0);
    assert_true(e->n_asked > 3);
}

// The normalised rows that training makes of actions at a row of the dataset.
static void rows_of_training(const Reference *r, int row, const double *actions, int n,
                             float *out) {
    double base[ACTION], relative[POSE_POLICY_ROW];
    for (int i = 0; i < ACTION; i++)
        base[i] = (double)r->options.dataset->state_data[row * ACTION + i];
    for (int i = 0; i < n; i++) {
        pose_row_to_policy(actions + i * ACTION, base, 1, relative);
        normalizer_apply(&r->action, relative, out + i * POSE_POLICY_ROW, 1);
    }
}

// What training's side predicts at a row from actions that are given.
static void chunk_of_training(Reference *r, int row, const double *actions, int n, double *out) {
    Error err;
    float y[CHUNK * POSE_POLICY_ROW], given[CHUNK * POSE_POLICY_ROW] = {0};
    double relative[POSE_POLICY_ROW], base[ACTION];
    r->batch.rows[0] = row;
    OK(batch_maker_fill(&r->maker, &r->batch, &err));
    rows_of_training(r, row, actions, n, given);
    ActInput in = {.batch = 1,
                   .state = r->batch.state,
                   .env = r->batch.env,
                   .images = (const uint8_t *const *)r->batch.images,
                   .action = given,
                   .action_prefix = &n};
    OK(act_predict(r->act, &in, y, NULL, &err));
    for (int i = 0; i < ACTION; i++)
        base[i] = (double)r->options.dataset->state_data[row * ACTION + i];
    for (int i = 0; i < CHUNK; i++) {
        normalizer_invert(&r->action, y + i * POSE_POLICY_ROW, relative, 1);
        pose_row_from_policy(relative, base, 1, out + i * ACTION);
    }
}

// Of every prediction: what it was given is what was carried out from `before` steps earlier on,
// until the next chunk but one took over.
static void check_carried_out(const Play *e, int n, int before) {
    for (int i = 0; i < e->n_asked; i++) {
        const Asked *a = &e->asked[i];
        if (!a->took_over || a->step - before + a->steps > n) continue;
        const bool is_last = i + 1 == e->n_asked || !a[1].took_over;
        for (int k = 0; k < a->steps; k++) {
            const int step = a->step - before + k;
            if (is_last || step < a[1].took_at) same(a->given[k], e->carried_out[step]);
            same(a->chunk[k], a->given[k]);
        }
    }
}

// And the policy saw it as in training, and went on as training's side does.
static void check_predicted(Tests *t, const Play *e) {
    double want[CHUNK][ACTION];
    float rows[MOST * POSE_POLICY_ROW];
    for (int i = 0; i < e->n_asked; i++) {
        const Asked *a = &e->asked[i];
        if (!a->took_over) continue;
        rows_of_training(&t->reference, a->step, a->given[0], a->steps, rows);
        assert_memory_equal(a->rows, rows, sizeof *rows * (size_t)a->steps * POSE_POLICY_ROW);
        chunk_of_training(&t->reference, a->step, a->given[0], a->steps, want[0]);
        const int left = CHUNK - a->steps;
        assert_within(chunk_distance(a->chunk[a->steps], want[a->steps], left), 0, NEAR);
    }
}

// ---- tests --------------------------------------------------------------------------------------

static void what_is_given_is_what_is_carried_out(void **state) {
    Tests *t = *state;
    Play *e = NEW(Play, 1);
    for (int limited = 0; limited < 2; limited++)
        for (int delay = 0; delay < STEPS; delay++) {
            tact_options o = asynchronous();
            if (limited) o.max_translation = 0.004, o.max_rotation = 0.02;
            Gate *g = gate_new(open_policy(t->scene, &o));
            play(t, g, e, FRAMES, delay, delay);
            for (int i = 0; i < e->n_asked; i++)
                assert_int_equal(e->asked[i].steps,
                                 delay < e->asked[i].left ? delay : e->asked[i].left);
            check_carried_out(e, FRAMES, 0);
            check_predicted(t, e);
            assert_int_equal(async_counts(g->policy).longest_delay, delay);
            const tact_limit_counts n = limit_counts(g->policy);
            assert_true(limited == (n.translation > 0) && limited == (n.rotation > 0));
            gate_close(g);
        }
    mem_free(e);
}

// What is given changes what is predicted: else the tests above would show nothing.
static void it_is_seen(void **state) {
    Tests *t = *state;
    double with[CHUNK][ACTION], without[CHUNK][ACTION], other[CHUNK][ACTION], given[2][ACTION];
    for (int i = 0; i < ACTION; i++)
        given[0][i] = given[1][i] = (double)t->scene->ds->state_data[3 * ACTION + i];
    chunk_of_training(&t->reference, 3, given[0], 0, without[0]);
    chunk_of_training(&t->reference, 3, given[0], 2, with[0]);
    given[1][0] += 0.01;
    chunk_of_training(&t->reference, 3, given[0], 2, other[0]);
    assert_true(chunk_distance(with[2], without[2], CHUNK - 2) > 1e-3);
    assert_true(chunk_distance(with[2], other[2], CHUNK - 2) > 1e-4);
}

// An answer that is early: what was given is carried out all the same. One that is late: what was
// not foreseen is past.
static void rows_are_by_time(void **state) {
    Tests *t = *state;
    enum { EXPECTED = 1 };
    Play *e = NEW(Play, 1);
    for (int delay = 0; delay < STEPS; delay++) {
        tact_options o = asynchronous();
        o.max_action_prefix = EXPECTED; // whatever was measured
        Gate *g = gate_new(open_policy(t->scene, &o));
        play(t, g, e, FRAMES, EXPECTED, delay);
        check_carried_out(e, FRAMES, 0);
        check_predicted(t, e);
        int from_old = 0, from_new = 0;
        for (int i = 0; i + 1 < e->n_asked; i++) {
            const Asked *a = &e->asked[i];
            const int next = e->asked[i + 1].step + delay - a->step;
            assert_int_equal(a->steps, EXPECTED);
            for (int k = 0; k < next && k < CHUNK && a->step + k < FRAMES; k++) {
                const bool old = k < delay || k < EXPECTED;
                // Of the vectors of one rotation the one nearest to the last is given out.
                double want[ACTION];
                memcpy(want, old ? a->old[a->old_at + k] : a->chunk[k], sizeof want);
                if (a->step + k > 0) actions_continue(want, e->carried_out[a->step + k - 1], 1);
                same(e->carried_out[a->step + k], want);
                from_old += old, from_new += !old;
            }
        }
        assert_true(from_old > 6 && (from_new > 3 || delay < EXPECTED));
        gate_close(g);
    }
    mem_free(e);
}

// The border of a blend is behind what is given.
static void a_blend_begins_behind_what_is_given(void **state) {
    Tests *t = *state;
    enum { EXPECTED = 2, BLEND = 2 };
    Play *e = NEW(Play, 1);
    double want[CHUNK][ACTION];
    const double share = blend_share(0, BLEND);
    for (int delay = 0; delay <= EXPECTED; delay++) {
        tact_options o = asynchronous();
        o.blend_steps = BLEND;
        Gate *g = gate_new(open_policy(t->scene, &o));
        play(t, g, e, FRAMES, EXPECTED, delay);
        for (int i = 0; i < e->n_asked; i++) {
            const Asked *a = &e->asked[i];
            if (!a->took_over || a->step + EXPECTED >= FRAMES) continue;
            assert_true(a->steps == EXPECTED && a->old_at + EXPECTED < CHUNK);
            for (int k = 0; k < EXPECTED; k++) same(e->carried_out[a->step + k], a->given[k]);
            chunk_of_training(&t->reference, a->step, a->given[0], EXPECTED, want[0]);
            for (int k = 0; k < 3; k++) {
                const double old = a->old[a->old_at + EXPECTED][k];
                const double mixed = old + share * (want[EXPECTED][k] - old);
                assert_within(e->carried_out[a->step + EXPECTED][k], mixed, NEAR);
            }
        }
        gate_close(g);
    }
    mem_free(e);
}

// An episode's first prediction, a whole chunk in between, and the synchronous mode.
static void nothing_is_given_where_nothing_is_known(void **state) {
    Tests *t = *state;
    double want[CHUNK][ACTION], got[CHUNK][ACTION], action[ACTION];
    tact_policy *plain = open_policy(t->scene, NULL);
    assert_int_equal(plain->prefix.most, 0);
    WORKS(plain, tact_observe(plain, look(t->scene, 0)));
    WORKS(plain, tact_predict_chunk(plain, want[0]));
    chunk_of_training(&t->reference, 0, want[0], 0, got[0]);
    assert_within(chunk_distance(got[0], want[0], CHUNK), 0, NEAR);
    tact_options o = asynchronous();
    tact_policy *p = open_policy(t->scene, &o);
    async_simulate_delay(p, 2);
    for (int episode = 0; episode < 3; episode++) {
        WORKS(p, tact_reset(p));
        // A prediction of the episode before may be under way; its answer is dropped.
        for (int step = 0; step < 3 + episode; step++) {
            WORKS(p, tact_observe(p, look(t->scene, step)));
            if (step == 0) async_simulate_delay(p, 0);
            WORKS(p, tact_act(p, action));
            async_simulate_delay(p, 2);
            if (step == 0) {
                assert_int_equal(p->prefix.steps, 0);
                assert_memory_equal(p->queue, want, sizeof want);
            }
            if (step == 2) assert_int_equal(p->prefix.steps, 2);
        }
    }
    WORKS(p, tact_reset(p));
    WORKS(p, tact_observe(p, look(t->scene, 0)));
    WORKS(p, tact_act(p, action));
    WORKS(p, tact_reset(p));
    WORKS(p, tact_observe(p, look(t->scene, 0)));
    WORKS(p, tact_predict_chunk(p, got[0]));
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(p->prefix.steps, 0);
    tact_close(&p);
    tact_close(&plain);
}

// What is expected: the most that may be given until a delay was measured, then the longest of the
// last ones.
static void the_delay_is_measured(void **state) {
    Tests *t = *state;
    Play *e = NEW(Play, 1);
    tact_options o = asynchronous();
    Gate *g = gate_new(open_policy(t->scene, &o));
    tact_policy *p = g->policy;
    play(t, g, e, FRAMES, -1, 0);
    assert_int_equal(e->asked[0].steps, e->asked[0].left < MOST ? e->asked[0].left : MOST);
    for (int i = 1; i < e->n_asked; i++) assert_int_equal(e->asked[i].steps, 0);
    check_carried_out(e, FRAMES, 0);
    prefix_note_delay(p, 2);
    for (int i = 0; i < PREFIX_DELAYS + 2; i++) {
        prefix_take(p);
        assert_int_equal(p->prefix.steps, i < PREFIX_DELAYS ? 2 : 1);
        prefix_note_delay(p, 1);
    }
    gate_close(g);
    mem_free(e);
}

// By the clock a chunk begins when its frames were captured: what was given out since then is given
// as well, from the first action that there was.
static void by_the_clock_what_is_past_is_given_too(void **state) {
    Tests *t = *state;
    Play *e = NEW(Play, 1);
    for (int late = 1; late < 3; late++) {
        tact_options o = asynchronous();
        o.n_action_steps = CHUNK - 1;
        o.camera_obs_latency = 0.1 * late;
        Gate *g = gate_new(open_timed(t->scene, &o));
        play(t, g, e, FRAMES, -1, 0);
        for (int i = 0; i < e->n_asked; i++) {
            const Asked *a = &e->asked[i];
            const int most = late + a->left < MOST ? late + a->left : MOST;
            assert_int_equal(a->steps, a->step < late ? 0 : i ? late : most);
        }
        check_carried_out(e, FRAMES, late);
        gate_close(g);
    }
    mem_free(e);
}

// ---- actions several steps apart ----------------------------------------------------------------

static void check_rare(const Scene *s, const Play *e, int delay) {
    Reference r;
    reference_open(&r, s);
    for (int i = 0; i < e->n_asked; i++) {
        const Asked *a = &e->asked[i];
        float rows[2 * POSE_POLICY_ROW];
        double given[2][ACTION];
        if (!a->took_over) continue;
        assert_int_equal(a->steps, delay);
        memcpy(given[0], a->given[0], sizeof given[0]);
        memcpy(given[1], a->given[EVERY], sizeof given[1]);
        rows_of_training(&r, a->step, given[0], 2, rows);
        assert_memory_equal(a->rows, rows, sizeof rows);
        // Behind what is given the steps are on the way from its last action to the next one.
        for (int k = 0; k < 3; k++) {
            const double from = a->given[EVERY][k], to = a->chunk[2 * EVERY][k];
            assert_within(a->chunk[4][k], from + (to - from) / 3, 1e-9);
            assert_within(a->chunk[5][k], from + (to - from) * 2 / 3, 1e-9);
        }
        same(e->carried_out[a->step + delay], a->chunk[delay]);
    }
    reference_close(&r);
}

static void of_actions_that_are_steps_apart(void **state) {
    Tests *t = *state;
    Scene *s = t->scene, rare = *s;
    enum { DELAY = 4 };
    PolicyConfig *c = &s->config.policy;
    const PolicyConfig before = *c;
    c->action_down_sample_steps = EVERY;
    c->max_action_prefix = RARE_MOST;
    rare.config.policy = *c;
    rare.model = at(&s->arena, s->dir, "rare");
    write_policy(&rare);
    *c = before;
    Play *e = NEW(Play, 1);
    tact_options o = asynchronous();
    Gate *g = gate_new(open_policy(&rare, &o));
    assert_int_equal(g->policy->prefix.most, RARE_MOST * EVERY);
    play(t, g, e, 2 * FRAMES - 1, DELAY, DELAY);
    check_carried_out(e, 2 * FRAMES - 1, 0);
    check_rare(&rare, e, DELAY);
    gate_close(g);
    mem_free(e);
}

// ---- numbers ------------------------------------------------------------------------------------

static void actions_of_numbers_go_there_and_back(void **state) {
    (void)state;
    Error err;
    Normalizer n;
    double min[] = {-1, 0, 2}, max[] = {3, 5, 4};
    double base[] = {0.5, 0.25, -1}, action[] = {1.5, 2, 3}, scratch[3], back[3];
    const bool plus[] = {true, false, true};
    Stats stats = {.dim = 3, .min = min, .max = max};
    float y[3];
    OK(normalizer_init(&n, "action", NORM_MIN_MAX, &stats, 3, &err));
    action_to_policy(&n, action, base, 0, plus, scratch, y);
    assert_within((double)y[0], 2 * (1 + 1) / 4.0 - 1, 1e-6); // 1.5 - 0.5
    assert_within((double)y[1], 2 * 2 / 5.0 - 1, 1e-6);
    assert_within((double)y[2], 2 * (4 - 2) / 2.0 - 1, 1e-6); // 3 + 1
    actions_from_prediction(&n, y, 1, base, 0, plus, scratch, back);
    for (int i = 0; i < 3; i++) assert_within(back[i], action[i], 1e-6);
    action_to_policy(&n, action, NULL, 0, NULL, scratch, y);
    assert_within((double)y[0], 2 * (1.5 + 1) / 4.0 - 1, 1e-6);
    normalizer_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_seen),
        cmocka_unit_test(what_is_given_is_what_is_carried_out),
        cmocka_unit_test(rows_are_by_time),
        cmocka_unit_test(a_blend_begins_behind_what_is_given),
        cmocka_unit_test(nothing_is_given_where_nothing_is_known),
        cmocka_unit_test(the_delay_is_measured),
        cmocka_unit_test(by_the_clock_what_is_past_is_given_too),
        cmocka_unit_test(of_actions_that_are_steps_apart),
        cmocka_unit_test(actions_of_numbers_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, tests_new, tests_free);
}

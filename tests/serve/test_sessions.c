// SPDX-License-Identifier: Apache-2.0
// Sessions without a network: whose message is answered when, what each episode is shown, and what
// becomes of a session whose client goes, of messages that are too large, and at the end. The
// policy is a stand-in that waits at a gate.
#ifdef TACT_SERVE
#include "base/memory.h"
#include "messages.h"
#include "serve/openpi/sessions.h"
#include <semaphore.h>
#include <time.h>

#include "../ok.h"

enum { HEAD = 16, MOST = 3 };

// Of the policy: what it was told, in order, and how it is held up. The worker writes the story
// while the test waits for it.
typedef struct Stage {
    ServePolicy policy;
    Sessions *all;
    sem_t gate, at_gate, woken;
    bool gated;
    int episodes; // that are open
    int made;     // episodes so far
    char story[200];
} Stage;

typedef struct Episode {
    Stage *stage;
    int number;
    double sum; // of the first numbers of the states it has seen
} Episode;

static void tell(Stage *s, char what, int number) {
    size_t n = strlen(s->story);
    snprintf(s->story + n, sizeof s->story - n, "%c%d ", what, number);
}

static void stand_prepare(void *user) {
    (void)user;
}

static bool stand_open(void *user, void **episode, Error *err) {
    Stage *s = user;
    Episode *e = NEW(Episode, 1);
    (void)err;
    s->episodes++;
    *e = (Episode){.stage = s, .number = ++s->made};
    *episode = e;
    return true;
}

static void stand_close(void *episode) {
    Episode *e = episode;
    tell(e->stage, 'c', e->number);
    e->stage->episodes--;
    mem_free(e);
}

static void stand_reset(void *episode) {
    Episode *e = episode;
    tell(e->stage, 'r', e->number);
    e->sum = 0;
}

static bool stand_observe(void *episode, const tact_observation *o, Error *err) {
    Episode *e = episode;
    if (o->n_images < 2) return (fail)(err, "no image of camera observation.images.wrist");
    e->sum += o->state[0];
    return true;
}

static bool stand_predict(void *episode, double *actions, Error *err) {
    Episode *e = episode;
    Stage *s = e->stage;
    if (s->gated) {
        sem_post(&s->at_gate);
        sem_wait(&s->gate);
    }
    tell(s, 'p', e->number);
    for (int i = 0; i < CHUNK * ACTION; i++) actions[i] = e->sum;
    return e->sum < 1000 || (fail)(err, "the policy's output is not finite");
}

static void on_wake(void *user) {
    sem_post(&((Stage *)user)->woken);
}

static int stage_new(void **state) {
    Stage *s = NEW(Stage, 1);
    Error err;
    s->policy = (ServePolicy){the_wants,   s,           stand_prepare, stand_open,
                              stand_close, stand_reset, stand_observe, stand_predict};
    sem_init(&s->gate, 0, 0);
    sem_init(&s->at_gate, 0, 0);
    sem_init(&s->woken, 0, 0);
    const SessionsOptions o = {&s->policy, MOST, HEAD, on_wake, s};
    OK(sessions_new(&o, &s->all, &err));
    *state = s;
    return 0;
}

static int stage_free(void **state) {
    Stage *s = *state;
    sessions_free(s->all);
    assert_int_equal(s->episodes, 0);
    sem_destroy(&s->gate);
    sem_destroy(&s->at_gate);
    sem_destroy(&s->woken);
    mem_free(s);
    return 0;
}

static void wait_for(sem_t *s) {
    while (sem_wait(s)) {
    }
}

// ---- a client -----------------------------------------------------------------------------------

static void pack_observation(Packed *p, double first, const char *flag) {
    static const uint8_t pixels[3 * PIXELS];
    const double numbers[STATE] = {first, 0, 0};
    packed_begin(p, flag ? 4 : 3);
    put_state(p, "state", numbers);
    put_image(p, "front", pixels);
    put_image(p, "wrist", pixels);
    if (!flag) return;
    put_key(p, flag);
    msgpack_pack_true(&p->to);
}

// In parts of `part` bytes.
static bool send_in_parts(Session *s, const char *bytes, size_t n, size_t part) {
    for (size_t at = 0; at < n; at += part) {
        size_t size = n - at < part ? n - at : part;
        const SessionPart one = {bytes + at, size, n - at - size, true, at + size == n};
        if (!session_receive(s, &one)) return false;
    }
    return true;
}

static void show(Session *s, double first, const char *flag) {
    Packed p;
    pack_observation(&p, first, flag);
    assert_true(session_has_room(s));
    assert_true(send_in_parts(s, p.bytes.data, p.bytes.size, 50));
    packed_free(&p);
}

// The first number of the actions that come; -1: there are none.
static double reply_of(Session *s) {
    SessionReply r;
    msgpack_unpacked u;
    NumpyArray a;
    Error err;
    double value = -1;
    assert_true(session_reply(s, &r));
    assert_false(r.text);
    msgpack_unpacked_init(&u);
    assert_int_equal(msgpack_unpack_next(&u, (char *)r.bytes, r.size, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    const msgpack_object_kv *first = &u.data.via.map.ptr[0];
    if (first->key.via.str.size == 7) { // actions
        OK(numpy_array(&first->val, "actions", &a, &err));
        value = numpy_value(&a, 0);
    }
    msgpack_unpacked_destroy(&u);
    session_replied(s);
    return value;
}

static void error_of(Session *s, const char *part) {
    SessionReply r;
    char text[1024];
    assert_true(session_reply(s, &r));
    assert_true(r.text && r.size < sizeof text);
    memcpy(text, r.bytes, r.size);
    text[r.size] = '\0';
    if (!strstr(text, part)) fail_msg("\"%s\" has no \"%s\"", text, part);
    session_replied(s);
}

// ---- tests --------------------------------------------------------------------------------------

static void each_has_a_history_of_its_own(void **state) {
    Stage *t = *state;
    Session *a = session_open(t->all), *b = session_open(t->all);
    const double wanted_a[] = {1, 3, 6}, wanted_b[] = {10, 30, 60};
    for (int i = 0; i < 3; i++) {
        show(a, i + 1, NULL);
        wait_for(&t->woken);
        show(b, 10 * (i + 1), NULL);
        wait_for(&t->woken);
        assert_true(reply_of(a) == wanted_a[i]);
        assert_true(reply_of(b) == wanted_b[i]);
    }
    show(a, 5, "observe_only");
    wait_for(&t->woken);
    assert_true(reply_of(a) == -1);
    show(a, 5, NULL);
    wait_for(&t->woken);
    assert_true(reply_of(a) == 16);
    show(a, 5, "reset");
    wait_for(&t->woken);
    assert_true(reply_of(a) == 5);
    const SessionCounts n = session_counts(a);
    assert_int_equal(n.messages, 6);
    assert_int_equal(n.errors, 0);
    session_close(a);
    session_close(b);
}

// One message is answered, one waits; of another session's, the one that came first is first.
static void messages_take_turns(void **state) {
    Stage *t = *state;
    Session *a = session_open(t->all), *b = session_open(t->all);
    t->gated = true;
    show(a, 1, NULL);
    wait_for(&t->at_gate);
    assert_true(session_waits(a));
    show(a, 2, NULL);
    assert_false(session_has_room(a));
    show(b, 3, NULL);
    sem_post(&t->gate);
    wait_for(&t->woken);
    assert_true(reply_of(a) == 1); // its second message is asked now, behind b's
    assert_true(session_has_room(a));
    for (int i = 0; i < 2; i++) {
        wait_for(&t->at_gate);
        sem_post(&t->gate);
        wait_for(&t->woken);
    }
    assert_true(reply_of(b) == 3);
    assert_true(reply_of(a) == 3);
    assert_string_equal(t->story, "p1 p2 p1 ");
    session_close(a);
    session_close(b);
}

static void errors_are_answered_and_the_session_lives(void **state) {
    Stage *t = *state;
    Session *s = session_open(t->all);
    Packed p;
    show(s, 7, NULL);
    wait_for(&t->woken);
    assert_true(reply_of(s) == 7);
    assert_true(send_in_parts(s, "garbage", 7, 3));
    wait_for(&t->woken);
    error_of(s, "stand behind the message's end");
    const SessionPart text = {"{}", 2, 0, false, true};
    assert_true(session_receive(s, &text));
    wait_for(&t->woken);
    error_of(s, "observations are binary");
    const SessionPart nothing = {"", 0, 0, true, true};
    assert_true(session_receive(s, &nothing));
    wait_for(&t->woken);
    error_of(s, "at byte 0 of 0");
    packed_begin(&p, 1);
    put_state(&p, "state", (const double[STATE]){9, 0, 0});
    assert_true(send_in_parts(s, p.bytes.data, p.bytes.size, 1));
    packed_free(&p);
    wait_for(&t->woken);
    error_of(s, "no image of camera observation.images.wrist; the observation has state");
    show(s, 2000, NULL);
    wait_for(&t->woken);
    error_of(s, "not finite");
    show(s, 1, "reset");
    wait_for(&t->woken);
    assert_true(reply_of(s) == 1);
    packed_begin(&p, 2); // begins an episode, whatever else is wrong with it
    put_key(&p, "reset");
    msgpack_pack_true(&p.to);
    put_key(&p, "state");
    msgpack_pack_nil(&p.to);
    assert_true(send_in_parts(s, p.bytes.data, p.bytes.size, 1));
    packed_free(&p);
    wait_for(&t->woken);
    error_of(s, "state");
    show(s, 3, NULL);
    wait_for(&t->woken);
    assert_true(reply_of(s) == 3);
    assert_int_equal(session_counts(s).errors, 6);
    session_close(s);
}

static void large_messages(void **state) {
    Stage *t = *state;
    Session *s = session_open(t->all);
    const size_t most = message_most(&the_wants);
    char *bytes = mem_alloc(17 * most);
    assert_true(send_in_parts(s, bytes, 3 * most, 10000)); // dropped as it comes
    wait_for(&t->woken);
    error_of(s, "images are uint8 of the recorded size");
    show(s, 4, NULL);
    wait_for(&t->woken);
    assert_true(reply_of(s) == 4);
    assert_false(send_in_parts(s, bytes, 17 * most, most)); // at the first part, which says so
    const SessionPart lie = {bytes, 10, SIZE_MAX - 5, true, false};
    assert_false(session_receive(s, &lie));
    mem_free(bytes);
    session_close(s);
}

static void a_client_goes_at_any_moment(void **state) {
    Stage *t = *state;
    Session *runs = session_open(t->all), *queued = session_open(t->all);
    Session *idle = session_open(t->all);
    assert_null(session_open(t->all)); // as many as may be
    show(idle, 1, NULL);
    wait_for(&t->woken);
    t->gated = true;
    show(runs, 2, NULL);
    wait_for(&t->at_gate);
    show(queued, 3, NULL);
    session_close(runs);
    session_close(idle);   // with a reply that nobody takes
    session_close(queued); // before its turn: it never gets an episode
    sem_post(&t->gate);
    wait_for(&t->woken);
    t->gated = false;
    Session *next = NULL;
    for (int i = 0; i < 10000 && !next; i++) { // until the worker has let go of them
        next = session_open(t->all);
        if (!next) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_non_null(next);
    show(next, 8, NULL);
    wait_for(&t->woken);
    assert_true(reply_of(next) == 8);
    assert_int_equal(t->made, 3);
    session_close(next);
}

static void stopping_answers_what_runs(void **state) {
    Stage *t = *state;
    Session *a = session_open(t->all), *b = session_open(t->all);
    t->gated = true;
    show(a, 1, NULL);
    wait_for(&t->at_gate);
    show(b, 2, NULL);
    sessions_stop(t->all);
    assert_null(session_open(t->all));
    sem_post(&t->gate);
    wait_for(&t->woken);
    assert_true(reply_of(a) == 1);
    for (int i = 0; i < 10000 && session_waits(b); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    SessionReply none;
    assert_false(session_reply(b, &none)); // dropped
    assert_false(session_waits(b));
    sessions_stop_waking(t->all);
    session_close(a);
    session_close(b);
}

#define ON_A_STAGE(test) cmocka_unit_test_setup_teardown(test, stage_new, stage_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_A_STAGE(each_has_a_history_of_its_own),
        ON_A_STAGE(messages_take_turns),
        ON_A_STAGE(errors_are_answered_and_the_session_lives),
        ON_A_STAGE(large_messages),
        ON_A_STAGE(a_client_goes_at_any_moment),
        ON_A_STAGE(stopping_answers_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include <stdio.h>

int main(void) {
    puts("skipped: tact was built without libwebsockets or msgpack-c");
    return 0;
}
#endif

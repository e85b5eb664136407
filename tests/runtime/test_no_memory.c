// SPDX-License-Identifier: Apache-2.0
// Wherever memory or a thread cannot be had, libtact says so and lives: the n-th call fails, or all
// from the n-th on; the status is TACT_ERROR_MEMORY, the message says "out of memory" and of no
// file that it is damaged, everything is freed (LeakSanitizer), and tried again the same policy
// gives the same actions to the last bit.
#include "no_memory.h"

#include "fixture.h"

#include "formats/hub_cache.h"
#include "formats/parquet.h"
#include "formats/torch.h"
#include "formats/yaml.h"

// How many points of a walk are looked at; all of them with TACT_WALK in the environment. Points
// that are left out differ from build to build, as the number of calls does.
static long stride_of(long calls, long points) {
    long stride = getenv("TACT_WALK") ? 1 : calls / points;
    return stride < 1 ? 1 : stride;
}

static void check_message(const char *text, long n) {
    bool says = strstr(text, "out of memory") || strstr(text, "Cannot allocate memory");
    if (!says || strstr(text, "damaged") || strstr(text, "not valid"))
        fail_msg("call %ld failed: %s", n, text);
}

// ---- a session with a policy --------------------------------------------------------------------

enum { ROWS = STEPS + 2 }; // so that there are two predictions

typedef struct Session {
    Scene *scene;
    const char *path;
    tact_options options;
    double want[ROWS][ACTION], got[ROWS][ACTION];
} Session;

// An episode; `now` is between the two last actions.
static tact_status play(Session *e, tact_policy *p) {
    tact_status status = tact_reset(p);
    double between[ACTION];
    for (int i = 0; i < ROWS && status == TACT_OK; i++)
        status = tact_step(p, &e->scene->seen, e->got[i]);
    if (status == TACT_OK) assert_true(tact_at(p, 1e-3, between) != TACT_ERROR_ARGUMENT);
    return status;
}

static void same_actions(const Session *e, long n) {
    if (memcmp(e->got, e->want, sizeof e->got) != 0) fail_msg("call %ld: other actions", n);
}

// Opening and an episode, of whose calls the n-th fails; then once more without. Returns whether
// any failed.
static bool session_at(Session *e, long n, bool lasting) {
    tact_policy *p;
    fail_at(n, lasting);
    tact_status opened = tact_open(e->path, &e->options, &p), played = TACT_OK;
    if (opened == TACT_OK) played = play(e, p);
    bool failed = atomic_load(&faults.failed) > 0;
    fail_at(-1, false);
    if (opened != TACT_OK) {
        if (opened != TACT_ERROR_MEMORY) fail_msg("call %ld: %s", n, tact_message(NULL));
        check_message(tact_message(NULL), n);
        assert_null(p);
    } else if (played != TACT_OK) {
        if (played != TACT_ERROR_MEMORY) fail_msg("call %ld: %s", n, tact_message(p));
        check_message(tact_message(p), n);
        WORKS(p, play(e, p)); // the handle stays usable
    }
    if (opened == TACT_OK) same_actions(e, n);
    tact_close(&p);
    return failed;
}

static void walk_session(Session *e, long points) {
    tact_policy *p;
    look(e->scene, 0);
    fail_at(LONG_MAX, false); // counts
    if (tact_open(e->path, &e->options, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    WORKS(p, play(e, p));
    long calls = atomic_load(&faults.calls), stride = stride_of(calls, points), failed = 0;
    fail_at(-1, false);
    tact_close(&p);
    memcpy(e->want, e->got, sizeof e->want);
    for (int lasting = 0; lasting < 2; lasting++)
        for (long n = lasting * (stride / 2); n < calls; n += stride)
            failed += session_at(e, n, lasting);
    assert_true(failed >= calls / stride);
    tact_policy *after = NULL; // the first and the last thing: nothing has changed meanwhile
    if (tact_open(e->path, &e->options, &after) != TACT_OK) fail_msg("%s", tact_message(NULL));
    WORKS(after, play(e, after));
    same_actions(e, -1);
    tact_close(&after);
}

// The scene's policy without cameras, which is small.
static const char *plain_model(Scene *s) {
    char *model = s->model;
    const char *plain = at(&s->arena, s->dir, "plain");
    const int cameras = s->config.policy.n_cameras;
    if (dir_exists(plain)) return plain;
    s->model = (char *)(uintptr_t)plain;
    s->config.policy.n_cameras = 0;
    write_policy(s);
    s->model = model;
    s->config.policy.n_cameras = cameras;
    return plain;
}

static void a_small_policy(void **state) {
    Session e = {.scene = *state, .path = plain_model(*state), .options = options()};
    walk_session(&e, 300);
}

static void a_policy_with_cameras(void **state) {
    Scene *s = *state;
    Session e = {.scene = s, .path = s->model, .options = options()};
    walk_session(&e, 12);
}

static void ensembles_and_blends(void **state) {
    Session e = {.scene = *state, .path = plain_model(*state), .options = options()};
    e.options.temporal_ensemble_coeff = 0.01;
    walk_session(&e, 30);
    e.options = options();
    e.options.blend_steps = 2;
    e.options.max_translation = 10;
    walk_session(&e, 30);
}

// With a worker, and a team of two threads for each of both.
static void asynchronously(void **state) {
    Session e = {.scene = *state, .path = plain_model(*state), .options = options()};
    e.options.asynchronous = 1;
    e.options.chunk_size_threshold = 0; // so that a chunk is played to its end
    e.options.threads = 2;
    tact_policy *p;
    double action[ACTION];
    look(e.scene, 0);
    fail_at(LONG_MAX, false);
    if (tact_open(e.path, &e.options, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    WORKS(p, tact_step(p, &e.scene->seen, action));
    long calls = atomic_load(&faults.calls), stride = stride_of(calls, 60);
    fail_at(-1, false);
    tact_close(&p);
    for (int lasting = 0; lasting < 2; lasting++)
        for (long n = lasting * (stride / 2); n < calls; n += stride) {
            double got[ACTION];
            fail_at(n, lasting);
            tact_status opened = tact_open(e.path, &e.options, &p), status = opened;
            if (opened == TACT_OK) status = tact_step(p, &e.scene->seen, got);
            fail_at(-1, false);
            if (status != TACT_OK) {
                if (status != TACT_ERROR_MEMORY)
                    fail_msg("call %ld: %s", n, tact_message(opened == TACT_OK ? p : NULL));
                check_message(tact_message(opened == TACT_OK ? p : NULL), n);
            }
            if (opened == TACT_OK && status != TACT_OK) {
                WORKS(p, tact_reset(p));
                WORKS(p, tact_step(p, &e.scene->seen, got));
            }
            if (opened == TACT_OK) assert_memory_equal(got, action, sizeof got);
            tact_close(&p);
        }
}

// The same step once more, after one that failed, is that step: what was seen is in the history
// once. The episode goes on.
static void a_step_that_failed_can_be_repeated(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double want[ACTION], got[ACTION];
    for (int row = 0; row < 2 * STEPS; row++) {
        look(s, row);
        WORKS(q, tact_step(q, &s->seen, want));
        fail_at(0, true);
        tact_status status = tact_step(p, &s->seen, got);
        bool failed = atomic_load(&faults.failed) > 0;
        fail_at(-1, false);
        assert_int_equal(status, failed ? TACT_ERROR_MEMORY : TACT_OK);
        assert_true(failed || row % STEPS);
        if (failed) WORKS(p, tact_step(p, &s->seen, got));
        assert_memory_equal(got, want, sizeof got);
    }
    tact_close(&p);
    tact_close(&q);
}

// The reference device, which the tests of others compute with.
static void on_the_reference_device(void **state) {
    Session e = {.scene = *state, .path = plain_model(*state), .options = options()};
    e.options.device = "ref";
    walk_session(&e, 40);
}

// Code that cannot be made: a process that may not run what it has written.
static void memory_that_may_not_run(void **state) {
    Scene *s = *state;
    tact_options o = options();
    tact_policy *p;
    look(s, 0);
    faults.no_code = true;
    tact_status status = tact_open(s->model, &o, &p);
    faults.no_code = false;
    assert_int_equal(status, TACT_ERROR_DEVICE);
    assert_null(p);
    assert_non_null(strstr(tact_message(NULL), "executable"));
    // What the message says to use, where it is installed.
    double action[ACTION];
    o.device = "cpu:blas";
    faults.no_code = true;
    status = tact_open(s->model, &o, &p);
    if (status == TACT_OK) status = tact_step(p, &s->seen, action);
    faults.no_code = false;
    if (status != TACT_OK && !strstr(tact_message(NULL), "libopenblas0"))
        fail_msg("%s", tact_message(p));
    tact_close(&p);
    // Forbidden later, which nobody does: the first prediction finds it out.
    p = open_policy(s, NULL);
    faults.no_code = true;
    status = tact_step(p, &s->seen, action);
    faults.no_code = false;
    assert_true(status == TACT_OK || status == TACT_ERROR_DEVICE);
    WORKS(p, tact_reset(p));
    WORKS(p, tact_step(p, &s->seen, action));
    tact_close(&p);
}

// ---- readers ------------------------------------------------------------------------------------

// A reader whose result, where it succeeds, is compared with that of an undisturbed one by itself.
typedef bool (*Reader)(void *user, Error *err);

static void walk_reader(Reader read, void *user) {
    Error err;
    long calls;
    OK(read(user, &err)); // libraries that make themselves ready do so now
    fail_at(LONG_MAX, false);
    OK(read(user, &err));
    calls = atomic_load(&faults.calls);
    if (!REACHES_LIBRARIES && calls == 0) skip(); // all of them are in the C library
    assert_true(calls > 0);
    for (int lasting = 0; lasting < 2; lasting++)
        for (long n = 0; n < calls; n++) {
            fail_at(n, lasting);
            bool ok = read(user, &err);
            bool failed = atomic_load(&faults.failed) > 0;
            fail_at(-1, false);
            assert_true(failed);
            if (ok) continue;
            if (!error_is_memory(&err)) fail_msg("call %ld: %s", n, err.text);
            check_message(err.text, n);
        }
    fail_at(-1, false);
    OK(read(user, &err));
}

static const char json[] =
    "{\"observation.images.the.camera.with.a.long.name\": [1, -2.5e3, \"\\u00e9\\ud83d\\ude00 and "
    "more than fits into the first sixteen bytes\", true, null],\n \"b\": {\"c\": {}}, \"a\": []}";

static bool read_json(void *user, Error *err) {
    json_error_t problem;
    json_t *want = user,
           *value = json_parse(json, sizeof json - 1, JSON_REJECT_DUPLICATES, &problem);
    if (!value && !json_lacked_memory(&problem)) fail_msg("%s", problem.text);
    if (!value) return fail_memory(err, "JSON");
    bool same = json_equal(value, want);
    json_decref(value);
    assert_true(same);
    return true;
}

static void values_of_json(void **state) {
    (void)state;
    json_error_t problem;
    json_t *want = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    assert_non_null(want);
    walk_reader(read_json, want);
    json_decref(want);
}

static bool write_json(void *user, Error *err) {
    char *text = json_text(user, 2);
    bool ok = text || fail_memory(err, "text");
    mem_free(text);
    return ok;
}

static void texts_of_json(void **state) {
    (void)state;
    json_error_t problem;
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    walk_reader(write_json, value);
    json_decref(value);
}

static bool read_torch(void *user, Error *err) {
    Torch *t;
    if (!torch_open(user, &t, err)) return false;
    int count = torch_count(t);
    double sum = 0;
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < torch_entry(t, i)->count; k++)
            sum += safetensors_value(torch_entry(t, i), k);
    torch_close(t);
    assert_true(count > 0 && isfinite(sum));
    return true;
}

static void pytorchs_files(void **state) {
    (void)state;
    static const char *const files[] = {"zip.pth", "old_small.pth", "wrapped.pth"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "tests/formats/data/torch/%s", files[i]);
        walk_reader(read_torch, path);
    }
}

static bool read_parquet(void *user, Error *err) {
    ParquetFile *f;
    if (!parquet_open(user, &f, err)) return false;
    ParquetColumn column;
    bool ok = parquet_read(f, 0, 0, -1, &column, err);
    if (ok) parquet_column_free(&column);
    parquet_close(f);
    return ok;
}

static void parquets_codecs(void **state) {
    (void)state;
    static const char *const files[] = {"brotli",          "dictionary_zstd_v2",
                                        "plain_gzip_v2",   "split_lz4_v1",
                                        "delta_brotli_v2", "dictionary_snappy_v1"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "tests/formats/data/parquet/%s.parquet", files[i]);
        walk_reader(read_parquet, path);
    }
}

static bool read_yaml(void *user, Error *err) {
    json_t *value;
    if (!yaml_read(user, &value, err)) return false;
    bool whole = json_object_size(value) == 3 &&
                 json_array_size(json_object_get(value, "list")) == 3 &&
                 json_object_get(json_object_get(value, "map"), "a") != NULL;
    json_decref(value);
    assert_true(whole);
    return true;
}

static void yaml_files(void **state) {
    Scene *s = *state;
    Error err;
    static const char text[] = "list: [1, 2.5, a text that is longer than sixteen bytes]\n"
                               "map: &m {a: b}\nmerged:\n  <<: *m\n  c: true\n";
    char *path = at(&s->arena, s->dir, "a.yaml");
    OK(file_write(path, text, sizeof text - 1, &err));
    walk_reader(read_yaml, path);
}

// A run without a link to its newest checkpoint, which is searched for.
static bool locate_in_run(void *user, Error *err) {
    char found[POLICY_PATH];
    if (!policy_locate(user, found, err)) return false;
    assert_non_null(strstr(found, "/000020/"));
    return true;
}

static void a_run_is_searched(void **state) {
    Scene *s = *state;
    Error err;
    const char *run = at(&s->arena, s->dir, "run"), *steps[] = {"000010", "000020", "last"};
    for (int i = 0; i < 3; i++) {
        char path[POLICY_PATH];
        snprintf(path, sizeof path, "%s/checkpoints/%s/pretrained_model", run, steps[i]);
        OK(make_dirs(path, &err));
        snprintf(path, sizeof path, "%s/checkpoints/%s/pretrained_model/config.json", run,
                 steps[i]);
        OK(file_write(path, "{}", 2, &err));
    }
    walk_reader(locate_in_run, (void *)(uintptr_t)run);
}

static bool find_on_hub(void *user, Error *err) {
    char found[POLICY_PATH];
    (void)user;
    if (!hub_find(HUB_MODEL, "someone/policy", NULL, found, sizeof found, err)) return false;
    assert_non_null(strstr(found, "snapshots/0123456789"));
    return true;
}

static void a_name_on_the_hub(void **state) {
    Scene *s = *state;
    Error err;
    char path[POLICY_PATH];
    const char *hub = at(&s->arena, s->dir, "hub");
    snprintf(path, sizeof path, "%s/models--someone--policy/snapshots/0123456789", hub);
    OK(make_dirs(path, &err));
    snprintf(path, sizeof path, "%s/models--someone--policy/refs", hub);
    OK(make_dirs(path, &err));
    snprintf(path, sizeof path, "%s/models--someone--policy/refs/main", hub);
    OK(file_write(path, "0123456789", 10, &err));
    setenv("HF_HUB_CACHE", hub, 1);
    walk_reader(find_on_hub, NULL);
    unsetenv("HF_HUB_CACHE");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_json),
        cmocka_unit_test(texts_of_json),
        cmocka_unit_test(pytorchs_files),
        cmocka_unit_test(parquets_codecs),
        cmocka_unit_test(yaml_files),
        cmocka_unit_test(a_run_is_searched),
        cmocka_unit_test(a_name_on_the_hub),
        cmocka_unit_test(a_small_policy),
        cmocka_unit_test(a_policy_with_cameras),
        cmocka_unit_test(ensembles_and_blends),
        cmocka_unit_test(asynchronously),
        cmocka_unit_test(a_step_that_failed_can_be_repeated),
        cmocka_unit_test(on_the_reference_device),
        cmocka_unit_test(memory_that_may_not_run),
    };
    faults_reach_jansson();
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}

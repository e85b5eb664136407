// SPDX-License-Identifier: Apache-2.0
// A policy that runs has nothing to do with its files any more: they may be overwritten where they
// lie (cp NEW OVER), cut short, or deleted.
#include "fixture.h"

#include <fcntl.h>
#include <unistd.h>

enum { SEEN = 6 };

typedef double Chunk[CHUNK * ACTION];

static void predict(Scene *s, tact_policy *p, Chunk out) {
    WORKS(p, tact_reset(p));
    for (int64_t row = 0; row < SEEN; row++) WORKS(p, tact_observe(p, look(s, row)));
    WORKS(p, tact_predict_chunk(p, out));
}

static const char *weights_file(Scene *s) {
    return at(&s->arena, s->model, "model.safetensors");
}

// Writes as cp does: the file stays the same one, with other bytes.
static void overwrite(const char *path, const char *bytes, size_t size) {
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

// The same file with other numbers in the second half of its bytes, which are finite ones.
static char *other_weights(const char *path, size_t *size) {
    char *bytes;
    Error err;
    OK(file_read(path, &bytes, size, &err));
    for (size_t i = *size / 2 / 4 * 4; i + 4 <= *size; i += 4)
        memcpy(bytes + i, &(float){0.01f * (float)(i % 97)}, 4);
    return bytes;
}

// stepped: whether the handle has predicted before its files are touched.
static void touch_files(Scene *s, bool stepped) {
    Chunk want, got;
    char *before, *other;
    size_t size;
    Error err;
    const char *path = weights_file(s);
    OK(file_read(path, &before, &size, &err));
    other = other_weights(path, &size);
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    predict(s, q, want);
    if (stepped) predict(s, p, got);

    overwrite(path, other, size);
    predict(s, p, got);
    assert_memory_equal(got, want, sizeof want);
    tact_policy *changed = open_policy(s, NULL); // so what was written makes a difference
    predict(s, changed, got);
    assert_true(chunk_distance(got, want, CHUNK) > 1e-3);
    tact_close(&changed);

    assert_int_equal(truncate(path, 100), 0);
    predict(s, p, got);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(unlink(path), 0);
    predict(s, p, got);
    assert_memory_equal(got, want, sizeof want);
    tact_close(&p);
    tact_close(&q);
    OK(file_write(path, before, size, &err));
    mem_free(before);
    mem_free(other);
}

static void touched_files_change_nothing(void **state) {
    touch_files(*state, true);
}

static void nor_before_the_first_step(void **state) {
    touch_files(*state, false);
}

// Handles that share their weights: each gives what it gives alone, and they are closed in any
// order.
static void handles_share_one_reading(void **state) {
    Scene *s = *state;
    Chunk want, got;
    tact_policy *p = open_policy(s, NULL), *q, *r;
    tact_options o = options();
    predict(s, p, want);
    assert_int_equal(rename(weights_file(s), at(&s->arena, s->dir, "aside")), 0);
    assert_int_equal(policy_open_beside(p, &o, &q), TACT_OK);
    assert_int_equal(policy_open_beside(q, &o, &r), TACT_OK);
    assert_true(q->policy->params.values.data == p->policy->params.values.data);
    predict(s, q, got);
    assert_memory_equal(got, want, sizeof want);
    tact_close(&p);
    predict(s, r, got);
    assert_memory_equal(got, want, sizeof want);
    tact_close(&q);
    predict(s, r, got);
    assert_memory_equal(got, want, sizeof want);
    tact_close(&r);
    assert_int_equal(rename(at(&s->arena, s->dir, "aside"), weights_file(s)), 0);
}

// Handles that share a model, each with an episode of its own: in turn they give what each gives
// alone, of a policy that looks back over several frames.
static void episodes_share_one_model(void **state) {
    Scene *s = *state;
    enum { LOOKS = 8 };
    Chunk want[2][LOOKS], got;
    tact_policy *p = open_policy(s, NULL), *episode[2];
    tact_options o = options();
    for (int k = 0; k < 2; k++) {
        WORKS(p, tact_reset(p));
        for (int i = 0; i < LOOKS; i++) {
            WORKS(p, tact_observe(p, look(s, k * FRAMES + i)));
            WORKS(p, tact_predict_chunk(p, want[k][i]));
        }
        assert_int_equal(policy_open_episode(p, &o, &episode[k]), TACT_OK);
        assert_true(episode[k]->act == p->act);
    }
    for (int i = 0; i < LOOKS; i++)
        for (int k = 0; k < 2; k++) {
            WORKS(episode[k], tact_observe(episode[k], look(s, k * FRAMES + i)));
            WORKS(episode[k], tact_predict_chunk(episode[k], got));
            assert_memory_equal(got, want[k][i], sizeof got);
        }
    tact_close(&episode[0]);
    WORKS(p, tact_predict_chunk(p, got)); // with the first handle's own frames
    assert_memory_equal(got, want[1][LOOKS - 1], sizeof got);
    o.asynchronous = 1;
    assert_int_equal(policy_open_episode(p, &o, &episode[0]), TACT_ERROR_ARGUMENT);
    assert_non_null(strstr(tact_message(NULL), "take turns"));
    tact_close(&episode[1]);
    tact_close(&p);
}

// A file that is written to while it is read has no single state, so it is refused.
static void what_changes_while_it_is_read_is_refused(void **state) {
    Scene *s = *state;
    InputFile f;
    Error err;
    char bytes[8];
    const char *path = at(&s->arena, s->dir, "growing");
    OK(file_write(path, "01234567", 8, &err));
    OK(input_open(&f, path, &err));
    OK(input_read(&f, 0, bytes, 8, &err) && input_unchanged(&f, &err));
    assert_int_equal(truncate(path, 4), 0);
    assert_false(input_read(&f, 0, bytes, 8, &err));
    assert_non_null(strstr(err.text, "was cut short while it was read"));
    assert_false(input_unchanged(&f, &err));
    assert_non_null(strstr(err.text, "was written to while it was read"));
    input_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(touched_files_change_nothing),
        cmocka_unit_test(nor_before_the_first_step),
        cmocka_unit_test(handles_share_one_reading),
        cmocka_unit_test(episodes_share_one_model),
        cmocka_unit_test(what_changes_while_it_is_read_is_refused),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}

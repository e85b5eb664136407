// SPDX-License-Identifier: Apache-2.0
// Windows and statistics of a real recording against another implementation's, in float64.
#include "dataset/window.h"
#include "formats/safetensors.h"

#include "fixture.h"

static const double tolerance = 1e-6; // absolute

typedef struct Reference {
    Safetensors *file;
    Dataset *ds;
    int compared;
} Reference;

static const SafetensorsEntry *entry(const Reference *r, const char *name, int64_t count) {
    const SafetensorsEntry *e = safetensors_find(r->file, name);
    if (!e) fail_msg("%s is missing", name);
    if (e->count != count) fail_msg("%s has %lld values", name, (long long)e->count);
    return e;
}

static void assert_values(const Reference *r, const char *name, const double *got, int64_t count) {
    const SafetensorsEntry *e = entry(r, name, count);
    for (int64_t i = 0; i < count; i++) {
        double want = safetensors_value(e, i);
        if (!(fabs(got[i] - want) <= tolerance))
            fail_msg("%s[%lld] is %.9g, not %.9g", name, (long long)i, got[i], want);
    }
}

static void compare_window(Reference *r, const WindowSpec *w, const char *prefix) {
    char name[128];
    int64_t index = strtoll(strchr(prefix, '.') + 1, NULL, 10), row = dataset_row_of(r->ds, index);
    int64_t T = w->horizon, H = w->chunk_size;
    int64_t *rows = NEW(int64_t, T);
    double *state = NEW(double, T * 10), *action = NEW(double, H * 10),
           *number = NEW(double, T + H);
    uint8_t *pad = NEW(uint8_t, H);
    window_rows(r->ds, w, row, rows);
    window_state(r->ds, w, row, state);
    window_action(r->ds, w, row, action, pad);
    for (int64_t t = 0; t < T; t++) number[t] = (double)dataset_index_of(r->ds, rows[t]);
    snprintf(name, sizeof name, "%s.frames", prefix);
    assert_values(r, name, number, T);
    for (int64_t h = 0; h < H; h++) number[h] = pad[h];
    snprintf(name, sizeof name, "%s.is_pad", prefix);
    assert_values(r, name, number, H);
    snprintf(name, sizeof name, "%s.state", prefix);
    assert_values(r, name, state, T * 10);
    snprintf(name, sizeof name, "%s.action", prefix);
    assert_values(r, name, action, H * 10);
    mem_free(rows), mem_free(state), mem_free(action), mem_free(number), mem_free(pad);
    r->compared++;
}

// "T2s1H100.I.frames" for every I that is there.
static void windows_are_as_another_program_sees_them(void **state) {
    Reference *r = *state;
    if (!r->ds) skip();
    static const WindowSpec specs[] = {{.horizon = 2,
                                        .down_sample = 1,
                                        .chunk_size = 100,
                                        .action_down_sample = 1,
                                        .relative = true,
                                        .arms = 1},
                                       {.horizon = 3,
                                        .down_sample = 2,
                                        .chunk_size = 30,
                                        .action_down_sample = 1,
                                        .relative = true,
                                        .arms = 1}};
    for (int k = 0; k < 2; k++) {
        const WindowSpec *w = &specs[k];
        char prefix[64];
        int length = snprintf(prefix, sizeof prefix, "T%ds%dH%d.", w->horizon, w->down_sample,
                              w->chunk_size);
        for (int i = 0; i < safetensors_count(r->file); i++) {
            const char *name = safetensors_entry(r->file, i)->name, *end = strstr(name, ".frames");
            if (strncmp(name, prefix, (size_t)length) != 0 || !end) continue;
            snprintf(prefix, sizeof prefix, "%.*s", (int)(end - name), name);
            compare_window(r, w, prefix);
        }
    }
    assert_int_equal(r->compared, 18);
}

static void statistics_are_as_another_program_has_them(void **state) {
    const Reference *r = *state;
    if (!r->ds) skip();
    const WindowSpec w = {.horizon = 2,
                          .down_sample = 1,
                          .chunk_size = 100,
                          .action_down_sample = 1,
                          .relative = true,
                          .arms = 1};
    Stats stats[2];
    Error err;
    OK(window_stats(r->ds, &w, NULL, 0, 0, 1, &stats[0], &stats[1], &err));
    static const char *const features[] = {"state", "action"};
    for (int k = 0; k < 2; k++) {
        const double *values[] = {stats[k].min, stats[k].max, stats[k].mean, stats[k].std};
        static const char *const names[] = {"min", "max", "mean", "std"};
        for (int i = 0; i < 4; i++) {
            char name[64];
            snprintf(name, sizeof name, "stats.T2s1H100.%s.%s", features[k], names[i]);
            assert_values(r, name, values[i], 10);
        }
        stats_free(&stats[k]);
    }
}

static int open_reference(void **state) {
    Reference *r = NEW(Reference, 1);
    Arena a = {0};
    Error err;
    const char *dir = getenv("TACT_SHARED");
    const char *root = at(&a, dir && *dir ? dir : "../shared", "data/g1_bottle_ee");
    const char *file = at(&a, dir && *dir ? dir : "../shared", "golden/g1_bottle_ee.safetensors");
    if (dir_exists(root) && file_exists(file)) {
        OK(safetensors_open(file, &r->file, &err));
        r->ds = open_all(root);
    } else {
        print_message("skipped: %s or %s is not there (set TACT_SHARED)\n", root, file);
    }
    arena_free(&a);
    *state = r;
    return 0;
}

static int close_reference(void **state) {
    Reference *r = *state;
    dataset_close(r->ds);
    safetensors_close(r->file);
    mem_free(r);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_as_another_program_sees_them),
        cmocka_unit_test(statistics_are_as_another_program_has_them),
    };
    return cmocka_run_group_tests(tests, open_reference, close_reference);
}

// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "cli/bench.h"
#include "formats/json.h"
#include "ops/profile.h"
#include <stdio.h>
#include <stdlib.h>

static int by_time(const void *a, const void *b) {
    double x = ((const BenchOp *)a)->seconds, y = ((const BenchOp *)b)->seconds;
    return (x < y) - (x > y);
}

bool bench_ops(Device *d, BenchStep step, void *user, int64_t steps, BenchOp *out, int *count,
               Error *err) {
    const ProfileEntry *entries;
    profile_start(d);
    bool ok = step(user, err);
    profile_reset(d);
    for (int64_t i = 0; ok && i < steps; i++) ok = step(user, err);
    int n = profile_entries(d, &entries);
    *count = 0;
    for (int i = 0; i < n && *count < BENCH_MAX_OPS; i++) {
        const ProfileEntry *e = &entries[i];
        if (!e->calls) continue;
        out[(*count)++] =
            (BenchOp){e->op, (double)e->calls / (double)steps, e->seconds / (double)steps};
    }
    qsort(out, (size_t)*count, sizeof *out, by_time);
    profile_stop(d);
    return ok;
}

void bench_ops_print(const BenchOp *ops, int count) {
    double total = 0;
    for (int i = 0; i < count; i++) total += ops[i].seconds;
    printf("\n  %-24s %8s %10s %7s   (of one step; each op is waited for)\n", "op", "calls", "ms",
           "share");
    for (int i = 0; i < count; i++)
        printf("  %-24s %8.0f %10.3f %6.1f %%\n", ops[i].op, ops[i].calls, 1e3 * ops[i].seconds,
               100 * ops[i].seconds / total);
    printf("  %-24s %8s %10.3f\n", "all ops", "", 1e3 * total);
}

json_t *bench_ops_json(const BenchOp *ops, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:f, s:f}", "op", ops[i].op, "calls",
                                              ops[i].calls, "ms", 1e3 * ops[i].seconds));
    return list;
}

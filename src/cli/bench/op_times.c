// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/op_times.h"

#include "formats/json.h"
#include "ops/profile.h"
#include <stdio.h>
#include <stdlib.h>

static int by_time(const void *a, const void *b) {
    double x = ((const OpTime *)a)->seconds, y = ((const OpTime *)b)->seconds;
    return (x < y) - (x > y);
}

bool op_times_measure(Device *d, BenchStep step, void *user, int64_t steps, OpTimes *out,
                      Error *err) {
    const ProfileEntry *entries;
    out->count = 0;
    if (!profile_start(d, err)) return false;
    bool ok = step(user, err);
    profile_reset(d);
    for (int64_t i = 0; ok && i < steps; i++) ok = step(user, err);
    int n = profile_entries(d, &entries);
    for (int i = 0; i < n && out->count < MAX_OP_TIMES; i++) {
        const ProfileEntry *e = &entries[i];
        if (!e->calls) continue;
        out->list[out->count++] =
            (OpTime){e->op, (double)e->calls / (double)steps, e->seconds / (double)steps};
    }
    qsort(out->list, (size_t)out->count, sizeof *out->list, by_time);
    profile_stop(d);
    return ok;
}

void op_times_print(const OpTimes *times) {
    double total = 0;
    for (int i = 0; i < times->count; i++) total += times->list[i].seconds;
    printf("\n  %-24s %8s %10s %7s   (of one step; each op is waited for)\n", "op", "calls", "ms",
           "share");
    for (int i = 0; i < times->count; i++) {
        const OpTime *o = &times->list[i];
        printf("  %-24s %8.0f %10.3f %6.1f %%\n", o->op, o->calls, 1e3 * o->seconds,
               100 * o->seconds / total);
    }
    printf("  %-24s %8s %10.3f\n", "all ops", "", 1e3 * total);
}

json_t *op_times_json(const OpTimes *times) {
    json_t *list = json_array();
    for (int i = 0; i < times->count; i++) {
        const OpTime *o = &times->list[i];
        json_array_append_new(list, json_pack("{s:s, s:f, s:f}", "op", o->op, "calls", o->calls,
                                              "ms", 1e3 * o->seconds));
    }
    return list;
}

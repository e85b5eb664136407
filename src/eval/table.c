// SPDX-License-Identifier: Apache-2.0
#include "eval/open_loop.h"

#include <math.h>

int eval_columns(int S, double rate, int steps[EVAL_COLUMNS]) {
    static const double seconds[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};
    int n = 0, last = S - 1;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0] && n < EVAL_COLUMNS - 1; i++) {
        double at = floor(seconds[i] * rate + 0.5);
        if (at < 1 || at >= last) continue;
        if (n > 0 && steps[n - 1] == (int)at) continue;
        // The last column is the last step, so no column stands right before it.
        if (at > 0.85 * last) continue;
        steps[n++] = (int)at;
    }
    steps[n++] = last;
    return n;
}

enum { MOST_ROWS = 16 }; // measures in the terminal's table

static void print_row(FILE *out, const char *name, const char *unit, const Summary *s,
                      const int *steps, int n, double all) {
    fprintf(out, "  %-22.22s %-4s", name, unit);
    for (int i = 0; i < n; i++)
        isnan(s[steps[i]].mean) ? fprintf(out, " %8s", "-")
                                : fprintf(out, " %8.4g", s[steps[i]].mean);
    fprintf(out, " %8.4g\n", all);
}

// Whether a measure is printed: all are where there are few, else the first ones and the last,
// which is the normalised one.
static bool is_printed(const Measures *m, int i) {
    return m->count <= MOST_ROWS || i < MOST_ROWS - 1 || i == m->count - 1;
}

void eval_print(const EvalResult *r, FILE *out) {
    int steps[EVAL_COLUMNS];
    const double rate = r->dataset->fps / r->K;
    int n = eval_columns(r->S, rate, steps);
    fprintf(
        out,
        "%lld predictions in %lld episodes, one every %lld frames; mean errors by time ahead\n\n",
        (long long)r->windows, (long long)r->dataset->n_episodes, (long long)r->stride);
    fprintf(out, "  %-22s %-4s", "", "");
    for (int i = 0; i < n; i++) {
        char when[16];
        snprintf(when, sizeof when, "%.3g s", steps[i] / rate);
        fprintf(out, " %8s", when);
    }
    fprintf(out, " %8s\n", "all");
    for (int m = 0; m < r->measures.count; m++) {
        const Measure *measure = &r->measures.of[m];
        if (!is_printed(&r->measures, m)) continue;
        print_row(out, measure->name, measure->unit, r->error + m * r->S, steps, n,
                  r->error_all[m].mean);
        print_row(out, "  staying", "", r->stay + m * r->S, steps, n, r->stay_all[m].mean);
    }
    if (r->measures.count > MOST_ROWS)
        fprintf(out, "  ... %d more in eval.json\n", r->measures.count - MOST_ROWS);
    if (r->latency.count > 0)
        fprintf(out,
                "\nlatency of observing and predicting: %.1f ms (median), %.1f (p95), %.1f (p99)\n",
                r->latency.median, r->latency.p95, r->latency.p99);
}

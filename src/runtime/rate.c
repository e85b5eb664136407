// SPDX-License-Identifier: Apache-2.0
#include "runtime/rate.h"

#include "base/log.h"
#include <math.h>

// The median of the last intervals, which a slow step now and then does not move; 0: none yet.
static double median_interval(const Rate *r) {
    double sorted[RATE_INTERVALS];
    int n = r->count > RATE_INTERVALS ? RATE_INTERVALS : (int)r->count - 1;
    for (int i = 0; i < n; i++) {
        int64_t later = r->count - 1 - i;
        double interval =
            r->times[later % (RATE_INTERVALS + 1)] - r->times[(later - 1) % (RATE_INTERVALS + 1)];
        int k = i;
        for (; k > 0 && sorted[k - 1] > interval; k--) sorted[k] = sorted[k - 1];
        sorted[k] = interval;
    }
    return n > 0 ? sorted[n / 2] : 0;
}

double rate_now(const Rate *r) {
    double interval = median_interval(r);
    return interval > 0 ? 1 / interval : 0;
}

void rate_observed(Rate *r) {
    r->times[r->count++ % (RATE_INTERVALS + 1)] = r->clock();
    if (!r->check || r->told || r->fps <= 0 || r->count <= RATE_INTERVALS) return;
    if (fabs(median_interval(r) * r->fps - 1) <= 0.2) return;
    r->told = true;
    log_warn(
        "the policy was trained at %g steps a second and is stepped at %.3g: it sees and moves "
        "at another speed than it learnt; step it at %g, or set rate_check to 0 where that is "
        "meant",
        r->fps, rate_now(r), r->fps);
}

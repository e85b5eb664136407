// SPDX-License-Identifier: Apache-2.0
#include "runtime/actions.h"

#include "pose/pose.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

void actions_continue(double *action, const double *before, int arms) {
    for (int k = 0; k < arms; k++)
        pose_vector_near(action + POSE_ROW * k + 3, before + POSE_ROW * k + 3);
}

void actions_from_prediction(const Normalizer *n, const float *y, int rows, const double *base,
                             int arms, const bool *plus_state, double *scratch, double *out) {
    int width = arms ? POSE_ROW * arms : n->dim;
    for (int i = 0; i < rows; i++) {
        normalizer_invert(n, y + (size_t)i * (size_t)n->dim, scratch, 1);
        double *action = out + (size_t)i * (size_t)width;
        if (arms) {
            pose_row_from_policy(scratch, base, arms, action);
            actions_continue(action, i ? action - width : base, arms);
        } else {
            memcpy(action, scratch, (size_t)width * sizeof *action);
        }
        for (int k = 0; plus_state && k < width; k++)
            if (plus_state[k]) action[k] += base[k];
    }
}

void action_to_policy(const Normalizer *n, const double *action, const double *base, int arms,
                      const bool *plus_state, double *scratch, float *y) {
    if (arms)
        pose_row_to_policy(action, base, arms, scratch);
    else
        memcpy(scratch, action, (size_t)n->dim * sizeof *action);
    for (int k = 0; !arms && plus_state && k < n->dim; k++)
        if (plus_state[k]) scratch[k] -= base[k];
    normalizer_apply(n, scratch, y, 1);
}

void actions_between(const double *from, const double *to, double share, int width, int arms,
                     double *out) {
    for (int i = 0; i < width; i++) out[i] = from[i] + share * (to[i] - from[i]);
    for (int k = 0; k < arms; k++) {
        Pose a = pose_from_vector(from + POSE_ROW * k), b = pose_from_vector(to + POSE_ROW * k);
        Pose between = pose_between(&a, &b, share);
        pose_to_vector(&between, out + POSE_ROW * k);
    }
}

void actions_fill_in(double *actions, int rows, int every, int width, int arms) {
    const size_t A = (size_t)width, K = (size_t)every;
    if (every == 1) return;
    for (size_t k = (size_t)rows; k-- > 1;)
        memcpy(actions + k * K * A, actions + k * A, A * sizeof *actions);
    for (size_t step = 1; step < (size_t)rows * K; step++) {
        double *action = actions + step * A;
        const double *from = actions + step / K * K * A, *to = from + K * A;
        bool last = step / K == (size_t)rows - 1;
        if (step % K && last)
            memcpy(action, from, A * sizeof *action);
        else if (step % K)
            actions_between(from, to, (double)(step % K) / every, width, arms, action);
        actions_continue(action, action - A, arms);
    }
}

tact_status actions_check(const double *actions, size_t count, Error *err) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(actions[i])) {
            (void)!fail(err,
                        "an action is not finite: the policy's output or the observation is beyond "
                        "all bounds");
            return TACT_ERROR_PREDICTION;
        }
    return TACT_OK;
}

void action_to_linear(const double *action, int width, int arms, double *out) {
    if (!arms) memcpy(out, action, (size_t)width * sizeof *out);
    for (int k = 0; k < arms; k++, action += POSE_ROW, out += LINEAR_ARM) {
        Pose p = pose_from_vector(action);
        memcpy(out, p.position, sizeof p.position);
        memcpy(out + 3, p.rotation, sizeof p.rotation);
        out[12] = action[6];
    }
}

void action_from_linear(const double *linear, int width, int arms, double *out) {
    if (!arms) memcpy(out, linear, (size_t)width * sizeof *out);
    for (int k = 0; k < arms; k++, linear += LINEAR_ARM, out += POSE_ROW) {
        Pose p;
        memcpy(p.position, linear, sizeof p.position);
        memcpy(p.rotation, linear + 3, sizeof p.rotation);
        pose_nearest_rotation(p.rotation);
        pose_to_vector(&p, out);
        out[6] = linear[12];
    }
}

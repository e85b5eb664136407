// SPDX-License-Identifier: Apache-2.0
// How long episodes stand still at their begin and end: for the rules, and for those who trim.
#include "check/series.h"

Stillness stillness_of(const Check *c, const Episode *episode) {
    Stillness s = {0};
    int64_t still = 0;
    bool moved = false;
    for (int64_t i = 1; i < episode->length; i++) {
        if (!c->moves[episode->first_row + i]) {
            still++;
            continue;
        }
        if (!moved) s.head = still;
        if (moved && still > s.longest) s.longest = still, s.longest_at = i - still;
        moved = true;
        still = 0;
    }
    if (!moved) s.head = still;
    s.tail = moved ? still : 0;
    return s;
}

// What is cut off, of `rows` that stand still: nothing where the rule says nothing, else all but a
// moment, since a policy has to see that the robot stands before it begins and after it ends.
static int64_t to_trim(CheckRuleId rule, int64_t rows, double fps) {
    int64_t kept = (int64_t)(CHECK_TRIM_KEEPS_S * fps + 0.5);
    return (double)rows / fps > check_rules[rule].limit && rows > kept ? rows - kept : 0;
}

void check_idle(const Dataset *ds, CheckIdle *out) {
    Check c = {.ds = ds};
    series_gather(&c);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        Stillness s = stillness_of(&c, &ds->episodes[e]);
        bool moves = s.tail > 0 || s.head + 1 < ds->episodes[e].length;
        out[e] = (CheckIdle){0};
        if (c.state.n + c.action.n == 0 || !moves) continue;
        out[e].head = to_trim(RULE_idle_head, s.head, ds->fps);
        out[e].tail = to_trim(RULE_idle_tail, s.tail, ds->fps);
    }
    arena_free(&c.arena);
}

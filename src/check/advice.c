// SPDX-License-Identifier: Apache-2.0
#include "check/advice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Rules whose mend (their "fix") is to leave the episode out; test_advice.c holds the two together.
static const CheckRuleId leaves_out[] = {
    RULE_unreadable,       RULE_timestamp_gap,  RULE_timestamp_repeat,  RULE_episode_lag,
    RULE_value_jump,       RULE_episode_offset, RULE_episode_units,     RULE_gripper_direction,
    RULE_gripper_chatter,  RULE_state_stuck,    RULE_action_stuck,      RULE_episode_noise,
    RULE_picture_dark,     RULE_picture_bright, RULE_exposure_apart,    RULE_picture_frozen,
    RULE_camera_swapped,   RULE_picture_turned, RULE_colours_exchanged, RULE_picture_cut,
    RULE_camera_lag_apart, RULE_episode_twice,
};

bool check_leaves_out(CheckRuleId rule) {
    for (size_t i = 0; i < sizeof leaves_out / sizeof *leaves_out; i++)
        if (leaves_out[i] == rule) return true;
    return false;
}

static int compare_numbers(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int64_t sort_once(int64_t *list, int64_t n) {
    int64_t kept = 0;
    if (n > 1) qsort(list, (size_t)n, sizeof *list, compare_numbers);
    for (int64_t i = 0; i < n; i++)
        if (kept == 0 || list[kept - 1] != list[i]) list[kept++] = list[i];
    return kept;
}

static void list_dropped(CheckAdvice *a, const CheckReport *report) {
    a->drop = arena_alloc(&a->arena, sizeof *a->drop * (size_t)(report->count + 1));
    for (int64_t i = 0; i < report->count; i++) {
        const CheckFinding *f = &report->findings[i];
        if (f->rule == RULE_idle_head || f->rule == RULE_idle_tail) a->trim = true;
        if (f->episode >= 0 && check_rules[f->rule].severity > CHECK_NOTE &&
            check_leaves_out(f->rule))
            a->drop[a->n_drop++] = f->episode;
    }
    a->n_drop = sort_once(a->drop, a->n_drop);
}

static void list_kept(CheckAdvice *a, const Dataset *ds) {
    int64_t n = ds ? ds->n_episodes : 0;
    a->keep = arena_alloc(&a->arena, sizeof *a->keep * (size_t)(n + 1));
    for (int64_t e = 0; e < n; e++) {
        int64_t index = ds->episodes[e].index;
        if (!a->n_drop ||
            !bsearch(&index, a->drop, (size_t)a->n_drop, sizeof index, compare_numbers))
            a->keep[a->n_keep++] = index;
    }
    a->n_keep = sort_once(a->keep, a->n_keep);
}

// "[4,9]".
static const char *list_text(Arena *arena, const int64_t *list, int64_t n) {
    size_t size = (size_t)n * 24 + 8;
    char *text = arena_alloc(arena, size);
    bool cut;
    dataset_episodes_text(list, n, text, size, &cut);
    return text;
}

// A name as one word of a shell's line.
static const char *shell_word(Arena *arena, const char *name) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+,:@%=";
    if (*name && *name != '-' && name[strspn(name, plain)] == '\0') return name;
    char *word = arena_alloc(arena, 4 * strlen(name) + 3), *to = word;
    *to++ = '\'';
    for (const char *c = name; *c; c++)
        if (*c == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *c;
    *to++ = '\'';
    *to = '\0';
    return word;
}

// "0:4,5": what tact import takes for numbers of episodes; the second of a range is behind it.
static const char *ranges_text(Arena *arena, const int64_t *list, int64_t n) {
    const size_t size = (size_t)n * 48 + 1;
    char *text = arena_alloc(arena, size), *to = text;
    for (int64_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && list[next] == list[next - 1] + 1;) next++;
        const size_t room = size - (size_t)(to - text);
        const char *comma = i ? "," : "";
        to += next - i > 2 ? snprintf(to, room, "%s%lld:%lld", comma, (long long)list[i],
                                      (long long)list[next - 1] + 1)
                           : snprintf(to, room, "%s%lld", comma, (long long)list[i]);
        if (next - i == 2) next--;
    }
    return text;
}

// A source is converted without what was flagged; what stands still is trimmed behind that.
static void advise_source(CheckAdvice *a, const Dataset *ds, const CheckSource *source) {
    if (!a->n_drop && !a->trim) return;
    a->command = arena_printf(&a->arena, "tact import %s --root=NEW%s%s%s%s",
                              shell_word(&a->arena, ds->root), source->flags,
                              a->n_drop ? " --episodes=" : "",
                              a->n_drop ? ranges_text(&a->arena, a->keep, a->n_keep) : "",
                              a->trim ? " && tact edit NEW --root=NEW_TRIMMED --trim=idle" : "");
}

CheckAdvice check_advice(const Dataset *ds, const CheckReport *report) {
    CheckAdvice a = {0};
    list_dropped(&a, report);
    list_kept(&a, ds);
    if (a.n_keep == 0) return a;
    if (report->source) {
        advise_source(&a, ds, report->source);
        return a;
    }
    if (a.n_drop)
        a.flag =
            arena_printf(&a.arena, "--dataset.episodes=%s", list_text(&a.arena, a.keep, a.n_keep));
    if (a.n_drop || a.trim)
        a.command = arena_printf(&a.arena, "tact edit %s --root=NEW%s%s%s",
                                 shell_word(&a.arena, ds->root), a.n_drop ? " --drop=" : "",
                                 a.n_drop ? list_text(&a.arena, a.drop, a.n_drop) : "",
                                 a.trim ? " --trim=idle" : "");
    return a;
}

void check_advice_free(CheckAdvice *advice) {
    arena_free(&advice->arena);
    *advice = (CheckAdvice){0};
}

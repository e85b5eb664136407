// SPDX-License-Identifier: Apache-2.0
// --splits of `tact edit`: which episodes go into which of several datasets.
#include "base/array.h"
#include "base/text_set.h"
#include "cli/edit_plan.h"
#include "formats/json.h"
#include <ctype.h>
#include <math.h>
#include <string.h>

static EditTarget *add_target(EditPlan *plan, const char *name) {
    EditTarget *t = &plan->targets[plan->n_targets++];
    *t = (EditTarget){.name = name};
    return t;
}

static void add_piece(EditPlan *plan, EditTarget *t, const EditPiece *piece) {
    *ARENA_ARRAY_ADD(&plan->arena, t->pieces, t->n_pieces, t->room) = *piece;
}

static void make_room(EditPlan *plan, size_t n) {
    plan->targets = arena_alloc(&plan->arena, sizeof *plan->targets * (n + 1));
}

// ---- by task, by episode ------------------------------------------------------------------------

// A folder's name: letters, digits and '_' of a text.
static const char *folder_name(EditPlan *plan, const char *text) {
    enum { LONGEST = 60 };
    char *name = arena_strdup(&plan->arena, text);
    size_t n = 0;
    for (const char *p = text; *p && n < LONGEST; p++) {
        bool plain = isalnum((unsigned char)*p) || *p == '-';
        if (plain)
            name[n++] = (char)tolower((unsigned char)*p);
        else if (n > 0 && name[n - 1] != '_')
            name[n++] = '_';
    }
    while (n > 0 && name[n - 1] == '_') n--;
    name[n] = 0;
    return n > 0 ? name : "no_task";
}

static bool name_is_taken(const EditPlan *plan, const char *name) {
    for (int i = 0; i < plan->n_targets; i++)
        if (strcmp(plan->targets[i].name, name) == 0) return true;
    return false;
}

// A name that no target has: the one asked for, or that with a number.
static const char *free_name(EditPlan *plan, const char *name) {
    const char *out = name;
    for (int k = plan->n_targets; name_is_taken(plan, out); k++)
        out = arena_printf(&plan->arena, "%s_%d", name, k);
    return out;
}

static void split_by_task(EditPlan *plan) {
    TextSet tasks = {0};
    for (int64_t p = 0; p < plan->n_pieces; p++) {
        const EditPiece *piece = &plan->pieces[p];
        const char *task = plan->sources[piece->source]->episodes[piece->episode].task;
        if (!task) task = "";
        int at = text_set_add(&tasks, &plan->arena, task, strlen(task));
        if (at == plan->n_targets) add_target(plan, free_name(plan, folder_name(plan, task)));
        add_piece(plan, &plan->targets[at], piece);
    }
}

static void split_by_episode(EditPlan *plan) {
    for (int64_t p = 0; p < plan->n_pieces; p++)
        add_piece(plan,
                  add_target(plan, arena_printf(&plan->arena, "episode_%06lld", (long long)p)),
                  &plan->pieces[p]);
}

// ---- {"train": 0.8, "val": [40, 41]} ------------------------------------------------------------

static bool check_name(const char *name, Error *err) {
    bool ok = *name && *name != '.';
    for (const char *p = name; *p; p++)
        ok = ok && (isalnum((unsigned char)*p) || strchr("-_.", *p));
    return ok || fail(err,
                      "--splits: '%.100s' is no name of a folder; take letters, digits, '-', '_' "
                      "and '.'",
                      name);
}

// Episodes from *next on, as many as the fraction says: LeRobot's way.
static bool take_fraction(EditPlan *plan, EditTarget *t, double fraction, double *sum,
                          int64_t *next, Error *err) {
    if (!(fraction > 0 && fraction <= 1) || *sum + fraction > 1 + 1e-6)
        return fail(err, "--splits: fractions lie between 0 and 1, and so does their sum");
    *sum += fraction;
    int64_t n = (int64_t)floor(fraction * (double)plan->n_pieces + 1e-9);
    if (fabs(*sum - 1) < 1e-6) n = plan->n_pieces - *next; // what rounding has left
    if (n < 1)
        return fail(err, "--splits: '%s' would have no episode of %lld", t->name,
                    (long long)plan->n_pieces);
    for (int64_t k = 0; k < n; k++) add_piece(plan, t, &plan->pieces[(*next)++]);
    return true;
}

static bool take_listed(EditPlan *plan, EditTarget *t, const json_t *list, bool *taken,
                        Error *err) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        int64_t e = json_integer_value(value);
        if (!json_is_integer(value) || e < 0 || e >= plan->n_pieces)
            return fail(err, "--splits: '%s' asks for an episode that is not among 0 to %lld",
                        t->name, (long long)plan->n_pieces - 1);
        if (taken[e]) return fail(err, "--splits: episode %lld is in two of them", (long long)e);
        taken[e] = true;
        add_piece(plan, t, &plan->pieces[e]);
    }
    return t->n_pieces > 0 || fail(err, "--splits: '%s' has no episode", t->name);
}

static bool split_as_listed(const json_t *splits, EditPlan *plan, Error *err) {
    bool *taken = arena_alloc(&plan->arena, (size_t)plan->n_pieces + 1);
    double sum = 0;
    int64_t next = 0;
    int lists = 0, fractions = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)splits, name, value) {
        if (!check_name(name, err)) return false;
        EditTarget *t = add_target(plan, arena_strdup(&plan->arena, name));
        lists += json_is_array(value);
        fractions += json_is_number(value);
        if (lists + fractions != plan->n_targets || (lists && fractions))
            return fail(err,
                        "--splits: give every one a fraction, or every one a list of episodes");
        if (!(json_is_array(value)
                  ? take_listed(plan, t, value, taken, err)
                  : take_fraction(plan, t, json_number_value(value), &sum, &next, err)))
            return false;
    }
    return true;
}

bool edit_plan_split(const char *splits, EditPlan *plan, Error *err) {
    make_room(plan, (size_t)plan->n_pieces);
    if (!splits) {
        EditTarget *t = add_target(plan, NULL);
        t->pieces = plan->pieces;
        t->n_pieces = plan->n_pieces;
        return true;
    }
    if (strcmp(splits, "task") == 0) return split_by_task(plan), true;
    if (strcmp(splits, "episode") == 0) return split_by_episode(plan), true;
    json_error_t problem;
    json_t *object = json_parse_argument(splits, JSON_REJECT_DUPLICATES, &problem);
    bool ok = json_is_object(object) && json_object_size(object) > 0;
    if (!ok)
        fail(err,
             "--splits=%.200s: expected `task`, `episode`, or names with fractions or episodes, as "
             "{\"train\": 0.8, \"val\": 0.2} or {\"train\": [0,1], \"val\": [2]}",
             splits);
    make_room(plan, ok ? json_object_size(object) : 0);
    ok = ok && split_as_listed(object, plan, err);
    json_decref(object);
    return ok;
}

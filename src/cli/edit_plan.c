// SPDX-License-Identifier: Apache-2.0
#include "cli/edit_plan.h"

#include "base/file.h"
#include "base/log.h"
#include "check/check.h"
#include "cli/cli.h"
#include "formats/hub_cache.h"
#include "formats/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- which episodes are opened ------------------------------------------------------------------

// How many episodes a dataset says it has: those that are left out need not be readable.
static bool count_episodes(const char *name, int64_t *n, Error *err) {
    char folder[4096], path[4200];
    json_t *info = NULL;
    snprintf(folder, sizeof folder, "%s", name);
    if (!dir_exists(name) && !hub_find(HUB_DATASET, name, NULL, folder, sizeof folder, err))
        return false;
    snprintf(path, sizeof path, "%s/meta/info.json", folder);
    if (!json_read(path, &info, err)) return false;
    const json_t *total = json_object_get(info, "total_episodes");
    *n = json_integer_value(total);
    bool ok = json_is_integer(total) && *n > 0 && *n <= 100000000;
    json_decref(info);
    return ok || fail(err, "%s: \"total_episodes\" is not a count; copy the file again", path);
}

// The episodes that --drop or --keep leaves; *out NULL: all.
static bool choose_episodes(const EditFlags *f, const char *name, EditPlan *plan, int64_t **out,
                            int64_t *count, Error *err) {
    int64_t total, *list, n;
    *out = NULL;
    *count = 0;
    if (!f->drop && !f->keep) return true;
    if (!count_episodes(name, &total, err)) return false;
    if (f->keep) {
        if (!cli_episode_list("keep", f->keep, total, &plan->arena, out, count, err)) return false;
        plan->left_out = total - *count;
        return true;
    }
    if (!cli_episode_list("drop", f->drop, total, &plan->arena, &list, &n, err)) return false;
    *out = arena_alloc(&plan->arena, sizeof **out * (size_t)(total + 1));
    for (int64_t e = 0, k = 0; e < total; e++) {
        while (k < n && list[k] < e) k++;
        if (k == n || list[k] != e) (*out)[(*count)++] = e;
    }
    plan->left_out = n;
    return *count > 0 || fail(err, "--drop=%.300s: no episode is left", f->drop);
}

// An error advises the flag of a training that chooses episodes; here it has another name.
static bool fail_by_our_flag(Error *err) {
    static const char theirs[] = "--dataset.episodes", ours[] = "--keep";
    for (char *p; (p = strstr(err->text, theirs));) {
        memcpy(p, ours, sizeof ours - 1);
        memmove(p + sizeof ours - 1, p + sizeof theirs - 1, strlen(p + sizeof theirs - 1) + 1);
    }
    return false;
}

static bool open_source(const EditFlags *f, const char *name, EditPlan *plan, Error *err) {
    bool folder = dir_exists(name);
    if (!folder && (*name == '/' || *name == '.')) return fail(err, "%s: no such directory", name);
    DatasetOptions options = {.root = folder ? name : NULL,
                              .repo_id = folder ? NULL : name,
                              .rename = f->rename_map,
                              .need_videos = true,
                              .depth_maps = true};
    int64_t *episodes;
    if (!choose_episodes(f, name, plan, &episodes, &options.n_episodes, err)) return false;
    options.episodes = episodes;
    if (!dataset_open(&options, &plan->sources[plan->n_sources], err)) return fail_by_our_flag(err);
    plan->n_sources++;
    return true;
}

// ---- what is cut off ----------------------------------------------------------------------------

typedef struct Trim {
    bool idle;
    double head, tail; // seconds
} Trim;

static bool read_trim(const char *text, Trim *out, Error *err) {
    char *end;
    *out = (Trim){.idle = strcmp(text, "idle") == 0};
    if (out->idle) return true;
    out->head = strtod(text, &end);
    bool ok = end != text && *end == ',';
    const char *second = ok ? end + 1 : text;
    if (ok) out->tail = strtod(second, &end);
    ok = ok && end != second && *end == '\0' && out->head >= 0 && out->tail >= 0 &&
         out->head < 1e6 && out->tail < 1e6;
    return ok || fail(err,
                      "--trim=%.100s: expected `idle`, or seconds to cut off every episode's begin "
                      "and end, as 0.5,1",
                      text);
}

static bool trim_piece(const Dataset *ds, const CheckIdle *idle, EditPiece *piece, EditPlan *plan,
                       Error *err) {
    int64_t rest = piece->length - idle->head - idle->tail;
    if (rest < 1)
        return fail(err,
                    "--trim: episode %lld of %s has %lld rows, of which none would be left; drop "
                    "it, or cut off less",
                    (long long)ds->episodes[piece->episode].index, ds->root,
                    (long long)piece->length);
    plan->trimmed += rest < piece->length;
    plan->trimmed_rows += piece->length - rest;
    piece->first = idle->head;
    piece->length = rest;
    return true;
}

static bool add_pieces(const Trim *trim, int source, EditPlan *plan, Error *err) {
    const Dataset *ds = plan->sources[source];
    CheckIdle *idle = NEW(CheckIdle, ds->n_episodes);
    if (trim->idle) check_idle(ds, idle);
    bool ok = true;
    for (int64_t e = 0; ok && e < ds->n_episodes; e++) {
        EditPiece *piece = &plan->pieces[plan->n_pieces++];
        *piece = (EditPiece){.source = source, .episode = e, .length = ds->episodes[e].length};
        if (!trim->idle)
            idle[e] = (CheckIdle){(int64_t)(trim->head * ds->fps + 0.5),
                                  (int64_t)(trim->tail * ds->fps + 0.5)};
        ok = trim_piece(ds, &idle[e], piece, plan, err);
    }
    mem_free(idle);
    return ok;
}

// ---- the plan -----------------------------------------------------------------------------------

// "a,b", as LeRobot has it also "['a', 'b']".
static void list_removed(const char *text, EditPlan *plan) {
    plan->removed = arena_alloc(&plan->arena, sizeof *plan->removed * (strlen(text) + 1));
    for (const char *p = text; *p;) {
        p += strspn(p, "[]'\", ");
        size_t n = strcspn(p, "[]'\",");
        while (n > 0 && p[n - 1] == ' ') n--;
        if (n > 0) plan->removed[plan->n_removed++] = arena_printf(&plan->arena, "%.*s", (int)n, p);
        p += n;
    }
}

static bool make(const EditFlags *f, const char *const *names, int n, EditPlan *plan, Error *err) {
    Trim trim = {0};
    if (f->drop && f->keep) return fail(err, "--drop and --keep exclude each other");
    if (n > 1 && (f->drop || f->keep))
        return fail(err,
                    "--drop and --keep count the episodes of one dataset; edit each of the %d "
                    "by itself, then join what comes of it",
                    n);
    if (f->trim && !read_trim(f->trim, &trim, err)) return false;
    if (f->remove_features) list_removed(f->remove_features, plan);
    plan->sources = arena_alloc(&plan->arena, sizeof(Dataset *) * (size_t)n);
    int64_t episodes = 0;
    for (int i = 0; i < n; i++) {
        if (!open_source(f, names[i], plan, err)) return false;
        episodes += plan->sources[i]->n_episodes;
    }
    if (!edit_check_sources(plan->sources, n, err)) return false;
    plan->pieces = arena_alloc(&plan->arena, sizeof *plan->pieces * (size_t)(episodes + 1));
    for (int i = 0; i < n; i++)
        if (!add_pieces(&trim, i, plan, err)) return false;
    return edit_plan_split(f->splits, plan, err);
}

bool edit_plan_make(const EditFlags *f, const char *const *names, int n, EditPlan *out,
                    Error *err) {
    *out = (EditPlan){0};
    if (make(f, names, n, out, err)) return true;
    edit_plan_free(out);
    return false;
}

void edit_plan_free(EditPlan *plan) {
    for (int i = 0; i < plan->n_sources; i++) dataset_close(plan->sources[i]);
    arena_free(&plan->arena);
    *plan = (EditPlan){0};
}

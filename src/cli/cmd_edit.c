// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/edit_plan.h"
#include "cli/stop.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_OPTIONS = 8 };

// The flags, whose values go into *f; returns how many there are.
static int list_options(EditFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"root", OPTION_FOLDER, &f->root, 0, 0, NULL,
         "the new dataset's folder, with --splits the folder of all of them; must not exist"},
        {"drop", OPTION_TEXT, &f->drop, 0, 0, NULL,
         "episodes that are left out, as [0,1,5] or 0:50 (0 to 49)"},
        {"keep", OPTION_TEXT, &f->keep, 0, 0, NULL, "the only episodes that go along"},
        {"trim", OPTION_TEXT, &f->trim, 0, 0, NULL,
         "idle: what the rules idle_head and idle_tail of `tact check` find is cut off but for "
         "half "
         "a second; or seconds that are cut off every episode's begin and end, as 0.5,1"},
        {"splits", OPTION_TEXT, &f->splits, 0, 0, NULL,
         "several datasets in place of one, at ROOT/NAME: {\"train\": 0.8, \"val\": 0.2}, "
         "{\"train\": [0,1], \"val\": [2]} of the episodes that are left, task, or episode"},
        {"rename_map", OPTION_TEXT, &f->rename_map, 0, 0, NULL,
         "other names of features, as {\"OLD\": \"NEW\"}"},
        {"remove_features", OPTION_TEXT, &f->remove_features, 0, 0, NULL,
         "features that are left out, by their new names, as A,B"},
        {"dry_run", OPTION_BOOL, &f->dry_run, 0, 0, NULL, "say what would be written, and end"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_edit(const PageWriter *w) {
    EditFlags f = {0};
    Option options[MOST_OPTIONS];
    page_usage(w, "edit DATASET [DATASET ...] --root=DIR [--flag=value ...]");
    page_argument(w, NULL);
    page_text(w, "Makes a LeRobot v3.0 dataset of episodes of others: without some, without the "
                 "standing still at their ends, of several datasets together, or several of one. "
                 "DATASET is a folder or a name on the Hub, v3.0, v2.1 or v2.0, and is only read. "
                 "All features go along; videos are cut without encoding them anew; episodes are "
                 "numbered anew and statistics computed anew.");
    page_options(w, options, list_options(&f, options));
}

// ---- the command --------------------------------------------------------------------------------

enum { PATH = 4200 };

static void target_path(const char *root, const EditTarget *t, char out[PATH]) {
    snprintf(out, PATH, "%s%s%s", root, t->name ? "/" : "", t->name ? t->name : "");
}

// Whether none of the new datasets is there: some are not written where another cannot be.
static bool check_targets(const EditPlan *plan, const char *root, Error *err) {
    for (int i = 0; i < plan->n_targets; i++) {
        char path[PATH];
        PathKind there;
        target_path(root, &plan->targets[i], path);
        if (!path_look(path, &there, err)) return false;
        if (there != AT_NONE)
            return fail(err, "%s: already exists; remove it or choose another folder", path);
    }
    return true;
}

static void print_target(const char *root, const EditTarget *t) {
    char path[PATH];
    int64_t rows = 0;
    target_path(root, t, path);
    for (int64_t p = 0; p < t->n_pieces; p++) rows += t->pieces[p].length;
    printf("%s: %lld episodes, %lld rows\n", path, (long long)t->n_pieces, (long long)rows);
}

static void print_plan(const EditPlan *plan) {
    if (plan->left_out) printf("%lld episodes left out\n", (long long)plan->left_out);
    if (plan->trimmed)
        printf("%lld episodes trimmed, by %lld rows together\n", (long long)plan->trimmed,
               (long long)plan->trimmed_rows);
}

static int write_target(const EditPlan *plan, const EditTarget *t, const char *root) {
    Error err;
    EditResult result;
    Progress bar = progress_new();
    char path[PATH];
    target_path(root, t, path);
    const EditOptions o = {.sources = plan->sources,
                           .n_sources = plan->n_sources,
                           .pieces = t->pieces,
                           .n_pieces = t->n_pieces,
                           .root = path,
                           .removed = plan->removed,
                           .n_removed = plan->n_removed,
                           .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                           .stop = stop_signal,
                           .progress = progress_count,
                           .user = &bar};
    bool ok = !t->name || make_dirs(root, &err);
    ok = ok && edit_write(&o, &result, &err);
    progress_clear(&bar);
    if (!ok) {
        cli_error(&err, EXIT_ERROR);
        return *stop_signal ? stop_code() : EXIT_ERROR;
    }
    print_target(root, t);
    return EXIT_OK;
}

static int run_edit(const EditFlags *f, const char *const *names, int n) {
    Error err;
    EditPlan plan;
    int code = EXIT_OK;
    stop_catch(NULL);
    if (!edit_plan_make(f, names, n, &plan, &err)) return cli_error(&err, EXIT_ERROR);
    if (!check_targets(&plan, f->root, &err)) code = cli_error(&err, EXIT_ERROR);
    for (int i = 0; i < plan.n_targets && code == EXIT_OK; i++)
        if (f->dry_run)
            print_target(f->root, &plan.targets[i]);
        else
            code = write_target(&plan, &plan.targets[i], f->root);
    if (code == EXIT_OK) print_plan(&plan);
    edit_plan_free(&plan);
    return code;
}

int cmd_edit(int argc, char **argv) {
    EditFlags f = {0};
    Option options[MOST_OPTIONS];
    const int count = list_options(&f, options);
    Error err;
    if (!options_take(options, count, &argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    Arena arena = {0};
    const char **names = arena_alloc(&arena, sizeof *names * (size_t)(argc + 1)), *name;
    int n = 0;
    while ((name = options_take_name(&argc, argv))) names[n++] = name;
    bool ok = options_none_left(options, count, argc, argv, &err);
    if (ok && n == 0) ok = fail(&err, "no dataset given: tact edit DATASET --root=DIR");
    if (ok && !f.root) ok = fail(&err, "no --root=DIR given: where to write the new dataset");
    int code = ok ? run_edit(&f, names, n) : cli_error(&err, EXIT_USAGE);
    arena_free(&arena);
    return code;
}

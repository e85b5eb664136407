// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "cli/cli.h"
#include "report/runs.h"
#include <stdio.h>
#include <string.h>

enum { MOST_OPTIONS = 4 };

typedef struct ReportFlags {
    const char *output;
    bool json;
} ReportFlags;

// The flags, whose values go into *f; returns how many there are.
static int list_options(ReportFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"output_file", OPTION_FILE, &f->output, 0, 0, NULL,
         "the page; else report.html in RUN or, of several, in the folder that they all lie in"},
        {"json", OPTION_BOOL, &f->json, 0, 0, NULL,
         "print what the page shows as JSON, and write no page"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_report(const PageWriter *w) {
    ReportFlags f = {0};
    Option options[MOST_OPTIONS];
    page_usage(w, "report RUN [RUN ...] [--output_file=FILE]");
    page_argument(w, NULL);
    page_text(w,
              "Writes one page, to be looked at in a browser, about trainings: curves of losses, "
              "evaluations, success rates, gradient norm, learning rate and times; checkpoints, "
              "settings that are not the defaults, dataset. Several runs are drawn over each "
              "other, with a table that holds them side by side and the settings in which they "
              "differ. RUN is the --output_dir of a training, also of one that is going on, or a "
              "checkpoint in it; of several names those that are no runs are left out, so that "
              "outputs/train/* may be given. The page needs nothing from a network; the videos "
              "that it shows "
              "lie in the runs, in or above which it has to stay for that.");
    page_options(w, options, list_options(&f, options));
}

// Where the page goes, and in which directory that is.
CHECKED static bool name_page(const ReportFlags *f, const RunList *runs, char dir[POLICY_PATH],
                              char path[POLICY_PATH + 32], Error *err) {
    if (!f->output) {
        runs_page_dir(runs, dir);
        snprintf(path, POLICY_PATH + 32, "%s/report.html", dir);
        return true;
    }
    PathKind there;
    if (!path_look(f->output, &there, err)) return false;
    if (there == AT_DIR)
        return fail(err, "--output_file=%s: a folder; name a file in it, as %s/report.html",
                    f->output, f->output);
    path_parent(dir, POLICY_PATH, f->output);
    snprintf(path, POLICY_PATH + 32, "%s", f->output);
    return f->json || make_dirs(dir, err);
}

CHECKED static bool write_page(const ReportFlags *f, const char *path, const json_t *description,
                               Error *err) {
    Error why;
    if (runs_write(path, description, &why)) {
        puts(path);
        return true;
    }
    return fail_because(err, &why, "%s%s", why.text,
                        f->output ? "" : "; --output_file=FILE puts the page elsewhere");
}

CHECKED static bool report(const ReportFlags *f, const char *const *names, int count, Error *err) {
    char dir[POLICY_PATH], path[POLICY_PATH + 32];
    json_t *description = NULL;
    RunList runs = {0};
    bool ok = runs_find(names, count, &runs, err) && name_page(f, &runs, dir, path, err) &&
              runs_describe(&runs, dir_exists(dir) ? dir : ".", &description, err);
    if (ok && f->json)
        cli_print_json(description, 0);
    else if (ok)
        ok = write_page(f, path, description, err);
    json_decref(description);
    runs_free(&runs);
    return ok;
}

int cmd_report(int argc, char **argv) {
    ReportFlags f = {0};
    Option options[MOST_OPTIONS];
    const int count = list_options(&f, options);
    const char *runs[RUNS_MOST + 1];
    int n = 0;
    Error err;
    if (!options_take(options, count, &argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    while (n <= RUNS_MOST && (runs[n] = options_take_name(&argc, argv))) n++;
    if (!options_none_left(options, count, argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    if (n == 0)
        (void)fail(&err, "no run given; name the --output_dir of a training: tact report RUN");
    if (n > RUNS_MOST) (void)fail(&err, "more than %d runs", RUNS_MOST);
    if (n == 0 || n > RUNS_MOST) return cli_error(&err, EXIT_USAGE);
    return report(&f, runs, n, &err) ? EXIT_OK : cli_error(&err, EXIT_ERROR);
}

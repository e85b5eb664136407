// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "env/env.h"
#include "env/record.h"
#include "eval/closed_loop.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct SimFlags {
    const char *type, *root, *image, *shift;
    int64_t episodes, seed, threads;
} SimFlags;

static const SimFlags defaults = {.image = "96x96", .episodes = 50};
enum { MOST_OPTIONS = 8 };

// The flags, whose values go into *s; returns how many there are.
static int list_options(SimFlags *s, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"env.type", OPTION_TEXT, &s->type, 0, 0, NULL, "the task"},
        {"root", OPTION_FOLDER, &s->root, 0, 0, NULL,
         "directory to write (record); must not exist"},
        {"episodes", OPTION_INT, &s->episodes, 1, 100000, NULL, "to record, or to try"},
        {"seed", OPTION_INT, &s->seed, 0, INT64_MAX / 2, NULL,
         "of the first episode; the next has one more"},
        {"image", OPTION_TEXT, &s->image, 0, 0, NULL, "HEIGHTxWIDTH of the camera's images, even"},
        {"threads", OPTION_INT, &s->threads, 0, 256, NULL,
         "simulations at a time; 0: one a processor"},
        {"env.start_shift", OPTION_TEXT, &s->shift, 0, 0, NULL,
         "[dx,dy,dz] in metres that the gripper starts beside the place of the seed"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_sim(const PageWriter *w) {
    int types;
    const EnvSpec *spec = env_types(&types);
    SimFlags s = defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "sim record --env.type=TYPE --root=DIR [--flag=value ...]");
    page_usage(w, "sim expert --env.type=TYPE [--flag=value ...]");
    page_argument(w, "record|expert");
    page_text(w, "Simulated tasks with a scripted expert (MuJoCo; no display is needed). `record` "
                 "writes the expert's successful episodes as a LeRobot v3.0 dataset with poses and "
                 "a wrist camera; `expert` counts how often it succeeds. The same seed gives the "
                 "same episode, on any number of threads.");
    page_heading(w, "Tasks");
    for (int i = 0; i < types; i++) page_item(w, spec[i].type, spec[i].help);
    page_heading(w, "Flags");
    page_options(w, options, list_options(&s, options));
}

// "96x128": height, width.
CHECKED static bool parse_image_size(const char *text, RecordOptions *r, Error *err) {
    int end = 0;
    if (sscanf(text, "%4dx%4d%n", &r->height, &r->width, &end) != 2 || text[end])
        return fail(err, "--image=%s: expected HEIGHTxWIDTH, as in 96x96", text);
    if (r->height < 64 || r->width < 64 || r->height > 2048 || r->width > 2048 || r->height % 2 ||
        r->width % 2)
        return fail(err, "--image=%s: choose even sizes, 64x64 to 2048x2048", text);
    return true;
}

// Checks the flags and makes the options of a recording from them.
CHECKED static bool check_sim_flags(const SimFlags *s, bool record, RecordOptions *r, Error *err) {
    const EnvSpec *spec;
    if (!s->type) return fail(err, "no --env.type given: which task (tact sim --help lists them)");
    if (!env_find(s->type, &spec, err)) return false;
    if (record && !s->root) return fail(err, "no --root=DIR given: where to write the dataset");
    if (!record && s->root)
        return fail(err, "--root=%s: `tact sim expert` writes nothing", s->root);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *r = (RecordOptions){.type = s->type, .root = s->root, .episodes = s->episodes};
    r->seed = (uint64_t)s->seed;
    r->threads = s->threads > 0 ? (int)s->threads : processors > 0 ? (int)processors : 1;
    if (r->threads > s->episodes) r->threads = (int)s->episodes;
    return (!s->shift || env_read_shift(s->shift, r->shift, err)) &&
           parse_image_size(s->image, r, err);
}

static int run_sim(const SimFlags *s, bool record) {
    Error err;
    RecordOptions options;
    RecordResult result;
    if (!check_sim_flags(s, record, &options, &err)) return cli_error(&err, EXIT_USAGE);
    Progress bar = progress_new();
    options.progress = progress_count;
    options.user = &bar;
    bool ok = env_record(&options, &result, &err);
    progress_clear(&bar);
    if (!ok) return cli_error(&err, EXIT_ERROR);
    if (record) {
        printf("%s: %lld episodes, %lld frames, seeds %lld to %lld, %lld of them left out\n",
               s->root, (long long)result.succeeded, (long long)result.frames, (long long)s->seed,
               (long long)(s->seed + result.tried - 1),
               (long long)(result.tried - result.succeeded));
    } else {
        double low, high;
        wilson_interval(result.succeeded, result.tried, &low, &high);
        printf("%s: the expert succeeded in %lld of %lld episodes, %.1f %% (95 %%: %.1f to %.1f), "
               "seeds %lld to %lld\n",
               s->type, (long long)result.succeeded, (long long)result.tried,
               100.0 * (double)result.succeeded / (double)result.tried, 100 * low, 100 * high,
               (long long)s->seed, (long long)(s->seed + result.tried - 1));
    }
    return EXIT_OK;
}

int cmd_sim(int argc, char **argv) {
    SimFlags s = defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&s, options);
    Error err;
    bool record = argc > 0 && strcmp(argv[0], "record") == 0;
    if (!record && (argc == 0 || strcmp(argv[0], "expert") != 0)) {
        (void)fail(&err,
                   "sim%s%s: no such command; there are `tact sim record` and `tact sim expert`",
                   argc ? " " : "", argc ? argv[0] : "");
        return cli_error(&err, EXIT_USAGE);
    }
    argc--, argv++;
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_none_left(options, count, argc, argv, &err))
        return cli_error(&err, EXIT_USAGE);
    return run_sim(&s, record);
}

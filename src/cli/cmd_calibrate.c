// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "cli/source.h"
#include "config/fields.h"
#include "eval/calibrate.h"
#include "policy/policy_locate.h"
#include <stdio.h>
#include <string.h>

typedef struct Calibrate {
    const char *policy, *root, *repo_id, *revision, *episodes, *rename, *tolerance, *method;
    int64_t frames, threads;
    TrainConfig config; // holds the parsed dataset.* flags
} Calibrate;

static const Calibrate defaults = {.frames = 300, .method = "mse"};

enum { MOST_OPTIONS = 16 };

// The flags, whose values go into *c; returns how many there are.
static int list_options(Calibrate *c, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"policy.path", OPTION_TEXT, &c->policy, 0, 0, NULL,
         "training run, checkpoint or pretrained_model"},
        {"dataset.root", OPTION_TEXT, &c->root, 0, 0, NULL,
         "folder of the LeRobot dataset that it was trained on"},
        {"dataset.repo_id", OPTION_TEXT, &c->repo_id, 0, 0, NULL,
         "its name; without --dataset.root looked for where LeRobot and `hf download` put it"},
        {"dataset.revision", OPTION_TEXT, &c->revision, 0, 0, NULL,
         "with its name: branch, tag or commit"},
        {"rename_map", OPTION_TEXT, &c->rename, 0, 0, NULL,
         "other names for what the dataset has, {\"OLD\": \"NEW\"}; else those of the training"},
        {"dataset.episodes", OPTION_TEXT, &c->episodes, 0, 0, NULL,
         "episodes to take frames of, as [4,5]; else up to 20 of the training, spread over all"},
        {"tolerance_s", OPTION_TEXT, &c->tolerance, 0, 0, NULL,
         "most seconds between a row and its video frame; else a quarter of a frame"},
        {"frames", OPTION_INT, &c->frames, 1, 1000000, NULL,
         "about how many observations are predicted from, spread over those episodes"},
        {"method", OPTION_TEXT, &c->method, 0, 0, "mse|percentile|max",
         "how far numbers are kept apart before they all count as the largest: where their squared "
         "error is least, where one in 10,000 is farther away, or where none is"},
        {"threads", OPTION_INT, &c->threads, 0, 4096, NULL, "compute threads; 0: all processors"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_calibrate(const PageWriter *w) {
    Calibrate c = defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "calibrate --policy.path=CHECKPOINT --dataset.root=DIR [--flag=value ...]");
    page_text(w,
              "At --policy.dtype=int8 a policy computes with integers of 8 bits, which has to know "
              "how large the numbers between its layers become. Shows a policy recorded "
              "observations in float32, measures that, and writes int8_calibration.json beside "
              "the weights; then shows it the same at int8 and prints both errors. From then on "
              "`tact eval`, `tact serve` and libtact take --policy.dtype=int8 (dtype) for that "
              "checkpoint, on processors with VNNI or AMX.");
    page_options(w, options, list_options(&c, options));
}

// ---- the command --------------------------------------------------------------------------------

CHECKED static bool check_options(Calibrate *c, Error *err) {
    if (!c->policy)
        return fail(err, "no policy given; name a training run or a checkpoint with --policy.path");
    if (!c->root && !c->repo_id)
        return fail(err, "no dataset given; name the folder of the one that the policy was trained "
                         "on with --dataset.root=DIR");
    return source_refuse_as_dataset(c->root, err) &&
           (!c->episodes ||
            field_set(&c->config, field_find("dataset.episodes"), c->episodes, err)) &&
           (!c->tolerance || field_set(&c->config, field_find("tolerance_s"), c->tolerance, err));
}

static void print_result(const CalibrateResult *r) {
    const EvalResult *exact = &r->exact, *rounded = &r->rounded;
    printf("%d products, from %lld observations of %lld episodes\n", r->products,
           (long long)exact->windows, (long long)exact->dataset->n_episodes);
    if (r->compared) {
        printf("\n  %-22s %-4s %9s %9s\n", "mean error there", "", "float32", "int8");
        for (int i = 0; i < exact->measures.count; i++)
            printf("  %-22.22s %-4s %9.4g %9.4g\n", exact->measures.of[i].name,
                   exact->measures.of[i].unit, exact->error_all[i].mean,
                   rounded->error_all[i].mean);
    } else
        printf("not compared with float32: %s\n", r->why.text);
    printf("\n%s\n", r->path);
}

CHECKED static bool run(const Calibrate *c, Error *err) {
    Progress bar = progress_new();
    CalibrateOptions o = {
        .policy_path = c->policy,
        .dataset = {.repo_id = c->repo_id,
                    .root = c->root,
                    .revision = c->revision,
                    .rename = c->rename,
                    .tolerance_s = train_config_tolerance(&c->config),
                    .episodes = c->config.dataset.episodes.values,
                    .n_episodes = c->config.dataset.episodes.count},
        .observations = c->frames,
        .threads = (int)c->threads,
        .progress = progress_count,
        .user = &bar,
    };
    for (int i = 0; i < CLIPS; i++)
        if (strcmp(c->method, clip_names[i]) == 0) o.clip = (Clip)i;
    CalibrateResult result = {0};
    bool ok = calibrate(&o, &result, err);
    progress_clear(&bar);
    if (ok) print_result(&result);
    calibrate_free(&result);
    return ok;
}

int cmd_calibrate(int argc, char **argv) {
    Calibrate c = defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&c, options);
    Error err;
    int code = EXIT_OK;
    train_config_default(&c.config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_none_left(options, count, argc, argv, &err) || !check_options(&c, &err))
        code = cli_error(&err, EXIT_USAGE);
    else if (!run(&c, &err))
        code = cli_error(&err, EXIT_ERROR);
    train_config_free(&c.config);
    return code;
}

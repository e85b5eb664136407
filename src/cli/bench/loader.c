// SPDX-License-Identifier: Apache-2.0
// tact bench --loader: how fast batches come, without the model.
#include "cli/bench.h"
#include "cli/bench/loader_passes.h"
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

enum { LOADER_OPTIONS = 3 };

typedef struct LoaderFlags {
    bool loader, json;
    int64_t steps;
} LoaderFlags;

static void list_options(LoaderFlags *f, Option options[LOADER_OPTIONS]) {
    const Option all[LOADER_OPTIONS] = {
        {"loader", OPTION_BOOL, &f->loader, 0, 0, NULL, "this benchmark"},
        {"steps", OPTION_INT, &f->steps, 1, 1000000, NULL, "batches to time; without it an epoch"},
        {"json", OPTION_BOOL, &f->json, 0, 0, NULL, "print JSON"},
    };
    memcpy(options, all, sizeof all);
}

void describe_bench_loader(const PageWriter *w) {
    LoaderFlags f = {0};
    Option options[LOADER_OPTIONS];
    list_options(&f, options);
    page_heading(w, "With --loader");
    page_text(w, "Frames a second from disk to batches, without a frame cache, while it is filled, "
                 "and full. The flags of `tact train` that shape batches (--dataset.*, --policy.*, "
                 "--batch_size, --num_workers, --prefetch_factor, --seed) apply. The cache is made "
                 "in --dataset.frame_cache_dir, or $TMPDIR, and removed.");
    page_options(w, options, LOADER_OPTIONS);
}

bool bench_loader_wanted(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--loader") == 0 || strcmp(argv[i], "--loader=true") == 0) return true;
    return false;
}

int bench_loader(int argc, char **argv) {
    LoaderPasses b = {0};
    LoaderFlags f = {0};
    Option options[LOADER_OPTIONS];
    list_options(&f, options);
    Error err;
    int code = EXIT_USAGE;
    train_config_default(&b.config);
    if (!options_take(options, LOADER_OPTIONS, &argc, argv, &err) ||
        !options_rest_known(options, LOADER_OPTIONS, argc, argv, &err) ||
        !train_config_parse(&b.config, argc, argv, &err) ||
        !train_config_check_data(&b.config, &err))
        goto done;
    code = loader_passes_run(&b, f.steps, &err) ? EXIT_OK : EXIT_ERROR;
    if (code == EXIT_OK) loader_report_print(&b, f.json);
done:
    loader_passes_free(&b);
    return code == EXIT_OK ? EXIT_OK : cli_error(&err, code);
}

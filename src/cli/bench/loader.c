// SPDX-License-Identifier: Apache-2.0
// tact bench --loader: how fast batches come, without the model.
#include "cli/bench.h"
#include "cli/bench/loader_passes.h"
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

static void print_help(const Option *options, int count) {
    printf("tact bench --loader: frames a second from disk to batches, without a frame cache, "
           "while it is\nfilled, and full\n\n");
    options_print(options, count);
    printf("\nThe flags of tact train that shape batches (--dataset.*, --policy.*, --batch_size, "
           "--num_workers,\n--prefetch_factor, --seed) apply. The cache is made in "
           "--dataset.frame_cache_dir, or $TMPDIR, and removed.\n");
}

bool bench_loader_wanted(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--loader") == 0 || strcmp(argv[i], "--loader=true") == 0) return true;
    return false;
}

int bench_loader(int argc, char **argv) {
    LoaderPasses b = {0};
    int64_t steps = 0;
    bool loader, json = false;
    const Option options[] = {
        {"loader", OPTION_BOOL, &loader, 0, 0, "this benchmark"},
        {"steps", OPTION_INT, &steps, 1, 1000000, "batches to time; without it an epoch"},
        {"json", OPTION_BOOL, &json, 0, 0, "print JSON"},
    };
    const int count = sizeof options / sizeof *options;
    Error err;
    int code = EXIT_USAGE;
    if (cli_wants_help(argc, argv)) {
        print_help(options, count);
        return EXIT_OK;
    }
    train_config_default(&b.config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_rest_known(options, count, argc, argv, &err) ||
        !train_config_parse(&b.config, argc, argv, &err) ||
        !train_config_check_data(&b.config, &err))
        goto done;
    code = loader_passes_run(&b, steps, &err) ? EXIT_OK : EXIT_ERROR;
    if (code == EXIT_OK) loader_report_print(&b, json);
done:
    loader_passes_free(&b);
    return code == EXIT_OK ? EXIT_OK : cli_error(&err, code);
}

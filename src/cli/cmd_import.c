// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/source.h"
#include "cli/stop.h"
#include "config/fields.h"
#include "import/convert.h"
#include <stdio.h>
#include <string.h>

static const char images_choices[] = "video|png|jpeg|copy";
enum { MOST_OPTIONS = 8 };

// The flags, whose values go into *f; returns how many there are.
static int list_options(ImportFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"root", OPTION_FOLDER, &f->root, 0, 0, NULL, "the dataset's folder; must not exist"},
        {"fps", OPTION_TEXT, &f->fps, 0, 0, NULL,
         "frames a second, where the source does not say or says it wrongly; 59.94 and its like "
         "are 60000/1001, and fractions may be written so"},
        {"task", OPTION_TEXT, &f->task, 0, 0, NULL,
         "what the robot does, in words, for the episodes of which the source does not say it"},
        {"images", OPTION_TEXT, &f->images, 0, 0, images_choices,
         "video: AV1 as LeRobot has it; in the data files: png, to the bit; jpeg; copy, the bytes "
         "of the source where these are JPEG or PNG files"},
        {"action", OPTION_TEXT, &f->action, 0, 0, "same|next",
         "where the source has no actions: the action of a row is the state of the same row, as in "
         "UMI, or of the next"},
        {"episodes", OPTION_TEXT, &f->episodes, 0, 0, NULL,
         "of the source, as [0,1,5] or 0:50 (0 to 49); all by default"},
        {"colors", OPTION_TEXT, &f->colors, 0, 0, "auto|rgb|bgr",
         "of stored JPEG and PNG files: bgr where red shows as blue, because OpenCV wrote them "
         "from RGB; auto: as the recorder of that form does"},
        {"threads", OPTION_INT, &f->threads, 0, 1024, NULL,
         "that decode and encode; 0: one a processor"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_import(const PageWriter *w) {
    ImportFlags f = import_flag_defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "import SOURCE --root=DIR [--flag=value ...]");
    page_argument(w, NULL);
    page_text(w, "Makes a LeRobot v3.0 dataset of demonstrations in another form: UMI's and "
                 "diffusion policy's replay_buffer.zarr (a folder, or a zip file), ACT's and "
                 "robomimic's HDF5 files (a file, or a folder of them). What SOURCE is shows in "
                 "what it holds, not in its name; `tact info SOURCE` shows it without converting. "
                 "SOURCE is only read.");
    page_text(w, "The dataset grows in DIR.partial and appears as DIR when it is whole. A "
                 "conversion that was stopped goes on when the same command is given again.");
    page_options(w, options, list_options(&f, options));
}

// ---- the command --------------------------------------------------------------------------------

static void log_what_is_kept(const ConvertOptions *o) {
    char partial[4096];
    snprintf(partial, sizeof partial, "%s", o->root);
    for (size_t n = strlen(partial); n > 1 && partial[n - 1] == '/'; n--) partial[n - 1] = '\0';
    strncat(partial, ".partial", sizeof partial - strlen(partial) - 1);
    if (dir_exists(partial))
        log_info("%s: what is done is kept there; the same command goes on with it", partial);
}

static int convert(ImportSource *source, ConvertOptions *o) {
    Error err;
    ConvertResult r;
    Progress bar = progress_new();
    o->stop = stop_signal;
    o->progress = progress_count;
    o->user = &bar;
    stop_catch(NULL);
    bool ok = convert_source(source, o, &r, &err);
    progress_clear(&bar);
    if (!ok) {
        log_what_is_kept(o);
        cli_error(&err, EXIT_ERROR);
        return *stop_signal ? stop_code() : EXIT_ERROR;
    }
    if (r.found)
        log_info("%lld of %lld frames were there already", (long long)r.found, (long long)r.frames);
    printf("%s: %lld episodes, %lld rows, %lld frames of %d camera%s\n", o->root,
           (long long)r.episodes, (long long)r.rows, (long long)r.frames, source->n_cameras,
           source->n_cameras == 1 ? "" : "s");
    return EXIT_OK;
}

static int run_import(const char *name, const ImportFlags *f) {
    Error err;
    ImportSource *source;
    ConvertOptions options;
    Arena arena = {0};
    int code = EXIT_ERROR;
    if (!import_open(name, &source, &err)) return cli_error(&err, EXIT_ERROR);
    if (!import_flags_read(f, source, &arena, &options, &err))
        code = cli_error(&err, EXIT_USAGE);
    else if (!source_log_plan(source, &options, &err))
        code = cli_error(&err, EXIT_ERROR);
    else
        code = convert(source, &options);
    arena_free(&arena);
    import_close(source);
    return code;
}

int cmd_import(int argc, char **argv) {
    ImportFlags f = import_flag_defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&f, options);
    Error err;
    if (!options_take(options, count, &argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    const char *name = options_take_name(&argc, argv);
    if (!options_none_left(options, count, argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    if (!name) {
        (void)fail(&err, "no source given: tact import SOURCE --root=DIR");
        return cli_error(&err, EXIT_USAGE);
    }
    if (!f.root) {
        (void)fail(&err, "no --root=DIR given: where to write the dataset");
        return cli_error(&err, EXIT_USAGE);
    }
    return run_import(name, &f);
}

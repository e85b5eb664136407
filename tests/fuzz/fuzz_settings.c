// SPDX-License-Identifier: Apache-2.0
// Any lines as flags ("@@ flags"), of a training and of another command, and any bytes as a file of
// settings (settings.yaml, settings.json): refused in one line, or settings that pass every check
// and can be written. Files with `!include` are left out, as in fuzz_yaml.c.
#include "cli/cli.h"
#include "config/config_json.h"
#include "config/fields.h"
#include "config/foreign.h"
#include "driver.h"
#include "loader/image_transforms.h"
#include "train/settings_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FLAGS = 64 };

static void write_settings(TrainConfig *c) {
    json_t *values[] = {policy_to_json(&c->policy), policy_to_tact_json(&c->policy),
                        train_config_to_json(c), train_config_to_tact_json(c)};
    for (int i = 0; i < 4; i++) {
        if (!values[i]) abort();
        char *text = json_text(values[i], 4);
        fuzz_use_bytes(text, strlen(text));
        mem_free(text);
        json_decref(values[i]);
    }
}

static void take_flags(int argc, char **argv) {
    TrainConfig c;
    ImageTransforms transforms;
    Error err = {""};
    train_config_default(&c);
    if (fuzz_ok(train_config_parse(&c, argc, argv, &err), &err)) {
        train_config_fill(&c, 0);
        (void)fuzz_ok(image_transforms_parse(&transforms, c.dataset.image_transforms.tfs, &err),
                      &err);
        (void)fuzz_ok(train_config_check_data(&c, &err), &err);
        if (fuzz_ok(train_config_check(&c, &err), &err)) write_settings(&c);
    }
    train_config_free(&c);
}

static void take_options(int argc, char **argv) {
    bool flag = false;
    int64_t number = 1;
    const char *text = NULL, *name;
    char notes[256] = "";
    const Option options[] = {
        {"json", OPTION_BOOL, &flag, 0, 0, NULL, "a flag"},
        {"frame", OPTION_INT, &number, 0, 100, NULL, "a number"},
        {"images", OPTION_FOLDER, &text, 0, 0, NULL, "a folder"},
        {"action", OPTION_TEXT, &text, 0, 0, "next|same", "a choice"},
    };
    const int count = sizeof options / sizeof options[0];
    Error err = {""};
    if (!fuzz_ok(options_take(options, count, &argc, argv, &err), &err) ||
        !fuzz_ok(options_take_foreign(&argc, argv, notes, sizeof notes, &err), &err))
        return;
    if (number < 0 || number > 100) abort();
    (void)fuzz_ok(options_rest_known(options, count, argc, argv, &err), &err);
    while ((name = options_take_name(&argc, argv))) fuzz_use_bytes(name, strlen(name));
    (void)fuzz_ok(options_none_left(options, count, argc, argv, &err), &err);
}

static void read_lines(const FuzzPart *part) {
    char *text = fuzz_text(part), *argv[MOST_FLAGS + 1] = {NULL}, *again[MOST_FLAGS + 1], *rest;
    int n = 0;
    for (char *line = strtok_r(text, "\n", &rest); line && n < MOST_FLAGS;
         line = strtok_r(NULL, "\n", &rest))
        argv[n++] = line;
    memcpy(again, argv, sizeof again);
    take_flags(n, argv);
    take_options(n, again);
    free(text);
}

static void read_file(const char *dir, const FuzzPart *part) {
    char path[512], flag[] = "--steps=3", **argv;
    char *given[] = {flag};
    Arena arena = {0};
    int n, of_file;
    Error err = {""};
    if (memmem(part->data, part->size, "include", 7) || memchr(part->data, '%', part->size)) return;
    snprintf(path, sizeof path, "%s/%s", dir, part->name);
    if (fuzz_ok(settings_file_flags(path, 1, given, &arena, &argv, &n, &of_file, &err), &err)) {
        if (of_file != n - 1 || argv[n - 1] != flag) abort();
        take_flags(n, argv);
    }
    arena_free(&arena);
}

void fuzz_input(const uint8_t *data, size_t size) {
    static const char *const files[] = {"settings.yaml", "settings.json"};
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const FuzzPart *flags = fuzz_part(parts, n, "flags");
    if (flags) read_lines(flags);
    for (int i = 0; i < 2; i++) {
        const FuzzPart *part = fuzz_part(parts, n, files[i]);
        if (part) read_file(fuzz_folder(part, 1, ""), part);
    }
}

// SPDX-License-Identifier: Apache-2.0
// A command line's flags as one text, parsed into a configuration.
#ifndef TACT_TESTS_CONFIG_COMMAND_LINE_H
#define TACT_TESTS_CONFIG_COMMAND_LINE_H

#include "config/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ARGUMENTS = 24 };

// Splits at '|', so that values may hold spaces. The text must outlive the call.
static inline int split(char *text, char **argv) {
    int n = 0;
    for (char *word = strtok(text, "|"); word; word = strtok(NULL, "|")) {
        assert_true(n < MAX_ARGUMENTS);
        argv[n++] = word;
    }
    return n;
}

static inline bool parse(TrainConfig *c, const char *line, Error *err) {
    char text[1024], *argv[MAX_ARGUMENTS];
    strcpy(text, line);
    train_config_default(c);
    return train_config_parse(c, split(text, argv), argv, err);
}

static inline void assert_parses(TrainConfig *c, const char *line) {
    Error err;
    if (!parse(c, line, &err)) fail_msg("%s: %s", line, err.text);
}

static inline void assert_error(const char *line, const char *what) {
    TrainConfig c;
    Error err = {""};
    if (parse(&c, line, &err)) fail_msg("%s: was accepted", line);
    if (!strstr(err.text, what) || strchr(err.text, '\n'))
        fail_msg("%s: \"%s\" does not say \"%s\"", line, err.text, what);
    train_config_free(&c);
}

#endif

// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static void log_line(const char *level, const char *format, va_list args) {
    // One write per line, so that lines of several threads do not mix.
    char line[4096];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm);
    int n = snprintf(line, sizeof line, "%s %s ", level, stamp);
    vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    fprintf(stderr, "%s\n", line);
}

void log_info(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line("INFO", format, args);
    va_end(args);
}

void log_warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line("WARNING", format, args);
    va_end(args);
}

double clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

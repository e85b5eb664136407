// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static _Thread_local LogSink own_sink;

LogSink log_to(LogSink sink) {
    LogSink before = own_sink;
    own_sink = sink;
    return before;
}

static const char *stderr_prefix = "";
static LogLevel stderr_least = LOG_LEVEL_INFO;

void log_as(const char *prefix, LogLevel least) {
    stderr_prefix = prefix;
    stderr_least = least;
}

static void write_stderr(LogLevel level, const char *line) {
    if (level < stderr_least) return;
    static const char *const names[] = {"INFO", "WARNING"};
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm);
    // One write per line, so that lines of several threads do not mix.
    fprintf(stderr, "%s %s %s%s\n", names[level], stamp, stderr_prefix, line);
}

void log_line(void *unused, LogLevel level, const char *line) {
    (void)unused;
    if (own_sink.write)
        own_sink.write(own_sink.user, level, line);
    else
        write_stderr(level, line);
}

static void log_format(LogLevel level, const char *format, va_list args) {
    char line[4096];
    vsnprintf(line, sizeof line, format, args);
    text_make_line(line);
    log_line(NULL, level, line);
}

void log_info(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_format(LOG_LEVEL_INFO, format, args);
    va_end(args);
}

void log_warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_format(LOG_LEVEL_WARNING, format, args);
    va_end(args);
}

double clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

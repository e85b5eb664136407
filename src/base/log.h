// SPDX-License-Identifier: Apache-2.0
// The one logging call. What it writes is one line, whatever is in the names that it tells of:
// control characters become blanks. Lines go to stderr as `INFO 2026-11-23 10:15:42 message`, or to
// where a thread sends its own.
#ifndef TACT_BASE_LOG_H
#define TACT_BASE_LOG_H

typedef enum LogLevel { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_NONE } LogLevel;

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Where a thread's lines go (they come without a newline). write NULL: to stderr.
typedef struct LogSink {
    void (*write)(void *user, LogLevel level, const char *line);
    void *user;
} LogSink;
// Sets where the calling thread's lines go from now on. Returns where they went before.
LogSink log_to(LogSink sink);
// For one of several processes that share a stderr: from now on its lines there below `least` are
// left out, and the others begin with `prefix`, which is static. To be called while there is one
// thread.
void log_as(const char *prefix, LogLevel least);
// Gives a line to the calling thread's sink. Modules have their own copy of this file: with this
// function of the program's as the write of its sink, a module's lines go where the program's
// go.
void log_line(void *unused, LogLevel level, const char *line);

// Seconds of a clock that never runs backwards.
double clock_seconds(void);

#endif

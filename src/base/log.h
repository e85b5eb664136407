// SPDX-License-Identifier: Apache-2.0
// The one logging call. Lines go to stderr as `INFO 2026-11-23 10:15:42 message`, or to whom a
// thread sends its own.
#ifndef TACT_BASE_LOG_H
#define TACT_BASE_LOG_H

typedef enum LogLevel { LOG_LEVEL_INFO, LOG_LEVEL_WARNING } LogLevel;

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Who gets a thread's lines (no newline); write NULL: stderr.
typedef struct LogSink {
    void (*write)(void *user, LogLevel level, const char *line);
    void *user;
} LogSink;
// Of the calling thread, from now on. Returns what was before.
LogSink log_to(LogSink sink);
// A line for the calling thread's sink. As a LogSink's write it hands on what a module, which has a
// copy of all this, has to say.
void log_line(void *unused, LogLevel level, const char *line);

// Seconds of a clock that never runs backwards.
double clock_seconds(void);

#endif

// SPDX-License-Identifier: Apache-2.0
// The one logging call. Lines go to stderr as `INFO 2026-11-23 10:15:42 message`.
#ifndef TACT_BASE_LOG_H
#define TACT_BASE_LOG_H

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Seconds of a clock that never runs backwards.
double clock_seconds(void);

#endif

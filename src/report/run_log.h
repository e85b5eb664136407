// SPDX-License-Identifier: Apache-2.0
// The log of a training: OUTPUT_DIR/metrics.jsonl, a JSON object a line. Every number in it, under
// whatever name, is a point of the series of that name, at the line's "step".
#ifndef TACT_REPORT_RUN_LOG_H
#define TACT_REPORT_RUN_LOG_H

#include "base/error.h"
#include "base/memory.h"
#include <stdint.h>

typedef struct LogPoint {
    int64_t step;
    double value; // NaN where the line has null, NaN or Infinity
} LogPoint;

// In ascending order of steps.
typedef struct LogSeries {
    const char *name;
    LogPoint *points;
    int64_t count, capacity;
} LogSeries;

enum { LOG_MOST_SERIES = 64 }; // names beyond these are passed over

// A pair of numbers, as "pc_success_95", is two series, with ".low" and ".high" behind the name.
// What tells of the moving average's episodes ("n_episodes", "mean_steps") has "ema_" before it.
typedef struct RunLog {
    LogSeries series[LOG_MOST_SERIES];
    int count;
    int64_t lines;          // that were read
    int64_t bad, first_bad; // that are no lines of a log, and the first one's number, from 1
    int64_t first_step, last_step;
    Arena arena;
} RunLog;

// Reads a file, which takes at most 64 MB and 32 times its bytes, as json_parse does. Lines that
// are not JSON objects with a step are counted and passed over; a last one without a line's end,
// which a running training may just be writing, is not counted. Only a file that cannot be read is
// an error.
CHECKED bool run_log_read(const char *path, RunLog *out, Error *err);
// What run_log_read does with a file's bytes: adds one line (without its end), which is at hand
// for as long as the call lasts. Returns whether it is a line of a log.
bool run_log_add(RunLog *log, const char *line, size_t length);
// To be called behind the last line: brings the series into their order.
void run_log_order(RunLog *log);
void run_log_free(RunLog *log); // a zeroed struct is allowed

// The series of a name; NULL: there is none.
const LogSeries *run_log_find(const RunLog *log, const char *name);

// The seconds that the training took up to the end of each line with figures of steps
// ("update_s"), without evaluations and checkpoints: (count of that series) numbers, mem_free. NULL
// where there are no such lines.
double *run_log_seconds(const RunLog *log);

#endif

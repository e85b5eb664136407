// SPDX-License-Identifier: Apache-2.0
#include "runtime/handle.h"

static void write_line_to_caller(void *policy, LogLevel level, const char *line) {
    const tact_policy *p = policy;
    p->log(p->log_user, level == LOG_LEVEL_WARNING ? TACT_LOG_WARNING : TACT_LOG_INFO, line);
}

LogSink log_to_handle(tact_policy *p) {
    return log_to((LogSink){p->log ? write_line_to_caller : NULL, p});
}

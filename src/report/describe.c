// SPDX-License-Identifier: Apache-2.0
#include "report/describe.h"

#include <math.h>

json_t *describe_number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *describe_path(const char *path) {
    return json_bytes(path);
}

json_t *describe_time(time_t moment) {
    char text[64];
    struct tm local;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&moment, &local));
    return json_string(text);
}

// SPDX-License-Identifier: Apache-2.0
// A policy, loaded once, and the episodes of its clients, through tact.h.
#ifndef TACT_SERVE_SERVED_POLICY_H
#define TACT_SERVE_SERVED_POLICY_H

#include "serve/serve.h"

typedef struct ServedPolicy {
    tact_policy *first; // whose model the episodes share; of no client
    tact_camera *cameras;
    ServePolicy table;
} ServedPolicy;

CHECKED bool served_policy_open(ServedPolicy *p, const ServeOptions *options, Error *err);
void served_policy_close(ServedPolicy *p); // after its episodes

#endif

// SPDX-License-Identifier: Apache-2.0
// Private to model/: lists the tensors of a configuration.
#ifndef TACT_MODEL_PARAMS_LIST_H
#define TACT_MODEL_PARAMS_LIST_H

#include "model/params.h"

// Fills p->list and p->count (names, shapes, kinds, inits) in LeRobot's order.
CHECKED bool params_list(Params *p, const PolicyConfig *config, Error *err);

#endif

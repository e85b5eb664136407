// SPDX-License-Identifier: Apache-2.0
// The settings of tact_open.
#ifndef TACT_RUNTIME_OPTIONS_H
#define TACT_RUNTIME_OPTIONS_H

#include "base/error.h"
#include "tact.h"

tact_options options_default(void);
// given, of any version, or NULL, into o. What the caller's version of the struct does not have
// keeps its default.
CHECKED bool options_from_caller(const tact_options *given, tact_options *o, Error *err);
// How the handle's actions come from chunks: as the caller wishes, else as the checkpoint says. The
// handle's policy must be there.
CHECKED bool options_choose_actions(tact_policy *p, const tact_options *o, Error *err);

#endif

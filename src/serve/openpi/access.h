// SPDX-License-Identifier: Apache-2.0
// Private to openpi/: who may connect.
#ifndef TACT_SERVE_OPENPI_ACCESS_H
#define TACT_SERVE_OPENPI_ACCESS_H

#include <stdbool.h>

// Whether the value of an Authorization header ("Api-Key TOKEN", as openpi-client sends it, or
// "Bearer TOKEN") shows the token. Takes the same time wherever the two differ.
bool access_allowed(const char *authorization, const char *token);

#endif

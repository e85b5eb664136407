// SPDX-License-Identifier: Apache-2.0
// Folders that hold demonstrations in none of the forms: what they look like.
#ifndef TACT_IMPORT_KINDS_H
#define TACT_IMPORT_KINDS_H

#include "base/error.h"

// Fails with what a folder looks like and what is missing or to be done; true where it looks like
// nothing in particular. Only names are looked at.
CHECKED bool kind_refuse(const char *folder, Error *err);

#endif

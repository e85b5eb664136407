// SPDX-License-Identifier: Apache-2.0
// The forms that the module tact_import has, one a file.
#ifndef TACT_IMPORT_FORMS_H
#define TACT_IMPORT_FORMS_H

#include "import/source.h"

extern const ImportForm umi_form; // umi.c

#endif

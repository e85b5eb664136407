// SPDX-License-Identifier: Apache-2.0
// The forms that the module tact_import has, one a file.
#ifndef TACT_IMPORT_FORMS_H
#define TACT_IMPORT_FORMS_H

#include "import/source.h"

extern const ImportForm umi_form;       // umi.c
extern const ImportForm robomimic_form; // robomimic.c
// aloha.c. It stands behind the other forms in HDF5, since it takes damaged files, to say so.
extern const ImportForm aloha_form;

#endif

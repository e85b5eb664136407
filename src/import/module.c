// SPDX-License-Identifier: Apache-2.0
// The module tact_import.
#include "base/module.h"
#include "import/forms.h"

static const ImportForm *const forms[] = {&umi_form, &robomimic_form, &aloha_form, NULL};

static const ImportModule functions = {forms};

MODULE_ENTRY(&functions)

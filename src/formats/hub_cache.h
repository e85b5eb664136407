// SPDX-License-Identifier: Apache-2.0
// Datasets and models by their name on the Hub ("A/B"), where LeRobot and `hf download` leave them
// on this machine. Nothing is downloaded.
#ifndef TACT_FORMATS_HUB_CACHE_H
#define TACT_FORMATS_HUB_CACHE_H

#include "base/error.h"
#include <stddef.h>

typedef enum HubKind { HUB_DATASET, HUB_MODEL } HubKind;

// Whether a text may be a name on the Hub: OWNER/NAME, of a dataset also NAME, of letters, digits,
// '-', '_' and '.', with neither part beginning with a dot. So may a relative path.
bool hub_is_name(HubKind kind, const char *text);

// The folder of a dataset (the one that holds meta/) or of a model, into out (size bytes). Looked
// at, in this order, with H = $HF_HOME, else $XDG_CACHE_HOME/huggingface, else
// ~/.cache/huggingface:
//   datasets: L/NAME and L/hub/datasets--A--B, L = $HF_LEROBOT_HOME, else H/lerobot
//   both:     C/datasets--A--B, C/models--A--B, C = $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE,
//   else H/hub
// revision: a branch, a tag, or a commit (or how one begins), of which that snapshot is taken;
// NULL: in LeRobot's own cache of datasets the tag of the format (v3.0, v2.1), else main, else the
// only one there. L/NAME has no revisions and counts where no snapshot of the revision is found. An
// error names the places and the `hf download` that fills one of them.
CHECKED bool hub_find(HubKind kind, const char *name, const char *revision, char *out, size_t size,
                      Error *err);

// Writes path into out (size bytes), a "~" or "~/..." at its beginning replaced by $HOME where no
// such file is there: shells leave it alone in --flag=~/data.
void hub_expand_home(const char *path, char *out, size_t size);

#endif

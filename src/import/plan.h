// SPDX-License-Identifier: Apache-2.0
// What an import makes of a source, before anything is decoded: features, cameras, the order of
// episodes, splits.
#ifndef TACT_IMPORT_PLAN_H
#define TACT_IMPORT_PLAN_H

#include "base/memory.h"
#include "dataset/writer.h"
#include "import/convert.h"
#include "import/source.h"

// A vector of the dataset, put together from the source's.
typedef struct PlanVector {
    const char *name;  // "observation.state"
    const char *dtype; // "float32" where that holds every value of all parts, else "float64"
    int dim;
    const char *const *names; // (dim), or NULL where the source has none
    int n_parts;
    const int *parts; // (n_parts) positions in the source's vectors
} PlanVector;

typedef struct PlanEpisode {
    int64_t source, length; // its number in the source; rows
    const char *task;       // "" where nobody says
} PlanEpisode;

typedef struct Plan {
    Arena arena; // owns what is below; texts of the source are the source's
    const ImportSource *source;
    ConvertOptions o;
    double fps;                    // 0: neither source nor options say
    PlanVector state, env, action; // dim 0: none
    bool action_is_state;
    int n_extras;
    PlanVector *extras;
    int64_t n_episodes, rows;
    PlanEpisode *episodes; // in the order of the dataset
    int n_splits;
    WriterSplit *splits;
    bool reordered;   // episodes do not keep the source's order, so that splits lie together
    bool task_unused; // --task was given, but every episode has its own
} Plan;

// After a failure there is nothing to free.
CHECKED bool plan_make(const ImportSource *source, const ConvertOptions *options, Plan *out,
                       Error *err);
// Whether it can be carried out: fps is known, the cameras' sizes and bytes suit the images.
CHECKED bool plan_check(const Plan *plan, Error *err);
void plan_free(Plan *plan);

// The writer's options; arrays in the plan's arena.
WriterOptions plan_writer_options(Plan *plan, const char *root, const char *folder);

#endif

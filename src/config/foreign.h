// SPDX-License-Identifier: Apache-2.0
// Flags of LeRobot that tact knows but has no use for.
#ifndef TACT_CONFIG_FOREIGN_H
#define TACT_CONFIG_FOREIGN_H

#include "base/error.h"

typedef struct ForeignFlag {
    const char *flag;     // or the group: "job" stands for job.target as well
    const char *accepted; // values that ask for nothing: "false|null"; "*": any
    const char *advice;   // others are refused with this; NULL: passed over
} ForeignFlag;
extern const ForeignFlag foreign_flags[];
extern const int foreign_flag_count;
// The flag of LeRobot with this name, or NULL.
const ForeignFlag *foreign_find(const char *flag);
// Takes a flag that foreign_find knows: refuses it, or adds it to notes (size bytes, a text that
// begins empty) where it asked for something that does not happen. value NULL: a bare flag.
CHECKED bool foreign_take(const char *flag, const char *value, char *notes, size_t size,
                          Error *err);
// Whether a value of a flag that tact has no use for asks for nothing that tact does not do.
CHECKED bool foreign_check(const ForeignFlag *f, const char *value, Error *err);
// Whether a value asks for nothing: null, false, [], {}, no.
bool foreign_asks_nothing(const char *value);
// Whether --env.type names a simulation that LeRobot (0.6.1, and before: xarm, hil) evaluates in.
bool foreign_simulation(const char *env_type);
// Adds "--flag (how)" to notes; how may be NULL.
void foreign_note(char *notes, size_t size, const char *flag, const char *how);

#endif

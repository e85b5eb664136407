// SPDX-License-Identifier: Apache-2.0
// Turns errors after which MuJoCo cannot go on into errors of ours.
#ifndef TACT_ENV_MUJOCO_GUARD_H
#define TACT_ENV_MUJOCO_GUARD_H

#include "base/error.h"
#include <mujoco/mujoco.h>
#include <setjmp.h>
#include <string.h>

// Sets MuJoCo's handlers, which are those of the whole process; call it under the lock of opening.
void guard_install(void);
// From here to guard_end an error of MuJoCo in this thread jumps to `back`. Guards do not nest.
void guard_begin(jmp_buf *back);
void guard_end(void);
// Says what MuJoCo said before it jumped.
CHECKED bool guard_fail(Error *err);

// Sets *ok to `call`, an expression that calls MuJoCo and gives a bool, or to false after an error
// of MuJoCo. What the call has locked or allocated is not given back then.
#define GUARDED(ok, call, err)                                                                     \
    do {                                                                                           \
        jmp_buf back;                                                                              \
        if (setjmp(back) == 0) {                                                                   \
            guard_begin(&back);                                                                    \
            *(ok) = (call);                                                                        \
        } else {                                                                                   \
            *(ok) = guard_fail(err);                                                               \
        }                                                                                          \
        guard_end();                                                                               \
    } while (0)

#endif

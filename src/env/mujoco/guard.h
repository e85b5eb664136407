// SPDX-License-Identifier: Apache-2.0
// Errors that MuJoCo cannot go on from become errors of ours.
#ifndef TACT_ENV_MUJOCO_GUARD_H
#define TACT_ENV_MUJOCO_GUARD_H

#include "base/error.h"
#include <mujoco/mujoco.h>
#include <setjmp.h>
#include <string.h>

// Sets MuJoCo's handlers, which are those of the whole process; call it under the lock of opening.
void guard_install(void);
// An error of MuJoCo's in this thread, from here to guard_end, jumps to `back`. Not nested.
void guard_begin(jmp_buf *back);
void guard_end(void);
// Says what MuJoCo said before it jumped.
CHECKED bool guard_fail(Error *err);

// *ok = call, an expression that calls MuJoCo and gives a bool; an error of MuJoCo's is a failure
// of it. What the call has locked or allocated is not given back then.
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

// SPDX-License-Identifier: Apache-2.0
// Errors that MuJoCo cannot go on from. Its handler may not return, and a library may not end the
// process: the call into MuJoCo is left by a jump, and what called it fails. The simulation is good
// for nothing then but to be closed.
#include "env/mujoco/guard.h"

#include <stdio.h>
#include <stdlib.h>

static _Thread_local jmp_buf *way_back;
static _Thread_local char reason[400];

static void on_error(const char *text) {
    snprintf(reason, sizeof reason, "%s", text);
    if (way_back) longjmp(*way_back, 1);
    fprintf(stderr, "MuJoCo, outside of any call that could fail: %s\n", text);
    abort();
}

// Instability is seen in the data; a log file in the working directory is not wanted.
static void on_warning(const char *text) {
    (void)text;
}

void guard_install(void) {
    mju_user_error = on_error;
    mju_user_warning = on_warning;
}

void guard_begin(jmp_buf *back) {
    way_back = back;
}

void guard_end(void) {
    way_back = NULL;
}

bool guard_fail(Error *err) {
    reason[strcspn(reason, "\n")] = '\0';
    return fail(err, "the simulation cannot go on: MuJoCo: %s", reason);
}

// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGUSR1, which Slurm's --signal=USR1@60 sends before a job's time is over,
// ask a command that takes long to end in an orderly way.
#ifndef TACT_CLI_STOP_H
#define TACT_CLI_STOP_H

#include <stdatomic.h>

// From now on the first of these signals is kept, and the second ends the process at once. message,
// a static text, goes to stderr at the first; NULL: none.
void stop_catch(const char *message);
// The signal that asked to stop, or 0.
extern const atomic_int *const stop_signal;
// The exit code then, so that a shell sees a program that a signal ended, and a script that waits
// for it stops.
int stop_code(void);

#endif

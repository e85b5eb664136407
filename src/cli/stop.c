// SPDX-License-Identifier: Apache-2.0
#include "cli/stop.h"

#include "base/signals.h"
#include <string.h>
#include <unistd.h>

// What a signal handler can reach. Other threads read the signal.
static atomic_int caught;
static const char *said;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler may only touch atomics without locks");

const atomic_int *const stop_signal = &caught;

static void on_signal(int number) {
    if (caught) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    caught = number;
    if (!said) return;
    ssize_t written = write(STDERR_FILENO, said, strlen(said));
    (void)written;
}

void stop_catch(const char *message) {
    said = message;
    signals_handle(SIGINT, on_signal);
    signals_handle(SIGTERM, on_signal);
    signals_handle(SIGUSR1, on_signal);
}

int stop_code(void) {
    return 128 + (caught ? caught : SIGTERM); // 0: another process of the run was asked
}

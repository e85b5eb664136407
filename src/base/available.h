// SPDX-License-Identifier: Apache-2.0
// How much memory there is to be had. Linux promises any amount and ends a process that uses it
// (the OOM killer), so large requests are held to this first.
#ifndef TACT_BASE_AVAILABLE_H
#define TACT_BASE_AVAILABLE_H

#include <stdint.h>

// Bytes that this process may still take without anything being killed: what the machine has
// (MemAvailable), or what one of its control groups has left below a limit (memory.max, or
// memory.limit_in_bytes of version 1; those above it count too), whichever is less. Pages of files,
// which give way, count as free. -1 where the system does not say.
int64_t memory_available(void);
// The same of a system whose /proc and /sys lie below a folder. For tests.
int64_t memory_available_at(const char *root);

#endif

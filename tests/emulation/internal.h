// SPDX-License-Identifier: Apache-2.0
// Between the parts of the emulation; .cu files see emulation.h only.
#ifndef TACT_EMULATION_INTERNAL_H
#define TACT_EMULATION_INTERNAL_H

#include "emulation.h"

// Work for a stream: it runs at once, is put off until somebody waits (EMULATION_DEFER), or is
// recorded when the stream is being captured. Kernels and library fakes go through this.
cudaError_t emulation_enqueue(cudaStream_t stream, std::function<void()> work);
// Work that can run only when `ready` says so, which is asked again and again and may do a part of
// it. It runs as soon as it can even with EMULATION_DEFER, so that one that waits for too little
// shows.
cudaError_t emulation_enqueue_when(cudaStream_t stream, std::function<bool()> ready,
                                   std::function<void()> work);

namespace emulation {

// ---- blocks.cc ----------------------------------------------------------------------------------
void run_grid(const char *name, dim3 grid, dim3 block, size_t shared,
              const std::function<void()> &thread);

// ---- memory.cc: device memory is a region of its own, so every device pointer is recognised -----
size_t memory_total();
size_t memory_free();
void *memory_take(size_t bytes); // NULL: no more; 256-byte aligned, filled with 0xff
bool memory_give_back(void *p);  // false: not the start of a live allocation
bool in_device_region(const void *p, size_t bytes);
// Ends the program unless all bytes lie in one live allocation (or pinned host memory).
void require_device(const void *p, size_t bytes, const char *what);
void require_host(const void *p, const char *what); // ... if p is a device pointer
// Ends the program if something wrote beside an allocation; `after` says what ran last.
void check_canaries(const char *after);
// Host code may touch device memory only between these (EMULATION_PROTECT makes it crash else).
void device_begin();
void device_end();

bool pin_host(void *p, size_t bytes, bool owned);
bool unpin_host(void *p, bool owned);
bool is_pinned(const void *p, size_t bytes);

// ---- runtime.cc ---------------------------------------------------------------------------------
bool capturing(); // some stream is being captured: calls that synchronise must refuse
// Library functions that synchronise call this: refused, and the capture is spoilt.
bool refuse_in_capture();
bool option(const char *name); // an environment variable that is set and not 0
// Whether EMULATION_REFUSE tells a library to refuse this call: a list of NAME, or NAME@N for the
// Nth such call and those after it.
bool refused(const char *name);
int current_card(); // of this thread
// Work runs for a card: what it is given must be that card's memory.
void set_running_card(int card);

// ---- streams.cc ---------------------------------------------------------------------------------
int card_of(cudaStream_t stream); // the current one for the legacy stream

} // namespace emulation

#endif

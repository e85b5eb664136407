// SPDX-License-Identifier: Apache-2.0
// The CUDA device: failures, memory, streams, copies beside the running step, and recordings (CUDA
// graphs). Opening and closing are in open.cu.
#include "ops/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

struct Record {
    int64_t calls;
    uint64_t generation; // of the addresses that were recorded
    cudaGraphExec_t graph;
    bool replays; // this call
};

// ---- failures -----------------------------------------------------------------------------------

void cuda_issued(Device *d, const char *op, int64_t rows, int64_t cols) {
    Cuda *c = cuda_of(d);
    Issued *at = &c->issued[c->n_issued++ % LAST_OPS];
    at->op = op;
    at->rows = rows;
    at->cols = cols;
}

// "; issued last, in tf32: attention_forward 512 x 64, adamw 1 x 4096", the newest first.
static void list_issued(Device *d, char *text, size_t size) {
    const Cuda *c = cuda_of(d);
    text[0] = '\0';
    size_t used = 0;
    for (uint64_t i = 0; i < LAST_OPS && i < c->n_issued && used < size; i++) {
        const Issued *op = &c->issued[(c->n_issued - 1 - i) % LAST_OPS];
        if (i == 0)
            used +=
                (size_t)snprintf(text, size, "; issued last, in %s:", precision_name(d->precision));
        if (used < size)
            used += (size_t)snprintf(text + used, size - used, "%s %s %ld x %ld", i ? "," : "",
                                     op->op, (long)op->rows, (long)op->cols);
    }
}

bool cuda_ok(Device *d, cudaError_t status, const char *what) {
    if (status == cudaSuccess) return true;
    char issued[256];
    list_issued(d, issued, sizeof issued);
    (status == cudaErrorMemoryAllocation ? device_fail_memory : device_fail)(
        d, "cuda: %s: %s (%s)%s", what, cudaGetErrorString(status), cudaGetErrorName(status),
        issued);
    cudaGetLastError(); // cleared: it is reported here, and no later launch is to be blamed for it
    return false;
}

void cuda_launched(Device *d, const char *op, int64_t rows, int64_t cols) {
    cuda_issued(d, op, rows, cols);
    cuda_ok(d, cudaGetLastError(), op);
}

// ---- memory -------------------------------------------------------------------------------------

// Set only where it is another: asking is allowed everywhere, in a recording too. The thread's log
// lines go where those of the program go.
void cuda_attach(Device *d) {
    const LogSink sink = {d->log, NULL};
    log_to(sink);
    int current = -1, own = cuda_of(d)->ordinal;
    if (cudaGetDevice(&current) == cudaSuccess && current == own) return;
    cuda_ok(d, cudaSetDevice(own), "choosing the card");
}

cudaStream_t cuda_stream(Device *d) {
    cuda_attach(d);
    return cuda_of(d)->stream;
}

static size_t cuda_memory_free(Device *d) {
    size_t left = 0, total = 0;
    cuda_attach(d);
    return cudaMemGetInfo(&left, &total) == cudaSuccess ? left : 0;
}

// cudaMalloc, which may wait for what the card does. Records a failure when there is no memory, or
// when the card has failed before.
static bool card_alloc(Device *d, void **p, size_t bytes) {
    if (cuda_of(d)->sums && !cuda_wait(d, cuda_stream(d), NULL, "memory")) {
        *p = NULL;
        return false;
    }
    cudaError_t status = cudaMalloc(p, bytes);
    if (status == cudaSuccess) return true;
    *p = NULL;
    if (status != cudaErrorMemoryAllocation) return cuda_ok(d, status, "memory");
    cudaGetLastError(); // cleared: it is reported below, and later calls are not to see it
    device_fail_memory(d,
                       "%s: %.0f MiB more are needed, %.0f MiB are free; use a smaller "
                       "--batch_size or --policy.resize_shape, or --policy.dtype=bfloat16",
                       d->description, (double)bytes / (1 << 20),
                       (double)cuda_memory_free(d) / (1 << 20));
    return false;
}

static void cuda_synchronize(Device *d) {
    cuda_wait(d, cuda_stream(d), NULL, "running ops");
}

static void *cuda_alloc(Device *d, size_t bytes) {
    void *p = NULL;
    if (d->failed) return NULL;
    cudaStream_t s = cuda_stream(d);
    if (!card_alloc(d, &p, bytes ? bytes : 1)) return NULL;
    cuda_ok(d, cudaMemsetAsync(p, 0, bytes, s), "clearing memory");
    return p;
}

static void cuda_release(Device *d, void *p) {
    if (!p) return;
    cuda_synchronize(d); // so that cudaFree, which waits as well, need not
    if (!cuda_stuck(d)) cuda_ok(d, cudaFree(p), "giving memory back");
}

// One buffer that only grows. A recording made with the old address is made again.
static bool grow_buffer(Device *d, void **p, size_t *size, size_t bytes) {
    Cuda *c = cuda_of(d);
    if (bytes <= *size) return true;
    if (d->failed) return false;
    if (c->recording) {
        device_fail(d, "cuda: memory was asked for in a recording");
        return false;
    }
    if (*p && cuda_wait(d, cuda_stream(d), NULL, "running ops")) cudaFree(*p);
    *p = NULL;
    *size = 0;
    c->generation++;
    cuda_attach(d);
    if (!card_alloc(d, p, bytes)) return false;
    *size = bytes;
    return true;
}

void *cuda_scratch(Device *d, size_t bytes) {
    Cuda *c = cuda_of(d);
    return grow_buffer(d, &c->scratch, &c->scratch_bytes, bytes) ? c->scratch : NULL;
}

bool cuda_workspace(Device *d, size_t bytes) {
    Cuda *c = cuda_of(d);
    return grow_buffer(d, &c->workspace, &c->workspace_bytes, bytes);
}

bool cuda_shared_memory(Device *d, const void *kernel, size_t bytes) {
    cuda_attach(d); // the permission is the card's
    return cuda_ok(
        d, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
        "shared memory");
}

// ---- copies -------------------------------------------------------------------------------------

static void copy_and_wait(Device *d, void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                          const char *what) {
    if (d->failed || bytes == 0) return;
    cudaStream_t s = cuda_stream(d);
    // A copy from or to memory that is not page-locked waits for the ops before it by itself.
    if (cuda_of(d)->sums && !cuda_wait(d, s, NULL, what)) return;
    if (cuda_ok(d, cudaMemcpyAsync(to, from, bytes, kind, s), what)) cuda_wait(d, s, NULL, what);
}

static void cuda_upload(Device *d, void *to, const void *from, size_t bytes) {
    copy_and_wait(d, to, from, bytes, cudaMemcpyHostToDevice, "copy to the card");
}

static void cuda_download(Device *d, void *to, const void *from, size_t bytes) {
    copy_and_wait(d, to, from, bytes, cudaMemcpyDeviceToHost, "copy from the card");
}

static void cuda_pin(Device *d, void *host, size_t bytes, bool pinned) {
    cuda_attach(d);
    if (cuda_stuck(d)) return;
    // Page-locking may be refused (limits of the system); copies are then slower, and still right.
    cudaError_t status =
        pinned ? cudaHostRegister(host, bytes, cudaHostRegisterDefault) : cudaHostUnregister(host);
    if (status != cudaSuccess) cudaGetLastError();
}

static Stage *stage_for(Device *d, void *target, size_t bytes) {
    Cuda *c = cuda_of(d);
    for (int i = 0; i < c->n_stages; i++)
        if (c->stages[i].target == target && c->stages[i].bytes >= bytes) return &c->stages[i];
    if (c->n_stages == MAX_STAGES) return NULL;
    Stage s = {target, NULL, bytes, NULL, NULL};
    if (!card_alloc(d, &s.twin, bytes)) return NULL;
    cuda_ok(d, cudaEventCreateWithFlags(&s.arrived, cudaEventDisableTiming), "event");
    cuda_ok(d, cudaEventCreateWithFlags(&s.consumed, cudaEventDisableTiming), "event");
    c->stages[c->n_stages] = s;
    return &c->stages[c->n_stages++];
}

static void cuda_stage(Device *d, void *target, const void *host, size_t bytes) {
    if (d->failed || bytes == 0) return;
    Cuda *c = cuda_of(d);
    cuda_attach(d);
    Stage *s = stage_for(d, target, bytes);
    if (!s) {
        cuda_upload(d, target, host, bytes);
        return;
    }
    // An event that was never recorded holds nobody up.
    cuda_ok(d, cudaStreamWaitEvent(c->copies, s->consumed, 0), "stage");
    cuda_ok(d, cudaMemcpyAsync(s->twin, host, bytes, cudaMemcpyHostToDevice, c->copies), "stage");
    cuda_ok(d, cudaEventRecord(s->arrived, c->copies), "stage");
    cuda_ok(d, cudaStreamWaitEvent(c->stream, s->arrived, 0), "stage");
    cuda_ok(d, cudaMemcpyAsync(target, s->twin, bytes, cudaMemcpyDeviceToDevice, c->stream),
            "stage");
    cuda_ok(d, cudaEventRecord(s->consumed, c->stream), "stage");
}

static void cuda_staged(Device *d) {
    cuda_attach(d);
    cuda_wait(d, cuda_of(d)->copies, NULL, "staged copies");
}

static void cuda_download_begin(Device *d, int slot, const void *from, size_t bytes) {
    Cuda *c = cuda_of(d);
    if (d->failed) return;
    cuda_ok(d,
            cudaMemcpyAsync(c->slots + slot * DOWNLOAD_BYTES, from, bytes, cudaMemcpyDeviceToHost,
                            cuda_stream(d)),
            "copy from the card");
    cuda_ok(d, cudaEventRecord(c->downloaded[slot], c->stream), "copy from the card");
}

static void cuda_download_end(Device *d, int slot, void *to, size_t bytes) {
    Cuda *c = cuda_of(d);
    memset(to, 0, bytes);
    if (d->failed) return;
    cuda_attach(d);
    if (cuda_wait(d, NULL, c->downloaded[slot], "running ops"))
        memcpy(to, c->slots + slot * DOWNLOAD_BYTES, bytes);
}

// ---- recording ----------------------------------------------------------------------------------

// The numbers travel as the kernel's argument: no host memory has to outlive the call.
__global__ void set_numbers_kernel(StepNumbers *to, StepNumbers numbers) {
    if (threadIdx.x == 0) *to = numbers;
}

cudaError_t cuda_code_for_card(void) {
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, (const void *)set_numbers_kernel);
}

static void drop_graph(Record *r) {
    if (r->graph) cudaGraphExecDestroy(r->graph);
    r->graph = NULL;
}

// The first call runs op by op: memory grows, plans are made. The second is recorded.
static bool cuda_record_begin(Device *d, Record **record, StepNumbers numbers) {
    Cuda *c = cuda_of(d);
    if (!*record) *record = TRY_NEW(Record, 1);
    if (!*record) device_fail_memory(d, "a recording");
    if (!*record) return true;
    Record *r = *record;
    r->replays = false;
    if (d->failed) return true;
    LAUNCH(set_numbers_kernel, dim3(1), dim3(WARP), 0, cuda_stream(d), c->numbers, numbers);
    cuda_launched(d, "set_numbers", 1, WARP);
    if (r->graph && r->generation != c->generation) {
        cuda_synchronize(d); // its last replay may still run
        drop_graph(r);
    }
    r->replays = r->graph != NULL;
    if (r->replays || r->calls == 0) return !r->replays;
    c->recording = cuda_ok(d, cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal),
                           "recording");
    r->generation = c->generation;
    return true;
}

static void cuda_record_end(Device *d, Record **record) {
    Cuda *c = cuda_of(d);
    Record *r = *record;
    if (!r) return;
    r->calls++;
    cuda_attach(d);
    if (c->recording) {
        cudaGraph_t graph = NULL;
        c->recording = false;
        bool ended = cuda_ok(d, cudaStreamEndCapture(c->stream, &graph), "recording");
        // With flags: the one form that CUDA 11.4 to 13 have in common.
        if (ended && !d->failed)
            cuda_ok(d, cudaGraphInstantiateWithFlags(&r->graph, graph, 0), "recording");
        if (graph) cudaGraphDestroy(graph);
        r->replays = r->graph != NULL;
    }
    if (!r->replays || d->failed) return;
    cuda_issued(d, "a recorded step", r->calls, 1);
    cuda_ok(d, cudaGraphLaunch(r->graph, c->stream), "replaying");
}

static void cuda_record_free(Device *d, Record *r) {
    if (!r) return;
    cuda_synchronize(d);
    if (!cuda_stuck(d)) drop_graph(r);
    mem_free(r);
}

void cuda_core_ops(Device *d) {
    d->alloc = d->alloc_raw = cuda_alloc;
    d->release = cuda_release;
    d->upload = cuda_upload;
    d->download = cuda_download;
    d->attach = cuda_attach;
    d->synchronize = cuda_synchronize;
    d->memory_free = cuda_memory_free;
    d->pin = cuda_pin;
    d->stage = cuda_stage;
    d->staged = cuda_staged;
    d->download_begin = cuda_download_begin;
    d->download_end = cuda_download_end;
    d->record_begin = cuda_record_begin;
    d->record_end = cuda_record_end;
    d->record_free = cuda_record_free;
    d->weights_load = cuda_weights_load;
    d->join = cuda_join;
    d->sum_begin = cuda_sum_begin;
    d->sums_end = cuda_sums_end;
}

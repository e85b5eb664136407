// SPDX-License-Identifier: Apache-2.0
// The CUDA device: memory, streams, copies beside the running step, and recordings (CUDA graphs).
#include "ops/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Record {
    int64_t calls;
    uint64_t generation; // of the addresses that were recorded
    cudaGraphExec_t graph;
    bool replays; // this call
};

bool cuda_ok(Device *d, cudaError_t status, const char *what) {
    if (status == cudaSuccess) return true;
    device_fail(d, "cuda: %s: %s", what, cudaGetErrorString(status));
    cudaGetLastError(); // told; a later launch is not to be blamed for it
    return false;
}

void cuda_launched(Device *d, const char *kernel) {
    cuda_ok(d, cudaGetLastError(), kernel);
}

// ---- memory -------------------------------------------------------------------------------------

static size_t cuda_memory_free(Device *d) {
    (void)d;
    size_t left = 0, total = 0;
    return cudaMemGetInfo(&left, &total) == cudaSuccess ? left : 0;
}

static void out_of_memory(Device *d, size_t bytes) {
    cudaGetLastError(); // the failure is told; later calls are not to see it
    device_fail(d, "%s: out of memory: %.0f MiB more are needed, %.0f MiB are free; use a smaller "
                   "--batch_size or --policy.resize_shape, or --policy.dtype=bfloat16",
                d->description, (double)bytes / (1 << 20), (double)cuda_memory_free(d) / (1 << 20));
}

static void *cuda_alloc(Device *d, size_t bytes) {
    void *p = NULL;
    if (d->failed) return NULL;
    if (cudaMalloc(&p, bytes ? bytes : 1) != cudaSuccess) {
        out_of_memory(d, bytes);
        return NULL;
    }
    cuda_ok(d, cudaMemsetAsync(p, 0, bytes, cuda_of(d)->stream), "clearing memory");
    return p;
}

static void cuda_release(Device *d, void *p) {
    (void)d;
    if (p) cudaFree(p); // waits for what still uses it
}

// One buffer that only grows. A recording made with the old address is made again.
static bool grow(Device *d, void **p, size_t *size, size_t bytes) {
    Cuda *c = cuda_of(d);
    if (bytes <= *size) return true;
    if (d->failed) return false;
    if (c->recording) {
        device_fail(d, "cuda: memory was asked for in a recording");
        return false;
    }
    if (*p && cuda_ok(d, cudaStreamSynchronize(c->stream), "running ops")) cudaFree(*p);
    *p = NULL;
    *size = 0;
    c->generation++;
    if (cudaMalloc(p, bytes) != cudaSuccess) {
        *p = NULL;
        out_of_memory(d, bytes);
        return false;
    }
    *size = bytes;
    return true;
}

void *cuda_scratch(Device *d, size_t bytes) {
    Cuda *c = cuda_of(d);
    return grow(d, &c->scratch, &c->scratch_bytes, bytes) ? c->scratch : NULL;
}

bool cuda_workspace(Device *d, size_t bytes) {
    Cuda *c = cuda_of(d);
    return grow(d, &c->workspace, &c->workspace_bytes, bytes);
}

bool cuda_shared_memory(Device *d, const void *kernel, size_t bytes) {
    return cuda_ok(d, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                           (int)bytes), "shared memory");
}

// ---- copies -------------------------------------------------------------------------------------

static void cuda_upload(Device *d, void *to, const void *from, size_t bytes) {
    if (d->failed || bytes == 0) return;
    cudaStream_t s = cuda_of(d)->stream;
    if (cuda_ok(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, s), "copy to the device"))
        cuda_ok(d, cudaStreamSynchronize(s), "copy to the device");
}

static void cuda_download(Device *d, void *to, const void *from, size_t bytes) {
    if (d->failed || bytes == 0) return;
    cudaStream_t s = cuda_of(d)->stream;
    if (cuda_ok(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s), "copy to the host"))
        cuda_ok(d, cudaStreamSynchronize(s), "copy to the host");
}

// The runtime's current device belongs to the thread.
static void cuda_attach(Device *d) {
    cuda_ok(d, cudaSetDevice(cuda_of(d)->ordinal), "choosing the card");
}

static void cuda_synchronize(Device *d) {
    cuda_ok(d, cudaStreamSynchronize(cuda_of(d)->stream), "running ops");
}

static void cuda_pin(Device *d, void *host, size_t bytes, bool pinned) {
    (void)d;
    // Page-locking may be refused (limits of the system); copies are then slower, and still right.
    cudaError_t status = pinned ? cudaHostRegister(host, bytes, cudaHostRegisterDefault)
                                : cudaHostUnregister(host);
    if (status != cudaSuccess) cudaGetLastError();
}

static Stage *stage_for(Device *d, void *target, size_t bytes) {
    Cuda *c = cuda_of(d);
    for (int i = 0; i < c->n_stages; i++)
        if (c->stages[i].target == target && c->stages[i].bytes >= bytes) return &c->stages[i];
    if (c->n_stages == MAX_STAGES) return NULL;
    Stage s = {target, NULL, bytes, NULL, NULL};
    if (cudaMalloc(&s.twin, bytes) != cudaSuccess) {
        out_of_memory(d, bytes);
        return NULL;
    }
    cuda_ok(d, cudaEventCreateWithFlags(&s.arrived, cudaEventDisableTiming), "event");
    cuda_ok(d, cudaEventCreateWithFlags(&s.consumed, cudaEventDisableTiming), "event");
    c->stages[c->n_stages] = s;
    return &c->stages[c->n_stages++];
}

static void cuda_stage(Device *d, void *target, const void *host, size_t bytes) {
    if (d->failed || bytes == 0) return;
    Cuda *c = cuda_of(d);
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
    cuda_ok(d, cudaMemcpyAsync(target, s->twin, bytes, cudaMemcpyDeviceToDevice, c->stream), "stage");
    cuda_ok(d, cudaEventRecord(s->consumed, c->stream), "stage");
}

static void cuda_staged(Device *d) {
    cuda_ok(d, cudaStreamSynchronize(cuda_of(d)->copies), "staged copies");
}

static void cuda_download_begin(Device *d, int slot, const void *from, size_t bytes) {
    Cuda *c = cuda_of(d);
    if (d->failed) return;
    cuda_ok(d, cudaMemcpyAsync(c->slots + slot * DOWNLOAD_BYTES, from, bytes, cudaMemcpyDeviceToHost,
                               c->stream), "copy to the host");
    cuda_ok(d, cudaEventRecord(c->downloaded[slot], c->stream), "copy to the host");
}

static void cuda_download_end(Device *d, int slot, void *to, size_t bytes) {
    Cuda *c = cuda_of(d);
    memset(to, 0, bytes);
    if (d->failed) return;
    if (cuda_ok(d, cudaEventSynchronize(c->downloaded[slot]), "running ops"))
        memcpy(to, c->slots + slot * DOWNLOAD_BYTES, bytes);
}

// ---- recording ----------------------------------------------------------------------------------

// The numbers travel as the kernel's argument: no host memory has to outlive the call.
__global__ void set_numbers_kernel(StepNumbers *to, StepNumbers numbers) {
    if (threadIdx.x == 0) *to = numbers;
}

static void drop_graph(Record *r) {
    if (r->graph) cudaGraphExecDestroy(r->graph);
    r->graph = NULL;
}

// The first call runs op by op: memory grows, plans are made. The second is recorded.
static bool cuda_record_begin(Device *d, Record **record, StepNumbers numbers) {
    Cuda *c = cuda_of(d);
    if (!*record) *record = NEW(Record, 1);
    Record *r = *record;
    r->replays = false;
    if (d->failed) return true;
    LAUNCH(set_numbers_kernel, dim3(1), dim3(WARP), 0, c->stream, c->numbers, numbers);
    cuda_launched(d, "set_numbers");
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
    r->calls++;
    if (c->recording) {
        cudaGraph_t graph = NULL;
        c->recording = false;
        bool ended = cuda_ok(d, cudaStreamEndCapture(c->stream, &graph), "recording");
        if (ended && !d->failed) cuda_ok(d, cudaGraphInstantiate(&r->graph, graph, 0), "recording");
        if (graph) cudaGraphDestroy(graph);
        r->replays = r->graph != NULL;
    }
    if (r->replays && !d->failed) cuda_ok(d, cudaGraphLaunch(r->graph, c->stream), "replaying");
}

static void cuda_record_free(Device *d, Record *r) {
    if (!r) return;
    cuda_synchronize(d);
    drop_graph(r);
    mem_free(r);
}

// ---- opening and closing ------------------------------------------------------------------------

static void cuda_close(Device *d) {
    Cuda *c = cuda_of(d);
    if (c->stream) cudaStreamSynchronize(c->stream);
    if (c->copies) cudaStreamSynchronize(c->copies);
    cuda_linear_free(c);
    mem_free(c->conv_choices);
    for (int i = 0; i < c->n_stages; i++) {
        cudaFree(c->stages[i].twin);
        cudaEventDestroy(c->stages[i].arrived);
        cudaEventDestroy(c->stages[i].consumed);
    }
    for (int i = 0; i < DOWNLOAD_SLOTS; i++)
        if (c->downloaded[i]) cudaEventDestroy(c->downloaded[i]);
    if (c->slots) cudaFreeHost(c->slots);
    void *owned[] = {c->workspace, c->scratch, c->numbers, c->weights_bf16};
    for (int i = 0; i < 4; i++)
        if (owned[i]) cudaFree(owned[i]);
    if (c->dnn) cudnnDestroy(c->dnn);
    if (c->blas) cublasLtDestroy(c->blas);
    if (c->stream) cudaStreamDestroy(c->stream);
    if (c->copies) cudaStreamDestroy(c->copies);
    mem_free(c);
    d->impl = NULL;
}

static void cuda_close_device(Device *d) {
    cuda_close(d);
    mem_free(d);
}

static void cuda_core_ops(Device *d) {
    d->alloc = cuda_alloc;
    d->release = cuda_release;
    d->upload = cuda_upload;
    d->download = cuda_download;
    d->attach = cuda_attach;
    d->synchronize = cuda_synchronize;
    d->close = cuda_close_device;
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
}

static bool find_card(int ordinal, cudaDeviceProp *card, Error *err) {
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
        return fail(err, "--policy.device=cuda:%d: no NVIDIA card can be used here (%s); check "
                         "`nvidia-smi`, or use --policy.device=cpu", ordinal,
                    status != cudaSuccess ? cudaGetErrorString(status) : "none found");
    if (ordinal >= count)
        return fail(err, "--policy.device=cuda:%d: there %s only %d card%s, numbered from 0", ordinal,
                    count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
    status = cudaGetDeviceProperties(card, ordinal);
    if (status == cudaSuccess) status = cudaSetDevice(ordinal);
    if (status != cudaSuccess)
        return fail(err, "--policy.device=cuda:%d: %s", ordinal, cudaGetErrorString(status));
    if (card->major < 8)
        return fail(err, "--policy.device=cuda:%d: %s has compute capability %d.%d; 8.0 is the least "
                         "(Ampere and later)", ordinal, card->name, card->major, card->minor);
    return true;
}

static void make_engines(Device *d) {
    Cuda *c = cuda_of(d);
    cuda_ok(d, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream");
    cuda_ok(d, cudaStreamCreateWithFlags(&c->copies, cudaStreamNonBlocking), "stream");
    cuda_ok(d, cudaMalloc((void **)&c->numbers, sizeof *c->numbers), "memory");
    cuda_ok(d, cudaMallocHost((void **)&c->slots, DOWNLOAD_SLOTS * DOWNLOAD_BYTES), "host memory");
    for (int i = 0; i < DOWNLOAD_SLOTS; i++)
        cuda_ok(d, cudaEventCreateWithFlags(&c->downloaded[i], cudaEventDisableTiming), "event");
    if (cublasLtCreate(&c->blas) != CUBLAS_STATUS_SUCCESS) device_fail(d, "cuBLASLt cannot start");
    if (cudnnCreate(&c->dnn) != CUDNN_STATUS_SUCCESS ||
        cudnnSetStream(c->dnn, c->stream) != CUDNN_STATUS_SUCCESS)
        device_fail(d, "cuDNN cannot start");
    cuda_workspace(d, (size_t)32 << 20); // what cuBLASLt asks for on Hopper
}

CHECKED static bool cuda_open(Device *d, const char *argument, Error *err) {
    cudaDeviceProp card;
    char *end = NULL;
    long ordinal = argument ? strtol(argument, &end, 10) : 0;
    if (end && (*end || end == argument || ordinal < 0 || ordinal > 1023))
        return fail(err, "--policy.device=cuda:%s: use cuda or cuda:N, N the number of the card", argument);
    if (!find_card((int)ordinal, &card, err)) return false;
    Cuda *c = NEW(Cuda, 1);
    c->ordinal = (int)ordinal;
    d->impl = c;
    snprintf(d->description, sizeof d->description, "%.100s, %.0f GiB", card.name,
             (double)card.totalGlobalMem / (1 << 30));
    make_engines(d);
    if (!device_check(d, err)) {
        cuda_close(d);
        return false;
    }
    cuda_core_ops(d);
    cuda_plain_ops(d);
    cuda_dropout_ops(d);
    cuda_image_ops(d);
    cuda_pool_ops(d);
    cuda_conv_ops(d);
    cuda_linear_ops(d);
    cuda_layernorm_ops(d);
    cuda_attention_ops(d);
    cuda_loss_ops(d);
    cuda_optimizer_ops(d);
    return true;
}

// The driver, cuDNN's and cuBLASLt's code and their workspaces, measured nowhere yet: a cautious guess. At
// bfloat16 also a copy of the parameters.
static size_t cuda_keeps(Precision precision, size_t parameters) {
    return ((size_t)900 << 20) + (precision == PRECISION_BFLOAT16 ? sizeof(bf16) * parameters : 0);
}

// Types in the order of Precision: C++ has no array designators.
const Backend cuda_backend = {
    .name = "cuda",
    .precisions = PRECISION_BIT(PRECISION_FLOAT32) | PRECISION_BIT(PRECISION_TF32) |
                  PRECISION_BIT(PRECISION_BFLOAT16),
    .trains_best = PRECISION_TF32,
    .activations = {DTYPE_F32, DTYPE_F32, DTYPE_BF16},
    .images = {DTYPE_F32, DTYPE_F32, DTYPE_BF16},
    .asynchronous = true,
    .host_memory = false,
    .side_by_side = false,
    .picture_channels = 4,
    .packs_weights = true,
    .keeps = cuda_keeps,
    .open = cuda_open,
};

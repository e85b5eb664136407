// SPDX-License-Identifier: Apache-2.0
// The CUDA runtime's device, memory and launch calls on the CPU. streams.cc has streams, events and
// graphs.
#include "internal.h"

#include <cstdio>
#include <map>
#include <mutex>
#include <string>

namespace emulation {

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t keep(cudaError_t e) {
    if (e != cudaSuccess) last_error = e;
    return e;
}

bool option(const char *name) {
    const char *value = getenv(name);
    return value && *value && strcmp(value, "0") != 0;
}

bool refused(const char *name) {
    static std::mutex mutex;
    static std::map<std::string, long> calls;
    std::lock_guard<std::mutex> lock(mutex);
    const char *at = getenv("EMULATION_REFUSE");
    size_t length = strlen(name);
    for (; at && *at; at += strcspn(at, ","), at += *at == ',') {
        if (strncmp(at, name, length) != 0 || (at[length] && !strchr(",@", at[length]))) continue;
        return ++calls[name] >= (at[length] == '@' ? atol(at + length + 1) : 1);
    }
    return false;
}

namespace {

constexpr int SHARED_DEFAULT = 48 << 10, SHARED_MOST = 227 << 10;
std::mutex limits_mutex;
std::map<std::pair<const void *, int>, int> dynamic_limits; // bytes a kernel may ask for on a card
thread_local int card = 0;                                  // the current one

int cards() {
    const char *n = getenv("EMULATION_CARDS");
    return n ? atoi(n) : 1;
}

int number_option(const char *name, int otherwise) {
    const char *n = getenv(name);
    return n ? atoi(n) : otherwise;
}

bool host_kind(const void *p) {
    return !in_device_region(p, 1);
}

// What one side of a copy must be.
void require_side(const void *p, size_t bytes, bool device, const char *what) {
    if (device)
        require_device(p, bytes, what);
    else
        require_host(p, what);
}

struct Sides {
    bool dst, src; // device?
};

Sides sides(const void *dst, const void *src, cudaMemcpyKind kind) {
    switch (kind) {
    case cudaMemcpyHostToHost:
        return {false, false};
    case cudaMemcpyHostToDevice:
        return {true, false};
    case cudaMemcpyDeviceToHost:
        return {false, true};
    case cudaMemcpyDeviceToDevice:
        return {true, true};
    default:
        return {!host_kind(dst), !host_kind(src)};
    }
}

void copy_rows(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t width,
               size_t height, Sides s, const char *what) {
    if (width == 0 || height == 0) return;
    require_side(dst, dst_pitch * (height - 1) + width, s.dst, what);
    require_side(src, src_pitch * (height - 1) + width, s.src, what);
    for (size_t y = 0; y < height; y++)
        memmove(static_cast<char *>(dst) + y * dst_pitch,
                static_cast<const char *>(src) + y * src_pitch, width);
}

// Copies from and to pageable host memory do not outlast the call; pinned memory is used later.
cudaError_t copy_async(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t width,
                       size_t height, cudaMemcpyKind kind, cudaStream_t stream, const char *what) {
    if (width > dst_pitch || width > src_pitch) return keep(cudaErrorInvalidPitchValue);
    Sides s = sides(dst, src, kind);
    size_t bytes = height ? src_pitch * (height - 1) + width : 0;
    bool pageable = (!s.dst && !is_pinned(dst, 1)) || (!s.src && !is_pinned(src, bytes));
    cudaError_t e = emulation_enqueue(
        stream, [=] { copy_rows(dst, dst_pitch, src, src_pitch, width, height, s, what); });
    if (e != cudaSuccess || !pageable) return keep(e);
    cudaStreamCaptureStatus status;
    if (cudaStreamIsCapturing(stream, &status) == cudaSuccess &&
        status == cudaStreamCaptureStatusNone)
        return cudaStreamSynchronize(stream);
    return cudaSuccess;
}

} // namespace

int current_card() {
    return card;
}

void launch(const char *name, const void *function, dim3 grid, dim3 block, size_t shared,
            cudaStream_t stream, std::function<void()> check, std::function<void()> thread) {
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 ||
        !threads || threads > 1024 || block.z > 64) {
        fprintf(stderr, "emulation: kernel %s: no launch of %ux%ux%u blocks of %ux%ux%u threads\n",
                name, grid.x, grid.y, grid.z, block.x, block.y, block.z);
        keep(cudaErrorInvalidConfiguration);
        return;
    }
    if (card_of(stream) != card) {
        fprintf(stderr,
                "emulation: kernel %s: the stream is card %d's, and the current one is %d\n", name,
                card_of(stream), card);
        keep(cudaErrorInvalidResourceHandle);
        return;
    }
    int limit = SHARED_DEFAULT;
    {
        std::lock_guard<std::mutex> lock(limits_mutex);
        auto found = dynamic_limits.find({function, card});
        if (found != dynamic_limits.end()) limit = std::max(limit, found->second);
    }
    if (shared > (size_t)limit) {
        fprintf(stderr, "emulation: kernel %s: %zu bytes of dynamic shared memory, %d allowed\n",
                name, shared, limit);
        keep(cudaErrorInvalidValue);
        return;
    }
    keep(emulation_enqueue(stream, [=, on = card] {
        set_running_card(on);
        check();
        run_grid(name, grid, block, shared, thread);
        check_canaries(name);
    }));
}

} // namespace emulation

using namespace emulation;

extern "C" {

// ---- device and errors --------------------------------------------------------------------------
cudaError_t cudaGetDeviceCount(int *count) {
    *count = cards();
    return *count ? cudaSuccess : keep(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= cards()) return keep(cudaErrorInvalidDevice);
    card = device;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *device) {
    *device = card;
    return cudaSuccess;
}
cudaError_t cudaSetDeviceFlags(unsigned) {
    return cudaSuccess;
}
cudaError_t cudaDeviceReset(void) {
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
    if (device < 0 || device >= cards()) return keep(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated GPU");
    p->totalGlobalMem = memory_total();
    p->sharedMemPerBlock = SHARED_DEFAULT;
    p->sharedMemPerBlockOptin = SHARED_MOST;
    p->sharedMemPerMultiprocessor = 228 << 10;
    p->reservedSharedMemPerBlock = 1024;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = 32;
    p->memPitch = 0x7fffffff;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 0x7fffffff;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->totalConstMem = 65536;
    p->major = 9;
    p->minor = 0;
    p->multiProcessorCount = 132;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 32;
    p->l2CacheSize = 50 << 20;
    p->memoryBusWidth = 5120;
    p->asyncEngineCount = 3;
    p->unifiedAddressing = p->concurrentKernels = p->canMapHostMemory = 1;
    p->managedMemory = p->streamPrioritiesSupported = p->memoryPoolsSupported = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp p;
    if (cudaGetDeviceProperties(&p, device) != cudaSuccess) return cudaErrorInvalidDevice;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = (int)p.sharedMemPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = (int)p.sharedMemPerMultiprocessor;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        break;
    case cudaDevAttrWarpSize:
        *value = p.warpSize;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    case cudaDevAttrClockRate:
        *value = 1755000;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = 2619000;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = p.memoryBusWidth;
        break;
    case cudaDevAttrMemoryPoolsSupported:
        *value = 1;
        break;
    case cudaDevAttrCooperativeLaunch:
        *value = 0;
        break;
    default:
        fprintf(stderr, "emulation: device attribute %d is not known\n", (int)attribute);
        return keep(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    *available = memory_free();
    *total = memory_total();
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) {
    *version = number_option("EMULATION_DRIVER", CUDART_VERSION);
    return cudaSuccess;
}
cudaError_t cudaGetLastError(void) {
    cudaError_t e = last_error;
    last_error = cudaSuccess;
    return e;
}
cudaError_t cudaPeekAtLastError(void) {
    return last_error;
}

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in this state"},
};

const char *cudaGetErrorName(cudaError_t e) {
    for (const auto &x : errors)
        if (x.error == e) return x.name;
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t e) {
    for (const auto &x : errors)
        if (x.error == e) return x.text;
    return "unrecognized error code";
}

// ---- memory -------------------------------------------------------------------------------------
cudaError_t cudaMalloc(void **p, size_t bytes) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    *p = nullptr;
    if (bytes == 0) return cudaSuccess;
    *p = memory_take(bytes);
    return keep(*p ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void *p) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    cudaError_t e = cudaDeviceSynchronize();
    if (!p || e != cudaSuccess) return e;
    return keep(memory_give_back(p) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaMallocAsync(void **p, size_t bytes, cudaStream_t) {
    return cudaMalloc(p, bytes);
}
cudaError_t cudaFreeAsync(void *p, cudaStream_t stream) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    return keep(emulation_enqueue(stream, [=] {
        if (p && !memory_give_back(p)) fail("cudaFreeAsync: %p is not a live allocation", p);
    }));
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    *p = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (posix_memalign(p, 4096, bytes) != 0) return keep(cudaErrorMemoryAllocation);
    memset(*p, 0xff, bytes);
    pin_host(*p, bytes, true);
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void **p, size_t bytes) {
    return cudaHostAlloc(p, bytes, 0);
}
cudaError_t cudaFreeHost(void *p) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    cudaError_t e = cudaDeviceSynchronize();
    if (!p || e != cudaSuccess) return e;
    if (!unpin_host(p, true)) return keep(cudaErrorInvalidValue);
    free(p);
    return cudaSuccess;
}
cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    if (!p || !bytes || in_device_region(p, bytes)) return keep(cudaErrorInvalidValue);
    return keep(pin_host(p, bytes, false) ? cudaSuccess : cudaErrorHostMemoryAlreadyRegistered);
}
cudaError_t cudaHostUnregister(void *p) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    cudaError_t e = cudaDeviceSynchronize();
    if (e != cudaSuccess) return e;
    return keep(unpin_host(p, false) ? cudaSuccess : cudaErrorHostMemoryNotRegistered);
}
cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned) {
    *device = host;
    return keep(is_pinned(host, 1) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    return copy_async(dst, bytes, src, bytes, bytes, 1, kind, stream, "cudaMemcpyAsync");
}
cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
    return copy_async(dst, dst_pitch, src, src_pitch, width, height, kind, stream,
                      "cudaMemcpy2DAsync");
}
cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    cudaError_t e = cudaMemcpyAsync(dst, src, bytes, kind, nullptr);
    return e == cudaSuccess ? cudaStreamSynchronize(nullptr) : e;
}
cudaError_t cudaMemcpy2D(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                         size_t width, size_t height, cudaMemcpyKind kind) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    cudaError_t e = cudaMemcpy2DAsync(dst, dst_pitch, src, src_pitch, width, height, kind, nullptr);
    return e == cudaSuccess ? cudaStreamSynchronize(nullptr) : e;
}
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream) {
    return keep(emulation_enqueue(
        stream,
        [=] {
            require_device(p, bytes, "cudaMemsetAsync");
            if (bytes) memset(p, value, bytes);
        }));
}
cudaError_t cudaMemset(void *p, int value, size_t bytes) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    return cudaMemsetAsync(p, value, bytes, nullptr);
}
cudaError_t cudaMemcpyToSymbolAsync(const void *symbol, const void *src, size_t bytes,
                                    size_t offset, cudaMemcpyKind, cudaStream_t stream) {
    return keep(emulation_enqueue(
        stream,
        [=] { memcpy(static_cast<char *>(const_cast<void *>(symbol)) + offset, src, bytes); }));
}
cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *src, size_t bytes, size_t offset,
                               cudaMemcpyKind kind) {
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    cudaError_t e = cudaMemcpyToSymbolAsync(symbol, src, bytes, offset, kind, nullptr);
    return e == cudaSuccess ? cudaStreamSynchronize(nullptr) : e;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *) {
    memset(attributes, 0, sizeof *attributes);
    attributes->maxThreadsPerBlock = 1024;
    attributes->binaryVersion = 90;
    return option("EMULATION_NO_CODE") ? keep(cudaErrorNoKernelImageForDevice) : cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
    std::lock_guard<std::mutex> lock(limits_mutex);
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || value > SHARED_MOST) return keep(cudaErrorInvalidValue);
        dynamic_limits[{function, card}] = value;
        return cudaSuccess;
    }
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    return keep(cudaErrorInvalidValue);
}

} // extern "C"

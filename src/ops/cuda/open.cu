// SPDX-License-Identifier: Apache-2.0
// Opening and closing a card: what it takes is checked first, driver, card, then libraries, and
// what is missing is said in one sentence.
#include "ops/cuda/conv.h"

extern "C" {
#include "base/log.h"
}
#include <stdio.h>
#include <stdlib.h>

// cudaGraphInstantiateWithFlags and cublasLtGetStatusName, and compilers that know 8.9 and 9.0.
#if CUDART_VERSION < 11080
#error "ops/cuda needs the CUDA toolkit 11.8 or newer"
#endif
// The last of the 8 line. It has what is used here (bfloat16 NHWC convolutions, FMA arithmetic,
// code for cards of 9.0); older ones were not looked at.
#if CUDNN_VERSION < 8900
#error "ops/cuda needs cuDNN 8.9 or newer"
#endif

#ifndef TACT_CUDA_CODE
#define TACT_CUDA_CODE "other cards"
#endif

// ---- what is needed -----------------------------------------------------------------------------

// The first driver of a CUDA version. Within a major version each driver runs the code that any of
// its toolkits compiled for a card ("minor version compatibility"), so the minor does not matter;
// PTX it translates only when it is as new as the toolkit, which cuda_code_for_card finds out.
static int first_driver(int major) {
    return major >= 13 ? 580 : major == 12 ? 525 : 450;
}

static bool find_driver(const char *asked, Error *err) {
    int driver = 0, runtime = 0;
    cudaError_t status = cudaRuntimeGetVersion(&runtime);
    if (status == cudaSuccess) status = cudaDriverGetVersion(&driver);
    int major = runtime / 1000;
    if (status != cudaSuccess || driver == 0)
        return fail(err,
                    "%s: no NVIDIA driver was found (libcuda.so.1); install the "
                    "driver, %d or newer, and check `nvidia-smi`, or use --policy.device=cpu",
                    asked, first_driver(major));
    if (driver / 1000 < major)
        return fail(err,
                    "%s: the NVIDIA driver is too old: it knows CUDA %d.%d, and "
                    "this build of tact needs CUDA %d.0; update the driver to %d or newer, or use "
                    "--policy.device=cpu",
                    asked, driver / 1000, driver % 1000 / 10, major, first_driver(major));
    return true;
}

static bool find_card(const char *asked, int ordinal, cudaDeviceProp *card, Error *err) {
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
        return fail(err,
                    "%s: no NVIDIA card can be used here (%s); check "
                    "`nvidia-smi`, or use --policy.device=cpu",
                    asked, status != cudaSuccess ? cudaGetErrorString(status) : "none found");
    if (ordinal >= count)
        return fail(err, "%s: there %s only %d card%s, numbered from 0", asked,
                    count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
    status = cudaGetDeviceProperties(card, ordinal);
    if (status == cudaSuccess) status = cudaSetDevice(ordinal);
    if (status != cudaSuccess)
        return fail(err, "%s: %s (%s)", asked, cudaGetErrorString(status),
                    cudaGetErrorName(status));
    if (card->major < 8)
        return fail(err,
                    "%s: %s has compute capability %d.%d; 8.0 is the least "
                    "(Ampere and later)",
                    asked, card->name, card->major, card->minor);
    status = cuda_code_for_card();
    if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction ||
        status == cudaErrorUnsupportedPtxVersion)
        return fail(err,
                    "%s: this build of tact has no code for %s, compute "
                    "capability %d.%d (it has: %s); build it with -DTACT_CUDA_ARCHITECTURES=%d%d",
                    asked, card->name, card->major, card->minor, TACT_CUDA_CODE, card->major,
                    card->minor);
    // Out of memory, a card in an exclusive mode that somebody else has, ...
    if (status != cudaSuccess)
        return fail(err, "%s: %s cannot be used: %s (%s)", asked, card->name,
                    cudaGetErrorString(status), cudaGetErrorName(status));
    return true;
}

// Version numbers as text: 9.12.0 is 91200 for cuDNN, 8.9.2 was 8902; 13.0.2 is 130002 for
// cuBLASLt.
typedef struct Version {
    int major, minor, patch;
} Version;

static Version dnn_version(size_t v) {
    int n = (int)v;
    Version version = {n / 1000, n / 100 % 10, n % 100};
    if (n >= 10000) version = Version{n / 10000, n / 100 % 100, n % 100};
    return version;
}

static Version blas_version(size_t v) {
    int n = (int)v;
    Version version = {n / 1000, n / 100 % 10, n % 100};
    if (n >= 100000) version = Version{n / 10000, n / 100 % 100, n % 100};
    return version;
}

// Functions and numbers are those of one major version: a library of another is not the one
// compiled for.
static bool check_library(const char *asked, const char *name, Version found, Version least,
                          Error *err) {
    bool old = found.major == least.major && found.minor < least.minor;
    if (found.major == least.major && !old) return true;
    return fail(err,
                "%s: %s %d.%d.%d was found, and this build of tact needs %d.%d "
                "or a newer %d.x; install that, or use --policy.device=cpu",
                asked, name, found.major, found.minor, found.patch, least.major, least.minor,
                least.major);
}

static bool check_libraries(const char *asked, Error *err) {
    if (!cuda_libraries_load(asked, err)) return false;
    Version blas = {blas_version(CUBLAS_VERSION).major, 0, 0};
    Version dnn = {CUDNN_MAJOR, CUDNN_MAJOR == 8 ? 9 : 0, 0};
    return check_library(asked, "cuBLASLt", blas_version(cuda_lib.cublasLtGetVersion()), blas,
                         err) &&
           check_library(asked, "cuDNN", dnn_version(cuda_lib.cudnnGetVersion()), dnn, err);
}

static void tell_versions(const Device *d) {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    Version blas = blas_version(cuda_lib.cublasLtGetVersion()),
            dnn = dnn_version(cuda_lib.cudnnGetVersion());
    log_info("cuda: %s; driver %d.%d, runtime %d.%d, cuBLASLt %d.%d.%d (%s), cuDNN %d.%d.%d (%s)",
             d->description, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10,
             blas.major, blas.minor, blas.patch, cuda_lib.blas_path, dnn.major, dnn.minor,
             dnn.patch, cuda_lib.dnn_path);
}

// ---- opening and closing ------------------------------------------------------------------------

static void cuda_close(Device *d) {
    Cuda *c = cuda_of(d);
    cuda_attach(d); // any thread may close it, after whatever it did before
    d->impl = cuda_sums_close(d) ? c : NULL;
    if (!d->impl) return; // the card is stuck, and each of the following calls would wait for it
    if (c->stream) cudaStreamSynchronize(c->stream);
    if (c->copies) cudaStreamSynchronize(c->copies);
    cuda_matmul_free(c);
    conv_choices_free(c);
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
    if (c->dnn) cuda_lib.cudnnDestroy(c->dnn);
    if (c->blas) cuda_lib.cublasLtDestroy(c->blas);
    if (c->stream) cudaStreamDestroy(c->stream);
    if (c->copies) cudaStreamDestroy(c->copies);
    mem_free(c);
    d->impl = NULL;
}

static void cuda_close_device(Device *d) {
    cuda_close(d);
    mem_free(d);
}

static void make_engines(Device *d) {
    Cuda *c = cuda_of(d);
    cuda_ok(d, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream");
    cuda_ok(d, cudaStreamCreateWithFlags(&c->copies, cudaStreamNonBlocking), "stream");
    cuda_ok(d, cudaMalloc((void **)&c->numbers, sizeof *c->numbers), "memory");
    cuda_ok(d, cudaMallocHost((void **)&c->slots, DOWNLOAD_SLOTS * DOWNLOAD_BYTES), "host memory");
    for (int i = 0; i < DOWNLOAD_SLOTS; i++)
        cuda_ok(d, cudaEventCreateWithFlags(&c->downloaded[i], cudaEventDisableTiming), "event");
    if (d->failed) return;
    cublasStatus_t blas = cuda_lib.cublasLtCreate(&c->blas);
    if (blas != CUBLAS_STATUS_SUCCESS)
        device_fail(d, "cuda: cuBLASLt cannot start: %s", cuda_lib.cublasLtGetStatusString(blas));
    cudnnStatus_t dnn = cuda_lib.cudnnCreate(&c->dnn);
    if (dnn == CUDNN_STATUS_SUCCESS) dnn = cuda_lib.cudnnSetStream(c->dnn, c->stream);
    if (dnn != CUDNN_STATUS_SUCCESS)
        device_fail(d, "cuda: cuDNN cannot start: %s", cuda_lib.cudnnGetErrorString(dnn));
    cuda_workspace(d, CUDA_MATMUL_WORKSPACE);
}

CHECKED static bool cuda_open(Device *d, const char *argument, Error *err) {
    cudaDeviceProp card;
    char *end = NULL, asked[64]; // as it was typed, for messages
    snprintf(asked, sizeof asked, "--policy.device=cuda%s%.32s", argument ? ":" : "",
             argument ? argument : "");
    long number = argument ? strtol(argument, &end, 10) : 0;
    if (end && (*end || end == argument || number < 0 || number > 1023))
        return fail(err, "%s: use cuda or cuda:N, N the number of the card", asked);
    int ordinal = (int)number;
    if (!find_driver(asked, err) || !find_card(asked, ordinal, &card, err) ||
        !check_libraries(asked, err))
        return false;
    Cuda *c = TRY_NEW(Cuda, 1);
    if (!c) return fail_memory(err, "a device");
    c->ordinal = ordinal;
    d->impl = c;
    snprintf(d->description, sizeof d->description, "%.100s, %.0f GiB", card.name,
             (double)card.totalGlobalMem / (1 << 30));
    make_engines(d);
    if (!device_check(d, err)) {
        cuda_close(d);
        return false;
    }
    cuda_attach(d);
    tell_versions(d);
    d->close = cuda_close_device;
    cuda_core_ops(d);
    cuda_plain_ops(d);
    cuda_activation_ops(d);
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

// The driver, cuDNN's and cuBLASLt's code and their workspaces, measured nowhere yet: a cautious
// guess. At bfloat16 also a copy of the parameters.
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
    .describe = NULL, // a card is known when it is open
    .open = cuda_open,
};

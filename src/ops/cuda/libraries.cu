// SPDX-License-Identifier: Apache-2.0
// Where cuBLASLt, cuDNN and NCCL are looked for, in which order, and what is said when they are
// missing.
#include "ops/cuda/libraries.h"
#include "ops/cuda/nccl.h"

#include <dlfcn.h>
#include <glob.h>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CudaLibraries cuda_lib;
NcclLibrary nccl_lib;
static std::mutex load_mutex;
static bool loaded, nccl_loaded;

#ifdef TACT_CUDA_EMULATION

#define FIND_FUNCTION(name) cuda_lib.name = name;
static bool load_libraries(const char *, Error *) {
    FOR_BLAS_FUNCTIONS(FIND_FUNCTION)
    FOR_DNN_FUNCTIONS(FIND_FUNCTION)
    snprintf(cuda_lib.blas_path, sizeof cuda_lib.blas_path, "emulated");
    snprintf(cuda_lib.dnn_path, sizeof cuda_lib.dnn_path, "emulated");
    return true;
}

#define FIND_NCCL_FUNCTION(type, name, params) nccl_lib.name = name;
static bool load_nccl(Error *) {
    FOR_NCCL_FUNCTIONS(FIND_NCCL_FUNCTION)
    snprintf(nccl_lib.path, sizeof nccl_lib.path, "emulated");
    return true;
}

#else

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
// cuBLAS goes by the toolkit's number, cuDNN by its own. A library of another major number has
// another interface, and so another name.
#define CUDA_NUMBER TEXT(CUBLAS_VER_MAJOR)
#ifndef BLAS_NAME // tests look for files that no machine has
#define BLAS_NAME "libcublasLt.so." CUDA_NUMBER
#define DNN_NAME "libcudnn.so." TEXT(CUDNN_MAJOR)
#define NCCL_NAME "libnccl.so.2"
#endif

// A library that is wanted: for people, as a file, and as pip's and apt's packages.
typedef struct Wanted {
    const char *library, *name, *pip, *apt, *otherwise; // what to do without it
} Wanted;
static const Wanted blas = {"cuBLASLt", BLAS_NAME,
                            CUDA_NUMBER[1] >= '3' ? "cublas" : "cublas-cu" CUDA_NUMBER,
                            "libcublas-" CUDA_NUMBER "-0", "use --policy.device=cpu"};
static const Wanted dnn = {"cuDNN", DNN_NAME, "cudnn-cu" CUDA_NUMBER,
                           "cudnn" TEXT(CUDNN_MAJOR) "-cuda-" CUDA_NUMBER,
                           "use --policy.device=cpu"};
static const Wanted nccl = {"NCCL", NCCL_NAME, "nccl-cu" CUDA_NUMBER, "libnccl2",
                            "train on one card"};

typedef struct Search {
    const char *name;
    void *handle;
    char refusal[256]; // of the first file that is there and cannot be loaded
} Search;

static bool try_file(Search *s, const char *path) {
    s->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char *why = s->handle ? NULL : dlerror();
    // A bare name may not be found at all. A file that is found may need another library that is
    // not.
    bool absent = why && strncmp(why, path, strlen(path)) == 0 && strstr(why, "cannot open shared");
    if (why && !absent && !s->refusal[0]) snprintf(s->refusal, sizeof s->refusal, "%s", why);
    return s->handle != NULL;
}

// Where the file lies below a folder of its own, a toolkit, a Python environment or its
// site-packages.
static const char *const subfolders[] = {"",
                                         "lib64/",
                                         "lib/",
                                         "targets/*-linux/lib/",
                                         "nvidia/cudnn/lib/",
                                         "nvidia/cu" CUDA_NUMBER "/lib/",
                                         "nvidia/cublas/lib/",
                                         "nvidia/nccl/lib/",
                                         "lib/python3*/site-packages/nvidia/cudnn/lib/",
                                         "lib/python3*/site-packages/nvidia/cu" CUDA_NUMBER "/lib/",
                                         "lib/python3*/site-packages/nvidia/cublas/lib/",
                                         "lib/python3*/site-packages/nvidia/nccl/lib/"};

static bool try_folder(Search *s, const char *folder, size_t length) {
    char pattern[1024], escaped[768];
    size_t n = 0;
    for (size_t i = 0; i < length && n + 2 < sizeof escaped; i++) { // its name is no pattern
        if (strchr("*?[]\\", folder[i])) escaped[n++] = '\\';
        escaped[n++] = folder[i];
    }
    escaped[n] = '\0';
    for (size_t i = 0; i < sizeof subfolders / sizeof *subfolders && length && !s->handle; i++) {
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/%s%s", escaped, subfolders[i], s->name);
        if (glob(pattern, 0, NULL, &found) != 0) continue;
        for (size_t k = 0; k < found.gl_pathc && !s->handle; k++) try_file(s, found.gl_pathv[k]);
        globfree(&found);
    }
    return s->handle != NULL;
}

// A list of folders in the environment, separated by colons.
static bool try_variable(Search *s, const char *variable) {
    const char *at = getenv(variable);
    while (at && *at && !s->handle) {
        size_t length = strcspn(at, ":");
        try_folder(s, at, length);
        at += length + (at[length] == ':');
    }
    return s->handle != NULL;
}

static bool find_library(Search *s) {
    // First what the process has loaded already, PyTorch's for instance: cuDNN is many files, and
    // two copies of it would get mixed up.
    s->handle = dlopen(s->name, RTLD_NOW | RTLD_NOLOAD);
    if (s->handle) return true;
    return try_variable(s, "TACT_CUDA_PATH") || try_file(s, s->name) ||
           try_variable(s, "CUDA_HOME") || try_variable(s, "CUDA_PATH") ||
           try_folder(s, "/usr/local/cuda", strlen("/usr/local/cuda")) ||
           try_variable(s, "VIRTUAL_ENV") || try_variable(s, "CONDA_PREFIX");
}

static bool fail_missing(const Search *s, const Wanted *w, const char *option, Error *err) {
    const char *path = getenv("TACT_CUDA_PATH");
    if (s->refusal[0])
        return fail(err,
                    "%s: %s cannot be loaded: %s; repair it, or name the folder of another %s in "
                    "TACT_CUDA_PATH, or %s",
                    option, w->library, s->refusal, w->name, w->otherwise);
    return fail(
        err,
        "%s: %s (%s) was not found in TACT_CUDA_PATH (%.300s), the loader's path, CUDA_HOME, "
        "/usr/local/cuda and the active Python environment; `pip install nvidia-%s` in "
        "an environment and name its folder in TACT_CUDA_PATH, or install it with the CUDA "
        "toolkit's packages (apt: %s), or %s",
        option, w->library, w->name, path && *path ? path : "not set", w->pip, w->apt,
        w->otherwise);
}

static void path_of(void *function, char *path, size_t size) {
    Dl_info info;
    bool known = function && dladdr(function, &info) != 0 && info.dli_fname;
    snprintf(path, size, "%s", known ? info.dli_fname : "?");
}

template <typename F>
static bool find_function(const Search *s, F *to, const char *name, Error *err) {
    void *at = dlsym(s->handle, name);
    memcpy(to, &at, sizeof at);
    if (at) return true;
    return fail(
        err,
        "%s has no %s: it is older than the version that this build of tact needs, or a part "
        "of it is missing; install another (TACT_CUDA_PATH names folders to look in)",
        s->name, name);
}

// cuDNN asks the loader for these by name, and the loader does not find them beside a cuBLASLt that
// is outside of its path. So they are loaded from there first. One that is missing is no error yet.
static void load_beside(const char *blas_path) {
    static const char *const names[] = {"libcublas.so." CUDA_NUMBER, "libnvrtc.so." CUDA_NUMBER,
                                        "libnvrtc.so.11.2"};
    const char *slash = strrchr(blas_path, '/');
    for (size_t i = 0; slash && i < sizeof names / sizeof *names; i++) {
        char path[768];
        if (dlopen(names[i], RTLD_NOW | RTLD_NOLOAD)) continue;
        snprintf(path, sizeof path, "%.*s/%s", (int)(slash - blas_path), blas_path, names[i]);
        dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
}

#define FIND_FUNCTION(name) ok = ok && find_function(&s, &cuda_lib.name, #name, err);
static bool load_blas(const char *option, Error *err) {
    Search s = {blas.name, NULL, ""};
    if (!find_library(&s)) return fail_missing(&s, &blas, option, err);
    bool ok = true;
    FOR_BLAS_FUNCTIONS(FIND_FUNCTION)
    path_of((void *)cuda_lib.cublasLtMatmul, cuda_lib.blas_path, sizeof cuda_lib.blas_path);
    return ok;
}

static bool load_dnn(const char *option, Error *err) {
    Search s = {dnn.name, NULL, ""};
    if (!find_library(&s)) return fail_missing(&s, &dnn, option, err);
    bool ok = true;
    FOR_DNN_FUNCTIONS(FIND_FUNCTION)
    path_of((void *)cuda_lib.cudnnGetVersion, cuda_lib.dnn_path, sizeof cuda_lib.dnn_path);
    return ok;
}

#define FIND_NCCL_FUNCTION(type, name, params)                                                     \
    ok = ok && find_function(&s, &nccl_lib.name, #name, err);
static bool load_nccl(Error *err) {
    Search s = {nccl.name, NULL, ""};
    if (!find_library(&s))
        return fail_missing(&s, &nccl, "training on cards in several processes", err);
    bool ok = true;
    FOR_NCCL_FUNCTIONS(FIND_NCCL_FUNCTION)
    path_of((void *)nccl_lib.ncclAllReduce, nccl_lib.path, sizeof nccl_lib.path);
    return ok;
}

static bool load_libraries(const char *option, Error *err) {
    if (!load_blas(option, err)) return false;
    load_beside(cuda_lib.blas_path);
    return load_dnn(option, err);
}

#endif

bool cuda_libraries_load(const char *option, Error *err) {
    std::lock_guard<std::mutex> lock(load_mutex);
    if (!loaded) loaded = load_libraries(option, err);
    return loaded;
}

bool nccl_library_load(Error *err) {
    std::lock_guard<std::mutex> lock(load_mutex);
    if (!nccl_loaded) nccl_loaded = load_nccl(err);
    return nccl_loaded;
}

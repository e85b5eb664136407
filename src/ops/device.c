// SPDX-License-Identifier: Apache-2.0
// Devices by name: of the backends in the program, and of those in modules.
#include "base/memory.h"
#include "base/module.h"
#include "ops/ops.h"
#include <omp.h>
#include <stdio.h>
#include <string.h>

static const Backend *const built_in[] = {&ref_backend, &cpu_backend};

// Modules whose table is a Backend, and the name it goes by.
static struct {
    const char *name;
    Module module;
} in_modules[] = {
    {"cuda",
     {.name = "tact_cuda",
      .what = "CUDA",
      .built = "the CUDA toolkit with cuDNN (nvcc, cublasLt.h, cudnn.h)"}},
};

// Whether `name` is `kind` or begins with "kind:".
static bool is_kind(const char *name, const char *kind) {
    size_t n = strlen(kind);
    return strncmp(name, kind, n) == 0 && (name[n] == '\0' || name[n] == ':');
}

bool backend_find(const char *name, const Backend **out, const char **argument, Error *err) {
    const char *colon = strchr(name, ':');
    Error why;
    *out = NULL;
    if (argument) *argument = colon ? colon + 1 : NULL;
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        if (is_kind(name, built_in[i]->name)) *out = built_in[i];
    for (size_t i = 0; i < sizeof in_modules / sizeof in_modules[0]; i++) {
        if (!is_kind(name, in_modules[i].name)) continue;
        if (!module_load(&in_modules[i].module, &why))
            return fail_because(err, &why, "--policy.device=%s: %.800s; or use --policy.device=cpu",
                                name, why.text);
        *out = module_table(&in_modules[i].module);
    }
    return *out || fail(err, "--policy.device=%s: unknown device; use cpu or cuda", name);
}

bool precision_named(const char *dtype, const char *device, Precision *out, Error *err) {
    const Backend *backend;
    if (!backend_find(device, &backend, NULL, err)) return false;
    *out = backend->trains_best;
    if (!dtype) return true;
    for (int i = 0; i < PRECISIONS; i++)
        if (strcmp(dtype, precision_name((Precision)i)) == 0) {
            *out = (Precision)i;
            return true;
        }
    return fail(err, "--policy.dtype=%s: unknown; use float32, tf32, bfloat16 or int8", dtype);
}

CHECKED static bool check_precision(const Backend *b, Precision precision, Error *err) {
    char has[64] = "";
    if (b->precisions & PRECISION_BIT(precision)) return true;
    for (int i = 0; i < PRECISIONS; i++)
        if (b->precisions & PRECISION_BIT(i))
            snprintf(has + strlen(has), sizeof has - strlen(has), "%s%s", has[0] ? " or " : "",
                     precision_name((Precision)i));
    return fail(err, "--policy.dtype=%s: --policy.device=%s has no such arithmetic; use %s",
                precision_name(precision), b->name, has);
}

bool device_open(const char *name, Precision precision, int threads, Device **out, Error *err) {
    const Backend *backend;
    const char *argument;
    *out = NULL;
    if (!backend_find(name, &backend, &argument, err) || !check_precision(backend, precision, err))
        return false;
    Device *d = TRY_NEW(Device, 1);
    if (!d) return fail_memory(err, "a device");
    d->threads = threads > 0 ? threads : omp_get_num_procs(); // those this process may use
    ref_device(d);
    d->backend = backend;
    d->precision = precision;
    d->log = log_line;
    d->activations = backend->activations[precision];
    d->images = backend->images[precision];
    if (!backend->open(d, argument, err)) {
        mem_free(d);
        return false;
    }
    *out = d;
    return true;
}

void device_close(Device *d) {
    if (d) d->close(d);
}

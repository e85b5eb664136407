// SPDX-License-Identifier: Apache-2.0
// Initial values, as LeRobot's ACT and torchvision's ResNet give them (docs/architecture.md).
#include "model/params.h"

#include <math.h>

enum { AT_ONCE = 1024 };

static void fill_uniform(float *out, int64_t n, double bound, RngStream *rng) {
    double x[AT_ONCE];
    for (int64_t i = 0; i < n; i += AT_ONCE) {
        int64_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
        rng_doubles(rng, x, some);
        for (int64_t k = 0; k < some; k++) out[i + k] = (float)(bound * (2 * x[k] - 1));
    }
}

static void fill_normal(float *out, int64_t n, double deviation, RngStream *rng) {
    double x[AT_ONCE];
    for (int64_t i = 0; i < n; i += AT_ONCE) {
        int64_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
        rng_normals(rng, x, some);
        for (int64_t k = 0; k < some; k++) out[i + k] = (float)(deviation * x[k]);
    }
}

// Position table of the VAE encoder (1, L, D): sin or cos of l / 10000^(2 floor(j/2) / D)
// (Vaswani et al., "Attention Is All You Need", 2017, section 3.5).
static void fill_sinusoid(float *out, int64_t L, int64_t D) {
    for (int64_t l = 0; l < L; l++)
        for (int64_t j = 0; j < D; j++) {
            double angle = (double)l / pow(10000.0, (double)(2 * (j / 2)) / (double)D);
            out[l * D + j] = (float)(j % 2 ? cos(angle) : sin(angle));
        }
}

static void fill_initial(const Param *q, float *out, RngStream *rng) {
    const int64_t *s = q->shape;
    switch (q->init) {
    case INIT_ZERO:
    case INIT_ONE:
        for (int64_t i = 0; i < q->count; i++) out[i] = q->init == INIT_ONE;
        break;
    case INIT_XAVIER:
        fill_uniform(out, q->count, sqrt(6.0 / (double)(s[0] + s[1])), rng);
        break;
    case INIT_FAN_IN:
        fill_uniform(out, q->count, 1 / sqrt((double)q->fan), rng);
        break;
    case INIT_NORMAL:
        fill_normal(out, q->count, 1, rng);
        break;
    case INIT_KAIMING_CONV:
        fill_normal(out, q->count, sqrt(2.0 / (double)(s[0] * s[2] * s[3])), rng);
        break;
    case INIT_SINUSOID:
        fill_sinusoid(out, s[1], s[2]);
        break;
    }
}

void params_initialize(Params *p, uint64_t seed) {
    enum { SITE_INIT = 0x1417 };
    int64_t most = 1;
    for (int i = 0; i < p->count; i++) most = p->list[i].count > most ? p->list[i].count : most;
#pragma omp parallel num_threads(p->device->threads)
    {
        float *values = TRY_NEW(float, most);
#pragma omp critical(params_initialize)
        if (!values) device_fail_memory(p->device, "%lld initial values", (long long)most);
#pragma omp for schedule(dynamic)
        for (int i = 0; i < p->count; i++) {
            const Param *q = &p->list[i];
            // A stream per tensor, by its place: another size does not change the others, and one
            // more tensor only those that stand behind it.
            RngStream rng = {.key = {.seed = seed, .step = (uint32_t)i, .site = SITE_INIT}};
            if (!values) continue;
            fill_initial(q, values, &rng);
#pragma omp critical(params_initialize)
            param_set(p, q, values); // a device takes one copy at a time
        }
        mem_free(values);
    }
}

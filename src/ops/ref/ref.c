// SPDX-License-Identifier: Apache-2.0
// The table of the reference device.
#include "ops/ref/ref.h"

void ref_device(Device *d) {
#define OP(name, params, args) d->name = ref_##name;
#define SERVICE(type, name, params) d->name = ref_##name;
#include "ops/ops.def"
}

// The table is all there is to it.
CHECKED static bool ref_open(Device *d, const char *argument, Error *err) {
    (void)d;
    return !argument || fail(err, "--policy.device=ref:%s: use ref", argument);
}

static size_t ref_keeps(Precision precision, size_t parameters) {
    (void)precision, (void)parameters;
    return 0;
}

const Backend ref_backend = {
    .name = "ref",
    .precisions = PRECISION_BIT(PRECISION_FLOAT32) | PRECISION_BIT(PRECISION_INT8),
    .trains_best = PRECISION_FLOAT32,
    .host_memory = true,
    .side_by_side = true,
    .picture_channels = 3,
    .keeps = ref_keeps,
    .open = ref_open,
};

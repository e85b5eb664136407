// SPDX-License-Identifier: Apache-2.0
// Where a device's time goes: its table of ops is replaced by one that measures each and calls the
// other.
#include "ops/profile.h"

#include "base/log.h"
#include "base/memory.h"

enum {
#define OP(name, params, args) NUMBER_##name,
#include "ops/ops.def"
    OP_COUNT
};

typedef struct Profile {
    Device inner;
    ProfileEntry entries[OP_COUNT];
} Profile;

static void count_call(Device *d, int op, double start) {
    d->profile->inner.synchronize(d); // a device that works beside the host is waited for
    ProfileEntry *e = &d->profile->entries[op];
    e->seconds += clock_seconds() - start;
    e->calls++;
}

// timed_zero, timed_copy, ...
#define OP(name, params, args)                                                                     \
    static void timed_##name params {                                                              \
        double start = clock_seconds();                                                            \
        d->profile->inner.name args;                                                               \
        count_call(d, NUMBER_##name, start);                                                       \
    }
#include "ops/ops.def"

bool profile_start(Device *d, Error *err) {
    d->profile = TRY_NEW(Profile, 1);
    if (!d->profile) return fail_memory(err, "times of ops");
    d->profile->inner = *d;
#define OP(name, params, args)                                                                     \
    d->profile->entries[NUMBER_##name].op = #name;                                                 \
    d->name = timed_##name;
#include "ops/ops.def"
    return true;
}

int profile_entries(const Device *d, const ProfileEntry **out) {
    *out = d->profile->entries;
    return OP_COUNT;
}

void profile_reset(Device *d) {
    for (int i = 0; i < OP_COUNT; i++) {
        d->profile->entries[i].calls = 0;
        d->profile->entries[i].seconds = 0;
    }
}

void profile_stop(Device *d) {
    if (!d->profile) return;
#define OP(name, params, args) d->name = d->profile->inner.name;
#include "ops/ops.def"
    mem_free(d->profile);
    d->profile = NULL;
}

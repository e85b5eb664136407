// SPDX-License-Identifier: Apache-2.0
#include "runtime/shared_policy.h"

#include "base/memory.h"
#include "runtime/handle.h"

bool shared_policy_join(tact_policy *p, const char *path, const char *dataset,
                        const tact_policy *first, Error *err) {
    bool host = p->device->backend->host_memory;
    if (p->borrows || (first && host && first->device->backend->host_memory)) {
        p->shared = first->shared;
        atomic_fetch_add(&p->shared->users, 1);
        return true;
    }
    p->shared = TRY_NEW(SharedPolicy, 1);
    if (!p->shared) return fail_memory(err, "%s: a policy", path);
    atomic_init(&p->shared->users, 1);
    p->shared->device = p->device;
    return policy_load_to_run(path, dataset, p->device, &p->shared->policy, err);
}

void shared_policy_leave(tact_policy *p) {
    SharedPolicy *s = p->shared;
    if (p->device && !p->borrows && (!s || s->device != p->device)) device_close(p->device);
    if (!s || atomic_fetch_sub(&s->users, 1) != 1) return;
    policy_free(&s->policy);
    device_close(s->device);
    mem_free(s);
}

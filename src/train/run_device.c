// SPDX-License-Identifier: Apache-2.0
#include "train/run_model.h"

#include "base/log.h"
#include "model/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// With several processes on a host "cuda" is the card of the process's number there, unless it sees
// one card alone, as Slurm gives them; so is the one that a checkpoint was trained on.
CHECKED static bool choose_card(TrainConfig *c, const Ranks *ranks, Error *err) {
    const char **device = c->policy.device ? &c->policy.device : &c->trained_on;
    if (ranks_local_count(ranks) < 2 || !*device) return true;
    const bool numbered = strncmp(*device, "cuda:", 5) == 0;
    if (numbered && c->policy.device)
        return fail(err,
                    "--policy.device=%s: the %d processes of this host would all take this card; "
                    "--policy.device=cuda gives each its own",
                    *device, ranks_local_count(ranks));
    if (!numbered && strcmp(*device, "cuda") != 0) return true;
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    bool own = visible && visible[0] && !strchr(visible, ',');
    *device = own ? "cuda" : arena_printf(&c->arena, "cuda:%d", ranks_local_rank(ranks));
    return true;
}

bool run_device_open(TrainConfig *c, const Ranks *ranks, Device **out, Error *err) {
    PolicyConfig *p = &c->policy;
    if (!choose_card(c, ranks, err)) return false;
    const char *trained_on = c->trained_on;
    Precision precision;
    Error why;
    // As LeRobot: the checkpoint's device where it is there, else another one and a warning.
    if (!p->device && trained_on) {
        bool there = precision_named(p->dtype, trained_on, &precision, &why) &&
                     device_open(trained_on, precision, c->threads, out, &why);
        p->device = there ? trained_on : "cpu";
        if (there) return true;
        log_warn("The checkpoint was trained on %s, which cannot be used here (%.300s); this run "
                 "computes on "
                 "cpu (--policy.device says where)",
                 trained_on, why.text);
        if (!field_given(c, "policy.dtype")) p->dtype = NULL;
    }
    const char *device = p->device ? p->device : "cpu";
    return precision_named(p->dtype, device, &precision, err) &&
           device_open(device, precision, c->threads, out, err);
}

bool run_device_check_memory(const TrainConfig *c, Device *d, Error *err) {
    MemoryEstimate e;
    if (!estimate_memory(&c->policy, c->batch_size, true, d->backend, d->precision, &e, err))
        return false;
    log_info("memory: about %.1f GB (weights, gradients and moments %.2f, a batch of %d %.2f, the "
             "rest its libraries')",
             (double)e.total / 1e9, (double)e.weights / 1e9, c->batch_size,
             (double)e.activations / 1e9);
    size_t left = d->memory_free(d);
    if (left == 0 || e.total <= left) return true;
    int fits = 0;
    if (!estimate_batch(&c->policy, c->batch_size, true, d->backend, d->precision, left, &fits,
                        err))
        return false;
    char advice[96] = "not even --batch_size=1 fits; use a smaller --policy.resize_shape";
    if (fits > 0) snprintf(advice, sizeof advice, "--batch_size=%d fits", fits);
    return fail(err, "--batch_size=%d: takes about %.1f GB, %s has %.1f GB free; %s%s",
                c->batch_size, (double)e.total / 1e9, d->description, (double)left / 1e9, advice,
                d->precision != PRECISION_BFLOAT16 ? ", or try --policy.dtype=bfloat16" : "");
}

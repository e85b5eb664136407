// SPDX-License-Identifier: Apache-2.0
#include "train/step.h"

#include "base/memory.h"

void step_init(Step *s, Act *act, Optimizer *optimizer, int pieces) {
    *s = (Step){.device = optimizer->params->device,
                .act = act,
                .optimizer = optimizer,
                .pieces = pieces,
                .records = NEW(Record *, pieces)};
}

void step_free(Step *s) {
    if (!s->device) return;
    for (int i = 0; i < s->pieces; i++) s->device->record_free(s->device, s->records[i]);
    mem_free(s->records);
    *s = (Step){0};
}

void step_inputs_free(Step *s) {
    s->device->staged(s->device);
}

// The two download slots of a step: its losses and its gradient norm.
static int slot_of(int64_t step) {
    return (int)(step % 2) * 2;
}

// ---- gradients of all processes -----------------------------------------------------------------

// Less than this goes together with what comes next: every sum has to wait for the slowest process.
static int64_t bucket_elements(const Params *p) {
    enum { LEAST = 1 << 20, PARTS = 16 };
    return p->trainable / PARTS > LEAST ? p->trainable / PARTS : LEAST;
}

static void sum_range(Step *s, ParamRange r) {
    if (r.end > r.start)
        s->device->sum_begin(
            s->device, tensor_slice(s->optimizer->params->grads, 0, r.start, r.end - r.start));
}

static void send_waiting(Step *s) {
    ParamRange r = s->waiting;
    s->waiting = (ParamRange){0};
    if (r.end == r.start || s->n_sent == STEP_BUCKETS) return;
    int at = s->n_sent++;
    for (; at > 0 && s->sent[at - 1].start > r.start; at--) s->sent[at] = s->sent[at - 1];
    s->sent[at] = r;
    sum_range(s, r);
}

// Backward goes from the last layers to the first, which lie in that order.
static void gradients_ready(void *user, ParamRange r) {
    Step *s = user;
    if (r.end != s->waiting.start) send_waiting(s);
    if (s->waiting.end == s->waiting.start) s->waiting.end = r.end;
    s->waiting.start = r.start;
    if (s->waiting.end - s->waiting.start >= bucket_elements(s->optimizer->params)) send_waiting(s);
}

// Begins the sums of what is left.
static void sum_the_rest(Step *s) {
    int64_t at = 0;
    for (int i = 0; i < s->n_sent; i++) {
        sum_range(s, (ParamRange){at, s->sent[i].start});
        at = s->sent[i].end;
    }
    sum_range(s, (ParamRange){at, s->optimizer->params->trainable});
}

// ---- a step -------------------------------------------------------------------------------------

// Gradients are 0 before the first piece: AdamW leaves them so.
CHECKED static bool issue_ops(Step *s, uint64_t seed, Error *err) {
    Device *d = s->device;
    const bool last = s->piece + 1 == s->pieces, sums = last && d->peers;
    if (s->piece == 0) act_train_begin(s->act);
    act_train_forward(s->act, NULL, seed, s->numbers.step);
    if (sums) d->sum_begin(d, act_losses(s->act));
    s->n_sent = 0;
    s->waiting = (ParamRange){0};
    act_on_gradients(s->act, sums ? gradients_ready : NULL, s);
    act_train_backward(s->act);
    if (!last) return true;
    if (sums) {
        sum_the_rest(s);
        if (!d->sums_end(d, err)) return false;
    }
    optimizer_ops(s->optimizer, act_losses(s->act));
    act_load_params(s->act);
    return true;
}

bool step_piece(Step *s, const ActInput *in, uint64_t seed, Error *err) {
    Device *d = s->device;
    bool ok = true;
    d->staged(d);
    act_stage(s->act, in);
    if (s->piece == 0) s->numbers = optimizer_begin(s->optimizer);
    if (d->record_begin(d, &s->records[s->piece], s->numbers)) ok = issue_ops(s, seed, err);
    d->record_end(d, &s->records[s->piece]);
    if (!ok) {
        s->optimizer->step--; // it was not taken
        return false;
    }
    if (++s->piece < s->pieces) return true;
    s->piece = 0;
    int slot = slot_of(s->started++);
    d->download_begin(d, slot, act_losses(s->act).data, sizeof(ActLosses));
    d->download_begin(d, slot + 1, s->optimizer->norm.data, sizeof(float));
    return true;
}

bool step_finish(Step *s, StepResult *out, Error *err) {
    Device *d = s->device;
    int slot = slot_of(s->finished++);
    // Tells process 0 that this one has come as far, so that one that has not is named. What a card
    // has of the step is good or not whatever became of the others since: the reads below find out.
    Error ignored;
    if (d->peers && d->backend->asynchronous) (void)d->peers->sums_end(d->peers->user, &ignored);
    d->download_end(d, slot, &out->losses, sizeof out->losses);
    d->download_end(d, slot + 1, &out->grad_norm, sizeof out->grad_norm);
    return device_check(d, err);
}

// SPDX-License-Identifier: Apache-2.0
// Sums over the cards of several processes, by NCCL on a stream of their own: the ops that make a
// gradient are before its sum, ops after sums_end see it, and in between both go on. In a recorded
// step the other stream becomes a branch of the graph.
//
// A sum whose other processes are gone never ends by itself, and neither does a call of CUDA that
// waits for it. So where others have been joined, the host waits in cuda_wait alone: it asks,
// sleeps and looks whether someone is lost. Then NCCL is told to give its sums up, which leaves
// what was being added up unusable: the step fails, and the device with it.
#include "ops/cuda/cuda.h"
#include "ops/cuda/nccl.h"

extern "C" {
#include "base/log.h"
}
#include <atomic>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// Seconds: that the sums all have sent for get to end by themselves when a process is lost; for
// process 0's word on who it is, when NCCL sees it first; until a card has given its sums up.
static const double GRACE_S = 2, VERDICT_S = 2, ABORT_S = 30;
// Beyond Peers.timeout_s, within which process 0 names who does not come; no more than that again.
static const double PATIENCE_S = 20;

// ncclCommAbort, in a thread of its own: it returns only when the recordings that hold sums of the
// communicator are freed as well, which is later.
typedef struct Abort {
    NcclComm comm;
    int card;
    std::atomic<bool> done;
} Abort;

struct CudaSums {
    const Peers *peers;
    NcclComm comm; // NULL: not yet, or given to abort
    cudaStream_t stream;
    cudaEvent_t forked, joined;
    bool begun; // since the last sums_end
    bool lost;  // no sum can be had any more, for:
    Error why;
    double lost_at;
    Abort *abort;
    bool stuck; // the card did not give its sums up: nothing may wait for it
};

// Seconds that this process has waited, without those in which it was stopped itself.
typedef struct Waited {
    double seconds, at;
} Waited;

static double waited(Waited *w) {
    double now = clock_seconds(), passed = w->at > 0 ? now - w->at : 0;
    w->seconds += passed < 1 ? passed : 1;
    w->at = now;
    return w->seconds;
}

static void nap(int tries) {
    const struct timespec pause = {0, tries < 20 ? 20000 : 200000};
    nanosleep(&pause, NULL);
}

// ---- giving up ----------------------------------------------------------------------------------

static void *abort_sums(void *user) {
    Abort *a = (Abort *)user;
    cudaSetDevice(a->card);
    nccl_lib.ncclCommAbort(a->comm);
    a->done = true;
    return NULL;
}

static void begin_abort(Device *d) {
    CudaSums *s = cuda_of(d)->sums;
    pthread_t thread;
    if (!s->comm) return;
    s->abort = TRY_NEW(Abort, 1);
    if (!s->abort) { // as without a thread
        s->comm = NULL;
        s->stuck = true;
        return;
    }
    s->abort->comm = s->comm;
    s->abort->card = cuda_of(d)->ordinal;
    s->comm = NULL;
    if (pthread_create(&thread, NULL, abort_sums, s->abort) == 0)
        pthread_detach(thread);
    else
        s->stuck = true;
}

static bool at_work(cudaStream_t stream) {
    bool works = cudaStreamQuery(stream) == cudaErrorNotReady;
    if (works) cudaGetLastError(); // no failure: later launches are not to be blamed for it
    return works;
}

// After an abort: until the card has come to the end of what was issued.
static void let_it_end(Device *d) {
    Cuda *c = cuda_of(d);
    CudaSums *s = c->sums;
    if (c->recording) return; // a stream that is recorded may not be asked
    for (int i = 0; !s->stuck && (at_work(c->stream) || at_work(c->copies) || at_work(s->stream));
         i++) {
        if (clock_seconds() - s->lost_at > ABORT_S) {
            s->stuck = true;
            log_warn("cuda: the card has not given its sums up in %.0f s; what it holds is left to "
                     "the driver",
                     ABORT_S);
        }
        nap(i);
    }
}

static bool give_up(Device *d, const Error *why) {
    CudaSums *s = cuda_of(d)->sums;
    s->lost = true;
    s->why = *why;
    s->lost_at = clock_seconds();
    device_fail(d, "%s", why->text);
    begin_abort(d);
    let_it_end(d);
    return false;
}

// The first line of what NCCL says: its numbers for errors mean little without.
static void describe_result(const CudaSums *s, int result, const char *what, Error *err) {
    const char *last = nccl_lib.ncclGetLastError(s->comm);
    int length = last ? (int)strcspn(last, "\n") : 0;
    fail(err, "NCCL: %s: %s%s%.*s", what, nccl_lib.ncclGetErrorString(result), length ? ": " : "",
         length < 300 ? length : 300, length ? last : "");
}

// NCCL has failed, mostly since another process has: process 0 will say which.
static void ask_who(const CudaSums *s, Error *why) {
    Error named;
    double until = clock_seconds() + VERDICT_S;
    for (int i = 0; clock_seconds() < until; nap(i++))
        if (s->peers->lost(s->peers->user, &named)) {
            *why = named;
            return;
        }
}

static double patience(const CudaSums *s) {
    double limit = s->peers->timeout_s;
    return limit + (limit < PATIENCE_S ? limit : PATIENCE_S);
}

static void tell_stall(const CudaSums *s, double seconds, Error *why) {
    fail(why,
         "gradients of %d cards have not come together for %.0f s; look at the cards "
         "(`nvidia-smi`), at the other processes and at the network (--dist.timeout_s)",
         s->peers->count, seconds);
}

// ---- waiting ------------------------------------------------------------------------------------

// What NCCL has found out since it was called last.
static bool sums_failed(CudaSums *s, Error *why) {
    int result = NCCL_SUCCESS;
    int asked = nccl_lib.ncclCommGetAsyncError(s->comm, &result);
    if (asked != NCCL_SUCCESS) result = asked;
    if (result == NCCL_SUCCESS || result == NCCL_IN_PROGRESS) return false;
    describe_result(s, result, "a sum of gradients", why);
    return true;
}

static cudaError_t ask(cudaStream_t stream, cudaEvent_t event) {
    cudaError_t status = event ? cudaEventQuery(event) : cudaStreamQuery(stream);
    if (status == cudaErrorNotReady) cudaGetLastError();
    return status;
}

// cuda_wait where sums may hold the card up.
static bool wait_for_others(Device *d, cudaStream_t stream, cudaEvent_t event, const char *what) {
    CudaSums *s = cuda_of(d)->sums;
    Error why;
    Waited all = {}, since = {}; // since there was trouble
    bool trouble = false;
    cudaError_t status;
    for (int i = 0; (status = ask(stream, event)) == cudaErrorNotReady; nap(i++)) {
        bool stalled = waited(&all) > patience(s);
        trouble = trouble || s->peers->lost(s->peers->user, &why) || sums_failed(s, &why);
        if (!stalled && !(trouble && waited(&since) > GRACE_S)) continue;
        if (!trouble) tell_stall(s, all.seconds, &why);
        (void)s->peers->lost(s->peers->user, &why); // if it can name someone, it says it better
        return give_up(d, &why);
    }
    if (!cuda_ok(d, status, what)) return false;
    if (!sums_failed(s, &why)) return true;
    ask_who(s, &why);
    return give_up(d, &why);
}

bool cuda_wait(Device *d, cudaStream_t stream, cudaEvent_t event, const char *what) {
    CudaSums *s = cuda_of(d)->sums;
    if (s && s->lost) let_it_end(d);
    if (s && s->stuck) return false;
    if (s && !s->lost && s->comm) return wait_for_others(d, stream, event, what);
    return cuda_ok(d, event ? cudaEventSynchronize(event) : cudaStreamSynchronize(stream), what);
}

bool cuda_stuck(const Device *d) {
    const CudaSums *s = ((const Cuda *)d->impl)->sums;
    return s && s->stuck;
}

// What a call gave, or will have given when NCCL is ready for the next.
static bool settled(Device *d, int result, const char *what) {
    CudaSums *s = cuda_of(d)->sums;
    Error why;
    Waited all = {};
    for (int i = 0; result == NCCL_IN_PROGRESS; nap(i++)) {
        int asked = nccl_lib.ncclCommGetAsyncError(s->comm, &result);
        if (asked != NCCL_SUCCESS) result = asked;
        if (result != NCCL_IN_PROGRESS) break;
        if (s->peers->lost(s->peers->user, &why)) return give_up(d, &why);
        if (waited(&all) < patience(s)) continue;
        tell_stall(s, all.seconds, &why);
        return give_up(d, &why);
    }
    if (result == NCCL_SUCCESS) return true;
    describe_result(s, result, what, &why);
    if (result != NCCL_INVALID_USAGE) ask_who(s, &why);
    return give_up(d, &why);
}

// ---- joining ------------------------------------------------------------------------------------

// What process 0 sends all others.
typedef struct Invitation {
    int version;
    NcclId id;
} Invitation;

static bool check_version(int version, Error *err) {
    if (version >= NCCL_OLDEST) return true;
    return fail(err,
                "training on cards in several processes: NCCL %d.%d.%d was found (%s), and 2.14 or "
                "newer is needed; install that, or train on one card",
                version < 20000 ? version / 1000 : version / 10000,
                version < 20000 ? version / 100 % 10 : version / 100 % 100, version % 100,
                nccl_lib.path);
}

static bool get_invitation(const Peers *peers, Invitation *in, Error *err) {
    int version = 0, result = NCCL_SUCCESS;
    if (!nccl_library_load(err)) return false;
    if (nccl_lib.ncclGetVersion(&version) != NCCL_SUCCESS || !check_version(version, err))
        return false;
    in->version = version;
    if (peers->rank == 0) result = nccl_lib.ncclGetUniqueId(&in->id);
    if (result != NCCL_SUCCESS)
        return fail(err, "NCCL cannot start: %s: %.300s", nccl_lib.ncclGetErrorString(result),
                    nccl_lib.ncclGetLastError(NULL));
    if (!peers->share(peers->user, in, sizeof *in, err)) return false;
    if (in->version == version) return true;
    return fail(err,
                "rank %d has NCCL %d.%d.%d (%s) and rank 0 %d.%d.%d; install the same version on "
                "all hosts",
                peers->rank, version / 10000, version / 100 % 100, version % 100, nccl_lib.path,
                in->version / 10000, in->version / 100 % 100, in->version % 100);
}

// The stream goes before the ops' own: a sum that can begin is what others wait for.
static void make_stream(Device *d, CudaSums *s) {
    int least = 0, greatest = 0;
    cuda_ok(d, cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream");
    cuda_ok(d, cudaStreamCreateWithPriority(&s->stream, cudaStreamNonBlocking, greatest), "stream");
    cuda_ok(d, cudaEventCreateWithFlags(&s->forked, cudaEventDisableTiming), "event");
    cuda_ok(d, cudaEventCreateWithFlags(&s->joined, cudaEventDisableTiming), "event");
}

void cuda_join(Device *d, const Peers *peers) {
    Cuda *c = cuda_of(d);
    Invitation in = {};
    Error err;
    cuda_attach(d);
    if (!get_invitation(peers, &in, &err)) {
        device_fail(d, "%s", err.text);
        return;
    }
    c->sums = TRY_NEW(CudaSums, 1);
    if (!c->sums) {
        device_fail_memory(d, "sums over cards");
        return;
    }
    c->sums->peers = d->peers = peers;
    make_stream(d, c->sums);
    if (d->failed) return;
    NcclConfig config = {sizeof config, NCCL_CONFIG_MAGIC, NCCL_OLDEST, 0};
    char what[224];
    snprintf(what, sizeof what,
             "the cards of %d processes cannot be joined (two of them on one card? a host takes as "
             "many processes as it has cards: CUDA_VISIBLE_DEVICES, --policy.device)",
             peers->count);
    int result =
        nccl_lib.ncclCommInitRankConfig(&c->sums->comm, peers->count, in.id, peers->rank, &config);
    if (!settled(d, result, what) || peers->rank) return;
    log_info("cuda: gradients of %d cards are added up by NCCL %d.%d.%d (%s)", peers->count,
             in.version / 10000, in.version / 100 % 100, in.version % 100, nccl_lib.path);
}

// ---- sums ---------------------------------------------------------------------------------------

void cuda_sum_begin(Device *d, Tensor t) {
    Cuda *c = cuda_of(d);
    CudaSums *s = c->sums;
    if (d->failed) return;
    if (s->lost) {
        device_fail(d, "%s", s->why.text);
        return;
    }
    cuda_attach(d);
    s->begun = true;
    if (!cuda_ok(d, cudaEventRecord(s->forked, c->stream), "sum") ||
        !cuda_ok(d, cudaStreamWaitEvent(s->stream, s->forked, 0), "sum"))
        return;
    int result = nccl_lib.ncclAllReduce(t.data, t.data, (size_t)tensor_count(t), NCCL_FLOAT32,
                                        NCCL_SUM, s->comm, s->stream);
    cuda_issued(d, "sum", 1, tensor_count(t));
    (void)settled(d, result, "a sum of gradients");
}

// A stream that has left a recording must come back to it, whatever failed meanwhile.
bool cuda_sums_end(Device *d, Error *err) {
    Cuda *c = cuda_of(d);
    CudaSums *s = c->sums;
    (void)err; // a failure shows when the step is waited for
    if (!s || !s->begun) return true;
    s->begun = false;
    cuda_attach(d);
    if (cuda_ok(d, cudaEventRecord(s->joined, s->stream), "sums"))
        cuda_ok(d, cudaStreamWaitEvent(c->stream, s->joined, 0), "sums");
    return true;
}

// ---- closing ------------------------------------------------------------------------------------

// With the others, which come to their ends as well.
static void leave_in_order(Device *d) {
    CudaSums *s = cuda_of(d)->sums;
    if (!cuda_wait(d, s->stream, NULL, "sums") || !s->comm) return;
    if (settled(d, nccl_lib.ncclCommFinalize(s->comm), "leaving") &&
        nccl_lib.ncclCommDestroy(s->comm) == NCCL_SUCCESS)
        s->comm = NULL;
}

bool cuda_sums_close(Device *d) {
    Cuda *c = cuda_of(d);
    CudaSums *s = c->sums;
    Error ignored;
    if (!s) return true;
    if (s->comm && !s->peers->lost(s->peers->user, &ignored)) leave_in_order(d);
    s->lost_at = clock_seconds();
    begin_abort(d);
    let_it_end(d);
    for (int i = 0; s->abort && !s->abort->done && !s->stuck; nap(i++))
        s->stuck = clock_seconds() - s->lost_at > ABORT_S;
    if (s->stuck) return false;
    mem_free(s->abort);
    if (s->forked) cudaEventDestroy(s->forked);
    if (s->joined) cudaEventDestroy(s->joined);
    if (s->stream) cudaStreamDestroy(s->stream);
    mem_free(s);
    c->sums = NULL;
    return true;
}

// SPDX-License-Identifier: Apache-2.0
// Streams, events and graphs. Work runs when it is enqueued, or with EMULATION_DEFER=1 as late as
// CUDA allows: when something waits for it, so that host code that forgets to wait is seen.
#include "internal.h"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <time.h>
#include <vector>

typedef std::function<void()> Work;
// Work of a stream, and whether it can run yet: what it waits for may be another stream's, or
// another process's. Without `ready` it can.
struct Item {
    Work work;
    std::function<bool()> ready;
};
typedef std::vector<Item> Recording;

// One capture: what was recorded, in an order that respects all dependencies, and how far each of
// its streams knows of the others (so that work nobody joined is noticed).
struct Capture {
    std::shared_ptr<Recording> recording = std::make_shared<Recording>();
    cudaStream_t origin;
    bool spoilt = false;
    std::set<cudaStream_t> streams;
};
typedef std::map<cudaStream_t, int> Clock;

struct CUstream_st {
    bool blocking = true;
    int card = emulation::current_card();
    std::deque<Item> pending;
    std::shared_ptr<Capture> capture;
    Clock clock; // in the capture
};

// One recording of an event.
struct Mark {
    cudaStream_t stream;
    bool done = false;
    std::chrono::steady_clock::time_point time;
};

struct CUevent_st {
    bool timing = true;
    int card = emulation::current_card();
    std::shared_ptr<Mark> mark;
    std::shared_ptr<Capture> capture; // recorded in it last
    Clock clock;
};

struct CUgraph_st {
    std::shared_ptr<Recording> recording;
};
struct CUgraphExec_st {
    std::shared_ptr<Recording> recording;
};

namespace emulation {

cudaError_t keep(cudaError_t e); // runtime.cc

namespace {

struct Streams {
    std::recursive_mutex mutex;
    CUstream_st legacy;
    std::set<cudaStream_t> all{&legacy};
    std::set<std::shared_ptr<Capture>> captures;
    bool defer = option("EMULATION_DEFER");
};

Streams &state() {
    static Streams *s = new Streams;
    return *s;
}
typedef std::lock_guard<std::recursive_mutex> Lock;

// The stream behind a handle, or NULL when it is none.
cudaStream_t resolve(cudaStream_t s) {
    if (s == nullptr || s == cudaStreamLegacy || s == cudaStreamPerThread) return &state().legacy;
    return state().all.count(s) ? s : nullptr;
}

void run(const Work &work) {
    device_begin();
    work();
    device_end();
}

// Pieces of work that asking a stream brings it on by, so that a loop around it ends.
enum { A_FEW = 64 };

// Runs the first work of a stream, if it can run.
bool step(cudaStream_t s) {
    if (s->pending.front().ready && !s->pending.front().ready()) return false;
    Item item = std::move(s->pending.front());
    s->pending.pop_front();
    item.work();
    return true;
}

void pause() {
    const struct timespec short_while = {0, 100000};
    nanosleep(&short_while, nullptr);
}

void drain(cudaStream_t s) {
    while (!s->pending.empty())
        if (!step(s)) pause();
}

// Gets on with what an event comes after, as far as it goes; true when the event is reached.
bool reach(const std::shared_ptr<Mark> &mark) {
    while (!mark->done) {
        if (mark->stream->pending.empty()) fail("an event waits for work that does not exist");
        if (!step(mark->stream)) return false;
    }
    return true;
}

void wait_for(const std::shared_ptr<Mark> &mark) {
    while (!reach(mark)) pause();
}

// Work that is not captured: after what the legacy stream's rules put before it. It runs at once
// where it can, with EMULATION_DEFER only if it is `early`.
void submit(cudaStream_t s, Item item, bool early = false) {
    if (s == &state().legacy) {
        for (cudaStream_t other : state().all)
            if (other->blocking && other != s) drain(other);
    } else if (s->blocking)
        drain(&state().legacy);
    bool now = early || !state().defer;
    while (!state().defer && !s->pending.empty() && step(s)) {
    }
    if (now && s->pending.empty() && (!item.ready || item.ready()))
        item.work();
    else
        s->pending.push_back(std::move(item));
}

// The legacy stream may not be used while a blocking stream is captured.
bool implicit(cudaStream_t s) {
    if (s != &state().legacy) return false;
    for (const auto &c : state().captures)
        if (c->origin->blocking) {
            c->spoilt = true;
            return true;
        }
    return false;
}

void merge(Clock &into, const Clock &from) {
    for (const auto &[stream, count] : from)
        if (into[stream] < count) into[stream] = count;
}

void finish(const std::shared_ptr<Capture> &c) {
    for (cudaStream_t s : c->streams)
        if (state().all.count(s)) {
            s->capture.reset();
            s->clock.clear();
        }
    state().captures.erase(c);
}

} // namespace

int card_of(cudaStream_t stream) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    return s && s != &state().legacy ? s->card : current_card();
}

bool capturing() {
    Lock lock(state().mutex);
    return !state().captures.empty();
}

bool refuse_in_capture() {
    Lock lock(state().mutex);
    for (const auto &c : state().captures) c->spoilt = true;
    return !state().captures.empty();
}

} // namespace emulation

using namespace emulation;

static cudaError_t enqueue(cudaStream_t stream, Item item, bool early) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (implicit(s)) return cudaErrorStreamCaptureImplicit;
    if (s->capture) {
        if (s->capture->spoilt) return cudaErrorStreamCaptureInvalidated;
        s->capture->recording->push_back(std::move(item));
        s->clock[s]++;
        return cudaSuccess;
    }
    Work work = [work = std::move(item.work)] { run(work); };
    submit(s, {std::move(work), std::move(item.ready)}, early);
    return cudaSuccess;
}

cudaError_t emulation_enqueue(cudaStream_t stream, std::function<void()> work) {
    return enqueue(stream, {std::move(work), nullptr}, false);
}

cudaError_t emulation_enqueue_when(cudaStream_t stream, std::function<bool()> ready,
                                   std::function<void()> work) {
    return enqueue(stream, {std::move(work), std::move(ready)}, true);
}

extern "C" {

// ---- streams ------------------------------------------------------------------------------------
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    Lock lock(state().mutex);
    *stream = new CUstream_st;
    (*stream)->blocking = !(flags & cudaStreamNonBlocking);
    state().all.insert(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int) {
    return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0, *greatest = -5;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s || s == &state().legacy) return keep(cudaErrorInvalidResourceHandle);
    if (s->capture) finish(s->capture);
    drain(s);
    state().all.erase(s);
    delete s;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s) return keep(cudaErrorInvalidResourceHandle);
    if (implicit(s)) return keep(cudaErrorStreamCaptureImplicit);
    if (s->capture) {
        s->capture->spoilt = true;
        return keep(cudaErrorStreamCaptureUnsupported);
    }
    drain(s);
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s) return keep(cudaErrorInvalidResourceHandle);
    if (s->capture) {
        s->capture->spoilt = true;
        return keep(cudaErrorStreamCaptureUnsupported);
    }
    if (s->pending.empty()) return cudaSuccess;
    for (int i = 0; i < A_FEW && !s->pending.empty() && step(s); i++) {
    }
    return cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize(void) {
    Lock lock(state().mutex);
    if (refuse_in_capture()) return keep(cudaErrorStreamCaptureUnsupported);
    for (cudaStream_t s : state().all) drain(s);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
    return keep(emulation_enqueue(
        stream, [=] { function(data); }));
}

// ---- events -------------------------------------------------------------------------------------
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    *event = new CUevent_st;
    (*event)->timing = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    if (!event) return keep(cudaErrorInvalidResourceHandle);
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s || !event || event->card != card_of(s)) return keep(cudaErrorInvalidResourceHandle);
    if (implicit(s)) return keep(cudaErrorStreamCaptureImplicit);
    event->capture = s->capture;
    event->mark.reset();
    if (s->capture) {
        event->clock = s->clock;
        return cudaSuccess;
    }
    auto mark = std::make_shared<Mark>();
    mark->stream = s;
    event->mark = mark;
    submit(s, {[mark] {
                   mark->time = std::chrono::steady_clock::now();
                   mark->done = true;
               },
               nullptr});
    return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
    return cudaEventRecord(event, stream);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s || !event) return keep(cudaErrorInvalidResourceHandle);
    if (event->capture && state().captures.count(event->capture)) {
        if (s->capture && s->capture != event->capture) {
            s->capture->spoilt = event->capture->spoilt = true;
            return keep(cudaErrorStreamCaptureUnsupported);
        }
        s->capture = event->capture;
        s->capture->streams.insert(s);
        merge(s->clock, event->clock);
        s->clock[s]++; // the origin must come to know of this, too
        return cudaSuccess;
    }
    if (event->capture) return keep(cudaErrorCapturedEvent);
    if (s->capture) {
        if (!event->mark) return cudaSuccess;
        s->capture->spoilt = true;
        return keep(cudaErrorStreamCaptureIsolation);
    }
    if (auto mark = event->mark) submit(s, {[] {}, [mark] { return reach(mark); }});
    return cudaSuccess;
}
static cudaError_t refuse_event(cudaEvent_t event) {
    if (!event) return keep(cudaErrorInvalidResourceHandle);
    if (event->capture) {
        refuse_in_capture();
        return keep(cudaErrorCapturedEvent);
    }
    return refuse_in_capture() ? keep(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    Lock lock(state().mutex);
    cudaError_t e = refuse_event(event);
    if (e == cudaSuccess && event->mark) wait_for(event->mark);
    return e;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    Lock lock(state().mutex);
    cudaError_t e = refuse_event(event);
    if (e != cudaSuccess || !event->mark || event->mark->done) return e;
    for (int i = 0; i < A_FEW && !event->mark->done && step(event->mark->stream); i++) {
    }
    return cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    Lock lock(state().mutex);
    if (!start || !end || !start->timing || !end->timing || !start->mark || !end->mark)
        return keep(cudaErrorInvalidResourceHandle);
    if (!start->mark->done || !end->mark->done) return cudaErrorNotReady;
    *ms = std::chrono::duration<float, std::milli>(end->mark->time - start->mark->time).count();
    return cudaSuccess;
}

// ---- graphs -------------------------------------------------------------------------------------
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s) return keep(cudaErrorInvalidResourceHandle);
    if (s == &state().legacy) return keep(cudaErrorStreamCaptureUnsupported);
    if (s->capture) return keep(cudaErrorIllegalState);
    s->capture = std::make_shared<Capture>();
    s->capture->origin = s;
    s->capture->streams.insert(s);
    s->clock.clear();
    state().captures.insert(s->capture);
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    Lock lock(state().mutex);
    *graph = nullptr;
    cudaStream_t s = resolve(stream);
    if (!s) return keep(cudaErrorInvalidResourceHandle);
    std::shared_ptr<Capture> c = s->capture;
    if (!c) return keep(cudaErrorIllegalState);
    if (c->origin != s) return keep(cudaErrorStreamCaptureUnmatched);
    bool joined = true;
    for (cudaStream_t other : c->streams)
        if (other != s && s->clock[other] < other->clock[other]) joined = false;
    finish(c);
    std::shared_ptr<Recording> recording = std::move(c->recording); // events keep the rest of it
    if (c->spoilt) return keep(cudaErrorStreamCaptureInvalidated);
    if (!joined) return keep(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{recording};
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    Lock lock(state().mutex);
    cudaStream_t s = resolve(stream);
    if (!s) return keep(cudaErrorInvalidResourceHandle);
    *status = !s->capture          ? cudaStreamCaptureStatusNone
              : s->capture->spoilt ? cudaStreamCaptureStatusInvalidated
                                   : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *mode) {
    *mode = cudaStreamCaptureModeGlobal; // the emulation knows no other
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
    *exec = nullptr;
    if (!graph) return keep(cudaErrorInvalidValue);
    *exec = new CUgraphExec_st{graph->recording};
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph,
                                          unsigned long long flags) {
    return cudaGraphInstantiate(exec, graph, flags);
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    if (nodes) return keep(cudaErrorInvalidValue); // only their number is known
    *count = graph->recording->size();
    return cudaSuccess;
}
// Piece by piece, since one may have to wait for another process.
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    Lock lock(state().mutex);
    if (!exec) return keep(cudaErrorInvalidValue);
    cudaError_t e = cudaSuccess;
    for (const Item &item : *exec->recording)
        if (e == cudaSuccess) e = enqueue(stream, item, false);
    return keep(e);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}

} // extern "C"

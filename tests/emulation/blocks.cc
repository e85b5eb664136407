// SPDX-License-Identifier: Apache-2.0
// Runs the threads of a block. They take turns on one stack; only a thread that has to wait keeps
// its stack, and the next ones go on with another. So a kernel without barriers costs a loop, and
// one with barriers a switch of stacks (some nanoseconds) for each thread and barrier.
#include "internal.h"

#include <cstdarg>
#include <cstdio>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <memory>
#include <omp.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {

__thread Place here;

namespace {

constexpr size_t STACK_SIZE = 256 << 10, GUARD_SIZE = 4096, CANARY_SIZE = 256;
constexpr int MAX_SHARED = 227 << 10;
constexpr unsigned char CANARY = 0xc5;

struct Fiber {
    void *stack_pointer = nullptr;
    char *stack = nullptr;
    int thread = -1; // which it runs, when suspended
    void *fake_stack = nullptr;
};

enum class State { NEW, RUNNING, BARRIER, WARP, ENDED };

struct AsyncCopy {
    void *dst;
    const void *src;
    size_t bytes;
    unsigned batch;
};

struct Thread {
    uint3 index;
    State state;
    Fiber *fiber;
    const char *what, *file;
    int line;
    std::vector<AsyncCopy> copies;
    unsigned batch;
};

struct Warp {
    void *data[32];
    unsigned mask[32];
    unsigned arrived, exist;
};

// What one processor needs in order to run blocks, one after another.
struct Engine {
    const char *kernel = "?";
    const std::function<void()> *body = nullptr;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber *> idle, ready;
    size_t next_ready = 0;
    int count = 0, started = 0, ended = 0;
    int waiting = 0, votes = 0, vote_result = 0;
    Fiber *running = nullptr;
    void *scheduler = nullptr; // its stack pointer
    void *scheduler_fake_stack = nullptr;
    const void *scheduler_stack = nullptr;
    size_t scheduler_stack_size = 0;
    bool reverse = false;
    std::vector<unsigned char> shared;
    unsigned char *shared_start = nullptr;
    size_t shared_size = 0;

    ~Engine() {
        for (auto &f : fibers) munmap(f->stack - GUARD_SIZE, STACK_SIZE + GUARD_SIZE);
    }
};

thread_local std::unique_ptr<Engine> own_engine;
__thread Engine *engine; // while a block runs

int current() {
    return engine->running->thread;
}

bool same_text(const char *a, const char *b) {
    return a == b || strcmp(a, b) == 0;
}

} // namespace

void fail(const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (engine)
        fprintf(stderr, "emulation: kernel %s, block (%u,%u,%u), thread (%u,%u,%u): %s\n",
                engine->kernel, here.block.x, here.block.y, here.block.z, here.thread.x,
                here.thread.y, here.thread.z, text);
    else
        fprintf(stderr, "emulation: %s\n", text);
    fflush(stderr);
    abort();
}

} // namespace emulation

// ---- switching stacks ---------------------------------------------------------------------------
#ifdef __x86_64__
// Saves the registers a call keeps on the old stack, and takes them from the new one.
extern "C" void emulation_switch(void **save, void *load);
asm(R"(
    .text
    .type emulation_switch, @function
emulation_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulation_switch, .-emulation_switch
)");
static void *first_frame(char *top, void (*entry)()) {
    void **sp = reinterpret_cast<void **>(top);
    *--sp = nullptr; // entry sees the stack as after a call
    *--sp = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--sp = nullptr;
    return sp;
}
#else
#include <ucontext.h>
static void emulation_switch(void **save, void *load) {
    ucontext_t from;
    *save = &from;
    swapcontext(&from, static_cast<ucontext_t *>(load));
}
static void *first_frame(char *top, void (*entry)()) {
    ucontext_t *c = reinterpret_cast<ucontext_t *>(top - sizeof(ucontext_t) - 64);
    char *bottom = top - emulation::STACK_SIZE;
    getcontext(c);
    c->uc_stack.ss_sp = bottom;
    c->uc_stack.ss_size = reinterpret_cast<char *>(c) - bottom - 64;
    c->uc_link = nullptr;
    makecontext(c, entry, 0);
    return c;
}
#endif

namespace emulation {
namespace {

// From the scheduler to a fiber, and back. The sanitizer is told whose stack is whose.
void resume(Fiber *f) {
    Engine *e = engine;
    e->running = f;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&e->scheduler_fake_stack, f->stack, STACK_SIZE);
#endif
    emulation_switch(&e->scheduler, f->stack_pointer);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(e->scheduler_fake_stack, nullptr, nullptr);
#endif
}

void back_to_scheduler(Fiber *f) {
    Engine *e = engine;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&f->fake_stack, e->scheduler_stack, e->scheduler_stack_size);
#endif
    emulation_switch(&f->stack_pointer, e->scheduler);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f->fake_stack, &e->scheduler_stack, &e->scheduler_stack_size);
#endif
}

void place_thread(int t) {
    here.thread = engine->threads[t].index;
    here.lane = t % 32;
}

void suspend() {
    Fiber *f = engine->running;
    int t = f->thread;
    engine->threads[t].fiber = f;
    back_to_scheduler(f);
    place_thread(t);
    engine->threads[t].state = State::RUNNING;
}

// The loop of every fiber: start the threads that nobody has started.
void fiber_main() {
    Fiber *f = engine->running;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, &engine->scheduler_stack,
                                    &engine->scheduler_stack_size);
#endif
    for (;;) {
        Engine *e = engine;
        while (e->started < e->count) {
            int t = e->started++;
            if (e->reverse) t = e->count - 1 - t;
            f->thread = t;
            place_thread(t);
            e->threads[t].state = State::RUNNING;
            (*e->body)();
            if (!e->threads[t].copies.empty())
                fail("ends without waiting for its asynchronous copies");
            e->threads[t].state = State::ENDED;
            e->ended++;
        }
        e->idle.push_back(f);
        back_to_scheduler(f);
    }
}

Fiber *fresh_fiber(Engine *e) {
    if (!e->idle.empty()) {
        Fiber *f = e->idle.back();
        e->idle.pop_back();
        return f;
    }
    void *p = mmap(nullptr, STACK_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, GUARD_SIZE, PROT_NONE) != 0) fail("no memory for a stack");
    auto f = std::make_unique<Fiber>();
    f->stack = static_cast<char *>(p) + GUARD_SIZE;
    f->stack_pointer = first_frame(f->stack + STACK_SIZE, fiber_main);
    e->fibers.push_back(std::move(f));
    return e->fibers.back().get();
}

std::string describe(const Thread &t) {
    char text[256];
    if (t.state == State::ENDED)
        snprintf(text, sizeof text, "thread (%u,%u,%u) has ended", t.index.x, t.index.y, t.index.z);
    else
        snprintf(text, sizeof text, "thread (%u,%u,%u) waits at %s, %s:%d", t.index.x, t.index.y,
                 t.index.z, t.what, t.file, t.line);
    return text;
}

// No thread can go on: finds one that waits, and one that it may be waiting for.
[[noreturn]] void deadlock() {
    Engine *e = engine;
    int waits = 0;
    while (e->threads[waits].state == State::ENDED) waits++;
    const Thread &a = e->threads[waits];
    for (int t = 0; t < e->count; t++) {
        const Thread &b = e->threads[t];
        bool same = b.state == a.state && b.line == a.line && same_text(b.file, a.file);
        bool concerned = a.state == State::BARRIER || t / 32 == waits / 32;
        if (same || !concerned) continue;
        place_thread(waits);
        fail("deadlock: %s, and %s", describe(a).c_str(), describe(b).c_str());
    }
    fail("deadlock: %s", describe(a).c_str());
}

// ---- shared memory ------------------------------------------------------------------------------
// Static __shared__ arrays are thread-local variables inside functions. The symbol table of the
// object that all of this is in, a program or a module, says where they are, so that each block can
// find them full of NaN as it may on the device.
struct Range {
    size_t offset, size;
};

struct OwnObject {
    const void *inside;
    std::string path;
    char *tls; // this thread's
};

int is_own_object(dl_phdr_info *info, size_t, void *found) {
    OwnObject *own = static_cast<OwnObject *>(found);
    uintptr_t p = reinterpret_cast<uintptr_t>(own->inside) - info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) &h = info->dlpi_phdr[i];
        if (h.p_type != PT_LOAD || p < h.p_vaddr || p >= h.p_vaddr + h.p_memsz) continue;
        own->path =
            *info->dlpi_name ? info->dlpi_name : "/proc/self/exe"; // the program has no name
        own->tls = static_cast<char *>(info->dlpi_tls_data);
        return 1;
    }
    return 0;
}

OwnObject own_object() {
    OwnObject own = {reinterpret_cast<const void *>(&is_own_object), "", nullptr};
    dl_iterate_phdr(is_own_object, &own);
    return own;
}

std::vector<Range> find_static_shared() {
    std::vector<Range> found;
    int fd = open(own_object().path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) return found;
    void *map = mmap(nullptr, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return found;
    const char *file = static_cast<const char *>(map);
    const ElfW(Ehdr) *head = reinterpret_cast<const ElfW(Ehdr) *>(file);
    const ElfW(Shdr) *sections = reinterpret_cast<const ElfW(Shdr) *>(file + head->e_shoff);
    for (int s = 0; s < head->e_shnum; s++) {
        if (sections[s].sh_type != SHT_SYMTAB) continue;
        const char *names = file + sections[sections[s].sh_link].sh_offset;
        const ElfW(Sym) *symbols =
            reinterpret_cast<const ElfW(Sym) *>(file + sections[s].sh_offset);
        for (size_t i = 0; i < sections[s].sh_size / sizeof *symbols; i++)
            if (ELF64_ST_TYPE(symbols[i].st_info) == STT_TLS &&
                strncmp(names + symbols[i].st_name, "_ZZ", 3) == 0)
                found.push_back({symbols[i].st_value, symbols[i].st_size});
    }
    munmap(map, st.st_size);
    return found;
}

void poison_static_shared() {
    static const std::vector<Range> ranges = find_static_shared();
    static __thread char *tls; // looking at it makes this thread's block, where it is a module's
    if (!tls) tls = own_object().tls;
    if (!tls) return;
    for (const Range &r : ranges) // not itself: it is of the same kind
        if (tls + r.offset != reinterpret_cast<char *>(&tls)) memset(tls + r.offset, 0xff, r.size);
}

void prepare_shared(Engine *e, size_t size) {
    if (e->shared.empty()) {
        e->shared.resize(MAX_SHARED + CANARY_SIZE + 1024);
        uintptr_t p = reinterpret_cast<uintptr_t>(e->shared.data());
        e->shared_start = reinterpret_cast<unsigned char *>((p + 1023) / 1024 * 1024);
    }
    e->shared_size = size;
    memset(e->shared_start, 0xff, size);
    memset(e->shared_start + size, CANARY, CANARY_SIZE);
}

void check_shared(Engine *e) {
    for (size_t i = 0; i < CANARY_SIZE; i++)
        if (e->shared_start[e->shared_size + i] != CANARY)
            fail("the block wrote %zu bytes behind the end of its %zu bytes of dynamic shared "
                 "memory",
                 i, e->shared_size);
}

// ---- blocks -------------------------------------------------------------------------------------
void run_block(Engine *e) {
    e->started = e->ended = e->waiting = e->votes = 0;
    for (int t = 0; t < e->count; t++) {
        e->threads[t].state = State::NEW;
        e->threads[t].batch = 0;
    }
    for (Warp &w : e->warps) w.arrived = 0;
    while (e->ended < e->count) {
        Fiber *f;
        if (e->next_ready < e->ready.size()) {
            if (e->reverse) {
                f = e->ready.back();
                e->ready.pop_back();
            } else
                f = e->ready[e->next_ready++];
        } else {
            e->ready.clear();
            e->next_ready = 0;
            if (e->started == e->count) deadlock();
            f = fresh_fiber(e);
        }
        resume(f);
    }
    e->ready.clear();
    e->next_ready = 0;
}

void prepare_threads(Engine *e, dim3 block) {
    e->count = (int)(block.x * block.y * block.z);
    e->threads.resize(e->count);
    e->warps.resize((e->count + 31) / 32);
    for (int t = 0; t < e->count; t++) {
        unsigned u = (unsigned)t;
        e->threads[t].index = {u % block.x, u / block.x % block.y, u / block.x / block.y};
    }
    for (size_t w = 0; w < e->warps.size(); w++) {
        int lanes = e->count - (int)w * 32;
        e->warps[w].exist = lanes >= 32 ? ~0u : (1u << lanes) - 1;
    }
}

} // namespace

void run_grid(const char *name, dim3 grid, dim3 block, size_t shared,
              const std::function<void()> &thread) {
    static const char *order = getenv("EMULATION_ORDER");
    bool reverse = order && strcmp(order, "reverse") == 0;
    int64_t blocks = (int64_t)grid.x * grid.y * grid.z;
    bool parallel = blocks > 1 && blocks * block.x * block.y * block.z > 2048 && !omp_in_parallel();
#pragma omp parallel if (parallel)
    {
        if (!own_engine) own_engine = std::make_unique<Engine>();
        Engine *e = own_engine.get();
        if (engine) fail("a kernel was launched from a kernel");
        engine = e;
        e->kernel = name;
        e->body = &thread;
        e->reverse = reverse;
        prepare_threads(e, block);
        here.block_dim = {block.x, block.y, block.z};
        here.grid_dim = {grid.x, grid.y, grid.z};
        int done = 0;
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < blocks; i++) {
            int64_t b = reverse ? blocks - 1 - i : i;
            here.block = {(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                          (unsigned)(b / grid.x / grid.y)};
            here.thread = {0, 0, 0};
            // Poisoning all kernels' arrays takes longer than many a block: the first few see it.
            if (done++ < 4) poison_static_shared();
            prepare_shared(e, shared);
            run_block(e);
            check_shared(e);
        }
        engine = nullptr;
    }
}

int barrier(int vote, const char *file, int line) {
    Engine *e = engine;
    if (!e) fail("__syncthreads outside a kernel");
    int self = current();
    Thread &t = e->threads[self];
    t.state = State::BARRIER;
    t.what = "__syncthreads", t.file = file, t.line = line;
    e->votes += vote;
    if (++e->waiting < e->count) {
        suspend();
        return e->vote_result;
    }
    for (int i = 0; i < e->count; i++) {
        const Thread &other = e->threads[i];
        if (other.line != line || !same_text(other.file, file))
            fail("waits at __syncthreads, %s:%d, but %s", file, line, describe(other).c_str());
        if (i != self) e->ready.push_back(other.fiber);
    }
    e->vote_result = e->votes;
    e->votes = e->waiting = 0;
    t.state = State::RUNNING;
    return e->vote_result;
}

void collective(const char *what, unsigned mask, void *data, Complete *complete, const char *file,
                int line) {
    Engine *e = engine;
    if (!e) fail("%s outside a kernel", what);
    int self = current(), lane = self % 32, first = self - lane;
    Warp &w = e->warps[self / 32];
    Thread &t = e->threads[self];
    if (!(mask & 1u << lane))
        fail("%s, %s:%d: lane %d is not in its own mask %08x", what, file, line, lane, mask);
    if (complete && w.exist != ~0u && (strstr(what, "matrix") || strstr(what, "mma")))
        fail("%s, %s:%d: the warp has fewer than 32 lanes", what, file, line);
    t.state = State::WARP;
    t.what = what, t.file = file, t.line = line;
    w.data[lane] = data;
    w.mask[lane] = mask;
    w.arrived |= 1u << lane;
    unsigned wanted = mask & w.exist;
    if ((w.arrived & wanted) != wanted) {
        suspend();
        return;
    }
    void *lanes[32] = {};
    for (int i = 0; i < 32; i++) {
        if (!(wanted & 1u << i)) continue;
        const Thread &other = e->threads[first + i];
        if (w.mask[i] != mask)
            fail("%s, %s:%d with mask %08x, but lane %d came with mask %08x", what, file, line,
                 mask, i, w.mask[i]);
        if (other.line != line || !same_text(other.file, file) || !same_text(other.what, what))
            fail("%s, %s:%d, but %s", what, file, line, describe(other).c_str());
        lanes[i] = w.data[i];
    }
    complete(lanes);
    for (int i = 0; i < 32; i++)
        if (wanted & 1u << i && i != lane) e->ready.push_back(e->threads[first + i].fiber);
    w.arrived &= ~wanted;
    t.state = State::RUNNING;
}

void *dynamic_shared(size_t alignment) {
    if (!engine) fail("shared memory outside a kernel");
    if (alignment > 1024) fail("shared memory cannot be aligned to %zu", alignment);
    return engine->shared_start;
}

void copy_async(void *dst, const void *src, size_t bytes) {
    if (bytes != 4 && bytes != 8 && bytes != 16)
        fail("an asynchronous copy of %zu bytes; 4, 8 and 16 are possible", bytes);
    if ((reinterpret_cast<uintptr_t>(dst) | reinterpret_cast<uintptr_t>(src)) % bytes)
        fail("an asynchronous copy of %zu bytes that is not aligned to them", bytes);
    Thread &t = engine->threads[current()];
    t.copies.push_back({dst, src, bytes, t.batch});
}

void commit_async() {
    engine->threads[current()].batch++;
}

void wait_async(unsigned newest) {
    Thread &t = engine->threads[current()];
    size_t done = 0;
    while (done < t.copies.size() && t.copies[done].batch + newest < t.batch) {
        memcpy(t.copies[done].dst, t.copies[done].src, t.copies[done].bytes);
        done++;
    }
    t.copies.erase(t.copies.begin(), t.copies.begin() + done);
}

} // namespace emulation

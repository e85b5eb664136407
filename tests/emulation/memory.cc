// SPDX-License-Identifier: Apache-2.0
// Device memory: one reserved region of addresses, so that a device pointer is told from a host
// pointer. New and freed memory is full of 0xff (NaN), canaries (NaN too) stand on both sides of
// each allocation, and AddressSanitizer is told what is not allocated.
#include "internal.h"

#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define FORBID(p, n) __asan_poison_memory_region(p, n)
#define ALLOW(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FORBID(p, n) ((void)(p), (void)(n))
#define ALLOW(p, n) ((void)(p), (void)(n))
#endif

namespace emulation {
namespace {

constexpr size_t SIDE = 256; // canary before and behind
constexpr uint16_t CANARY = 0x7fc5;

typedef std::map<uintptr_t, size_t> Spans; // start, size

struct Memory {
    std::recursive_mutex mutex;
    char *base = nullptr;
    size_t total = 0, used = 0, high = 0; // high: bytes of the region ever given out
    Spans live, gaps;                     // gaps: what was given back, canaries included
    std::map<uintptr_t, int> cards;       // whose each live allocation is
    std::map<uintptr_t, std::pair<size_t, bool>> pinned;
    int device_depth = 0;
    bool protect = false;
};

thread_local int running_card = 0;

Memory &memory() {
    static Memory *m = new Memory; // never destroyed: used at exit
    return *m;
}
typedef std::lock_guard<std::recursive_mutex> Lock;

uintptr_t address(const void *p) {
    return reinterpret_cast<uintptr_t>(p);
}

size_t whole(size_t bytes) {
    return (bytes + 255) / 256 * 256;
}

void on_fault(int, siginfo_t *info, void *) {
    static const char text[] = "emulation: host code touches device memory\n";
    if (in_device_region(info->si_addr, 1) && write(2, text, sizeof text - 1) < 0) _exit(2);
    signal(SIGSEGV, SIG_DFL); // comes again, and ends the program
}

void report_leaks() {
    for (const auto &[start, size] : memory().live)
        fprintf(stderr, "emulation: %zu bytes of device memory at %p were not freed\n", size,
                reinterpret_cast<void *>(start));
}

void reserve(Memory &m) {
    if (m.base) return;
    const char *mb = getenv("EMULATION_MEMORY"); // in MB
    m.total = mb ? strtoull(mb, nullptr, 10) << 20 : (size_t)80 << 30;
    m.protect = option("EMULATION_PROTECT");
    void *p = mmap(nullptr, m.total * 2, m.protect ? PROT_NONE : PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail("cannot reserve %zu bytes of addresses", m.total * 2);
    m.base = static_cast<char *>(p);
    if (option("EMULATION_LEAKS")) atexit(report_leaks);
    if (m.protect) {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, nullptr);
    }
}

void protect(Memory &m, int access) {
    if (m.protect && m.high && mprotect(m.base, m.high, access) != 0)
        fail("mprotect of device memory failed");
}

// The first gap that is large enough, else the end of the region.
uintptr_t place(Memory &m, size_t bytes) {
    for (auto gap = m.gaps.begin(); gap != m.gaps.end(); ++gap) {
        if (gap->second < bytes) continue;
        uintptr_t start = gap->first;
        size_t rest = gap->second - bytes;
        m.gaps.erase(gap);
        if (rest) m.gaps[start + bytes] = rest;
        return start;
    }
    if (m.high + bytes > m.total * 2) return 0;
    uintptr_t start = address(m.base) + m.high;
    m.high += (bytes + 4095) / 4096 * 4096;
    size_t rest = address(m.base) + m.high - start - bytes;
    if (rest) m.gaps[start + bytes] = rest;
    return start;
}

// The canaries' bytes; no canary is longer.
const unsigned char *pattern() {
    static const std::vector<unsigned char> *p = [] {
        auto *v = new std::vector<unsigned char>(SIDE + 256);
        for (size_t i = 0; i < v->size(); i++)
            (*v)[i] = (unsigned char)(i % 2 ? CANARY >> 8 : CANARY & 0xff);
        return v;
    }();
    return p->data();
}

void set_canary(char *p, size_t bytes) {
    memcpy(p, pattern(), bytes);
    FORBID(p, bytes);
}

void check_canary(char *p, size_t bytes, uintptr_t start, size_t size, const char *after) {
    ALLOW(p, bytes);
    if (memcmp(p, pattern(), bytes) != 0) {
        size_t i = 0;
        while (static_cast<unsigned char>(p[i]) == pattern()[i]) i++;
        long offset = (long)(address(p) + i) - (long)start;
        fail("%s: something wrote at offset %ld of the %zu bytes of device memory at %p", after,
             offset, size, reinterpret_cast<void *>(start));
    }
    FORBID(p, bytes);
}

void check_allocation(uintptr_t start, size_t size, const char *after) {
    char *p = reinterpret_cast<char *>(start);
    check_canary(p - SIDE, SIDE, start, size, after);
    check_canary(p + size, whole(size) - size + SIDE, start, size, after);
}

// The live allocation with this address, or NULL; one past its end counts when asked.
const Spans::value_type *find(Memory &m, uintptr_t p, bool end_too) {
    auto next = m.live.upper_bound(p);
    if (next == m.live.begin()) return nullptr;
    const auto &a = *--next;
    return p < a.first + a.second || (end_too && p == a.first + a.second) ? &a : nullptr;
}

} // namespace

void set_running_card(int card) {
    running_card = card;
}

size_t memory_total() {
    Lock lock(memory().mutex);
    reserve(memory());
    return memory().total;
}

size_t memory_free() {
    size_t total = memory_total();
    return total - memory().used;
}

void *memory_take(size_t bytes) {
    Memory &m = memory();
    Lock lock(m.mutex);
    reserve(m);
    if (bytes > m.total || whole(bytes) > m.total - m.used) return nullptr;
    device_begin();
    uintptr_t start = place(m, whole(bytes) + 2 * SIDE);
    if (start) {
        protect(m, PROT_READ | PROT_WRITE); // the region has grown
        start += SIDE;
        char *p = reinterpret_cast<char *>(start);
        ALLOW(p - SIDE, whole(bytes) + 2 * SIDE);
        memset(p, 0xff, bytes);
        set_canary(p - SIDE, SIDE);
        set_canary(p + bytes, whole(bytes) - bytes + SIDE);
        m.live[start] = bytes;
        m.cards[start] = current_card();
        m.used += whole(bytes);
    }
    device_end();
    return reinterpret_cast<void *>(start);
}

bool memory_give_back(void *p) {
    Memory &m = memory();
    Lock lock(m.mutex);
    auto a = m.live.find(address(p));
    if (a == m.live.end()) return false;
    device_begin();
    size_t size = a->second;
    check_allocation(a->first, size, "cudaFree");
    memset(p, 0xff, size); // who goes on using it reads NaN
    uintptr_t start = a->first - SIDE;
    size_t bytes = whole(size) + 2 * SIDE;
    FORBID(reinterpret_cast<char *>(start), bytes);
    m.cards.erase(a->first);
    m.live.erase(a);
    m.used -= whole(size);
    auto next = m.gaps.lower_bound(start);
    if (next != m.gaps.end() && next->first == start + bytes) {
        bytes += next->second;
        next = m.gaps.erase(next);
    }
    if (next != m.gaps.begin() && std::prev(next)->first + std::prev(next)->second == start)
        std::prev(next)->second += bytes;
    else
        m.gaps[start] = bytes;
    device_end();
    return true;
}

bool in_device_region(const void *p, size_t bytes) {
    Memory &m = memory();
    uintptr_t a = address(p), base = address(m.base);
    return m.base && a + bytes > base && a < base + m.total * 2;
}

void require_device(const void *p, size_t bytes, const char *what) {
    Memory &m = memory();
    Lock lock(m.mutex);
    if (bytes == 0) return;
    if (!in_device_region(p, bytes)) {
        if (!is_pinned(p, bytes)) fail("%s: %p is not device memory", what, p);
        return;
    }
    const auto *a = find(m, address(p), false);
    if (!a) fail("%s: %p is not in a live device allocation", what, p);
    if (address(p) + bytes > a->first + a->second)
        fail("%s: %zu bytes at offset %zu reach past the end of a device allocation of %zu", what,
             bytes, (size_t)(address(p) - a->first), a->second);
}

void require_host(const void *p, const char *what) {
    if (in_device_region(p, 1)) fail("%s: %p is device memory where host memory is meant", what, p);
}

static void check_card(Memory &m, uintptr_t start, const char *kernel, int index, const void *p) {
    if (m.cards[start] != running_card)
        fail("%s: argument %d, %p, is memory of card %d, and it runs on card %d", kernel, index, p,
             m.cards[start], running_card);
}

void check_structure(const char *kernel, int index, const void *p, size_t size) {
    Memory &m = memory();
    Lock lock(m.mutex);
    for (size_t i = 0; i + sizeof(void *) <= size; i += sizeof(void *)) {
        const void *word;
        memcpy(&word, static_cast<const char *>(p) + i, sizeof word);
        // What is not live may be what lay in a gap between members.
        const auto *a = in_device_region(word, 1) ? find(m, address(word), false) : nullptr;
        if (a) check_card(m, a->first, kernel, index, word);
    }
}

void check_argument(const char *kernel, int index, const void *p) {
    Memory &m = memory();
    Lock lock(m.mutex);
    if (!p || is_pinned(p, 1)) return;
    if (!in_device_region(p, 1))
        fail("kernel %s: argument %d, %p, is not device memory", kernel, index, p);
    const auto *a = find(m, address(p), true);
    if (!a)
        fail("kernel %s: argument %d, %p, is not in a live device allocation", kernel, index, p);
    check_card(m, a->first, kernel, index, p);
}

void check_canaries(const char *after) {
    Memory &m = memory();
    Lock lock(m.mutex);
    for (const auto &[start, size] : m.live) check_allocation(start, size, after);
}

void device_begin() {
    Memory &m = memory();
    Lock lock(m.mutex);
    if (m.device_depth++ == 0) protect(m, PROT_READ | PROT_WRITE);
}

void device_end() {
    Memory &m = memory();
    Lock lock(m.mutex);
    if (--m.device_depth == 0) protect(m, PROT_NONE);
}

bool pin_host(void *p, size_t bytes, bool owned) {
    Lock lock(memory().mutex);
    return memory().pinned.emplace(address(p), std::make_pair(bytes, owned)).second;
}

bool unpin_host(void *p, bool owned) {
    Lock lock(memory().mutex);
    auto found = memory().pinned.find(address(p));
    if (found == memory().pinned.end() || found->second.second != owned) return false;
    memory().pinned.erase(found);
    return true;
}

bool is_pinned(const void *p, size_t bytes) {
    Lock lock(memory().mutex);
    auto next = memory().pinned.upper_bound(address(p));
    if (next == memory().pinned.begin()) return false;
    --next;
    return address(p) + bytes <= next->first + next->second.first;
}

} // namespace emulation

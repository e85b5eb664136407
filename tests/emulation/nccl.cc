// SPDX-License-Identifier: Apache-2.0
// NCCL between processes of one machine, through files. What the real one would not forgive ends
// the program: a call while another is under way, sums of different lengths, a communicator that is
// left while a graph holds its sums. What it refuses is refused: two processes on one card.
#include "ops/cuda/nccl.h"
#include "internal.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vector>

using namespace emulation;

namespace {

// ncclSystemError, ncclInternalError, ncclInvalidArgument and ncclRemoteError.
enum { SYSTEM_ERROR = 2, INTERNAL_ERROR = 3, INVALID_ARGUMENT = 4, REMOTE_ERROR = 6 };
enum { MOST = 8, SLOTS = 2 };

// What all processes of a communicator see.
struct Shared {
    std::atomic<int> joined, opened;
    std::atomic<int64_t> published[MOST]; // sums that a process has given its part to
    size_t count[MOST][SLOTS];            // elements of them
    int card[MOST];
};

enum State { JOINING, OPENING, READY, LAUNCHING, FINALIZING, FINALIZED, BROKEN };

char last_error[256];

} // namespace

struct ncclComm {
    std::string folder;
    int rank, count, card;
    Shared *shared;
    int parts[MOST][SLOTS]; // files: a process's part of its last sums
    State state;
    int result; // of BROKEN
    // Work that is recorded or under way holds a share of it.
    std::shared_ptr<int> holders = std::make_shared<int>(0);
    std::atomic<bool> aborted{false};
    int64_t sums = 0;     // done
    bool offered = false; // this process's part of the next one
    int calls = 0;
    std::function<void()> launch; // of LAUNCHING
};

namespace {

int open_part(const ncclComm *c, int rank, int slot) {
    std::string path = c->folder + "/" + std::to_string(rank) + "." + std::to_string(slot);
    int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (fd < 0) fail("NCCL: cannot open %s", path.c_str());
    return fd;
}

void remove_files(const ncclComm *c) {
    for (int r = 0; r < c->count; r++)
        for (int s = 0; s < SLOTS; s++)
            unlink((c->folder + "/" + std::to_string(r) + "." + std::to_string(s)).c_str());
    unlink((c->folder + "/all").c_str());
    rmdir(c->folder.c_str());
}

// When all have joined: two of them may have the same card.
int open_others(ncclComm *c) {
    for (int r = 0; r < c->count; r++)
        for (int q = 0; q < r; q++)
            if (c->shared->card[q] == c->shared->card[r]) {
                snprintf(last_error, sizeof last_error,
                         "Duplicate GPU detected : rank %d and rank %d both on CUDA device %d", q,
                         r, c->shared->card[r]);
                if (c->rank == 0) remove_files(c);
                return NCCL_INVALID_USAGE;
            }
    for (int r = 0; r < c->count; r++)
        for (int s = 0; s < SLOTS && r != c->rank; s++) c->parts[r][s] = open_part(c, r, s);
    return NCCL_SUCCESS;
}

// Gets on with what is under way, without waiting.
void advance(ncclComm *c) {
    if (c->state == JOINING && c->shared->joined == c->count) {
        c->result = open_others(c);
        c->state = c->result == NCCL_SUCCESS ? OPENING : BROKEN;
        c->shared->opened++;
    }
    if (c->state == OPENING && c->shared->opened == c->count) {
        if (c->rank == 0) remove_files(c);
        c->state = READY;
    } else if (c->state == LAUNCHING) {
        c->launch();
        c->state = READY;
    } else if (c->state == FINALIZING && !c->offered)
        c->state = FINALIZED;
}

void require_ready(const ncclComm *c, const char *call) {
    if (!c) fail("%s: there is no communicator", call);
    if (c->state != READY && c->state != BROKEN)
        fail("%s: the call before it is still under way", call);
}

// Gives this process's part of the next sum, and sees whether all have.
bool all_offered(ncclComm *c, const float *from, size_t count) {
    int slot = (int)(c->sums % SLOTS);
    if (c->aborted) return true;
    if (!c->offered) {
        device_begin();
        set_running_card(c->card);
        require_device(from, count * sizeof(float), "ncclAllReduce");
        bool whole = pwrite(c->parts[c->rank][slot], from, count * sizeof(float), 0) ==
                     (ssize_t)(count * sizeof(float));
        device_end();
        if (!whole) fail("NCCL: a part cannot be written");
        c->shared->count[c->rank][slot] = count;
        c->shared->published[c->rank] = c->sums + 1;
        c->offered = true;
    }
    for (int r = 0; r < c->count; r++)
        if (c->shared->published[r] <= c->sums) return false;
    return true;
}

// In the order of the ranks, so that all get the same bits.
void add_up(ncclComm *c, float *to, size_t count) {
    int slot = (int)(c->sums % SLOTS);
    set_running_card(c->card);
    require_device(to, count * sizeof(float), "ncclAllReduce");
    if (c->aborted) { // whatever was there
        memset(to, 0xff, count * sizeof(float));
        return;
    }
    std::vector<float> part(count);
    for (int r = 0; r < c->count; r++) {
        if (c->shared->count[r][slot] != count)
            fail("ncclAllReduce: rank %d adds up %zu values and rank %d %zu", c->rank, count, r,
                 c->shared->count[r][slot]);
        if (pread(c->parts[r][slot], part.data(), count * sizeof(float), 0) !=
            (ssize_t)(count * sizeof(float)))
            fail("NCCL: a part cannot be read");
        for (size_t i = 0; i < count; i++) to[i] = r ? to[i] + part[i] : part[i];
    }
    c->offered = false;
    c->sums++;
    check_canaries("ncclAllReduce");
}

void free_comm(ncclComm *c) {
    for (int r = 0; r < c->count; r++)
        for (int s = 0; s < SLOTS; s++)
            if (c->parts[r][s] >= 0) close(c->parts[r][s]);
    munmap(c->shared, sizeof *c->shared);
    delete c;
}

} // namespace

extern "C" {

int ncclGetVersion(int *version) {
    const char *other = getenv("EMULATION_NCCL");
    *version = other ? atoi(other) : 22809;
    return NCCL_SUCCESS;
}
const char *ncclGetErrorString(int result) {
    switch (result) {
    case NCCL_SUCCESS:
        return "no error";
    case SYSTEM_ERROR:
        return "unhandled system error";
    case NCCL_INVALID_USAGE:
        return "invalid usage";
    case REMOTE_ERROR:
        return "remote process exited or there was a network error";
    case NCCL_IN_PROGRESS:
        return "NCCL operation in progress";
    default:
        return "internal error";
    }
}
const char *ncclGetLastError(NcclComm) {
    return last_error;
}

int ncclGetUniqueId(NcclId *id) {
    const char *folder = getenv("TMPDIR");
    memset(id, 0, sizeof *id);
    snprintf(id->bytes, sizeof id->bytes, "%s/emulated-nccl-XXXXXX", folder ? folder : P_tmpdir);
    if (!mkdtemp(id->bytes)) return SYSTEM_ERROR;
    std::string all = std::string(id->bytes) + "/all";
    int fd = open(all.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(Shared)) != 0) return SYSTEM_ERROR;
    close(fd);
    return NCCL_SUCCESS;
}

int ncclCommInitRankConfig(NcclComm *comm, int count, NcclId id, int rank, NcclConfig *config) {
    *comm = nullptr;
    if (refuse_in_capture()) return INTERNAL_ERROR;
    if (config->size != sizeof *config || config->magic != NCCL_CONFIG_MAGIC || config->blocking ||
        count > MOST || rank < 0 || rank >= count)
        return INVALID_ARGUMENT;
    if (refused("nccl-init")) {
        snprintf(last_error, sizeof last_error, "told to refuse\nand a second line");
        return SYSTEM_ERROR;
    }
    ncclComm *c = new ncclComm;
    c->folder = id.bytes;
    c->rank = rank, c->count = count, c->card = current_card();
    c->state = JOINING;
    memset(c->parts, 0xff, sizeof c->parts);
    int fd = open((c->folder + "/all").c_str(), O_RDWR);
    void *all = fd < 0 ? MAP_FAILED
                       : mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (all == MAP_FAILED) fail("NCCL: %s cannot be shared", c->folder.c_str());
    close(fd);
    c->shared = static_cast<Shared *>(all);
    for (int s = 0; s < SLOTS; s++) c->parts[rank][s] = open_part(c, rank, s);
    c->shared->card[rank] = c->card;
    c->shared->joined++;
    *comm = c;
    return NCCL_IN_PROGRESS;
}

int ncclCommGetAsyncError(NcclComm c, int *result) {
    if (!c) fail("ncclCommGetAsyncError: there is no communicator");
    advance(c);
    bool busy = c->state == JOINING || c->state == OPENING || c->state == FINALIZING;
    *result = c->state == BROKEN ? c->result : busy ? NCCL_IN_PROGRESS : NCCL_SUCCESS;
    if (c->state == READY && refused("nccl-async")) {
        snprintf(last_error, sizeof last_error, "told to lose the connection");
        *result = REMOTE_ERROR;
    }
    return NCCL_SUCCESS;
}

// The first ones find that connections are still to be made: they are launched later, as the real
// ones are, and who does not wait for that has nothing in the stream yet.
int ncclAllReduce(const void *from, void *to, size_t count, int type, int operation, NcclComm c,
                  cudaStream_t stream) {
    require_ready(c, "ncclAllReduce");
    if (type != NCCL_FLOAT32 || operation != NCCL_SUM) return INVALID_ARGUMENT;
    if (refused("nccl-sum")) {
        snprintf(last_error, sizeof last_error, "told to refuse");
        return INTERNAL_ERROR;
    }
    if (card_of(stream) != c->card) fail("ncclAllReduce: the stream is another card's");
    const float *x = static_cast<const float *>(from);
    float *y = static_cast<float *>(to);
    auto launch = [=, holder = c->holders] {
        cudaError_t e = emulation_enqueue_when(
            stream, [c, x, count, holder] { return all_offered(c, x, count); },
            [c, y, count, holder] { add_up(c, y, count); });
        if (e != cudaSuccess) fail("ncclAllReduce: %s", cudaGetErrorString(e));
    };
    if (c->calls++ >= SLOTS) {
        launch();
        return NCCL_SUCCESS;
    }
    c->launch = launch;
    c->state = LAUNCHING;
    return NCCL_IN_PROGRESS;
}

int ncclCommFinalize(NcclComm c) {
    require_ready(c, "ncclCommFinalize");
    c->state = FINALIZING;
    return NCCL_IN_PROGRESS;
}

int ncclCommDestroy(NcclComm c) {
    if (!c || c->state != FINALIZED) fail("ncclCommDestroy: ncclCommFinalize comes first");
    c->launch = nullptr;
    if (c->holders.use_count() > 1)
        fail("ncclCommDestroy: a recording still holds sums; the real one would wait for ever");
    free_comm(c);
    return NCCL_SUCCESS;
}

// Returns, as the real one, when nothing holds a sum any more.
int ncclCommAbort(NcclComm c) {
    const struct timespec short_while = {0, 1000000};
    if (!c) return INVALID_ARGUMENT;
    c->aborted = true;
    c->launch = nullptr;
    while (c->holders.use_count() > 1) nanosleep(&short_while, nullptr);
    free_comm(c);
    return NCCL_SUCCESS;
}

} // extern "C"

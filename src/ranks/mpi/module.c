// SPDX-License-Identifier: Apache-2.0
// The module tact_mpi, compiled once for each MPI (cmake/mpi.cmake). All of MPI's calls that wait
// for other processes are asked for and then tested with sleep in between, so that a process that
// waits takes no core from those that compute; MPI's own waiting spins.
#include "base/module.h"
#include "base/log.h"
#include "base/memory.h"
#include "ranks/mpi.h"
#include <dlfcn.h>
#include <limits.h>
#include <mpi.h>
#include <string.h>
#include <time.h>

// What mpi.h says of itself.
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#ifdef OMPI_MAJOR_VERSION
#define LIBRARY                                                                                    \
    "Open MPI " TEXT(OMPI_MAJOR_VERSION) "." TEXT(OMPI_MINOR_VERSION) "." TEXT(OMPI_RELEASE_VERSION)
#elif defined MPICH_VERSION
#define LIBRARY "MPICH " MPICH_VERSION
#else
#define LIBRARY "MPI " TEXT(MPI_VERSION) "." TEXT(MPI_SUBVERSION)
#endif

enum {
    // Tests of one progress(). Each may end one step of a sum and begin the next, so some in a row
    // get further than one before a sleep.
    TESTS = 16,
    // Between two looks at something that all processes take part in.
    NAP_NS = 200 * 1000,
    // How long the processes that end wait for each other.
    END_S = 60,
};

typedef struct MpiSums {
    Sums sums;
    uint64_t begun, done;
    MPI_Request requests[SUMS_UNDER_WAY];
} MpiSums;

// MPI_COMM_WORLD is this module's: nothing else in the program calls MPI.
static bool failed(int code, const char *what, Error *err) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    if (code == MPI_SUCCESS) return false;
    if (MPI_Error_string(code, text, &n) != MPI_SUCCESS) n = 0;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    (void)fail(err, "MPI: %s: %s", what, n > 0 ? text : "an unknown error");
    return true;
}

// ---- sums ---------------------------------------------------------------------------------------

static bool mpi_begin(Sums *s, float *data, int64_t n, Error *err) {
    MpiSums *m = (MpiSums *)s;
    if (n < 0 || n > INT_MAX)
        return fail(err, "a sum of %lld values; MPI takes at most %d", (long long)n, INT_MAX);
    if (m->begun - m->done == SUMS_UNDER_WAY)
        return fail(err, "more than %d sums at once", SUMS_UNDER_WAY);
    MPI_Request *request = &m->requests[m->begun % SUMS_UNDER_WAY];
    *request = MPI_REQUEST_NULL; // which counts as done
    int code = n == 0 ? MPI_SUCCESS
                      : MPI_Iallreduce(MPI_IN_PLACE, data, (int)n, MPI_FLOAT, MPI_SUM,
                                       MPI_COMM_WORLD, request);
    if (failed(code, "a sum could not begin", err)) return false;
    m->begun++;
    return true;
}

static bool mpi_progress(Sums *s, int *under_way, Error *err) {
    MpiSums *m = (MpiSums *)s;
    for (int i = 0; i < TESTS && m->done < m->begun; i++) {
        int done = 0;
        int code = MPI_Test(&m->requests[m->done % SUMS_UNDER_WAY], &done, MPI_STATUS_IGNORE);
        if (failed(code, "a sum", err)) return false;
        if (!done) continue;
        m->done++;
        i = -1;
    }
    *under_way = (int)(m->begun - m->done);
    return true;
}

// What MPI waits for is its own affair.
static int mpi_descriptors(const Sums *s, struct pollfd *out) {
    (void)s;
    (void)out;
    return 0;
}

static void mpi_sums_close(Sums *s) {
    mem_free(s);
}

static bool mpi_sums_open(Sums **out, Error *err) {
    static const SumsKind kind = {"mpi", mpi_begin, mpi_progress, mpi_descriptors, mpi_sums_close};
    (void)err;
    MpiSums *m = NEW(MpiSums, 1);
    m->sums.kind = &kind;
    *out = &m->sums;
    return true;
}

// ---- the rest -----------------------------------------------------------------------------------

// Sleeps until a request is done, or timeout_s have passed.
static bool wait_for(MPI_Request *request, double timeout_s, const char *what, Error *err) {
    double until = clock_seconds() + timeout_s;
    struct timespec nap = {.tv_nsec = NAP_NS};
    for (int done = 0; !done;) {
        if (failed(MPI_Test(request, &done, MPI_STATUS_IGNORE), what, err)) return false;
        if (done) break;
        if (clock_seconds() > until)
            return fail(err, "MPI: %s: not all processes took part within %g s", what, timeout_s);
        nanosleep(&nap, NULL);
    }
    return true;
}

// Open MPI loads components of its own that look for its functions among those that the whole
// process sees. A module's libraries are not: this shows them.
static void show_library(void) {
    Dl_info info;
    if (dladdr((void *)MPI_Init_thread, &info) && info.dli_fname)
        (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

static bool mpi_open(int *rank, int *count, Error *err) {
    int level = 0;
    show_library();
    if (failed(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level), "starting", err))
        return false;
    // Until here, and in what is no communicator's, errors end the process: MPI knows no other way.
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (level < MPI_THREAD_FUNNELED)
        return fail(err, "MPI: this %s was built without threads", LIBRARY);
    return !failed(MPI_Comm_rank(MPI_COMM_WORLD, rank), "the rank", err) &&
           !failed(MPI_Comm_size(MPI_COMM_WORLD, count), "the number of processes", err);
}

static bool mpi_share(void *data, size_t bytes, double timeout_s, Error *err) {
    MPI_Request request;
    int rank = 0;
    if (bytes > INT_MAX)
        return fail(err, "%zu bytes to share; MPI takes at most %d", bytes, INT_MAX);
    if (failed(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "the rank", err)) return false;
    // A copy, which stays when time runs out: MPI may still write to it.
    char *copy = mem_alloc(bytes > 0 ? bytes : 1);
    memcpy(copy, data, bytes);
    int code = MPI_Ibcast(copy, (int)bytes, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    if (failed(code, "sharing", err) || !wait_for(&request, timeout_s, "sharing", err))
        return false;
    memcpy(data, copy, bytes);
    mem_free(copy);
    return true;
}

// The barrier is what MPI_Finalize would wait in, without sleep.
static void mpi_close(bool orderly) {
    MPI_Request request;
    Error err;
    if (!orderly) return;
    if (failed(MPI_Ibarrier(MPI_COMM_WORLD, &request), "ending", &err) ||
        !wait_for(&request, END_S, "ending", &err)) {
        log_warn("%s", err.text);
        return;
    }
    MPI_Finalize();
}

static const MpiModule module = {LIBRARY, mpi_open, mpi_share, mpi_sums_open, mpi_close};
MODULE_ENTRY(&module)

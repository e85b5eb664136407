// SPDX-License-Identifier: Apache-2.0
// How long sums over processes take: the median of many, the rate that goes over each link, and
// what processor time process 0 spends. NAME of the way, N processes, BYTES of the array, which is
// added up by itself, or with BYTES/PARTS as so many sums that are begun at once:
//
//   sums_rate tcp N BYTES...           forks N processes that TCP joins on this machine
//   sums_rate host RANK N BYTES...     is one process of bench/network --hosts=N
//   mpirun -np N sums_rate openmpi|mpich NAP BYTES...
//       by MPI, with NAP microseconds of sleep between two looks; 0: without
//
// bench/sums runs it in turn with others.
#include "base/log.h"
#include "base/memory.h"
#include "ranks/mpi.h"
#include "ranks/sums.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RANKS = 64, MOST_TIMES = 500, WARM = 3 };

typedef struct Place {
    const char *way;
    int rank, count;
    long nap_us;
} Place;

static int give_up(const char *what) {
    fprintf(stderr, "sums_rate: %s\n", what);
    return 1;
}

static bool add_up(Sums *s, const Place *p, float *data, int64_t n, int parts, Error *err) {
    int under_way = 1;
    for (int k = 0; k < parts; k++) {
        int64_t from = n * k / parts, to = n * (k + 1) / parts;
        if (!s->kind->begin(s, data + from, to - from, err)) return false;
    }
    if (!s->kind->progress(s, &under_way, err)) return false;
    while (under_way > 0) {
        struct pollfd fds[SUMS_DESCRIPTORS];
        int waits = s->kind->descriptors(s, fds);
        if (waits > 0)
            poll(fds, (nfds_t)waits, -1);
        else if (p->nap_us > 0)
            nanosleep(&(struct timespec){.tv_nsec = p->nap_us * 1000}, NULL);
        if (!s->kind->progress(s, &under_way, err)) return false;
    }
    return true;
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// All sizes; process 0 prints.
static int measure(Sums *s, const Place *p, int sizes, char **bytes) {
    Error err;
    for (int i = 0; i < sizes; i++) {
        int64_t n = atoll(bytes[i]) / (int64_t)sizeof(float);
        const char *slash = strchr(bytes[i], '/');
        int parts = slash ? atoi(slash + 1) : 1;
        if (n < 1) return give_up("BYTES are numbers from 4 on");
        if (parts < 1 || parts > SUMS_UNDER_WAY) return give_up("PARTS are 1 to 64");
        int64_t fits = (256 << 20) / (n * (int64_t)sizeof(float));
        int times = fits < 8 ? 8 : fits < MOST_TIMES ? (int)fits : MOST_TIMES;
        double seconds[MOST_TIMES], cpu = cpu_seconds();
        float *data = NEW(float, n);
        for (int k = -WARM; k < times; k++) {
            double start = clock_seconds();
            if (!add_up(s, p, data, n, parts, &err)) return give_up(err.text);
            if (k >= 0) seconds[k] = clock_seconds() - start;
        }
        cpu = (cpu_seconds() - cpu) / (times + WARM);
        mem_free(data);
        qsort(seconds, (size_t)times, sizeof(double), by_size);
        double each = 2.0 * (p->count - 1) / p->count * (double)n * sizeof(float);
        if (p->rank == 0)
            printf("%-12s %d processes %10lld bytes %12.1f us  %7.3f GB/s  %10.1f us of CPU  %d "
                   "sums\n",
                   p->way, p->count, (long long)n * 4, 1e6 * seconds[times / 2],
                   each / seconds[times / 2] / 1e9, 1e6 * cpu, parts);
    }
    s->kind->close(s);
    return 0;
}

// ---- TCP ----------------------------------------------------------------------------------------

static int listen_here(struct sockaddr_in *at) {
    socklen_t size = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)at, size) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)at, &size) < 0)
        return -1;
    return fd;
}

static int run_ring(Place p, const int *listeners, const struct sockaddr_in *at, int sizes,
                    char **bytes) {
    Sums *s;
    Error err;
    int next = socket(AF_INET, SOCK_STREAM, 0), to = (p.rank + 1) % p.count;
    if (connect(next, (const struct sockaddr *)&at[to], sizeof at[to]) < 0)
        return give_up("no connection to the next process");
    int previous = accept(listeners[p.rank], NULL, NULL);
    if (previous < 0) return give_up("no connection from the process before");
    if (!ring_open(p.rank, p.count, next, previous, &s, &err)) return give_up(err.text);
    return measure(s, &p, sizes, bytes);
}

static int run_tcp(int count, int sizes, char **bytes) {
    int listeners[MOST_RANKS], status, failed = 0;
    struct sockaddr_in at[MOST_RANKS];
    if (count < 2 || count > MOST_RANKS) return give_up("N is 2 to 64");
    for (int r = 0; r < count; r++)
        if ((listeners[r] = listen_here(&at[r])) < 0) return give_up("no socket to listen on");
    for (int r = 0; r < count; r++) {
        if (fork() != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(run_ring((Place){"tcp", r, count, 0}, listeners, at, sizes, bytes));
    }
    for (int r = 0; r < count; r++)
        if (wait(&status) > 0 && status != 0) failed = 1;
    return failed;
}

// Hosts have the addresses of bench/network.
static int run_host(int rank, int count, int sizes, char **bytes) {
    enum { PORT = 29601, TRIES = 100 };
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    Sums *s;
    Error err;
    int listener = socket(AF_INET, SOCK_STREAM, 0), next = -1;
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1) < 0)
        return give_up("no socket to listen on");
    at.sin_addr.s_addr = htonl((10u << 24 | 77u << 16) + (uint32_t)((rank + 1) % count) + 1);
    for (int i = 0; i < TRIES && next < 0; i++) {
        next = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(next, (struct sockaddr *)&at, sizeof at) == 0) break;
        close(next);
        next = -1;
        usleep(100000);
    }
    if (next < 0) return give_up("no connection to the next process");
    int previous = accept(listener, NULL, NULL);
    if (!ring_open(rank, count, next, previous, &s, &err)) return give_up(err.text);
    return measure(s, &(Place){"tcp", rank, count, 0}, sizes, bytes);
}

// ---- MPI ----------------------------------------------------------------------------------------

static int run_mpi(const char *name, const char *nap, int sizes, char **bytes) {
    const MpiModule *mpi;
    Place p = {.way = name, .nap_us = atol(nap)};
    Sums *s;
    Error err;
    if (!mpi_module_load(strcmp(name, "mpich") == 0 ? MPI_MPICH : MPI_OPENMPI, &mpi, &err) ||
        !mpi->open(&p.rank, &p.count, &err) || !mpi->sums_open(&s, &err))
        return give_up(err.text);
    int status = p.count < 2 ? give_up("one process alone; start it with mpirun -np N")
                             : measure(s, &p, sizes, bytes);
    mpi->close(status == 0);
    return status;
}

int main(int argc, char **argv) {
    if (argc > 3 && strcmp(argv[1], "tcp") == 0) return run_tcp(atoi(argv[2]), argc - 3, argv + 3);
    if (argc > 4 && strcmp(argv[1], "host") == 0)
        return run_host(atoi(argv[2]), atoi(argv[3]), argc - 4, argv + 4);
    if (argc > 3 && (strcmp(argv[1], "openmpi") == 0 || strcmp(argv[1], "mpich") == 0))
        return run_mpi(argv[1], argv[2], argc - 3, argv + 3);
    fprintf(stderr, "usage: sums_rate tcp N BYTES... | host RANK N BYTES... | "
                    "openmpi|mpich NAP BYTES...\n");
    return 2;
}

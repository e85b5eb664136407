// SPDX-License-Identifier: Apache-2.0
// mpi_sums openmpi|mpich FILE: what the module of that MPI does, for test_mpi.sh, which runs it
// under mpirun. FILE does not exist yet; one process tells another something by making it. MPI
// lives in a thread that is not the first, as in a training. Rank 0 says on stdout what was there;
// each process that finds something wrong says so on stderr and exits with 1.
#include "base/memory.h"
#include "check_sums.h"
#include "ranks/mpi.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUMS = 6, PATIENCE_S = 60 };

static const int64_t lengths[SUMS] = {1, 0, 1000, 300007, 17, 65536};

typedef struct Part {
    const MpiModule *mpi;
    int rank, count;
    const char *file;
} Part;

static bool wrong(const Part *p, const char *what) {
    fprintf(stderr, "rank %d of %d: %s\n", p->rank, p->count, what);
    return false;
}

static bool not_done(const Part *p, const Error *err) {
    return wrong(p, err->text);
}

// All sums at once; their elements as one number.
static bool add_up(const Part *p, Sums *s, uint64_t *digest) {
    float *data[SUMS];
    Error err;
    bool ok = true;
    int under_way = 0;
    *digest = 0;
    for (int i = 0; i < SUMS && ok; i++) {
        data[i] = NEW(float, lengths[i] + 1);
        summand_fill(data[i], (uint64_t)i, p->rank, lengths[i]);
        ok = s->kind->begin(s, data[i], lengths[i], &err) || not_done(p, &err);
        // Others are late now and then.
        if (i % p->count == p->rank) usleep(3000);
    }
    do {
        ok = ok && (s->kind->progress(s, &under_way, &err) || not_done(p, &err));
        usleep(100);
    } while (ok && under_way > 0);
    for (int i = 0; i < SUMS && ok; i++) {
        ok = sum_is_right(data[i], (uint64_t)i, p->count, lengths[i]) || wrong(p, "a wrong sum");
        for (int64_t k = 0; k < lengths[i]; k++) {
            uint32_t bits;
            memcpy(&bits, &data[i][k], sizeof bits);
            *digest = mix(*digest ^ bits);
        }
        mem_free(data[i]);
    }
    return ok;
}

// The same bits twice, and everywhere.
static bool check_sums(const Part *p) {
    Sums *s;
    Error err;
    uint64_t first, again, of_first_rank;
    if (!p->mpi->sums_open(&s, &err)) return not_done(p, &err);
    if (!add_up(p, s, &first) || !add_up(p, s, &again)) return false;
    if (first != again) return wrong(p, "the same sums gave other bits");
    of_first_rank = first;
    if (!p->mpi->share(&of_first_rank, sizeof first, PATIENCE_S, &err)) return not_done(p, &err);
    s->kind->close(s);
    return first == of_first_rank || wrong(p, "sums differ from rank 0's");
}

static bool check_share(const Part *p) {
    char text[300];
    Error err;
    memset(text, 'a' + p->rank, sizeof text);
    if (!p->mpi->share(text, sizeof text, PATIENCE_S, &err)) return not_done(p, &err);
    for (size_t i = 0; i < sizeof text; i++)
        if (text[i] != 'a') return wrong(p, "shared bytes are not rank 0's");
    return true;
}

// Rank 0 comes when rank 1 has stopped waiting; nothing is written to rank 1's memory afterwards.
static bool check_patience(const Part *p) {
    int number = 5 + p->rank;
    Error err;
    for (int i = 0; p->rank == 0 && i < PATIENCE_S * 100 && access(p->file, F_OK) != 0; i++)
        usleep(10000);
    bool came = p->mpi->share(&number, sizeof number, p->rank == 1 ? 0.05 : PATIENCE_S, &err);
    if (p->rank == 1) close(open(p->file, O_CREAT | O_WRONLY, 0600));
    if (!check_share(p)) return false;
    if (p->rank != 1) return came ? number == 5 || wrong(p, "a wrong number") : not_done(p, &err);
    if (came || !strstr(err.text, "not all processes took part within 0.05 s"))
        return wrong(p, "rank 1 waited longer than it was told");
    return number == 6 || wrong(p, "what was shared came after all");
}

static void *communication_thread(void *user) {
    static bool ok;
    Part *p = user;
    Error err;
    ok = p->mpi->open(&p->rank, &p->count, &err) || not_done(p, &err);
    ok = ok && check_share(p) && check_sums(p) && check_patience(p);
    // One that goes without ceremony: mpirun ends the others.
    p->mpi->close(ok);
    return ok ? &ok : NULL;
}

int main(int argc, char **argv) {
    Part p = {0};
    Error err;
    pthread_t thread;
    void *ok = NULL;
    bool mpich = argc == 3 && strcmp(argv[1], "mpich") == 0;
    if (argc != 3 || (!mpich && strcmp(argv[1], "openmpi") != 0)) {
        fprintf(stderr, "usage: mpi_sums openmpi|mpich FILE\n");
        return 2;
    }
    p.file = argv[2];
    if (!mpi_module_load(mpich ? MPI_MPICH : MPI_OPENMPI, &p.mpi, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (pthread_create(&thread, NULL, communication_thread, &p) != 0) return 1;
    pthread_join(thread, &ok);
    if (ok && p.rank == 0) printf("%s: %d processes\n", p.mpi->library, p.count);
    return ok ? 0 : 1;
}

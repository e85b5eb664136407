// SPDX-License-Identifier: Apache-2.0
// What the environment says of a process, and what is refused.
#include "ranks/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void set_environment(const char *const *pairs) {
    clearenv();
    for (; pairs[0]; pairs += 2) setenv(pairs[0], pairs[1], 1);
}
#define ENVIRONMENT(...) set_environment((const char *const[]){__VA_ARGS__, NULL})

static RanksPlace place(void) {
    RanksPlace p;
    Error err;
    if (!ranks_place(&p, &err)) fail_msg("%s", err.text);
    return p;
}

static void refused(const char *part) {
    RanksPlace p;
    Error err;
    assert_false(ranks_place(&p, &err));
    if (!strstr(err.text, part)) fail_msg("%s: no \"%s\"", err.text, part);
}

static void alone(void **state) {
    (void)state;
    ENVIRONMENT(NULL, NULL);
    assert_int_equal(place().count, 1);
    ENVIRONMENT("RANK", "0", "WORLD_SIZE", "1"); // nobody to be found
    assert_int_equal(place().count, 1);
    // A script of Slurm's is no step; nor is a shell that srun has started.
    ENVIRONMENT("SLURM_PROCID", "0", "SLURM_NTASKS", "4", "SLURM_JOB_ID", "7");
    assert_int_equal(place().count, 1);
    ENVIRONMENT("SLURM_PROCID", "0", "SLURM_STEP_NUM_TASKS", "1");
    assert_int_equal(place().starter, STARTED_ALONE);
}

static void torchrun(void **state) {
    (void)state;
    ENVIRONMENT("RANK", "3", "WORLD_SIZE", "8", "LOCAL_RANK", "1", "LOCAL_WORLD_SIZE", "2",
                "MASTER_ADDR", "node7", "MASTER_PORT", "1234");
    RanksPlace p = place();
    assert_int_equal(p.starter, STARTED_TORCHRUN);
    assert_int_equal(p.rank, 3);
    assert_int_equal(p.count, 8);
    assert_int_equal(p.local_rank, 1);
    assert_int_equal(p.local_count, 2);
    assert_string_equal(p.master, "node7");
    assert_int_equal(p.port, 1234);
    assert_false(p.mpi);
    // Process 0 may know itself by another name.
    char same[128];
    memcpy(same, p.key, sizeof same);
    setenv("MASTER_ADDR", "localhost", 1);
    assert_string_equal(place().key, same);
    // torchrun's agent listens at the port itself.
    setenv("TORCHELASTIC_USE_AGENT_STORE", "False", 1);
    assert_int_equal(place().port, 1234);
    setenv("TORCHELASTIC_USE_AGENT_STORE", "True", 1);
    setenv("TORCHELASTIC_RUN_ID", "abc", 1);
    assert_int_equal(place().port, 1235);
    // A run that is started again is another one.
    char key[128];
    memcpy(key, place().key, sizeof key);
    setenv("TORCHELASTIC_RESTART_COUNT", "1", 1);
    assert_string_not_equal(place().key, key);
    // It may itself be started by srun, once a node.
    setenv("SLURM_PROCID", "1", 1);
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    assert_int_equal(place().count, 8);
}

static void mpirun(void **state) {
    (void)state;
    ENVIRONMENT("OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "2",
                "OMPI_COMM_WORLD_LOCAL_RANK", "1", "OMPI_COMM_WORLD_LOCAL_SIZE", "2", "PMI_RANK",
                "1", "PMI_SIZE", "2", "PMIX_NAMESPACE", "99", "SLURM_PROCID", "0",
                "SLURM_STEP_NUM_TASKS", "5");
    RanksPlace p = place();
    assert_int_equal(p.starter, STARTED_OPENMPI);
    assert_int_equal(p.count, 2);
    assert_true(p.mpi);
    assert_string_equal(p.master, "localhost"); // all on one host: they do without the module
    setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "1", 1);
    assert_string_equal(place().master, "");
    setenv("RANK", "1", 1); // as scripts export it
    setenv("WORLD_SIZE", "2", 1);
    setenv("MASTER_ADDR", "first", 1);
    assert_string_equal(place().master, "first");
    ENVIRONMENT("PMI_RANK", "1", "PMI_SIZE", "3", "MPI_LOCALRANKID", "0");
    p = place();
    assert_int_equal(p.starter, STARTED_MPICH);
    assert_int_equal(p.local_rank, 0);
}

static void srun(void **state) {
    (void)state;
    ENVIRONMENT("SLURM_PROCID", "2", "SLURM_STEP_NUM_TASKS", "4", "SLURM_LOCALID", "0",
                "SLURM_JOB_ID", "31", "SLURM_STEP_ID", "0", "SLURM_STEP_NODELIST",
                "gpu[03-04,7],login");
    RanksPlace p = place();
    assert_int_equal(p.starter, STARTED_SLURM);
    assert_int_equal(p.count, 4);
    assert_string_equal(p.master, "gpu03");
    int port = p.port;
    assert_true(port >= 20000 && port + RANKS_PORTS <= 40000);
    assert_false(p.mpi);
    setenv("PMIX_RANK", "2", 1);
    assert_true(place().mpi);
    setenv("SLURM_JOB_ID", "32", 1); // another run is elsewhere
    assert_int_not_equal(place().port, port);
    setenv("MASTER_ADDR", "other", 1); // as scripts of sbatch export it
    assert_string_equal(place().master, "other");
    unsetenv("MASTER_ADDR");
    static const char *const lists[][2] = {{"box", "box"},
                                           {"box,other", "box"},
                                           {"n[1-2]-ib,m", "n1-ib"},
                                           {"r[7]c[003,5-9]x", "r7c003x"},
                                           {"n[", "n"}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        setenv("SLURM_STEP_NODELIST", lists[i][0], 1);
        assert_string_equal(place().master, lists[i][1]);
    }
}

static void contradictions(void **state) {
    (void)state;
    ENVIRONMENT("RANK", "1", "WORLD_SIZE", "2", "MASTER_ADDR", "a", "OMPI_COMM_WORLD_RANK", "1",
                "OMPI_COMM_WORLD_SIZE", "4");
    refused("WORLD_SIZE=2, but OMPI_COMM_WORLD_RANK=1, OMPI_COMM_WORLD_SIZE=4");
    ENVIRONMENT("RANK", "1", "WORLD_SIZE", "2", "MASTER_ADDR", "a", "SLURM_PROCID", "0",
                "SLURM_STEP_NUM_TASKS", "4");
    refused("SLURM_STEP_NUM_TASKS=4");
    ENVIRONMENT("WORLD_SIZE", "2");
    refused("WORLD_SIZE and no RANK");
    ENVIRONMENT("RANK", "0");
    refused("RANK and no WORLD_SIZE");
    ENVIRONMENT("RANK", "2", "WORLD_SIZE", "2", "MASTER_ADDR", "a");
    refused("ranks count from 0");
    ENVIRONMENT("RANK", "x", "WORLD_SIZE", "2", "MASTER_ADDR", "a");
    refused("RANK=x");
    ENVIRONMENT("RANK", "0", "WORLD_SIZE", "0", "MASTER_ADDR", "a");
    refused("WORLD_SIZE=0");
    ENVIRONMENT("RANK", "0", "WORLD_SIZE", "99999999", "MASTER_ADDR", "a");
    refused("WORLD_SIZE=99999999");
    ENVIRONMENT("RANK", "0", "WORLD_SIZE", "2");
    refused("set MASTER_ADDR");
    ENVIRONMENT("RANK", "0", "WORLD_SIZE", "2", "MASTER_ADDR", "a", "MASTER_PORT", "70000");
    refused("MASTER_PORT=70000");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone), cmocka_unit_test(torchrun),
                                       cmocka_unit_test(mpirun), cmocka_unit_test(srun),
                                       cmocka_unit_test(contradictions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

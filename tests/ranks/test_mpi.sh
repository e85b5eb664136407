#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The modules tact_mpi_openmpi and tact_mpi_mpich, with each MPI whose module was built and whose mpirun is here: sums
# and what is shared are right and the same in 2 and 4 processes. Skipped without any.
set -u -o pipefail
build=$(dirname "$TACT")
ran=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Open MPI asks root whether it is meant.
[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# The mpirun whose own words on its version match $3, by its name on Debian and elsewhere.
launcher() {
    local name
    for name in "$1" "$2"; do
        command -v "$name" >/dev/null 2>&1 && "$name" --version 2>&1 | grep -q "$3" && echo "$name" && return
    done
    return 1
}

check() { # flavor, what it calls itself, numbers of processes, its mpirun and flags
    local flavor=$1 called=$2 counts=$3 count said
    shift 3
    for count in $counts; do
        said=$(timeout 100 "$@" -np "$count" "$build/tests/mpi_sums" "$flavor" "$scratch/$flavor$count" 2>&1) &&
            [[ $said == *"$called"*": $count processes"* ]] && continue
        printf '%s, %s processes:\n%s\n' "$flavor" "$count" "$said"
        failed=1
    done
    ran=1
}

if [ ! -e "$build/lib/tact/tact_mpi_openmpi.so" ]; then
    echo "skipped: Open MPI, with which this tact was not built (libopenmpi-dev)"
elif ! run=$(launcher mpirun.openmpi mpirun "Open MPI"); then
    echo "skipped: Open MPI, whose mpirun is not here (openmpi-bin)"
else
    check openmpi "Open MPI " "2 4" "$run" --oversubscribe
fi
if [ ! -e "$build/lib/tact/tact_mpi_mpich.so" ]; then
    echo "skipped: MPICH, with which this tact was not built (libmpich-dev)"
elif ! run=$(launcher mpiexec.mpich mpiexec HYDRA); then
    echo "skipped: MPICH, whose mpiexec is not here (mpich)"
else
    check mpich "MPICH " 4 "$run"
fi
[ $ran = 1 ] || exit 77
exit $failed

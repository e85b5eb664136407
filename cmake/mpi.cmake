# SPDX-License-Identifier: Apache-2.0
# tact_mpi_openmpi and tact_mpi_mpich, of one source: programs of the one do not run with the library of the other, and
# both can be installed. Without them the processes of a training find each other by an address alone (docs/scale.md).
option(TACT_MPI "Several processes by MPI, where Open MPI or MPICH is found" ON)
if(TACT_MPI)
  # Not find_package(MPI), which looks for one MPI, that of `mpicc`.
  pkg_check_modules(OPENMPI IMPORTED_TARGET ompi-c)
  pkg_check_modules(MPICH IMPORTED_TARGET mpich)
endif()
foreach(flavor OPENMPI MPICH)
  if(TACT_MPI AND ${flavor}_FOUND)
    string(TOLOWER tact_mpi_${flavor} name)
    file(GLOB sources CONFIGURE_DEPENDS src/ranks/mpi/*.c)
    tact_module(${name} SOURCES ${sources} LIBRARIES PkgConfig::${flavor} Threads::Threads)
  else()
    message(STATUS "no ${flavor}, or TACT_MPI is off: no processes started by it")
  endif()
endforeach()

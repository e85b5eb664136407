# SPDX-License-Identifier: Apache-2.0
# `cpack` in a build folder makes Debian packages of what was built there (packaging/README.md). scripts/packages
# builds with the flags and folders that Debian's packages have, and tries the packages out.
# As Debian's policy (8.1) names the package of a library: after its soname, libtact.so.0.2, so that one of a later
# interface can be installed beside it.
set(library_package libtact${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(packages tact libtact libtact_dev)
foreach(module tact_cuda tact_sim tact_mpi_openmpi tact_mpi_mpich)
  if(TARGET ${module})
    list(APPEND packages ${module})
  endif()
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tact)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL ${packages})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SOURCE tact)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packaging/debian_stage.cmake)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_BINARY_DIR}/debian_time.cmake)

# ---- version, date and packager ------------------------------------------------------------------

# Packages of two releases of a system need other versions of its libraries, so its name is in the version, in a
# way that an upgrade of the system is an upgrade of the package: 0.2.0-1~debian12, 0.2.0-1~ubuntu22.04.
set(system)
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release lines REGEX "^(ID|VERSION_ID)=")
  foreach(line ${lines})
    string(REGEX REPLACE "^[A-Z_]*=|\"" "" value ${line})
    string(APPEND system ${value})
  endforeach()
  if(NOT system MATCHES "^[a-z]+[0-9.]+$") # ID stands first everywhere but on Debian and Ubuntu
    string(REGEX REPLACE "^([0-9.]+)([a-z]+)$" "\\2\\1" system "${system}")
  endif()
endif()
set(TACT_DEBIAN_REVISION 1~${system} CACHE STRING "The packages' revision, behind tact's version")
set(CPACK_DEBIAN_PACKAGE_RELEASE ${TACT_DEBIAN_REVISION})
set(debian_version ${PROJECT_VERSION}-${TACT_DEBIAN_REVISION})

# The time that files and the changelog have is the last commit's, so that the same source gives the same packages.
function(git_says out)
  set(${out} "" PARENT_SCOPE)
  find_program(GIT_PROGRAM git)
  if(GIT_PROGRAM)
    execute_process(COMMAND ${GIT_PROGRAM} ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
        OUTPUT_VARIABLE said ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(${out} "${said}" PARENT_SCOPE)
  endif()
endfunction()
set(time "$ENV{SOURCE_DATE_EPOCH}")
if(NOT time)
  git_says(time log -1 --format=%ct)
endif()
file(WRITE ${CMAKE_BINARY_DIR}/debian_time.cmake "")
set(before "$ENV{SOURCE_DATE_EPOCH}")
if(time)
  file(WRITE ${CMAKE_BINARY_DIR}/debian_time.cmake "set(ENV{SOURCE_DATE_EPOCH} ${time})\n")
  set(ENV{SOURCE_DATE_EPOCH} ${time})
endif()
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
if(before)
  set(ENV{SOURCE_DATE_EPOCH} ${before})
else()
  unset(ENV{SOURCE_DATE_EPOCH})
endif()

# Who makes a package answers for it: as Debian's tools have it, else as git does.
set(name "$ENV{DEBFULLNAME}")
set(mail "$ENV{DEBEMAIL}")
foreach(source "config user" "log author")
  if(source STREQUAL "config user" AND NOT (name AND mail))
    git_says(name config user.name)
    git_says(mail config user.email)
  elseif(NOT (name AND mail))
    git_says(name log -1 --format=%an)
    git_says(mail log -1 --format=%ae)
  endif()
endforeach()
if(NOT (name AND mail))
  set(name "tact packager")
  set(mail "unknown@localhost")
endif()
set(TACT_PACKAGER "${name} <${mail}>")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${TACT_PACKAGER}")

# ---- the packages --------------------------------------------------------------------------------

# describe(COMPONENT NAME SECTION SYNOPSIS TEXT): the lines of TEXT are the extended description. Every package has
# its copyright, both changelogs and what lintian is to pass over, each with its reason, where there is such a file.
function(describe component package section synopsis text)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${synopsis}\n${text}" PARENT_SCOPE)
  set(folder ${CMAKE_BINARY_DIR}/debian/${package})
  configure_file(packaging/debian_changelog.in ${folder}/changelog.Debian @ONLY)
  file(READ packaging/copyright copyright)
  if(component STREQUAL tact_cuda)
    file(READ packaging/copyright.cuda more)
    string(APPEND copyright "\n${more}")
  endif()
  file(WRITE ${folder}/copyright "${copyright}")
  set(doc share/doc/${package})
  install(FILES ${folder}/copyright ${folder}/changelog.Debian DESTINATION ${doc} COMPONENT ${component} EXCLUDE_FROM_ALL)
  install(FILES CHANGELOG.md DESTINATION ${doc} RENAME changelog COMPONENT ${component} EXCLUDE_FROM_ALL)
  if(EXISTS ${CMAKE_SOURCE_DIR}/packaging/lintian/${component})
    file(READ packaging/lintian/${component} overrides)
    string(REPLACE "@PACKAGE@" ${package} overrides "${overrides}")
    file(WRITE ${folder}/overrides "${overrides}")
    install(FILES ${folder}/overrides DESTINATION share/lintian/overrides RENAME ${package}
        COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endfunction()

describe(tact tact science "train and run temporal ACT robot policies"
"tact trains action-chunking transformers (ACT) that see several past
observations, on LeRobot datasets, with the CPU or an NVIDIA card, evaluates
them on recordings and in simulated tasks, and converts checkpoints from and
to LeRobot's.
.
This package has the program and what it needs to read and write videos, to
import demonstrations from zarr and HDF5, to serve policies on a network, and
to download pretrained backbones.")
set(CPACK_DEBIAN_TACT_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_TACT_PACKAGE_SUGGESTS "tact-sim, tact-cuda")
# OpenBLAS is loaded while tact runs, so that dpkg-shlibdeps does not see it. Where oneDNN has no kernels of its own
# (Debian builds it for Arm without any), tact computes with it.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
  string(APPEND CPACK_DEBIAN_TACT_PACKAGE_SUGGESTS ", libopenblas0")
  set(blas SUGGESTS "tact-cuda, libopenblas0")
else()
  string(APPEND CPACK_DEBIAN_TACT_PACKAGE_RECOMMENDS ", libopenblas0")
  set(blas RECOMMENDS libopenblas0)
endif()

describe(libtact ${library_package} libs "run temporal ACT robot policies - shared library"
"libtact runs policies that tact has trained, on a robot: one call a control
step, with the history of observations, normalisation, relative poses, chunks
of actions, temporal ensembling and safety limits inside.
.
This package has the shared library.")
set(CPACK_DEBIAN_LIBTACT_PACKAGE_SUGGESTS tact-cuda)
list(GET blas 0 kind)
list(GET blas 1 those)
set(CPACK_DEBIAN_LIBTACT_PACKAGE_${kind} "${those}")
# Not CPack's, which has no setting for one package and would ask for modules' sonames.
set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
file(WRITE ${CMAKE_BINARY_DIR}/debian/shlibs "libtact ${soversion} ${library_package} (>= ${PROJECT_VERSION})\n")
file(WRITE ${CMAKE_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBTACT_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/debian/shlibs ${CMAKE_BINARY_DIR}/debian/triggers)

describe(libtact_dev libtact-dev libdevel "run temporal ACT robot policies - development files"
"libtact runs policies that tact has trained, on a robot: one call a control
step, with the history of observations, normalisation, relative poses, chunks
of actions, temporal ensembling and safety limits inside.
.
This package has the header, the static library, the files for pkg-config and
CMake, examples in C and Python, and the module for Python.")
set(CPACK_DEBIAN_LIBTACT_DEV_PACKAGE_DEPENDS "${library_package} (= ${debian_version})")
# Python's module needs the latter, programs with libtact.a the others.
set(CPACK_DEBIAN_LIBTACT_DEV_PACKAGE_SUGGESTS "libdnnl-dev, libjansson-dev, libzip-dev, python3-numpy")

# A module fits the build it is from and no other.
set(of_this_build "tact (= ${debian_version}) | ${library_package} (= ${debian_version})")
if(TARGET tact_sim)
  describe(tact_sim tact-sim science "simulated tasks for temporal ACT robot policies"
"tact trains and runs robot policies. This package has its simulated tasks, on
MuJoCo: demonstrations by a scripted expert, and evaluation of policies in
them, without a display.")
  set(CPACK_DEBIAN_TACT_SIM_PACKAGE_DEPENDS "tact (= ${debian_version})")
  set(CPACK_DEBIAN_TACT_SIM_PACKAGE_RECOMMENDS "libegl-mesa0, libgl1-mesa-dri")
endif()
if(TARGET tact_cuda)
  describe(tact_cuda tact-cuda non-free/science "temporal ACT robot policies on NVIDIA cards"
"tact trains and runs robot policies. This package has what runs them on NVIDIA
cards, for the program and for libtact. The card's driver, cuBLASLt and cuDNN
are not in it: they are taken from the system or from an installed PyTorch.")
  set(CPACK_DEBIAN_TACT_CUDA_PACKAGE_DEPENDS "${of_this_build}")
endif()
# describe_mpi(FLAVOR NAME STARTER): STARTER is the package that has its mpirun.
macro(describe_mpi flavor name starter)
  describe(tact_mpi_${flavor} tact-mpi-${flavor} science "temporal ACT robot policies trained in processes of ${name}"
"tact trains and runs robot policies. This package has what a training needs
whose processes, on one machine or many, are started by ${name}, which then
adds up their gradients.")
  string(TOUPPER tact_mpi_${flavor} component)
  set(CPACK_DEBIAN_${component}_PACKAGE_DEPENDS "tact (= ${debian_version})")
  set(CPACK_DEBIAN_${component}_PACKAGE_RECOMMENDS ${starter})
endmacro()
if(TARGET tact_mpi_openmpi)
  describe_mpi(openmpi "Open MPI" openmpi-bin)
endif()
if(TARGET tact_mpi_mpich)
  describe_mpi(mpich MPICH mpich)
endif()
include(CPack)

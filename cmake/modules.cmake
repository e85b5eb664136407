# SPDX-License-Identifier: Apache-2.0
# Modules (src/base/module.h): shared objects in lib/tact/ that are loaded when what they hold is asked for.

# The release, and a digest of the headers that say how the tables of modules and what they take look: files
# that do not belong together are told apart by it.
file(GLOB interfaces CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/base/*.h ${CMAKE_SOURCE_DIR}/src/ops/ops.h
    ${CMAKE_SOURCE_DIR}/src/ops/ops.def ${CMAKE_SOURCE_DIR}/src/image/image.h
    ${CMAKE_SOURCE_DIR}/src/formats/image_codec.h ${CMAKE_SOURCE_DIR}/src/formats/video*.h ${CMAKE_SOURCE_DIR}/src/env/env*.h
    ${CMAKE_SOURCE_DIR}/src/pose/pose.h ${CMAKE_SOURCE_DIR}/src/download/download.h
    ${CMAKE_SOURCE_DIR}/src/import/source.h ${CMAKE_SOURCE_DIR}/src/serve/serve.h
    ${CMAKE_SOURCE_DIR}/src/ranks/mpi.h ${CMAKE_SOURCE_DIR}/src/ranks/sums.h ${CMAKE_SOURCE_DIR}/include/tact.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${interfaces})
set(digests)
foreach(file ${interfaces})
  file(SHA256 ${file} digest)
  string(APPEND digests ${digest})
endforeach()
string(SHA256 digest "${digests}")
string(SUBSTRING ${digest} 0 12 digest)
# Only sources that compare it or hand it out are compiled with it: else every edit of those headers would compile
# the whole tree again.
set(TACT_MODULE_VERSION TACT_MODULE_VERSION="${PROJECT_VERSION}-${digest}")

set_source_files_properties(src/base/module.c PROPERTIES COMPILE_DEFINITIONS
    "${TACT_MODULE_VERSION};TACT_LIBDIR=\"${CMAKE_INSTALL_LIBDIR}\";TACT_INSTALLED_LIBDIR=\"${CMAKE_INSTALL_FULL_LIBDIR}\"")

add_custom_target(modules)

# tact_module(NAME SOURCES ... LIBRARIES ...): build/lib/tact/NAME.so, which shows tact_module and nothing else.
# Our own static libraries in it are copies of its own.
function(tact_module name)
  cmake_parse_arguments(PARSE_ARGV 1 M "" "" "SOURCES;LIBRARIES")
  add_library(${name} MODULE ${M_SOURCES})
  target_compile_definitions(${name} PRIVATE ${TACT_MODULE_VERSION})
  target_link_libraries(${name} PRIVATE ${M_LIBRARIES} base m)
  target_link_options(${name} PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/module.map)
  # clang leaves the functions of its sanitizers to the program that loads the module.
  if(NOT (CMAKE_C_COMPILER_ID MATCHES "Clang" AND CMAKE_C_FLAGS MATCHES "sanitize"))
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/tact
      LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/module.map)
  # A program or a test must load modules of its own build, so building it builds them.
  add_dependencies(modules ${name})
  # Those whose libraries not everybody wants are packages of their own (packaging/debian.cmake).
  set(component tact)
  if(name MATCHES "^tact_(cuda|sim|mpi_openmpi|mpi_mpich)$")
    set(component ${name})
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tact COMPONENT ${component})
endfunction()

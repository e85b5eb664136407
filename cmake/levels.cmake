# SPDX-License-Identifier: Apache-2.0
# ops/cpu: our own vector code, once for each level of processor (src/ops/cpu/level.h), whatever the rest is compiled
# for. A level's numbers are the same on every machine, for no other option says which instructions it has; sums and
# products are joined here (fused multiply-add) and nowhere else.
set(ONCE backend.c onednn.c blas.c)
file(GLOB LEVEL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/cpu/*.c)
foreach(name ${ONCE})
  if(${CMAKE_SOURCE_DIR}/src/ops/cpu/${name} IN_LIST LEVEL_SOURCES)
    list(REMOVE_ITEM LEVEL_SOURCES ${CMAKE_SOURCE_DIR}/src/ops/cpu/${name})
    target_sources(ops PRIVATE ${CMAKE_SOURCE_DIR}/src/ops/cpu/${name})
  endif()
endforeach()

# cpu_level(NAME OPTION...): that level, compiled with these options.
function(cpu_level name)
  add_library(ops_cpu_${name} OBJECT ${LEVEL_SOURCES})
  target_compile_definitions(ops_cpu_${name} PRIVATE TACT_CPU_LEVEL=${name})
  target_compile_options(ops_cpu_${name} PRIVATE -ffp-contract=fast ${ARGN})
  target_link_libraries(ops_cpu_${name} PRIVATE OpenMP::OpenMP_C)
  target_sources(ops PRIVATE $<TARGET_OBJECTS:ops_cpu_${name}>)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  foreach(name v2 v3 v4)
    cpu_level(${name} -march=x86-64-${name} -mtune=generic)
  endforeach()
else()
  cpu_level(base)
endif()
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/ops/cpu/backend.c PROPERTIES COMPILE_DEFINITIONS
    TACT_ARCHITECTURE="${CMAKE_SYSTEM_PROCESSOR}")
# Its loops are a policy's time: in a debug build, or under a sanitizer, tests would take minutes.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/ops/cpu/panels.c PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Debug>:-O2>)

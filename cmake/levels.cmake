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
  target_include_directories(ops_cpu_${name} SYSTEM PRIVATE ${DNNL_INCLUDE_DIR})
  target_sources(ops PRIVATE $<TARGET_OBJECTS:ops_cpu_${name}>)
endfunction()

# Under sanitizers the tests run one level, this machine's (in clang's build, which only the fuzz targets run, none).
# The others are compiled as fast as they can be.
set(WATCHED v2 v3 v4)
if(CMAKE_C_FLAGS MATCHES "sanitize=")
  set(WATCHED)
  if(NOT CMAKE_C_FLAGS MATCHES "fuzzer")
    execute_process(COMMAND ${CMAKE_C_COMPILER} -march=native -dM -E -x c /dev/null OUTPUT_VARIABLE macros ERROR_QUIET)
    set(WATCHED v2)
    if(macros MATCHES "__AVX2__" AND macros MATCHES "__FMA__")
      set(WATCHED v3)
      if(macros MATCHES "__AVX512BW__" AND macros MATCHES "__AVX512DQ__" AND macros MATCHES "__AVX512VL__")
        set(WATCHED v4)
      endif()
    endif()
  endif()
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  foreach(name v2 v3 v4)
    if(name IN_LIST WATCHED)
      cpu_level(${name} -march=x86-64-${name} -mtune=generic)
    else()
      cpu_level(${name} -march=x86-64-${name} -mtune=generic -O0 -fno-sanitize=all)
    endif()
  endforeach()
else()
  cpu_level(base)
endif()
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/ops/cpu/backend.c PROPERTIES COMPILE_DEFINITIONS
    TACT_ARCHITECTURE="${CMAKE_SYSTEM_PROCESSOR}")
# Its loops are a policy's time: in a debug build, or under a sanitizer, tests would take minutes.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/ops/cpu/panels.c PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Debug>:-O2>)

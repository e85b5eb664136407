# SPDX-License-Identifier: Apache-2.0
# What makes a fault in a reader of files harder to use: tests/tree/test_hardening.sh holds programs, library and modules
# to it, and docs/reliability.md says what it costs. A flag that the compiler does not know is left out.
include(CheckCCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

# harden(FLAG...): the first of them that the compiler takes is given to every C file.
function(harden)
  foreach(flag ${ARGN})
    string(MAKE_C_IDENTIFIER "TACT_TAKES${flag}" takes)
    check_c_compiler_flag(${flag} ${takes})
    if(${takes})
      add_compile_options($<$<COMPILE_LANGUAGE:C>:${flag}>)
      return()
    endif()
  endforeach()
endfunction()

# Not under sanitizers, which see more.
if(NOT CMAKE_C_FLAGS MATCHES "sanitize=")
  harden(-fstack-protector-strong)
  harden(-fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    harden(-fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    harden(-mbranch-protection=standard)
  endif()
  # The C library's checked functions need an optimizing compiler. Level 3 also checks blocks whose size is known only
  # when the program runs: gcc 12 and clang 9 can. Distributions' own flags name a level; that one stays.
  if(NOT CMAKE_C_FLAGS MATCHES "FORTIFY_SOURCE" AND CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
    set(level 3)
    if(CMAKE_C_COMPILER_ID STREQUAL GNU AND CMAKE_C_COMPILER_VERSION VERSION_LESS 12)
      set(level 2)
    endif()
    add_compile_options("$<$<COMPILE_LANGUAGE:C>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level}>")
  endif()
endif()

# Addresses of functions are looked up at the start and then write-protected; no stack can be executed.
if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
endif()

# SPDX-License-Identifier: Apache-2.0
# tact_cuda: the op layer on NVIDIA's cards, where nvcc and the headers of cuBLASLt and cuDNN are found.
# Compiled for the card that is here, for one architecture is most of the build's time. Where there is none, for
# 8.0 with its PTX, which runs on every card since Ampere: 8.0, 8.6 and 8.9 take the code as it is; 8.7, 9.0 and
# later translate the PTX when they first load it, which takes a driver that is as new as the toolkit. The cuda
# preset and scripts/bundle name them all.
if(NOT DEFINED TACT_CUDA_ARCHITECTURES)
  execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE no_card OUTPUT_QUIET ERROR_QUIET)
  if(no_card STREQUAL 0)
    set(TACT_CUDA_ARCHITECTURES native)
  else()
    set(TACT_CUDA_ARCHITECTURES 80)
  endif()
endif()

if(NOT TACT_CUDA STREQUAL OFF)
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER)
    find_program(NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
    if(NVCC)
      set(CMAKE_CUDA_COMPILER ${NVCC})
    endif()
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${TACT_CUDA_ARCHITECTURES})
  check_language(CUDA)
  find_package(CUDAToolkit QUIET)
  find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  if(CMAKE_CUDA_COMPILER AND CUDAToolkit_FOUND AND CUDNN_INCLUDE_DIR)
    set(TACT_HAS_CUDA TRUE)
  elseif(TACT_CUDA STREQUAL ON)
    message(FATAL_ERROR "TACT_CUDA=ON: nvcc or the headers cublasLt.h and cudnn.h were not found; "
                        "install the CUDA toolkit and cuDNN, or leave TACT_CUDA=AUTO")
  endif()
endif()

if(NOT TACT_HAS_CUDA)
  message(STATUS "no CUDA: --policy.device=cuda explains itself")
  return()
endif()
set(cards)
if(TACT_CUDA_ARCHITECTURES STREQUAL native)
  set(cards " (the card of this machine)")
elseif(TACT_CUDA_ARCHITECTURES STREQUAL 80)
  set(cards " (Ampere and Ada; Orin, Hopper and later translate it when they first load it)")
endif()
message(STATUS "CUDA ${CUDAToolkit_VERSION}: --policy.device=cuda is built for ${TACT_CUDA_ARCHITECTURES}${cards}")
enable_language(CUDA)
enable_language(CXX) # which links it
file(GLOB sources CONFIGURE_DEPENDS src/ops/cuda/*.cu)
add_library(ops_cuda OBJECT ${sources})
set_target_properties(ops_cuda PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
    POSITION_INDEPENDENT_CODE ON CUDA_VISIBILITY_PRESET hidden)
target_include_directories(ops_cuda SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE_DIR})
# Without the loop unrolling of -O3 there is nothing to see in a debug build either.
target_compile_options(ops_cuda PRIVATE -O3 -Xcompiler=-Wall,-Wextra)
if(TACT_WERROR)
  target_compile_options(ops_cuda PRIVATE --Werror all-warnings -Xcompiler=-Werror)
endif()
# For the sentence about a card it holds no code for.
string(REPLACE ";" ", " code "${TACT_CUDA_ARCHITECTURES}")
set_source_files_properties(src/ops/cuda/open.cu PROPERTIES COMPILE_DEFINITIONS "TACT_CUDA_CODE=\"${code}\"")
# Neither cuBLASLt nor cuDNN: src/ops/cuda/libraries.cu looks for them when a card is opened. The C++ library stays
# the machine's: linked in, it and its unwinder would ask for glibc 2.36.
tact_module(tact_cuda SOURCES src/ops/cuda/module.c src/ops/tensor.c src/ops/failure.c $<TARGET_OBJECTS:ops_cuda>
    LIBRARIES CUDA::cudart_static ${CMAKE_DL_LIBS})
set_target_properties(tact_cuda PROPERTIES LINKER_LANGUAGE CXX)

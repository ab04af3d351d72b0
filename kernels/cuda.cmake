# MELGRAD_CUDA=AUTO|ON|OFF: looks for nvcc. Sets MELGRAD_HAS_CUDA, and melgrad_cuda_flags, which every target with .cu
# files links.
set(MELGRAD_HAS_CUDA FALSE)
if(MELGRAD_CUDA STREQUAL "OFF")
  return()
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(MELGRAD_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MELGRAD_CUDA=ON, but no nvcc was found; set CUDACXX to it, or MELGRAD_CUDA=OFF")
  endif()
  message(STATUS "CUDA engine: left out, no nvcc was found")
  return()
endif()

# By name, so that a machine without a GPU builds for all of them: Turing, Ampere, Ada, Hopper, Blackwell; and PTX of
# the newest, for what comes after. Only for trying things out is one of them enough:
# -DCMAKE_CUDA_ARCHITECTURES=90-real
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
  message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} knows no sm_120; CUDA 12.8 or newer is needed")
endif()
# Debian 12's CMake 3.25 stumbles over toolkits without nvToolsExt, as CUDA 13 is, where a project requires 3.25.
set(melgrad_required_version ${CMAKE_MINIMUM_REQUIRED_VERSION})
set(CMAKE_MINIMUM_REQUIRED_VERSION 3.24)
find_package(CUDAToolkit REQUIRED)
set(CMAKE_MINIMUM_REQUIRED_VERSION ${melgrad_required_version})
set(MELGRAD_CUDNN AUTO CACHE STRING "cuDNN for batch normalisation: AUTO (if it is found), ON, OFF")
set_property(CACHE MELGRAD_CUDNN PROPERTY STRINGS AUTO ON OFF)
set(MELGRAD_HAS_CUDNN FALSE)
if(NOT MELGRAD_CUDNN STREQUAL "OFF")
  find_path(MELGRAD_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(MELGRAD_CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})
  if(MELGRAD_CUDNN_INCLUDE AND MELGRAD_CUDNN_LIBRARY)
    set(MELGRAD_HAS_CUDNN TRUE)
  elseif(MELGRAD_CUDNN STREQUAL "ON")
    message(FATAL_ERROR "MELGRAD_CUDNN=ON, but cudnn.h or libcudnn.so was not found; set MELGRAD_CUDNN_INCLUDE and "
      "MELGRAD_CUDNN_LIBRARY to them")
  else()
    message(STATUS "cuDNN: left out, cudnn.h or libcudnn.so was not found; batch_norm takes kernels of our own")
  endif()
endif()
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know that nvcc takes it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(MELGRAD_HAS_CUDA TRUE)

option(MELGRAD_PTXAS_REPORT "Keep what ptxas says of each kernel's registers, spills and shared memory" ON)
if(MELGRAD_PTXAS_REPORT)
  list(PREPEND CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CURRENT_LIST_DIR}/keep_ptxas_report)
endif()
add_library(melgrad_cuda_flags INTERFACE)
# -lineinfo: profilers show source lines. fmt 9 takes nvcc for a compiler without constexpr. Kernels call constexpr
# functions of host/. nvcc hands types of members on with parentheses that GCC warns of.
target_compile_options(melgrad_cuda_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo -DFMT_USE_CONSTEXPR=1
  --expt-relaxed-constexpr
  -Xcompiler=-Wall,-Wextra,-Wno-parentheses
  $<$<BOOL:${MELGRAD_WARNINGS_AS_ERRORS}>:-Werror=all-warnings>
  $<$<BOOL:${MELGRAD_PTXAS_REPORT}>:-Xptxas=-v>>)
target_link_libraries(melgrad_cuda_flags INTERFACE CUDA::cudart_static)

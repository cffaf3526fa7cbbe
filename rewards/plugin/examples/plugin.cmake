# example_reward.so beside its source, and a test of it: `zeroth reward build`, or
#   cmake -S . -B build && cmake --build build && ctest --test-dir build
cmake_minimum_required(VERSION 3.16)
project(example_reward LANGUAGES CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_STANDARD 17)
include_directories(${PROJECT_SOURCE_DIR})  # of <zeroth/…>

add_library(example_reward MODULE example_reward.cpp)
set_target_properties(example_reward PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PROJECT_SOURCE_DIR})

enable_testing()
add_executable(example_reward_test example_reward_test.cpp example_reward.cpp)
add_test(NAME example_reward COMMAND example_reward_test)

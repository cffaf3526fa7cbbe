# Warnings that every target of ours is held to.
function(zeroth_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow
                         $<$<BOOL:${ZEROTH_WERROR}>:-Werror>)
  if(ZEROTH_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented, g++ 12 reports its own standard library (std::regex, std::function).
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
endfunction()

# zeroth_module(<name> SOURCES … HEADERS … [DEPENDS …])
# One static library a folder. DEPENDS is the whole dependency policy of that folder.
function(zeroth_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;DEPENDS")
  add_library(zeroth_${name} STATIC ${arg_SOURCES})
  add_library(zeroth::${name} ALIAS zeroth_${name})
  target_sources(zeroth_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS})
  target_link_libraries(zeroth_${name} PUBLIC ${arg_DEPENDS})
  set_target_properties(zeroth_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  zeroth_warnings(zeroth_${name})
endfunction()

# zeroth_test(<folder> SOURCES … [DEPENDS …] [LABELS …])
# One test program a folder; every TEST_CASE is a CTest test of its own.
function(zeroth_test folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LABELS")
  add_executable(${folder}_test ${arg_SOURCES})
  target_link_libraries(${folder}_test PRIVATE ${arg_DEPENDS} zeroth_test_main)
  target_include_directories(${folder}_test PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${folder}_test PRIVATE ZEROTH_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  zeroth_warnings(${folder}_test)
  # What a test program does itself is seldom slow: kernels_test alone computes its references.
  if(NOT folder STREQUAL "kernels")
    # A plain if(): ZEROTH_SANITIZE may hold a comma ("address,undefined"), which a generator expression would split.
    if(ZEROTH_SANITIZE)
      target_compile_options(${folder}_test PRIVATE -O0)
    else()
      target_compile_options(${folder}_test PRIVATE -O1)
    endif()
  endif()
  # One label that holds them all: a list does not survive the way to CTest, and -L takes a regular expression.
  list(JOIN arg_LABELS "+" labels)
  catch_discover_tests(${folder}_test TEST_PREFIX "${folder}/" PROPERTIES LABELS "${folder}+${labels}" TIMEOUT 600)
endfunction()

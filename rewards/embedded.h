// Files that are compiled in, so that the binary is all there is.
#pragma once

#include <string_view>

namespace zeroth {

/// What the interpreter of Python functions runs: the first, then the second.
std::string_view script_function_source();
std::string_view script_host_source();

/// The headers of plugins.
std::string_view plugin_abi_source();
std::string_view plugin_header_source();
std::string_view plugin_json_source();

/// The files of examples/.
std::string_view example_cpp_source();
std::string_view example_c_source();
std::string_view example_python_source();
std::string_view example_program_source();
std::string_view example_test_source();
std::string_view example_cmake_source();
std::string_view example_items();

}  // namespace zeroth

// Files that are compiled in, so that the binary is all there is.
#pragma once

#include <string_view>

namespace zeroth {

std::string_view script_host_source();  // script_host.py
std::string_view plugin_abi_source();   // plugin_abi.h

/// examples/example_reward.cpp, .c and .py, and examples/items.jsonl.
std::string_view example_cpp_source();
std::string_view example_c_source();
std::string_view example_python_source();
std::string_view example_items();

}  // namespace zeroth
